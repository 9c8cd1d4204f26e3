/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of a packet that nobody can take, where its sender is to be told:
 * - a port that no VIP serves (on_no_port: reply);
 * - the start of a flow to a VIP of which no real can take it (on_all_down: reset, unreachable). A
 *   connection that there is already is never answered for that: its real may be back in a moment;
 * - a flow whose real is gone, where its VIP (on_down: reset) or a drain wants a RST rather than
 *   another real that knows nothing of the connection. The first packet of each flow is answered
 *   whatever the rate: there are no more of them than flows in the table, whose clients have proven
 *   that they are there. Its slot then says FLOW_RST, and what was under way behind that packet (or
 *   comes because the RST got lost) is answered within the limit of all replies.
 */
#pragma once

#include "flow.h"
#include "pkt.h"
#include "reply.h"
#include "stats.h"

/* For a VIP without a real that can take the packet; `on_empty`: enum xdplb_on_empty. */
static __always_inline int refuse_empty(const struct pkt *pkt, __u32 on_empty)
{
	bool is_start = pkt->tuple.protocol == IPPROTO_UDP || pkt_is_syn(pkt);

	if (is_start && on_empty == ON_EMPTY_RESET)
		return REFUSE_RESET;
	if (is_start && on_empty == ON_EMPTY_UNREACHABLE)
		return REFUSE_UNREACHABLE;
	count(drop_no_real);
	return XDP_DROP;
}

/* Whether this CPU is the first to end the flow. An unproven one proves nothing. */
static __always_inline bool refuse_take_flow(const struct pkt *pkt)
{
	__u64 word = pkt->slot_word;
	__u32 state = SLOT_STATE(word);
	__u64 ended = slot_word(pkt->hash, SLOT_MEMBER(word), FLOW_RST);

	return state != FLOW_RST && pkt->bucket &&
	       flow_slot_swap(pkt->bucket, pkt->slot_index, word, ended) &&
	       !slot_is_unproven(state);
}

static __always_inline bool refuse_with_icmp(const struct pkt *pkt)
{
	if (pkt->tuple.family == FAMILY_V4)
		return reply_with_error(pkt, ICMP4_UNREACHABLE, ICMP4_PORT_UNREACHABLE, 0);
	return reply_with_error(pkt, ICMP6_UNREACHABLE, ICMP6_PORT_UNREACHABLE, 0);
}

static __always_inline __u32 refuse_counter(int refusal, bool is_reset)
{
	if (refusal == REFUSE_FLOW)
		return counter_index(reply_flow_reset);
	if (refusal != REFUSE_PORT)
		return counter_index(reply_no_real);
	return is_reset ? counter_index(reply_reset) : counter_index(reply_unreachable);
}

/* REFUSE_*. What must not, or cannot, be answered is dropped. In a frame of its own. */
static __noinline int refuse(const struct pkt *pkt, int refusal)
{
	__u32 drop = refusal == REFUSE_PORT ? counter_index(drop_no_port)
					    : counter_index(drop_no_real);
	bool is_tcp = pkt->tuple.protocol == IPPROTO_TCP;
	bool is_reset = is_tcp && refusal != REFUSE_UNREACHABLE;

	if (!reply_may_answer(pkt) || (is_tcp && pkt->tcp_flags & TCP_RST)) {
		count_at(drop);
		return XDP_DROP;
	}
	if (!(refusal == REFUSE_FLOW && refuse_take_flow(pkt)) && !reply_take_token()) {
		count(drop_reply_limit);
		return XDP_DROP;
	}
	if (!(is_reset ? reply_with_reset(pkt) : refuse_with_icmp(pkt))) {
		count_at(drop);
		return XDP_DROP;
	}
	count_at(refuse_counter(refusal, is_reset));
	return XDP_TX;
}
