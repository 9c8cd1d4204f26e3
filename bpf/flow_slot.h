/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One slot of the flow table: its word, its age, and what state a packet leads to. No map access.
 * Ages and what wraps when: struct flow_clock in include/xdplb/abi.h.
 */
#pragma once

#include "knobs.h"
#include "pkt.h"

#define SLOT_TAG(word)	  ((__u32)((word) >> FLOW_TAG_SHIFT))
#define SLOT_MEMBER(word) ((__u32)((word) >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK)
#define SLOT_STATE(word)  ((__u32)((word) >> FLOW_STATE_SHIFT) & FLOW_STATE_MASK)
#define SLOT_AGE(word)	  ((__u32)(word)&FLOW_AGE_MASK)

static __always_inline __u32 slot_now(__u32 state)
{
	return (bpf_jiffies64() >> knob_clock.tick_shift[state & FLOW_STATE_MASK]) & FLOW_AGE_MASK;
}

#define SLOT_STAMP_MASK (FLOW_STATE_MASK << FLOW_STATE_SHIFT | FLOW_AGE_MASK)

/* State and age of a slot that is written now. */
static __always_inline __u32 slot_stamp(__u32 state)
{
	__u32 age = slot_now(state);

	if (age == FLOW_AGE_OLD)
		age--; /* reserved: stamp one tick early */
	return state << FLOW_STATE_SHIFT | age;
}

static __always_inline __u64 slot_word(__u64 hash, __u32 member_id, __u32 state)
{
	return (__u64)flow_hash_tag(hash) << FLOW_TAG_SHIFT |
	       (__u64)member_id << FLOW_MEMBER_SHIFT | slot_stamp(state);
}

static __always_inline bool slot_is_older(__u64 word, __u32 timeout_ticks)
{
	__u32 age = SLOT_AGE(word);

	return age == FLOW_AGE_OLD ||
	       ((slot_now(SLOT_STATE(word)) - age) & FLOW_AGE_MASK) > timeout_ticks;
}

/* Idle for longer than any VIP allows. */
static __always_inline bool slot_is_expired(__u64 word)
{
	return slot_is_older(word, knob_clock.timeout_ticks[SLOT_STATE(word)]);
}

/* 1 if a < b, else 0, without a branch: the compiler is kept from seeing that it is a comparison.
 */
static __always_inline __u64 slot_less_bit(__u64 a, __u64 b)
{
	__u64 difference = a - b;

	barrier_var(difference);
	return difference >> 63;
}

static __always_inline __u64 slot_old_bit(__u64 word)
{
	return slot_less_bit(FLOW_AGE_OLD - 1, SLOT_AGE(word));
}

/* slot_is_expired() as a bit. */
static __always_inline __u64 slot_expired_bit(__u64 word, __u64 jiffies)
{
	__u64 state = SLOT_STATE(word);
	__u64 now = jiffies >> knob_clock.tick_shift[state];

	return slot_less_bit(knob_clock.timeout_ticks[state],
			     (now - SLOT_AGE(word)) & FLOW_AGE_MASK) |
	       slot_old_bit(word);
}

#define FLOW_UNPROVEN_STATES (1u << FLOW_SYN | 1u << FLOW_ACK | 1u << FLOW_UDP_FIRST)

static __always_inline bool slot_is_unproven(__u32 state)
{
	return FLOW_UNPROVEN_STATES >> state & 1;
}

static __always_inline bool pkt_is_syn(const struct pkt *pkt)
{
	return (pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* The state in which a flow that is not in the table is recorded; FLOW_NONE: it is not recorded. */
static __always_inline __u32 flow_first_state(const struct pkt *pkt)
{
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return FLOW_UDP_FIRST;
	if (pkt->tcp_flags & (TCP_RST | TCP_FIN))
		return FLOW_NONE;
	return pkt_is_syn(pkt) ? FLOW_SYN : FLOW_ACK;
}

/*
 * A SYN on a known flow: an unproven one keeps its pick, a proven live one stays where it is (the
 * real answers with a challenge ACK, RFC 5961 section 4); FLOW_NONE: pick anew.
 */
static __always_inline __u32 flow_state_after_syn(__u32 state, bool is_stale, bool takes_new)
{
	if (is_stale)
		return FLOW_NONE;
	if (state == FLOW_SYN && takes_new)
		return FLOW_SYN;
	return state == FLOW_TCP ? FLOW_TCP : FLOW_NONE;
}

/*
 * The state a packet leads to. FIN and RST are hints: a connection that goes on afterwards is live
 * again, by any segment after a RST (which anybody may have forged), by data after a FIN.
 */
static __always_inline __u32 flow_next_state(const struct pkt *pkt, __u32 state)
{
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return FLOW_UDP;
	if (pkt->tcp_flags & TCP_RST)
		return slot_is_unproven(state) ? state : FLOW_RST;
	if (pkt->tcp_flags & TCP_FIN)
		return FLOW_FIN;
	if (state == FLOW_FIN && pkt->payload_len == 0)
		return FLOW_FIN;
	return FLOW_TCP;
}
