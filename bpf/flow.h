/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: which member a flow was given. Lock-free between CPUs and the daemon: every
 * change is a load and one compare-and-swap, and who loses it leaves the slot alone. A known flow
 * costs one line of the table; it is written only when its state or age changes.
 */
#pragma once

#include "flood.h"
#include "flow_slot.h"
#include "maps.h"
#include "ring.h"
#include "stats.h"
#include "vip.h"

/* Whether the pick for a flow can be made again, by its hash: for every VIP. */
#define FLOW_STEADY_SCHEDULERS (1u << SCHEDULER_MAGLEV | 1u << SCHEDULER_SOURCE)
#define FLOW_PICKS_ARE_STEADY  (!(knob_schedulers & ~FLOW_STEADY_SCHEDULERS))

static __always_inline struct flow_bucket *flow_bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline bool flow_slot_swap(struct flow_bucket *bucket, __u32 index, __u64 old,
					   __u64 new)
{
	return __sync_val_compare_and_swap(&bucket->slot[index % FLOW_SLOTS], old, new) == old;
}

/* Slot number `i` of a flow's order in a bucket. */
static __always_inline __u64 flow_probe(const struct flow_bucket *bucket, __u32 first, __u32 i)
{
	const __u32 size = sizeof(bucket->slot[0]);
	__u64 offset = (first * size) ^ (i * size); /* fewer instructions than the index */

	return *(const volatile __u64 *)((const char *)bucket + offset % sizeof(*bucket));
}

/* Place of the lowest bit. */
#define FLOW_LOWEST_4(n)  n, 0, 1, 0
#define FLOW_LOWEST_8(n)  FLOW_LOWEST_4(n), FLOW_LOWEST_4(2)
#define FLOW_LOWEST_16(n) FLOW_LOWEST_8(n), FLOW_LOWEST_8(3)
#define FLOW_LOWEST_32(n) FLOW_LOWEST_16(n), FLOW_LOWEST_16(4)
#define FLOW_LOWEST_64(n) FLOW_LOWEST_32(n), FLOW_LOWEST_32(5)

static const __u8 flow_lowest_bit[1u << FLOW_SLOTS] = {
	FLOW_LOWEST_64(0),
	FLOW_LOWEST_64(6),
	FLOW_LOWEST_64(7),
	FLOW_LOWEST_64(6),
};

/*
 * Looks for the tag from the flow's first slot on; sets slot_index and slot_word where it is. Where
 * it is not, ret_free has a bit for every slot (in the flow's order) that holds no flow. Branches
 * compare the tags, since what follows then runs ahead of the comparison; but none asks for
 * anything that chance decides.
 */
static __always_inline bool flow_bucket_find(struct pkt *pkt, const struct flow_bucket *bucket,
					     __u32 *ret_free)
{
	__u64 tag = flow_hash_tag(pkt->hash);
	__u32 first = flow_hash_slot(pkt->hash);
	__u64 free = 0;

#pragma unroll
	for (__u32 i = 0; i < FLOW_SLOTS; i++) {
		__u64 word = flow_probe(bucket, first, i);
		__u64 slot_tag = word >> FLOW_TAG_SHIFT;

		if (slot_tag == tag) {
			pkt->slot_index = first ^ i;
			pkt->slot_word = word;
			return true;
		}
		free |= (slot_tag - 1) >> FLOW_TAG_SHIFT & 1u << i; /* no flow's tag is 0 */
	}
	*ret_free = free;
	return false;
}

/* Where the flow is in the neighbour of its first bucket, or -1. Not static, as flow_insert(). */
__noinline int flow_find_next(__u64 hash)
{
	struct flow_bucket *bucket = flow_bucket_at(flow_hash_bucket(hash, knob_flow_buckets) ^ 1);
	__u32 first = flow_hash_slot(hash);

	for (__u32 i = 0; bucket && i < FLOW_SLOTS; i++) {
		if (SLOT_TAG(flow_probe(bucket, first, i)) == flow_hash_tag(hash))
			return first ^ i;
	}
	return -1;
}

