/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counting: named verdicts in "stats", forwarded packets in "member_stats"; both per CPU. */
#pragma once

#include "maps.h"
#include "pkt.h"

/* count(drop_no_real): adds one to that field of "stats" on this CPU. */
#define count(field)	     count_at(__builtin_offsetof(struct stats, field) / sizeof(__u64))
#define counter_index(field) (__builtin_offsetof(struct stats, field) / sizeof(__u64))

static __always_inline void count_at(__u32 index)
{
	__u32 row = 0;
	__u64 *all = bpf_map_lookup_elem(&stats, &row);

	if (all && index < XDPLB_STATS)
		all[index]++;
}

static __always_inline void count_forwarded(const struct pkt *pkt)
{
	__u32 id = pkt->member_id; /* of its own, so that the packet need not be in memory */
	struct member_stats *s = bpf_map_lookup_elem(&member_stats, &id);

	if (!s)
		return;
	s->packets++;
	s->bytes += pkt->l3_len;
	if (pkt->is_new_flow)
		s->new_flows++;
	if (pkt->is_repeated_syn)
		s->repeated_syns++;
}
