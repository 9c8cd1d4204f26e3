/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Schedulers beside Maglev: which real a new flow gets; afterwards the flow table knows. What the
 * table does not know and did not start here (a segment in the midst of a connection, a flow that
 * could not be recorded) goes by the ring, which gives every packet the same. `source` is the ring
 * by another hash, for every packet. Not static: what the verifier shall go through once.
 */
#pragma once

#include "affinity.h"
#include "flow.h"
#include "knobs.h"
#include "maps.h"
#include "pkt.h"
#include "ring.h"
#include "vip.h"

#define SCHED_IS_USED(kind) (knob_schedulers & 1u << (kind))
#define SCHED_ONLY_MAGLEV   (knob_schedulers == 1u << SCHEDULER_MAGLEV)

/* p2c draws so often to come upon two members. */
#define SCHED_P2C_DRAWS 8

/* ---- source ------------------------------------------------------------------------------- */

/* Of the parts of the flow that SCHEDULE_TUPLE names; 0 in place of the others. */
__noinline __u64 sched_source_hash(const struct flow_tuple *flow, __u32 schedule)
{
	__u32 parts = SCHEDULE_TUPLE(schedule);
	struct flow_tuple t = {};

	if (!flow)
		return 0;
	t.src = flow->src;
	t.family = flow->family;
	vip_mask_address(&t.src, t.family == FAMILY_V4 ? 32 - SCHEDULE_PREFIX4(schedule)
						       : 128 - SCHEDULE_PREFIX6(schedule));
	if (parts >= 2)
		t.dst = flow->dst;
	if (parts >= 3)
		t.protocol = flow->protocol;
	if (parts >= 5) {
		t.dport = flow->dport;
		t.sport = flow->sport;
	}
	return flow_hash(&t, &knob_hash_key);
}

/* Member id, or -1. Whoever starts a flow is remembered where the VIP says so. */
__noinline long sched_by_source(const struct flow_tuple *flow, __u32 vip_id, __u32 is_start)
{
	struct vip vip = {.id = vip_id, .state = bpf_map_lookup_elem(&vip_state, &vip_id)};
	__u32 affinity_s, id = 0;
	long kept = -1;
	__u64 hash;

	if (!flow || !vip.state)
		return -1;
	hash = sched_source_hash(flow, READ_WORD(vip.state->schedule));
	affinity_s = READ_WORD(vip.state->affinity_s);
	if (affinity_s)
		kept = affinity_find(hash, vip_id, affinity_s);
	if (kept >= 0)
		id = kept;
	else if (!ring_find(hash, &vip, &id))
		return -1;
	if (affinity_s && is_start)
		affinity_keep(hash, vip_id, id);
	return id;
}

/* ---- rr ----------------------------------------------------------------------------------- */

static __always_inline struct member *sched_turn(__u64 word, __u32 turn, __u32 *ret_id)
{
	__u32 index = RING_WORD_BASE(word) + turn / RING_MEMBERS_PER_BLOCK;
	union ring_block *block = bpf_map_lookup_elem(&rings, &index);

	if (!block)
		return NULL;
	*ret_id = block->member[turn % RING_MEMBERS_PER_BLOCK];
	return bpf_map_lookup_elem(&members, ret_id);
}

/* The next on this CPU that is up, or -1. CPUs begin at different places. */
__noinline long sched_rr(__u32 vip_id)
{
	struct vip_state *state = bpf_map_lookup_elem(&vip_state, &vip_id);
	__u64 *turn = bpf_map_lookup_elem(&turns, &vip_id);
	__u64 word = state ? READ_WORD(state->order) : 0;
	__u32 first;

	if (!turn || !RING_WORD_SIZE(word))
		return -1;
	first = hash_reduce(bpf_get_smp_processor_id() * 0x9e3779b1u, RING_WORD_SIZE(word));
	for (__u32 try = 0; try <= RING_SECOND_PICKS; try++) {
		__u32 id = 0;
		__u32 now = (__u32)(*turn)++ + first;
		struct member *member = sched_turn(word, now % RING_WORD_SIZE(word), &id);

		if (ring_state(member, vip_id) == MEMBER_UP)
			return id;
	}
	return -1;
}

