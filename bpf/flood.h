/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flood of SYNs costs what a pick costs and no more: what exceeds the rate is neither looked up
 * in the flow table, whose line is in no cache, nor recorded there. Such a SYN goes where the ring
 * says, which is where the next packet of its connection goes and is recorded, unless the ring is
 * switched in between.
 */
#pragma once

#include <linux/in.h>

#include "flow_slot.h"
#include "knobs.h"
#include "maps.h"
#include "stats.h"

/* Whether the packet is a SYN over the rate; counts it. */
static __always_inline bool flood_is_over(const struct pkt *pkt)
{
	struct syn_window *w;
	__u32 row = 0;
	__u64 window;

	if (!knob_syn_window_limit || !pkt_is_syn(pkt) || pkt->tuple.protocol != IPPROTO_TCP)
		return false;
	window = bpf_jiffies64() >> knob_syn_window_shift;
	w = bpf_map_lookup_elem(&syn_window, &row);
	if (!w)
		return false;
	if (w->window != window) {
		w->window = window;
		w->syns = 0;
	}
	if (w->syns++ < knob_syn_window_limit)
		return false;
	count(flow_syn_flood);
	return true;
}
