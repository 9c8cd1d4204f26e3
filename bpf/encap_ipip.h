/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IP in IP: RFC 2003, RFC 2473, RFC 4213. */
#pragma once

#include "encap_outer.h"

static __always_inline int encap_ipip4(struct pkt *pkt, struct tx *tx)
{
	struct ethhdr *eth;
	int verdict = encap_grow(pkt, tx, sizeof(struct iphdr));

	if (verdict != NEXT)
		return verdict;
	eth = pkt_at(pkt, 0, sizeof(*eth) + sizeof(struct iphdr));
	if (!eth)
		return encap_lost();
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IP));
	encap_write_ipv4(pkt, (struct iphdr *)(eth + 1), encap_ipip_protocol(pkt), pkt->l3_len,
			 pkt->member->csum);
	return NEXT;
}

static __always_inline int encap_ipip6(struct pkt *pkt, struct tx *tx)
{
	struct ethhdr *eth;
	int verdict = encap_grow(pkt, tx, sizeof(struct ipv6hdr));

	if (verdict != NEXT)
		return verdict;
	eth = pkt_at(pkt, 0, sizeof(*eth) + sizeof(struct ipv6hdr));
	if (!eth)
		return encap_lost();
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IPV6));
	encap_write_ipv6(pkt, (struct ipv6hdr *)(eth + 1), encap_ipip_protocol(pkt), pkt->l3_len);
	return NEXT;
}

static __always_inline int encap_ipip(struct pkt *pkt, struct tx *tx)
{
	return pkt->member->real_family == FAMILY_V4 ? encap_ipip4(pkt, tx) : encap_ipip6(pkt, tx);
}