/* Sets bucket, slot_index and slot_word; false if that slot's tag is not (or no longer) `tag`. */
static __always_inline bool flow_take_slot(struct pkt *pkt, struct flow_bucket *bucket, __u32 index,
					   __u32 tag)
{
	__u64 word = READ_WORD(bucket->slot[index % FLOW_SLOTS]);

	if (SLOT_TAG(word) != tag)
		return false;
	pkt->bucket = bucket;
	pkt->slot_index = index;
	pkt->slot_word = word;
	return true;
}

/*
 * The flow's word in this bucket, else one without a flow. One flow in 2^32 is not found here: that
 * whose tag is not the hash as it is.
 */
static __always_inline __u64 flow_bucket_word(const struct flow_bucket *bucket, __u64 hash)
{
#pragma unroll
	for (__u32 i = 0; i < FLOW_SLOTS; i++) {
		__u64 word = flow_probe(bucket, flow_hash_slot(hash), i);

		if (SLOT_TAG(word) == (__u32)hash)
			return word;
	}
	return FLOW_SLOT_NEVER;
}

/*
 * Looks in the first bucket, then in its neighbour. Sets bucket, slot_index and slot_word: where
 * the flow is (true), or the free slot that it may take (false); no bucket: there is none.
 */
static __always_inline bool flow_find(struct pkt *pkt)
{
	__u32 index = flow_hash_bucket(pkt->hash, knob_flow_buckets);
	struct flow_bucket *bucket = flow_bucket_at(index);
	__u32 free, place;

	if (!bucket)
		return false;
	if (flow_bucket_find(pkt, bucket, &free)) {
		pkt->bucket = bucket;
		return true;
	}
	if (free) {
		/* For Linux 6.1, which does not see what clang sees: that it is below anyhow. */
		barrier_var(free);
		place = flow_hash_slot(pkt->hash) ^ flow_lowest_bit[free % (1u << FLOW_SLOTS)];
		/* A slot that was never used says that this bucket was never full. */
		if (flow_take_slot(pkt, bucket, place, 0) && pkt->slot_word == FLOW_SLOT_NEVER)
			return false;
	}
	place = flow_find_next(pkt->hash);
	bucket = flow_bucket_at(index ^ 1);
	return place < FLOW_SLOTS && bucket &&
	       flow_take_slot(pkt, bucket, place, flow_hash_tag(pkt->hash));
}

static __always_inline bool flow_member_has_address(const struct member *member,
						    const struct flow_tuple *t)
{
	return member->vip.w[3] == t->dst.w[3] &&
	       (t->family == FAMILY_V4 ||
		(member->vip.w[0] == t->dst.w[0] && member->vip.w[1] == t->dst.w[1] &&
		 member->vip.w[2] == t->dst.w[2]));
}

/* The address by value: a pointer to the packet's would keep all of it out of registers. */
__noinline bool flow_member_has_prefix(const struct member *member, __u64 upper, __u64 lower)
{
	struct ip_addr network = {
		.w = {(__u32)upper, upper >> 32, (__u32)lower, lower >> 32},
	};

	if (!member)
		return false;
	vip_mask_address(&network, member->vip_host_bits);
	return member->vip.w[0] == network.w[0] && member->vip.w[1] == network.w[1] &&
	       member->vip.w[2] == network.w[2] && member->vip.w[3] == network.w[3];
}

/* Whether the packet's port is one of the many that the member's VIP has, and for its protocol. */
static __always_inline bool flow_member_has_port(const struct member *member,
						 const struct flow_tuple *t)
{
	__u16 port = bpf_ntohs(t->dport);

	return (member->service ^ t->service) <= 0xffff && /* as a little-endian machine has them */
	       port >= bpf_ntohs(member->port) && port <= bpf_ntohs(member->port_last);
}

/*
 * Whether the packet is one of the member's VIP. If not, two flows share a tag, or the VIP no
 * longer has the port. A VIP of one port and one address pays for no other kind, one of many ports
 * for the comparison with both ends.
 */
