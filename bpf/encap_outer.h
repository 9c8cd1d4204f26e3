/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tunnel headers share: room for them, the outer IP header, the flow's entropy. DSCP and
 * ECN are copied (RFC 6040 section 4.1, normal mode), TTL is 64, IPv4 has DF and identification 0
 * (an atomic datagram, RFC 6864), IPv6 has the flow in its label (RFC 6438). Entropy goes into the
 * outer source only where the configuration gives a prefix for it.
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

/*
 * 32 bits that are equal for a flow's packets. They are seen on the wire, so they must not give the
 * keyed hash away: the upper half of its product with a secret (multiply-shift hashing).
 */
static __always_inline __u32 encap_entropy(const struct pkt *pkt)
{
	return pkt->hash * (knob_hash_key.entropy | 1) >> 32;
}

/* `sum`: of the header's words that depend neither on the packet nor on the outer source. */
static __always_inline void encap_write_ipv4(const struct pkt *pkt, struct iphdr *outer,
					     __u8 protocol, __u32 payload_len, __u32 sum)
{
	__be16 tot_len = bpf_htons(sizeof(*outer) + payload_len);
	__be16 tos = bpf_htons(pkt->tos);
	__be32 entropy = 0;

	if (knob_source4_entropy)
		entropy = encap_entropy(pkt) & knob_source4_entropy;
	outer->version = 4;
	outer->ihl = 5;
	outer->tos = pkt->tos;
	outer->tot_len = tot_len;
	outer->id = 0;
	outer->frag_off = bpf_htons(IPV4_DF);
	outer->ttl = OUTER_TTL;
	outer->protocol = protocol;
	outer->saddr = knob_source4 | entropy;
	outer->daddr = pkt->member->real.w[3];
	outer->check =
		~csum_fold(sum + tos + tot_len + (outer->saddr & 0xffff) + (outer->saddr >> 16));
}

static __always_inline void encap_write_ipv6(const struct pkt *pkt, struct ipv6hdr *outer,
					     __u8 protocol, __u32 payload_len)
{
	__u32 entropy = encap_entropy(pkt);
	__be32 *words = (__be32 *)outer;

	words[0] = bpf_htonl(6u << 28 | (__u32)pkt->tos << 20 | entropy >> 12);
	outer->payload_len = bpf_htons(payload_len);
	outer->nexthdr = protocol;
	outer->hop_limit = OUTER_TTL;
	words[2] = knob_source6.w[0];
	words[3] = knob_source6.w[1];
	words[4] = knob_source6.w[2] | (entropy & knob_source6_entropy.w[2]);
	words[5] = knob_source6.w[3] | (entropy & knob_source6_entropy.w[3]);
	__builtin_memcpy(&outer->daddr, &pkt->member->real, sizeof(outer->daddr));
}

static __always_inline int encap_check_mtu(const struct pkt *pkt, const struct tx *tx,
					   __u32 outer_len)
{
	if (pkt->l3_len + outer_len <= tx->out->mtu)
		return NEXT;
	count(drop_too_big);
	return XDP_DROP;
}

/*
 * Makes room for the outer header behind a new Ethernet header, which takes the place of the one
 * that came; the frame's linear part may have moved.
 */
static __always_inline int encap_grow(struct pkt *pkt, const struct tx *tx, __u32 outer_len)
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
