/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash: one source for the packet path, the daemon and the tests. NH of UMAC (RFC 4418
 * section 5.2.2: universal, so without the key no two chosen tuples collide more often than by
 * chance), then a 64-bit finalizer (Stafford's Mix13) that spreads every input bit over the word.
 */
#pragma once

#include <stdbool.h>

#include "abi.h"

#define FLOW_HASH_WORDS 10

/* Secret of 64 bytes, equal on every balancer of a fleet. */
struct flow_hash_key {
	__u32 nh[FLOW_HASH_WORDS];
	__u64 entropy; /* for what of a flow is seen outside; not part of the hash */
	__u64 mix[2];
};

_Static_assert(sizeof(struct flow_hash_key) == 64, "the key file is 64 bytes");

/* Ports and addresses as on the wire; protocol and family as numbers. */
struct flow_tuple {
	struct ip_addr src;
	struct ip_addr dst;
	union {
		struct {
			__be16 dport;
			__u8 protocol;
			__u8 family;
		};
		__u32 service; /* as struct member has it */
	};
	__be16 sport;
};

static inline __attribute__((always_inline)) __u64 flow_hash_nh(__u32 a, __u32 ka, __u32 b,
								__u32 kb)
{
	return (__u64)(__u32)(a + ka) * (__u32)(b + kb);
}

static inline __attribute__((always_inline)) __u64
flow_hash(const struct flow_tuple *t, const volatile struct flow_hash_key *key)
{
	__u32 ports = ((__u32)t->dport << 16) | t->sport; /* as they lie in the packet */
	__u32 kind = ((__u32)t->family << 8) | t->protocol;
	__u64 h = flow_hash_nh(t->src.w[3], key->nh[0], t->dst.w[3], key->nh[1]);

	h += flow_hash_nh(ports, key->nh[2], kind, key->nh[3]);
	if (t->family == FAMILY_V6) {
		h += flow_hash_nh(t->src.w[0], key->nh[4], t->src.w[1], key->nh[5]);
		h += flow_hash_nh(t->src.w[2], key->nh[6], t->dst.w[0], key->nh[7]);
		h += flow_hash_nh(t->dst.w[1], key->nh[8], t->dst.w[2], key->nh[9]);
	}
	h ^= key->mix[0];
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
	h ^= key->mix[1];
	return h ^ (h >> 31);
}

/*
 * An address's bit in the VIP filter. Not keyed: who knows a VIP's bit can make packets for other
 * addresses cost a little more, and no more than that.
 */
static inline __attribute__((always_inline)) __u32 vip_filter_bit(const struct ip_addr *address)
{
	__u32 h = address->w[0] * 0x85ebca6bu + address->w[1] * 0xc2b2ae35u;

	h += address->w[2] * 0x27d4eb2fu + address->w[3] * 0x165667b1u;
	h = (h ^ (h >> 15)) * 0x9e3779b1u;
	return h >> 17;
}

_Static_assert(VIP_FILTER_BITS == 1u << (32 - 17), "as many bits as vip_filter_bit() gives");

/*
 * Where vip_index has the VIP of an address and a service (port, protocol and family as struct
 * flow_tuple has them in one word). Not keyed: only the daemon puts anything there.
 */
static inline __attribute__((always_inline)) __u32 vip_index_place(const struct ip_addr *address,
								   __u32 service, bool is_v6)
{
	__u32 h = address->w[3] ^ service * 0x85ebca6bu;

	if (is_v6)
		h ^= address->w[0] * 0xc2b2ae35u + address->w[1] * 0x27d4eb2fu +
		     address->w[2] * 0x165667b1u;
	h = (h ^ (h >> 16)) * 0x9e3779b1u;
	return h >> 19;
}

_Static_assert(VIP_INDEX_PLACES == 1u << (32 - 19), "as many places as vip_index_place() gives");

/* Maps 32 random bits to 0 ... n-1 without a division. */
static inline __attribute__((always_inline)) __u32 hash_reduce(__u32 h, __u32 n)
{
	return (__u32)(((__u64)h * n) >> 32);
}

/* The tag stored in a flow slot (never 0: that is how a slot without a flow reads) ... */
static inline __attribute__((always_inline)) __u32 flow_hash_tag(__u64 h)
{
	return (__u32)h ? (__u32)h : 1;
}

/* ... and the bucket it is looked for in first. */
static inline __attribute__((always_inline)) __u32 flow_hash_bucket(__u64 h, __u32 buckets)
{
	return hash_reduce((__u32)(h >> 32), buckets);
}

/*
 * The slot of its bucket that a flow would rather have. Slot number i of its order is this one
 * exclusive or i; newcomers take the first that is free in their order, so most hits are in their
 * first slot. These bits hardly count in flow_hash_bucket(), and not in the tag.
 */
static inline __attribute__((always_inline)) __u32 flow_hash_slot(__u64 h)
{
	return (__u32)(h >> 32) % FLOW_SLOTS;
}

/*
 * The ring slot of try 0 (the pick) and of tries 1 ... RING_SECOND_PICKS (the second picks). By
 * exclusive or, not by adding: else all flows of one slot would share their second slot too.
 */
static inline __attribute__((always_inline)) __u32 flow_hash_ring(__u64 h, __u32 size, __u32 try)
{
	h = (h ^ try * 0x9e3779b97f4a7c15ULL) * 0xd6e8feb86659fd93ULL;
	return hash_reduce((__u32)(h >> 32), size);
}