static __always_inline bool flow_member_serves(const struct member *member,
					       const struct flow_tuple *t)
{
	if (flow_member_has_address(member, t))
		return member->service == t->service || flow_member_has_port(member, t);
	return member->vip_host_bits && flow_member_has_port(member, t) &&
	       flow_member_has_prefix(member, t->dst.w[0] | (__u64)t->dst.w[1] << 32,
				      t->dst.w[2] | (__u64)t->dst.w[3] << 32);
}

/* Idle for longer than its VIP allows. */
static __always_inline bool flow_is_idle(const struct pkt *pkt, const struct member *member)
{
	return slot_is_older(pkt->slot_word, member->timeout_ticks[SLOT_STATE(pkt->slot_word)]);
}

/*
 * Whether the packet, of a flow that has lost its real, is of a connection that a RST ends. A SYN
 * begins another one, a RST ends it without us.
 */
static __always_inline bool flow_is_to_reset(const struct pkt *pkt, const struct member *member)
{
	return pkt->tuple.protocol == IPPROTO_TCP && !(pkt->tcp_flags & (TCP_SYN | TCP_RST)) &&
	       !flow_is_idle(pkt, member);
}

/* lc and p2c go by how many flows a member has. */
#define FLOW_LOADS_ARE_KEPT (knob_schedulers & (1u << SCHEDULER_LC | 1u << SCHEDULER_P2C))

#define FLOW_CLOSING_STATES (1u << FLOW_FIN | 1u << FLOW_RST)

/* A flow of the member closes, or goes on all the same. In a frame of its own: few packets do. */
static __noinline int flow_count_closing(__u32 member_id, __u32 old_state, __u32 state)
{
	struct member_load *load = bpf_map_lookup_elem(&member_load, &member_id);
	__u32 was_closing = FLOW_CLOSING_STATES >> old_state & 1;
	__u32 is_closing = FLOW_CLOSING_STATES >> state & 1;

	if (load && was_closing != is_closing)
		__sync_fetch_and_add(&load->delta, was_closing - is_closing);
	return 0;
}

/* A known flow whose real may be used: refreshes its slot where that changes anything. */
static __always_inline bool flow_follow(struct pkt *pkt, struct member *member, __u32 member_state)
{
	__u64 word = pkt->slot_word;
	__u32 state = SLOT_STATE(word);
	__u64 new;

	if (pkt_is_syn(pkt) && pkt->tuple.protocol == IPPROTO_TCP) {
		state = flow_state_after_syn(state, flow_is_idle(pkt, member),
					     member_state == MEMBER_UP);
		if (state == FLOW_NONE)
			return false;
		pkt->is_repeated_syn = state == FLOW_SYN;
	} else {
		state = flow_next_state(pkt, state);
	}
	new = slot_word(pkt->hash, SLOT_MEMBER(word), state);
	if (new != word && flow_slot_swap(pkt->bucket, pkt->slot_index, word, new) &&
	    FLOW_LOADS_ARE_KEPT)
		flow_count_closing(SLOT_MEMBER(word), SLOT_STATE(word), state);
	return true;
}

/* Whether that is so for the tuple's VIP, if it has one. Not static: a frame of its own. */
__noinline bool flow_pick_is_steady(const struct flow_tuple *tuple)
{
	struct vip vip = {};

	if (!tuple || !vip_lookup(tuple, &vip) || !vip.state)
		return true;
	return FLOW_STEADY_SCHEDULERS >> (SCHEDULE_KIND(READ_WORD(vip.state->schedule)) % 32) & 1;
}

/*
 * The stage: XDP_TX-to-be with pkt->member set (true), or the flow needs a pick (false), which
 * flow_record() then writes over the slot that is left in pkt->bucket, if any.
 */
