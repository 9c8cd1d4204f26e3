/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which real a source was given last: a bounded table of sources that started a flow a while ago.
 * Who comes back in time gets the same real though the ring says another by now. CPUs write it
 * without a lock: a hash and its member are one word, and what is lost is that a source was here.
 */
#pragma once

#include "knobs.h"
#include "maps.h"
#include "pkt.h"
#include "ring.h"

/* A source at a VIP. */
static __always_inline __u64 affinity_hash(__u64 source_hash, __u32 vip_id)
{
	return source_hash ^ (vip_id + 1) * 0x9e3779b97f4a7c15ULL;
}

static __always_inline struct affinity_bucket *affinity_bucket_of(__u64 hash)
{
	__u32 index = hash_reduce((__u32)(hash >> 32), AFFINITY_BUCKETS);

	return bpf_map_lookup_elem(&affinity, &index);
}

static __always_inline __u64 affinity_word(__u64 hash, __u32 member_id)
{
	return hash << FLOW_MEMBER_BITS | member_id;
}

static __always_inline bool affinity_is_of(__u64 word, __u64 hash)
{
	return word >> FLOW_MEMBER_BITS == affinity_word(hash, 0) >> FLOW_MEMBER_BITS;
}

/* Id of the member that the source was given in the last `seconds`, if it takes new flows; or -1.
 */
__noinline long affinity_find(__u64 source_hash, __u32 vip_id, __u32 seconds)
{
	__u64 hash = affinity_hash(source_hash, vip_id);
	struct affinity_bucket *bucket = affinity_bucket_of(hash);
	__u64 now = bpf_jiffies64();

	for (__u32 i = 0; bucket && i < AFFINITY_SLOTS; i++) {
		struct affinity *slot = &bucket->slot[i];
		__u64 word = READ_WORD(slot->word);
		__u32 id = word & FLOW_MEMBER_MASK;

		if (!affinity_is_of(word, hash) || !slot->jiffies ||
		    now - slot->jiffies > (__u64)seconds * knob_hz)
			continue;
		if (ring_state(bpf_map_lookup_elem(&members, &id), vip_id) == MEMBER_UP)
			return id;
	}
	return -1;
}

/* The source starts a flow at this member: over its own slot, else the oldest. */
__noinline int affinity_keep(__u64 source_hash, __u32 vip_id, __u32 member_id)
{
	__u64 hash = affinity_hash(source_hash, vip_id);
	struct affinity_bucket *bucket = affinity_bucket_of(hash);
	struct affinity *victim = NULL;

	if (!bucket)
		return 0;
	for (__u32 i = 0; i < AFFINITY_SLOTS; i++) {
		struct affinity *slot = &bucket->slot[i];

		if (affinity_is_of(READ_WORD(slot->word), hash)) {
			victim = slot;
			break;
		}
		if (!victim || slot->jiffies < victim->jiffies)
			victim = slot;
	}
	if (!victim)
		return 0;
	victim->jiffies = bpf_jiffies64();
	READ_WORD(victim->word) = affinity_word(hash, member_id);
	return 0;
}
