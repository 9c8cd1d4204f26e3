/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Carries out the steps of a plan: see apply.h. Rings: apply_ring.c. Reuse of ids: retire.c. */
#include "apply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "flow_clock.h"

#define OUTER_TTL 64

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The outer IPv4 header's words that neither a packet nor the outer source changes: version and
 * length, DF, TTL and protocol, destination.
 */
static uint16_t outer_sum(const struct member *m)
{
	uint8_t protocol = m->vip_family == FAMILY_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint32_t sum = htons(0x4500) + htons(0x4000) + htons(OUTER_TTL << 8 | protocol);

	if (m->real_family != FAMILY_V4)
		return 0;
	sum += (m->real.w[3] & 0xffff) + (m->real.w[3] >> 16);
	return fold(sum);
}

static void set_state(struct applied *applied, struct applied_member *m, uint32_t state)
{
	m->state = state;
	dp_store(applied->dp->members[m->id].state, state);
}

static int add_vip(struct applied *applied, const struct plan *plan, const struct plan_step *step)
{
	const struct vip_spec *spec = step->vip->spec;
	struct applied_vip *vip = calloc(1, sizeof(*vip));
	uint32_t blocks = plan_half_blocks(spec);

	if (!vip)
		return -ENOMEM;
	vip->key = step->key;
	vip->ring = spec->ring;
	vip->encap = spec->encap;
	vip->on_no_port = spec->on_no_port;
	vip->live = 1;
	flow_clock_ticks(plan->clock, &spec->timeouts, plan->hz, vip->timeout_ticks);
	if (id_pool_take(&applied->vip_ids, &vip->id) ||
	    ring_space_alloc(&applied->ring_space, blocks, &vip->half[0]) ||
	    ring_space_alloc(&applied->ring_space, blocks, &vip->half[1]) ||
	    applied_insert_vip(applied, vip)) {
		free(vip);
		return -ENOMEM;
	}
	memset(&applied->dp->vip_state[vip->id], 0, sizeof(struct vip_state));
	return 0;
}

static int set_vip(struct applied *applied, const struct plan *plan, const struct plan_step *step)
{
	const struct vip_spec *spec = step->vip->spec;
	bool needs_halves = plan_step_needs_halves(applied, step);
	struct applied_vip *vip = applied_find(applied, &step->key);
	uint32_t blocks = plan_half_blocks(spec);

	vip->ring = spec->ring;
	vip->encap = spec->encap;
	vip->on_no_port = spec->on_no_port;
	flow_clock_ticks(plan->clock, &spec->timeouts, plan->hz, vip->timeout_ticks);
	for (size_t i = 0; i < vip->n_members; i++) {
		struct member *m = &applied->dp->members[vip->members[i].id];

		memcpy(m->timeout_ticks, vip->timeout_ticks, sizeof(m->timeout_ticks));
		m->encap = vip->encap;
	}
	if (!needs_halves)
		return 0;
	if (vip->wider[0].blocks) {
		ring_space_release(&applied->ring_space, vip->wider[0]);
		ring_space_release(&applied->ring_space, vip->wider[1]);
		vip->wider[0] = vip->wider[1] = (struct extent){};
	}
	if (ring_space_alloc(&applied->ring_space, blocks, &vip->wider[0]))
		return -ENOMEM;
	return ring_space_alloc(&applied->ring_space, blocks, &vip->wider[1]);
}

static void write_member(const struct dp *dp, const struct applied_vip *vip,
			 const struct applied_member *member)
{
	struct member m = {
		.vip = vip->key.address,
		.real = member->real,
		.port = vip->key.port,
		.protocol = vip->key.protocol,
		.vip_family = vip->key.family,
		.real_family = addr_family(&member->real),
		.encap = vip->encap,
		.vip_id = vip->id,
	};

	memcpy(m.timeout_ticks, vip->timeout_ticks, sizeof(m.timeout_ticks));
	m.csum = outer_sum(&m);
	dp->members[member->id] = m;
	dp_store(dp->members[member->id].state, member->state);
}

static int add_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);
	struct applied_member *members = realloc(vip->members,
						 (vip->n_members + 1) * sizeof(*members));
	struct applied_member m = {
		.real = step->real,
		.state = step->member->state,
		.ring_weight = step->member->ring_weight,
	};

	if (!members)
		return -ENOMEM;
	vip->members = members;
	if (id_pool_take(&applied->member_ids, &m.id))
		return -ENOSPC;
	members[vip->n_members++] = m;
	write_member(applied->dp, vip, &m);
	return 0;
}

static void set_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);
	struct applied_member *m = applied_find_member(vip, &step->real, 0);

	m->ring_weight = step->member->ring_weight;
	m->retirement = (struct retirement){};
	set_state(applied, m, step->member->state);
}