static __always_inline bool flow_lookup(struct pkt *pkt)
{
	__u32 id, word, state;
	struct member *member;

	pkt->hash = flow_hash(&pkt->tuple, &knob_hash_key);
	pkt->is_recordable = !flood_is_over(pkt);
	/* Its pick, if it has one, is the ring's, unless its VIP has another scheduler. */
	if (!pkt->is_recordable && (FLOW_PICKS_ARE_STEADY || flow_pick_is_steady(&pkt->tuple)))
		return false;
	if (!flow_find(pkt))
		return false;
	id = SLOT_MEMBER(pkt->slot_word);
	member = bpf_map_lookup_elem(&members, &id);
	if (!member)
		return false;
	word = READ_WORD(member->state);
	state = word & MEMBER_STATE_MASK;
	if (state == MEMBER_FREE)
		return false;
	if (!flow_member_serves(member, &pkt->tuple)) {
		count(flow_mismatch);
		pkt->is_recordable = false;
		return false;
	}
	if (state == MEMBER_DOWN) {
		pkt->is_to_reset = word & MEMBER_RESETS && flow_is_to_reset(pkt, member);
		if (!pkt->is_to_reset)
			count(flow_moved);
		return false;
	}
	/* What comes after the idle timeout is a new flow to a real that takes none. */
	if (state == MEMBER_DRAIN && flow_is_idle(pkt, member))
		return false;
	if (!flow_follow(pkt, member, state))
		return false;
	pkt->member = member;
	pkt->member_id = id;
	return true;
}

/*
 * For what is about a flow but not of it: id of the flow's member if its real may be used, or -1.
 * Changes nothing. Not static: the verifier goes through it once.
 */
__noinline long flow_member_of(struct flow_tuple *tuple, __u64 hash)
{
	struct pkt flow = {.hash = hash};
	struct member *member;
	__u32 id, state;

	if (!tuple || !flow_find(&flow))
		return -1;
	id = SLOT_MEMBER(flow.slot_word);
	member = bpf_map_lookup_elem(&members, &id);
	if (!member || !flow_member_serves(member, tuple))
		return -1;
	state = READ_WORD(member->state) & MEMBER_STATE_MASK;
	return state == MEMBER_UP || state == MEMBER_DRAIN ? (long)id : -1;
}

/* How willingly a slot is given up: lower first; FLOW_RANK_LIVE: never. */
enum flow_rank {
	FLOW_RANK_EMPTY = 0,
	FLOW_RANK_EXPIRED = 1,
	FLOW_RANK_UNPROVEN = 2,
	FLOW_RANK_LIVE = 3,
};

/*
 * Slots are ranked without a branch: in a full table each would be decided by chance. Conditions
 * are 0 or 1.
 */
static __always_inline __u64 flow_slot_rank(__u64 word, __u64 is_expired)
{
	__u64 state = SLOT_STATE(word);
	__u64 rank = FLOW_RANK_LIVE - (FLOW_UNPROVEN_STATES >> state & 1);
	__u64 not_expired = is_expired - 1;
	__u64 is_used = -slot_less_bit(FLOW_NONE, state);

	barrier_var(not_expired);
	barrier_var(is_used);
	return ((rank & not_expired) | is_expired) & is_used; /* FLOW_RANK_EXPIRED is 1 */
}

struct flow_victim {
	__u64 rank;
	__u64 has_unmarked; /* expired slots that do not say so */
	__u32 index;
};

/* Of the lowest rank the first in the flow's order. */
static __always_inline void flow_bucket_victim(const struct flow_bucket *bucket, __u32 first,
					       __u64 can_expire, struct flow_victim *ret_victim)
{
	__u64 best = FLOW_RANK_LIVE * FLOW_SLOTS;
	__u64 jiffies = bpf_jiffies64();

	ret_victim->has_unmarked = 0;
#pragma nounroll
	for (__u32 i = 0; i < FLOW_SLOTS; i++) {
		__u64 word = flow_probe(bucket, first, i);
		__u64 is_expired = slot_expired_bit(word, jiffies) & can_expire;
		__u64 rank = flow_slot_rank(word, is_expired);
		__u64 key = rank * FLOW_SLOTS + i;

		best ^= (best ^ key) & -slot_less_bit(key, best);
		ret_victim->has_unmarked |= rank & is_expired & ~slot_old_bit(word);
	}
	ret_victim->rank = best / FLOW_SLOTS;
	ret_victim->index = first ^ (best % FLOW_SLOTS);
}

