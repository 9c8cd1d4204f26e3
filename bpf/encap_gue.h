/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Generic UDP Encapsulation, variant 1 of draft-ietf-intarea-gue: the client's IP packet right
 * behind a UDP header, as Linux takes it (ip fou add port PORT gue). The UDP source port has the
 * flow's entropy, in the range of RFC 6335 that nobody listens on. No checksum over IPv4; none over
 * IPv6 either (RFC 6935 and 6936: the inner packet has its own) unless the configuration asks.
 */
#pragma once

#include <linux/udp.h>

#include "csum_frame.h"
#include "encap_outer.h"

#define GUE_FIRST_PORT 0xc000 /* of the 2^14 dynamic ones */

static __always_inline void encap_gue_write_udp(const struct pkt *pkt, struct udphdr *udp)
{
	udp->source = bpf_htons(GUE_FIRST_PORT | encap_entropy(pkt) >> 18);
	udp->dest = knob_gue_port;
	udp->len = bpf_htons(sizeof(*udp) + pkt->l3_len);
	udp->check = 0;
}

/* Of UDP header and both addresses, with the inner packet's sum; 0 is written 0xffff (RFC 768). */
static __always_inline __sum16 encap_gue_checksum(const struct ipv6hdr *ip,
						  const struct udphdr *udp, __u32 inner_sum)
{
	__u64 sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&ip->saddr, 2 * sizeof(ip->saddr),
					 inner_sum);
	__u16 check;

	sum += bpf_htons(IPPROTO_UDP) + 2 * (__u64)udp->len + udp->source + udp->dest;
	check = ~csum_fold64(sum);
	return check ? check : 0xffff;
}

/*
 * The header's words that are the same for all packets to the member. Not kept in the member as
 * IP in IP's are: they would change with its encapsulation, but not in the same store.
 */
static __always_inline __u32 encap_gue_sum4(const struct member *member)
{
	__be32 daddr = member->real.w[3];

	return bpf_htons(0x4500) + bpf_htons(IPV4_DF) + bpf_htons(OUTER_TTL << 8 | IPPROTO_UDP) +
	       (daddr & 0xffff) + (daddr >> 16);
}

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
			 encap_gue_sum4(pkt->member));
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
