/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tunnel headers share in the packet path: whether they fit, and room for them. */
#pragma once

#include "maps.h"
#include "outer.h"
#include "pkt.h"
#include "stats.h"
#include "tx.h"

static __always_inline int encap_check_mtu(const struct pkt *pkt, struct tx *tx, __u32 outer_len)
{
	__u32 mtu = tx->out->mtu;

	if (pkt->l3_len + outer_len <= mtu)
		return NEXT;
	tx->inner_mtu = mtu > outer_len ? mtu - outer_len : 0;
	return TOO_BIG;
}

/*
 * Makes room for the outer header behind a new Ethernet header, which takes the place of the one
 * that came; the frame's linear part may have moved.
 */
static __always_inline int encap_grow(struct pkt *pkt, struct tx *tx, __u32 outer_len)
{
	int verdict = encap_check_mtu(pkt, tx, outer_len);

	if (verdict != NEXT)
		return verdict;
	if (bpf_xdp_adjust_head(pkt->ctx,
				(int)(pkt->l3_offset - sizeof(struct ethhdr) - outer_len))) {
		count(drop_no_headroom);
		return XDP_DROP;
	}
	return NEXT;
}

/* For the verifier: a frame that grew by the outer header has room for it. */
static __noinline int encap_lost(void)
{
	count(drop_no_headroom);
	return XDP_DROP;
}
