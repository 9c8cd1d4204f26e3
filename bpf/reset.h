/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of a flow whose real is gone, where its VIP or a drain wants that: the client gets a RST
 * instead of another real that knows nothing of the connection. The first packet of each flow is
 * answered whatever the rate: there are no more of them than flows in the table, whose clients have
 * proven that they are there. Its slot then says FLOW_RST, and what was under way behind that
 * packet (or comes because the RST got lost) is answered within the limit of all replies.
 */
#pragma once

#include "flow.h"
#include "pkt.h"
#include "reply.h"
#include "stats.h"

/* Whether this CPU is the first to end the flow. An unproven one proves nothing. */
static __always_inline bool reset_take_flow(const struct pkt *pkt)
{
	__u64 word = pkt->slot_word;
	__u32 state = SLOT_STATE(word);
	__u64 ended = slot_word(pkt->hash, SLOT_MEMBER(word), FLOW_RST);

	return state != FLOW_RST && pkt->bucket &&
	       flow_slot_swap(pkt->bucket, pkt->slot_index, word, ended) &&
	       !slot_is_unproven(state);
}

static __noinline int reset_flow(const struct pkt *pkt)
{
	if (!reply_may_answer(pkt)) {
		count(drop_no_real);
		return XDP_DROP;
	}
	if (!reset_take_flow(pkt) && !reply_take_token()) {
		count(drop_reply_limit);
		return XDP_DROP;
	}
	if (!reply_with_reset(pkt)) {
		count(drop_no_real);
		return XDP_DROP;
	}
	count(reply_flow_reset);
	return XDP_TX;
}
