/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pick: Maglev ring to member. One read of vip_state.ring says which half is in use, so a
 * packet sees the old ring or the new one, never a mix. A slot whose member is down takes the next
 * of a fixed sequence of slots, so every balancer picks the same second real.
 */
#pragma once

#include "maps.h"
#include "pkt.h"
#include "stats.h"
#include "vip.h"

static __always_inline struct member *ring_member(__u64 word, __u32 slot, __u32 *ret_id)
{
	__u32 index = RING_WORD_BASE(word) + slot / RING_SLOTS_PER_BLOCK;
	union ring_block *block = bpf_map_lookup_elem(&rings, &index);
	__u32 position;

	if (!block)
		return NULL;
	position = block->slot[slot % RING_SLOTS_PER_BLOCK];
	index = RING_WORD_BASE(word) + RING_SLOT_BLOCKS(RING_WORD_SIZE(word)) +
		position / RING_MEMBERS_PER_BLOCK;
	block = bpf_map_lookup_elem(&rings, &index);
	if (!block)
		return NULL;
	*ret_id = block->member[position % RING_MEMBERS_PER_BLOCK];
	return bpf_map_lookup_elem(&members, ret_id);
}

static __always_inline __u32 ring_state(const struct member *member, __u32 vip_id)
{
	if (!member || member->vip_id != vip_id)
		return MEMBER_FREE;
	return READ_WORD(member->state) & MEMBER_STATE_MASK;
}

/* The member that try number `try` of this flow gives. */
static __always_inline struct member *ring_try(__u64 hash, __u64 word, __u32 try, __u32 *ret_id)
{
	return ring_member(word, flow_hash_ring(hash, RING_WORD_SIZE(word), try), ret_id);
}

/*
 * A member id, or -1. Where no try gives a member that is up, one that drains: it still serves, and
 * the ring without it will be there in a moment. Not static: the verifier goes through it once.
 */
__noinline long ring_second_pick(__u64 hash, __u64 word, __u32 vip_id)
{
	long draining = -1;

	for (__u32 try = 0; try <= RING_SECOND_PICKS; try++) {
		__u32 id = 0;
		__u32 state = ring_state(ring_try(hash, word, try, &id), vip_id);

		if (state == MEMBER_UP)
			return id;
		if (state == MEMBER_DRAIN && draining < 0)
			draining = id;
	}
	return draining;
}

/* The member that the VIP's ring gives; NULL: none can take the flow. */
static __always_inline struct member *ring_find(__u64 hash, const struct vip *vip, __u32 *ret_id)
{
	__u64 word = READ_WORD(vip->state->ring);
	struct member *member;

	if (!word)
		return NULL;
	member = ring_try(hash, word, 0, ret_id);
	if (ring_state(member, vip->id) == MEMBER_UP)
		return member;
	*ret_id = ring_second_pick(hash, word, vip->id);
	return bpf_map_lookup_elem(&members, ret_id);
}

/* Sets pkt->member and pkt->member_id, or NO_REAL. */
static __always_inline int ring_pick(struct pkt *pkt, const struct vip *vip)
{
	pkt->member = ring_find(pkt->hash, vip, &pkt->member_id);
	return pkt->member ? NEXT : NO_REAL;
}