/* Its flows finish there, unless it was down: then they have left already. */
static void remove_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);
	struct applied_member *m = applied_find_member(vip, &step->real, 0);
	uint32_t state = (m->state & MEMBER_STATE_MASK) == MEMBER_DOWN ? MEMBER_DOWN : MEMBER_DRAIN;

	m->ring_weight = 0;
	m->retirement = (struct retirement){};
	set_state(applied, m, state | MEMBER_NOTE_REMOVED);
}

/* The address stays while another VIP has it. */
static int drop_vip_addr(struct applied *applied, const struct applied_vip *gone)
{
	struct vip_addr_key key = {.address = gone->key.address, .family = gone->key.family};

	for (size_t i = 0; i < applied->n_vips; i++) {
		const struct applied_vip *vip = applied->vips[i];

		if (vip != gone && vip->is_published && vip->key.family == gone->key.family &&
		    addr_equal(&vip->key.address, &gone->key.address))
			return 0;
	}
	return applied->dp->ops->vip_addr_del(applied->dp->user, &key);
}

static int remove_vip(struct applied *applied, const struct plan_step *step)
{
	const struct dp *dp = applied->dp;
	struct applied_vip *vip = applied_find(applied, &step->key);
	uint64_t ticket;

	if (vip->is_published) {
		dp->ops->vip_del(dp->user, &vip->key);
		drop_vip_addr(applied, vip);
	}
	dp_store(dp->vip_state[vip->id].ring, 0);
	for (size_t i = 0; i < vip->n_members; i++) {
		set_state(applied, &vip->members[i], MEMBER_FREE);
		if (applied_add_orphan(applied, vip->members[i].id, vip->id))
			return -ENOMEM;
	}
	if (!vip->n_members)
		id_pool_release(&applied->vip_ids, vip->id);
	ticket = dp->ops->grace_request(dp->user);
	for (int half = 0; half < 2; half++) {
		if (applied_add_pending(applied, vip->half[half], ticket) ||
		    applied_add_pending(applied, vip->wider[half], ticket))
			return -ENOMEM;
	}
	applied_delete_vip(applied, vip);
	return 0;
}

static int apply_step(struct applied *applied, const struct plan *plan,
		      const struct plan_step *step)
{
	switch (step->kind) {
	case PLAN_ADD_VIP:
		return add_vip(applied, plan, step);
	case PLAN_SET_VIP:
		return set_vip(applied, plan, step);
	case PLAN_ADD_MEMBER:
		return add_member(applied, step);
	case PLAN_SET_MEMBER:
		set_member(applied, step);
		return 0;
	case PLAN_REMOVE_MEMBER:
		remove_member(applied, step);
		return 0;
	case PLAN_REMOVE_VIP:
		return remove_vip(applied, step);
	}
	return -EINVAL;
}

/* The policy of a published VIP's address, after every step. */
static int publish_policies(struct applied *applied)
{
	const struct dp *dp = applied->dp;

	for (size_t i = 0; i < applied->n_vips; i++) {
		const struct applied_vip *vip = applied->vips[i];
		struct vip_addr_key key = {
			.address = vip->key.address,
			.family = vip->key.family,
		};
		struct vip_addr value = {.on_no_port = vip->on_no_port};
		int r = vip->is_published ? dp->ops->vip_addr_set(dp->user, &key, &value) : 0;

		if (r)
			return r;
	}
	return 0;
}

int apply_plan(struct applied *applied, const struct plan *plan, struct err *err)
{
	bool sets_policy = false;
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && !r; i++) {
		sets_policy |= plan->steps[i].kind == PLAN_SET_VIP;
		r = apply_step(applied, plan, &plan->steps[i]);
	}
	if (!r && sets_policy)
		r = publish_policies(applied);
	for (size_t i = 0; i < applied->n_vips; i++)
		applied->vips[i]->wanted_fingerprint = applied_fingerprint(applied,
									   applied->vips[i]);
	return r ? err_errno(err, -r, "apply") : 0;
}

void apply_timeouts(struct applied *applied, const struct desired *desired,
		    const struct flow_clock *clock, uint32_t hz)
{
	for (size_t v = 0; v < desired->n_vips; v++) {
		struct applied_vip *vip = applied_find(applied, &desired->vips[v].key);

		if (!vip)
			continue;
		flow_clock_ticks(clock, &desired->vips[v].spec->timeouts, hz, vip->timeout_ticks);
		for (size_t i = 0; i < vip->n_members; i++) {
			struct member *m = &applied->dp->members[vip->members[i].id];

			memcpy(m->timeout_ticks, vip->timeout_ticks, sizeof(m->timeout_ticks));
		}
	}
}

void apply_next_hop(struct applied *applied, const struct ip_addr *real, uint64_t next_hop)
{
	for (size_t v = 0; v < applied->n_vips; v++) {
		struct applied_member *m = applied_find_member(applied->vips[v], real, 0);

		if (m)
			dp_store(applied->dp->members[m->id].next_hop, next_hop);
	}
}