/* ---- random, lc, p2c ---------------------------------------------------------------------- */

/* In place of a flow's hash. */
static __always_inline __u64 sched_chance(void)
{
	return (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
}

/* Member id by a random ring slot, or -1. */
__noinline long sched_random(__u32 vip_id)
{
	struct vip vip = {.id = vip_id, .state = bpf_map_lookup_elem(&vip_state, &vip_id)};
	__u32 id = 0;

	if (!vip.state || !ring_find(sched_chance(), &vip, &id))
		return -1;
	return id;
}

/* Member id number `position` of the list behind the ring if it is up, or -1. */
__noinline long sched_listed(__u32 vip_id, __u32 position)
{
	struct vip_state *state = bpf_map_lookup_elem(&vip_state, &vip_id);
	__u64 word = state ? READ_WORD(state->ring) : 0;
	__u32 index = RING_WORD_BASE(word) + RING_SLOT_BLOCKS(RING_WORD_SIZE(word)) +
		      position / RING_MEMBERS_PER_BLOCK;
	union ring_block *block = bpf_map_lookup_elem(&rings, &index);
	__u32 id;

	if (!word || !block)
		return -1;
	id = block->member[position % RING_MEMBERS_PER_BLOCK];
	return ring_state(bpf_map_lookup_elem(&members, &id), vip_id) == MEMBER_UP ? id : -1;
}

/* With the flow to come. A count may have missed what was under way. */
static __always_inline __u32 sched_flows(const struct member_load *load)
{
	__s32 n = READ_WORD(load->base) + READ_WORD(load->delta);

	return n < 0 ? 1 : n + 1;
}

/* Of two member ids (-1: none) the one with fewer flows by weight. */
__noinline long sched_fewer(long a, long b)
{
	__u32 id_a = a, id_b = b;
	struct member_load *load_a = bpf_map_lookup_elem(&member_load, &id_a);
	struct member_load *load_b = bpf_map_lookup_elem(&member_load, &id_b);
	__u32 has_a, has_b;

	if (a < 0 || !load_a)
		return b;
	if (b < 0 || !load_b)
		return a;
	has_a = sched_flows(load_a);
	has_b = sched_flows(load_b);
	return (__u64)has_b * READ_WORD(load_a->weight) < (__u64)has_a * READ_WORD(load_b->weight)
		       ? b
		       : a;
}

/* The fewest of all; where these are many, of SCHEDULE_LC_DRAWS that the ring gives by chance. */
__noinline long sched_lc(__u32 vip_id)
{
	struct vip_state *state = bpf_map_lookup_elem(&vip_state, &vip_id);
	__u32 n = state ? READ_WORD(state->members) : 0;
	__u32 first = bpf_get_prandom_u32(); /* or else the first of equals were the first of all */
	long least = -1;

	for (__u32 i = 0; i < SCHEDULE_LC_DRAWS; i++) {
		if (n > SCHEDULE_LC_DRAWS)
			least = sched_fewer(least, sched_random(vip_id));
		else if (i < n)
			least = sched_fewer(least, sched_listed(vip_id, (first % n + i) % n));
	}
	return least;
}

/* The fewer of two, who differ unless chance is against it. */
__noinline long sched_p2c(__u32 vip_id)
{
	long one = sched_random(vip_id), other = one;

	for (__u32 i = 0; i < SCHED_P2C_DRAWS && other == one; i++)
		other = sched_random(vip_id);
	return sched_fewer(one, other);
}

/*
 * Member id, or -1. The flow counts at once: who comes next, on whatever CPU and before the daemon
 * has counted, goes by it.
 */
__noinline long sched_least(__u32 vip_id, __u32 kind)
{
	long id = kind == SCHEDULER_LC ? sched_lc(vip_id) : sched_p2c(vip_id);
	__u32 least = id;
	struct member_load *load = bpf_map_lookup_elem(&member_load, &least);

	if (id >= 0 && load)
		__sync_fetch_and_add(&load->delta, 1);
	return id;
}

/* ---- The pick ------------------------------------------------------------------------------ */

/* What may be the first packet of its flow. */
static __always_inline bool sched_is_start(const struct pkt *pkt)
{
	return pkt->is_recordable && (pkt->tuple.protocol == IPPROTO_UDP || pkt_is_syn(pkt));
}

/* Member id, or -1: the ring shall say. */
static __always_inline long sched_choose(__u32 vip_id, __u32 kind)
{
	if (kind == SCHEDULER_RR && SCHED_IS_USED(SCHEDULER_RR))
		return sched_rr(vip_id);
	if (kind == SCHEDULER_RANDOM && SCHED_IS_USED(SCHEDULER_RANDOM))
		return sched_random(vip_id);
	if ((kind == SCHEDULER_LC && SCHED_IS_USED(SCHEDULER_LC)) ||
	    (kind == SCHEDULER_P2C && SCHED_IS_USED(SCHEDULER_P2C)))
		return sched_least(vip_id, kind);
	return -1;
}

/* A member id as the pick; -1: the ring's. Or NO_REAL. */
static __always_inline int sched_take(struct pkt *pkt, __u32 vip_id, long id)
{
	struct vip vip = {.id = vip_id, .state = bpf_map_lookup_elem(&vip_state, &vip_id)};

	if (id < 0 && vip.state)
		return ring_pick(pkt, &vip);
	pkt->member_id = id;
	pkt->member = bpf_map_lookup_elem(&members, &pkt->member_id);
	return pkt->member ? NEXT : NO_REAL;
}

/* In a frame of its own: for VIPs that are not on Maglev. */
static __noinline int sched_pick_by(struct pkt *pkt, __u32 vip_id, __u32 kind)
{
	__u32 is_start = sched_is_start(pkt);
	long id = -1;

	if (kind == SCHEDULER_SOURCE && SCHED_IS_USED(SCHEDULER_SOURCE)) {
		id = sched_by_source(&pkt->tuple, vip_id, is_start);
		if (id < 0)
			return NO_REAL;
	} else if (is_start) {
		id = sched_choose(vip_id, kind);
		pkt->is_scheduled = id >= 0;
	}
	return sched_take(pkt, vip_id, id);
}

/* Sets pkt->member and pkt->member_id, or NO_REAL. */
static __always_inline int sched_pick(struct pkt *pkt, const struct vip *vip)
{
	__u32 kind = SCHED_ONLY_MAGLEV ? SCHEDULER_MAGLEV
				       : SCHEDULE_KIND(READ_WORD(vip->state->schedule));

	return kind == SCHEDULER_MAGLEV ? ring_pick(pkt, vip) : sched_pick_by(pkt, vip->id, kind);
}

/*
 * The table has no room for a flow that another than the ring has chosen for, or another CPU was
 * first: the next packet could not know. It goes where the table says, or else the ring.
 */
static __noinline int sched_pick_unrecorded(struct pkt *pkt)
{
	__u32 vip_id = pkt->member ? pkt->member->vip_id : 0;
	int verdict = sched_take(pkt, vip_id, flow_member_of(&pkt->tuple, pkt->hash));

	if (verdict != NO_REAL)
		return verdict;
	count(drop_no_real); /* there was one a moment ago */
	return XDP_DROP;
}

/* After the pick: records the flow. */
static __always_inline int sched_record(struct pkt *pkt)
{
	bool is_known = flow_record(pkt);

	if (SCHED_ONLY_MAGLEV || is_known || !pkt->is_scheduled)
		return NEXT;
	return sched_pick_unrecorded(pkt);
}
