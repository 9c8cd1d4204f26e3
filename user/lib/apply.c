/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Carries out the steps of a plan: see apply.h. Rings: apply_ring.c. Reuse of ids: retire.c. */
#include "apply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "apply_private.h"
#include "apply_quic.h"
#include "flow_clock.h"
#include "member_load.h"
#include "service_text.h"
#include "vip_key.h"

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

static int alloc_pair(struct applied *applied, uint32_t blocks, struct extent *ret_pair)
{
	struct extent pair[2];
	int r = ring_space_alloc(&applied->ring_space, blocks, &pair[0]);

	if (r)
		return r;
	r = ring_space_alloc(&applied->ring_space, blocks, &pair[1]);
	if (r) {
		ring_space_release(&applied->ring_space, pair[0]);
		return r;
	}
	memcpy(ret_pair, pair, sizeof(pair));
	return 0;
}

static void release_pair(struct applied *applied, struct extent *pair)
{
	ring_space_release(&applied->ring_space, pair[0]);
	ring_space_release(&applied->ring_space, pair[1]);
	pair[0] = pair[1] = (struct extent){};
}

/* Round robin goes by the ring until the next one has brought its turns. */
static void publish_policy(struct applied *applied, const struct applied_vip *vip)
{
	struct vip_state *state = &applied->dp->vip_state[vip->id];

	dp_store(state->affinity_s, vip->affinity_s);
	dp_store(state->schedule, vip->schedule);
	dp_store(state->on_empty, vip->on_empty);
}

static void set_policy(const struct plan *plan, struct applied_vip *vip,
		       const struct vip_spec *spec)
{
	vip->schedule = vip_schedule(spec);
	vip->affinity_s = spec->source.affinity_ms / 1000;
	vip->on_empty = vip_on_empty(spec);
	vip->ring = spec->ring;
	vip->encap = spec->encap;
	vip->on_no_port = spec->on_no_port;
	vip->echo = spec->echo;
	vip->is_changed = true;
	flow_clock_ticks(plan->clock, &spec->timeouts, plan->hz, vip->timeout_ticks);
}

static int add_vip(struct applied *applied, const struct plan *plan, const struct plan_step *step)
{
	const struct vip_spec *spec = step->vip->spec;
	struct applied_vip *vip = calloc(1, sizeof(*vip));
	int r;

	if (!vip)
		return -ENOMEM;
	vip->key = step->key;
	vip->published.on_no_port = NO_POLICY;
	vip->live = 1;
	set_policy(plan, vip, spec);
	r = apply_want_quic(vip, spec);
	if (!r)
		r = alloc_pair(applied, plan_half_blocks(spec), vip->half);
	if (!r)
		r = applied_insert_vip(applied, vip);
	if (r) {
		release_pair(applied, vip->half);
		free(vip->quic);
		free(vip);
		return r;
	}
	r = applied_take_vip_id(applied, &vip->id);
	if (r) {
		release_pair(applied, vip->half);
		applied_delete_vip(applied, vip);
		return r;
	}
	memset(&applied->dp->vip_state[vip->id], 0, sizeof(struct vip_state));
	apply_write_key(applied->dp, vip);
	publish_policy(applied, vip);
	return 0;
}

static bool is_l2dsr(const struct member *m)
{
	return (m->encap & ~MEMBER_NO_EXPRESS) == ENCAP_L2DSR;
}

/* The express lane goes by flows, and would take a connection that has moved to the wrong real. */
static uint8_t encap_byte(const struct applied_vip *vip)
{
	return vip->encap | (vip->quic ? MEMBER_NO_EXPRESS : 0);
}

/* What is a way for the other kinds may be a gateway, and none for L2 DSR, until it is said anew.
 */
static void set_encap(struct member *m, const struct applied_vip *vip)
{
	if (vip->encap == ENCAP_L2DSR && !is_l2dsr(m))
		dp_store(m->next_hop, NEXT_HOP_NONE);
	dp_store(m->encap, encap_byte(vip));
}

