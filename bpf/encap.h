/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer header. The inner packet leaves byte-identical. DSCP and ECN are copied (RFC 6040
 * section 4.1, normal mode), TTL is 64, IPv4 has DF and identification 0 (an atomic datagram, RFC
 * 6864), IPv6 has the flow in its label (RFC 6438). Entropy goes into the outer source only where
 * the configuration gives a prefix for it.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "csum.h"
#include "knobs.h"
#include "maps.h"
#include "pkt.h"
#include "stats.h"
#include "tx.h"

#define OUTER_TTL 64
#define IPV4_DF	  0x4000

static __always_inline __u8 encap_protocol(const struct pkt *pkt)
{
	return pkt->tuple.family == FAMILY_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/* 64 bits that are equal for a flow's packets, and say nothing about the keyed hash itself. */
static __always_inline __u64 encap_entropy(const struct pkt *pkt)
{
	return pkt->hash * 0xff51afd7ed558ccdULL >> 8;
}

static __always_inline void encap_write_ipv4(const struct pkt *pkt, struct iphdr *outer)
{
	__be16 tot_len = bpf_htons(sizeof(*outer) + pkt->l3_len);
	__be16 tos = bpf_htons(pkt->tos);
	__be32 entropy = 0;

	if (knob_source4_entropy)
		entropy = (__u32)encap_entropy(pkt) & knob_source4_entropy;
	outer->version = 4;
	outer->ihl = 5;
	outer->tos = pkt->tos;
	outer->tot_len = tot_len;
	outer->id = 0;
	outer->frag_off = bpf_htons(IPV4_DF);
	outer->ttl = OUTER_TTL;
	outer->protocol = encap_protocol(pkt);
	outer->saddr = knob_source4 | entropy;
	outer->daddr = pkt->member->real.w[3];
	outer->check = ~csum_fold((__u32)pkt->member->csum + tos + tot_len +
				  (outer->saddr & 0xffff) + (outer->saddr >> 16));
}

static __always_inline void encap_write_ipv6(const struct pkt *pkt, struct ipv6hdr *outer)
{
	__u64 entropy = encap_entropy(pkt);
	__u32 label = (__u32)(entropy >> 32) & 0xfffff;
	__be32 *words = (__be32 *)outer;

	words[0] = bpf_htonl(6u << 28 | (__u32)pkt->tos << 20 | label);
	outer->payload_len = bpf_htons(pkt->l3_len);
	outer->nexthdr = encap_protocol(pkt);
	outer->hop_limit = OUTER_TTL;
	words[2] = knob_source6.w[0];
	words[3] = knob_source6.w[1];
	words[4] = knob_source6.w[2] | ((__u32)(entropy >> 24) & knob_source6_entropy.w[2]);
	words[5] = knob_source6.w[3] | ((__u32)entropy & knob_source6_entropy.w[3]);
	__builtin_memcpy(&outer->daddr, &pkt->member->real, sizeof(outer->daddr));
}

/*
 * Makes room for the outer header behind a new Ethernet header, which takes the place of the one
 * that came; the frame's linear part may have moved.
 */
static __always_inline int encap_grow(struct pkt *pkt, const struct tx *tx, __u32 outer_len)
{
	if (pkt->l3_len + outer_len > tx->out->mtu) {
		count(drop_too_big);
		return XDP_DROP;
	}
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

static __always_inline int encap_ipv4(struct pkt *pkt, const struct tx *tx)
{
	struct ethhdr *eth;
	int verdict = encap_grow(pkt, tx, sizeof(struct iphdr));

	if (verdict != NEXT)
		return verdict;
	eth = pkt_at(pkt, 0, sizeof(*eth) + sizeof(struct iphdr));
	if (!eth)
		return encap_lost();
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IP));
	encap_write_ipv4(pkt, (struct iphdr *)(eth + 1));
	return NEXT;
}

static __always_inline int encap_ipv6(struct pkt *pkt, const struct tx *tx)
{
	struct ethhdr *eth;
	int verdict = encap_grow(pkt, tx, sizeof(struct ipv6hdr));

	if (verdict != NEXT)
		return verdict;
	eth = pkt_at(pkt, 0, sizeof(*eth) + sizeof(struct ipv6hdr));
	if (!eth)
		return encap_lost();
	tx_write_ethernet(tx, eth, bpf_htons(ETH_P_IPV6));
	encap_write_ipv6(pkt, (struct ipv6hdr *)(eth + 1));
	return NEXT;
}

static __always_inline int encap(struct pkt *pkt, const struct tx *tx)
{
	if (pkt->member->encap != ENCAP_IPIP) {
		count(drop_encap);
		return XDP_DROP;
	}
	return pkt->member->real_family == FAMILY_V4 ? encap_ipv4(pkt, tx) : encap_ipv6(pkt, tx);
}
