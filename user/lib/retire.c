/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When an id or a ring block may be used again: see struct retirement in applied.h. */
#include <string.h>

#include "apply.h"
#include "apply_private.h"
#include "apply_quic.h"

/* One step; true once the id may be reused. `left_rings`: no ring in use names it. */
static bool step(const struct dp *dp, struct retirement *r, bool left_rings, uint32_t named)
{
	switch (r->stage) {
	case RETIRE_IN_RING:
		if (!left_rings)
			return false;
		r->ticket = dp->ops->grace_request(dp->user);
		r->stage = RETIRE_FIRST_GRACE;
		return false;
	case RETIRE_FIRST_GRACE:
	case RETIRE_SECOND_GRACE:
		/* The scan that ended just now began before; the next one counts. */
		if (dp->ops->grace_done(dp->user, r->ticket))
			r->stage++;
		return false;
	case RETIRE_FIRST_SCAN:
		if (named)
			return false;
		r->ticket = dp->ops->grace_request(dp->user);
		r->stage = RETIRE_SECOND_GRACE;
		return false;
	case RETIRE_SECOND_SCAN:
		if (!named)
			return true;
		r->stage = RETIRE_FIRST_SCAN;
		return false;
	}
	return false;
}

static void bank_add(struct vip_state *bank, const struct member_stats *sum, int sign)
{
	bank->freed_packets += sign * sum->packets;
	bank->freed_bytes += sign * sum->bytes;
	bank->freed_new_flows += sign * sum->new_flows;
}

/*
 * The counters go to the VIP's bank, so that its totals never fall; banked before they are zeroed,
 * since a daemon killed in between had better count twice than lose them. False: not freed, the
 * kernel refused; to be tried again.
 */
static bool free_member(struct applied *applied, uint32_t id, struct vip_state *bank)
{
	const struct dp *dp = applied->dp;
	struct vip_state nowhere = {};
	struct member_stats sum;

	bank = bank ? bank : &nowhere;
	if (dp->ops->member_stats_read(dp->user, id, &sum))
		return false;
	bank_add(bank, &sum, 1);
	if (dp->ops->member_stats_zero(dp->user, id)) {
		bank_add(bank, &sum, -1);
		return false;
	}
	real_index_remove(&applied->index, id);
	memset(&dp->members[id], 0, sizeof(struct member));
	id_pool_release(&applied->member_ids, id);
	return true;
}

static void retire_members(struct applied *applied, struct applied_vip *vip,
			   const struct flow_scan *scan)
{
	size_t kept = 0;
	bool is_fresh;

	apply_want_ring(applied, vip);
	is_fresh = vip->wanted_fingerprint && vip->fingerprint == vip->wanted_fingerprint;
	for (size_t i = 0; i < vip->n_members; i++) {
		struct applied_member *m = &vip->members[i];

		/* Before the second grace period: whom a connection ID led here, it lets pass. */
		if (m->retirement.stage == RETIRE_FIRST_SCAN && !scan->members[m->id].named &&
		    apply_unpublish_server(applied, vip, m)) {
			vip->members[kept++] = *m;
			continue;
		}
		if (!(m->state & MEMBER_NOTE_REMOVED) ||
		    !step(applied->dp, &m->retirement, is_fresh, scan->members[m->id].named) ||
		    !free_member(applied, m->id, &applied->dp->vip_state[vip->id]))
			vip->members[kept++] = *m;
	}
	vip->n_members = kept;
}

static void retire_orphans(struct applied *applied, const struct flow_scan *scan)
{
	size_t i = 0;

	while (i < applied->n_orphans) {
		struct orphan *o = &applied->orphans[i];

		if (!step(applied->dp, &o->retirement, true, scan->members[o->id].named) ||
		    !free_member(applied, o->id, NULL)) {
			i++;
			continue;
		}
		applied_let_go_vip_id(applied, o->vip_id);
		*o = applied->orphans[--applied->n_orphans];
	}
}

void apply_release_pending(struct applied *applied)
{
	const struct dp *dp = applied->dp;
	size_t kept = 0;

	for (size_t i = 0; i < applied->n_pending; i++) {
		struct pending *p = &applied->pending[i];

		if (!dp->ops->grace_done(dp->user, p->ticket)) {
			applied->pending[kept++] = *p;
			continue;
		}
		for (int k = 0; k < 2; k++)
			ring_space_release(&applied->ring_space, p->extents[k]);
		if (p->vip_id != NO_VIP)
			applied_let_go_vip_id(applied, p->vip_id);
	}
	applied->n_pending = kept;
}

void apply_retire(struct applied *applied, const struct flow_scan *scan)
{
	for (size_t i = 0; i < applied->n_vips; i++)
		retire_members(applied, applied->vips[i], scan);
	retire_orphans(applied, scan);
	apply_release_pending(applied);
}
