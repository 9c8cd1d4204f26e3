/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Generic UDP Encapsulation: room, and the headers of outer_gue.h in it. */
#pragma once

#include "csum_frame.h"
#include "encap_outer.h"
#include "outer_gue.h"

static __always_inline int encap_gue4(struct pkt *pkt, struct tx *tx)
{
	const __u32 outer_len = sizeof(struct iphdr) + sizeof(struct udphdr);
	struct ethhdr *eth;
	struct iphdr *ip;
	int verdict = encap_grow(pkt, tx, outer_len);

	if (verdict != NEXT)
		return verdict;
	eth = pkt_at(pkt, 0, sizeof(*eth) + outer_len);
	if (!eth)
		return encap_lost();
	ip = (struct iphdr *)(eth + 1);
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IP));
	encap_write_ipv4(pkt, ip, IPPROTO_UDP, sizeof(struct udphdr) + pkt->l3_len,
			 encap_sum4(pkt->member, IPPROTO_UDP));
	encap_gue_write_udp(pkt, (struct udphdr *)(ip + 1));
	return NEXT;
}

static __always_inline int encap_gue6(struct pkt *pkt, struct tx *tx)
{
	const __u32 outer_len = sizeof(struct ipv6hdr) + sizeof(struct udphdr);
	struct ethhdr *eth;
	struct ipv6hdr *ip;
	struct udphdr *udp;
	__u32 inner_sum = 0;
	int verdict = encap_grow(pkt, tx, outer_len);

	if (verdict != NEXT)
		return verdict;
	if (knob_gue_checksum6)
		inner_sum = csum_frame(pkt->ctx, sizeof(*eth) + outer_len, pkt->l3_len);
	eth = pkt_at(pkt, 0, sizeof(*eth) + outer_len);
	if (!eth)
		return encap_lost();
	ip = (struct ipv6hdr *)(eth + 1);
	udp = (struct udphdr *)(ip + 1);
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IPV6));
	encap_write_ipv6(pkt, ip, IPPROTO_UDP, sizeof(*udp) + pkt->l3_len);
	encap_gue_write_udp(pkt, udp);
	if (knob_gue_checksum6)
		udp->check = encap_gue_checksum(ip, udp, inner_sum);
	return NEXT;
}

static __always_inline int encap_gue(struct pkt *pkt, struct tx *tx)
{
	return pkt->member->real_family == FAMILY_V4 ? encap_gue4(pkt, tx) : encap_gue6(pkt, tx);
}