/* All but that of FLOW_NONE, whose place has something else. */
static void set_timeouts(struct member *m, const struct applied_vip *vip)
{
	for (int state = FLOW_SYN; state < FLOW_STATES; state++)
		m->timeout_ticks[state] = vip->timeout_ticks[state];
}

static int set_vip(struct applied *applied, const struct plan *plan, const struct plan_step *step)
{
	const struct vip_spec *spec = step->vip->spec;
	struct applied_vip *vip = applied_find(applied, &step->old_key);
	int r = 0;

	if (plan_step_needs_halves(applied, step)) {
		release_pair(applied, vip->wider); /* nobody has read it */
		r = alloc_pair(applied, plan_half_blocks(spec), vip->wider);
	}
	if (!r && !vip_key_equal(&step->key, &step->old_key))
		r = apply_move_vip(applied, vip, &step->key);
	if (r)
		return r;
	set_policy(plan, vip, spec);
	publish_policy(applied, vip);
	if (apply_want_quic(vip, spec))
		return -ENOMEM;
	for (size_t i = 0; i < vip->n_members; i++) {
		struct member *m = &applied->dp->members[vip->members[i].id];

		set_timeouts(m, vip);
		set_encap(m, vip);
	}
	return 0;
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
		.encap = encap_byte(vip),
		.vip_id = vip->id,
		.port_last = apply_port_last(&vip->key),
		.vip_host_bits = vip->key.host_bits,
	};

	member_load_reset(dp, member->id, member->ring_weight);
	set_timeouts(&m, vip);
	m.csum = outer_sum(&m);
	dp->members[member->id] = m;
	dp_store(dp->members[member->id].state, member->state);
}

static int add_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);
	struct applied_member m = {
		.real = step->real,
		.state = step->member->state,
		.ring_weight = step->member->ring_weight,
		.server_id = step->member->server_id,
	};
	int r = id_pool_take(&applied->member_ids, &m.id);

	if (r)
		return r;
	r = applied_add_member(vip, &m);
	if (r) {
		id_pool_release(&applied->member_ids, m.id);
		return r;
	}
	vip->is_changed = true;
	vip->is_quic_stale |= m.server_id.length != 0;
	write_member(applied->dp, vip, &m);
	real_index_add(&applied->index, m.id);
	return 0;
}

static void set_member(struct applied *applied, struct applied_vip *vip, struct applied_member *m,
		       const struct desired_member *want)
{
	apply_want_server_id(vip, m, &want->server_id);
	m->ring_weight = want->ring_weight;
	m->retirement = (struct retirement){};
	dp_store(applied->dp->loads[m->id].weight, want->ring_weight);
	set_state(applied, m, want->state);
}

static void set_planned_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);

	vip->is_changed = true;
	set_member(applied, vip, applied_find_member(vip, &step->real, step->hint), step->member);
}

int apply_member(struct applied *applied, const struct vip_key *key,
		 const struct desired_member *want, size_t hint)
{
	struct applied_vip *vip = applied_find(applied, key);
	struct applied_member *m = vip ? applied_find_member(vip, &want->real, hint) : NULL;

	if (!m)
		return -ENOENT;
	set_member(applied, vip, m, want);
	vip->is_changed = true;
	return 0;
}

/* Its flows finish there, unless it was down: then they have left already. */
static void remove_member(struct applied *applied, const struct plan_step *step)
{
	struct applied_vip *vip = applied_find(applied, &step->key);
	struct applied_member *m = applied_find_member(vip, &step->real, step->hint);
	bool is_down = (m->state & MEMBER_STATE_MASK) == MEMBER_DOWN;
	uint32_t state = is_down ? MEMBER_DOWN | (m->state & MEMBER_RESETS) : MEMBER_DRAIN;

	vip->is_changed = true;
	m->ring_weight = 0;
	m->retirement = (struct retirement){};
	set_state(applied, m, state | MEMBER_NOTE_REMOVED);
}

/*
 * The address first, while its last port still answers: a daemon killed in between leaves a VIP
 * that its successor finds, not an address that nobody knows of.
 */
