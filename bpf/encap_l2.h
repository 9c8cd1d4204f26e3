/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * L2 DSR: no header at all, the client's packet goes to the MAC of a real on the same segment,
 * which has the VIP as an address of its own. So the real's address, whatever its family, only says
 * which MAC. The next hop is the real itself: members behind a gateway have NEXT_HOP_NOT_ON_LINK.
 */
#pragma once

#include "encap_outer.h"

/* Of the tags that a frame came with: those that it leaves with are put on by tx_send(). */
static __always_inline bool encap_l2_untag(struct pkt *pkt)
{
	__u32 tags_len = pkt->l3_offset - sizeof(struct ethhdr);

	return !tags_len || !bpf_xdp_adjust_head(pkt->ctx, (int)tags_len);
}

static __always_inline int encap_l2dsr(struct pkt *pkt, struct tx *tx)
{
	struct ethhdr *eth;
	int verdict = encap_check_mtu(pkt, tx, 0);

	if (verdict != NEXT)
		return verdict;
	if (!encap_l2_untag(pkt))
		return encap_lost();
	eth = pkt_at(pkt, 0, sizeof(*eth));
	if (!eth)
		return encap_lost();
	tx_write_ethernet(tx, eth,
			  bpf_htons(pkt->tuple.family == FAMILY_V4 ? ETH_P_IP : ETH_P_IPV6));
	return NEXT;
}
