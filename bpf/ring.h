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

#define READ_WORD(x) (*(volatile typeof(x) *)&(x))

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

static __always_inline bool ring_takes(const struct member *member, __u32 vip_id)
{
	return member && (READ_WORD(member->state) & MEMBER_STATE_MASK) == MEMBER_UP &&
	       member->vip_id == vip_id;
}

/* The member that try number `try` of this flow gives, if it takes packets. */
static __always_inline struct member *ring_try(__u64 hash, __u64 word, __u32 vip_id, __u32 try,
					       __u32 *ret_id)
{
	__u32 slot = flow_hash_ring(hash, RING_WORD_SIZE(word), try);
	struct member *member = ring_member(word, slot, ret_id);

	return ring_takes(member, vip_id) ? member : NULL;
}

/* A member id, or -1. Not static: the verifier goes through it once. */
__noinline long ring_second_pick(__u64 hash, __u64 word, __u32 vip_id)
{
	for (__u32 try = 1; try <= RING_SECOND_PICKS; try++) {
		__u32 id = 0;

		if (ring_try(hash, word, vip_id, try, &id))
			return id;
	}
	return -1;
}

/* Sets pkt->member and pkt->member_id. */
static __always_inline int ring_pick(struct pkt *pkt, __u32 vip_id)
{
	struct vip_state *state = bpf_map_lookup_elem(&vip_state, &vip_id);
	__u64 word = state ? READ_WORD(state->ring) : 0;

	if (!word) {
		count(drop_no_real);
		return XDP_DROP;
	}
	pkt->member = ring_try(pkt->hash, word, vip_id, 0, &pkt->member_id);
	if (!pkt->member) {
		pkt->member_id = ring_second_pick(pkt->hash, word, vip_id);
		pkt->member = bpf_map_lookup_elem(&members, &pkt->member_id);
	}
	if (pkt->member)
		return NEXT;
	count(drop_no_real);
	return XDP_DROP;
}