static int unpublish(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	if (!vip->is_published)
		return 0;
	r = apply_drop_left_key(applied, vip);
	if (r)
		return r;
	r = apply_delete_done(apply_unpublish_address(applied, vip));
	if (!r)
		r = apply_delete_done(dp->ops->vip_del(dp->user, &vip->key));
	if (!r)
		vip->is_published = false;
	return r;
}

static int remove_vip(struct applied *applied, const struct plan_step *step)
{
	const struct dp *dp = applied->dp;
	struct applied_vip *vip = applied_find(applied, &step->key);
	int r = applied_reserve(applied, vip->n_members, 3);
	uint64_t ticket;

	if (!r)
		r = unpublish(applied, vip);
	if (!r)
		r = apply_unpublish_quic(applied, vip);
	if (r)
		return r;
	dp_store(dp->vip_state[vip->id].ring, 0);
	apply_set_has_ring(applied, vip, false);
	for (size_t i = 0; i < vip->n_members; i++) {
		set_state(applied, &vip->members[i], MEMBER_FREE);
		applied_add_orphan(applied, vip->members[i].id, vip->id);
	}
	ticket = dp->ops->grace_request(dp->user);
	applied_add_pending(applied, vip->half, vip->id, ticket);
	applied_add_pending(applied, vip->wider, NO_VIP, ticket);
	applied_add_pending(applied, (struct extent[2]){vip->stray}, NO_VIP, ticket);
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
		set_planned_member(applied, step);
		return 0;
	case PLAN_REMOVE_MEMBER:
		remove_member(applied, step);
		return 0;
	case PLAN_REMOVE_VIP:
		return remove_vip(applied, step);
	}
	return -EINVAL;
}

/* The addresses of published VIPs, and connection IDs, where they say something else. */
static int publish_addresses(struct applied *applied, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < applied->n_vips; i++) {
		struct applied_vip *vip = applied->vips[i];
		int failed = vip->is_published ? apply_publish_address(applied, vip) : 0;
		int quic_failed = apply_publish_quic(applied, vip);

		failed = failed ? failed : quic_failed;
		if (failed && !r)
			r = apply_err(err, -failed, &vip->key);
	}
	return r;
}

int apply_err(struct err *err, int errnum, const struct vip_key *key)
{
	char text[SERVICE_TEXT_MAX];

	return err_errno(err, errnum, "VIP %s",
			 service_format(&key->address, key->host_bits, ntohs(key->port),
					ntohs(key->port_last), text));
}

int apply_plan(struct applied *applied, const struct plan *plan, struct err *err)
{
	int r = 0, failed;

	for (size_t i = 0; i < applied->n_vips && !r; i++) {
		r = apply_drop_left_key(applied, applied->vips[i]);
		if (r)
			apply_err(err, -r, &applied->vips[i]->key);
	}
	for (size_t i = 0; i < plan->n_steps && !r; i++) {
		r = apply_step(applied, plan, &plan->steps[i]);
		if (r)
			apply_err(err, -r, &plan->steps[i].key);
	}
	failed = publish_addresses(applied, r ? NULL : err);
	return r ? r : failed;
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

			set_timeouts(m, vip);
		}
	}
}

void apply_next_hop(struct applied *applied, const struct ip_addr *real, uint64_t next_hop)
{
	uint32_t id = real_index_first(&applied->index, real);

	for (; id != REAL_INDEX_END; id = real_index_next(&applied->index, id))
		dp_store(applied->dp->members[id].next_hop, next_hop);
}

size_t apply_gateway(struct applied *applied, const struct ip_addr *real, uint64_t next_hop)
{
	uint32_t id = real_index_first(&applied->index, real);
	size_t n_refused = 0;

	for (; id != REAL_INDEX_END; id = real_index_next(&applied->index, id)) {
		struct member *m = &applied->dp->members[id];
		bool is_refused = is_l2dsr(m);

		dp_store(m->next_hop, is_refused ? NEXT_HOP_NOT_ON_LINK : next_hop);
		n_refused += is_refused;
	}
	return n_refused;
}