/* Says in expired slots that they have, so that their age cannot wrap into youth. */
__noinline int flow_mark_old(__u32 bucket_index)
{
	struct flow_bucket *bucket = flow_bucket_at(bucket_index);

	for (__u32 i = 0; bucket && i < FLOW_SLOTS; i++) {
		__u64 word = READ_WORD(bucket->slot[i]);

		if (SLOT_STATE(word) != FLOW_NONE && SLOT_AGE(word) != FLOW_AGE_OLD &&
		    slot_is_expired(word))
			flow_slot_swap(bucket, i, word, word | FLOW_AGE_OLD);
	}
	return 0;
}

static __always_inline bool flow_claim(struct flow_bucket *bucket, __u32 index, __u64 old,
				       __u64 new)
{
	if (!flow_slot_swap(bucket, index, old, new)) {
		count(flow_lost_race);
		return false;
	}
	count(flow_inserted);
	return true;
}

enum flow_inserted {
	FLOW_NO_ROOM = 0,
	FLOW_LOST = -1, /* to another CPU, perhaps to one with the same flow */
	FLOW_INSERTED = 1,
};

/*
 * What is overwritten is read once more: it must still be what made it the victim, or the CPU that
 * changed it has won the race.
 */
static __always_inline enum flow_inserted flow_insert_into(__u32 bucket_index, __u32 first,
							   __u64 new, __u64 can_expire)
{
	struct flow_bucket *bucket = flow_bucket_at(bucket_index);
	struct flow_victim victim;
	__u64 word;

	if (!bucket)
		return FLOW_NO_ROOM;
	flow_bucket_victim(bucket, first, can_expire, &victim);
	if (victim.has_unmarked)
		flow_mark_old(bucket_index);
	if (victim.rank == FLOW_RANK_LIVE)
		return FLOW_NO_ROOM;
	word = READ_WORD(bucket->slot[victim.index % FLOW_SLOTS]);
	if (flow_slot_rank(word, slot_expired_bit(word, bpf_jiffies64()) & can_expire) !=
	    victim.rank) {
		count(flow_lost_race);
		return FLOW_LOST;
	}
	if (!flow_claim(bucket, victim.index, word, new))
		return FLOW_LOST;
	if (victim.rank == FLOW_RANK_UNPROVEN)
		count(flow_evicted_unproven);
	return FLOW_INSERTED;
}

/* Not static: the verifier goes through it once, not once for every way that leads here. */
__noinline int flow_insert(__u64 hash, __u64 new)
{
	__u32 index = flow_hash_bucket(hash, knob_flow_buckets);
	__u32 row = 0;
	struct control *c = bpf_map_lookup_elem(&control, &row);
	__u64 can_expire = !c || !READ_WORD(c->expiry_paused);

	for (__u32 i = 0; i < 2; i++) {
		int outcome = flow_insert_into(index ^ i, flow_hash_slot(hash), new, can_expire);

		if (outcome != FLOW_NO_ROOM)
			return outcome;
	}
	count(flow_untracked);
	return FLOW_NO_ROOM;
}

/*
 * Records the pick: over the flow's own slot if it has one, else as a newcomer. Whether the table
 * knows it now.
 */
static __always_inline bool flow_record(struct pkt *pkt)
{
	__u32 state = flow_first_state(pkt);
	__u64 new;

	if (!pkt->is_recordable || state == FLOW_NONE)
		return false;
	pkt->is_new_flow = true;
	new = slot_word(pkt->hash, pkt->member_id, state);
	if (pkt->bucket)
		return flow_claim(pkt->bucket, pkt->slot_index, pkt->slot_word, new);
	return flow_insert(pkt->hash, new) == FLOW_INSERTED;
}
