/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer IP header and the flow's entropy. DSCP and ECN are copied (RFC 6040 section 4.1, normal
 * mode), TTL is 64, IPv4 has DF and identification 0 (an atomic datagram, RFC 6864), IPv6 has the
 * flow in its label (RFC 6438). Entropy goes into the outer source only where the configuration
 * gives a prefix for it.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "csum.h"
#include "knobs.h"
#include "pkt.h"

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
	__u64 *words = (__u64 *)outer; /* the widest stores there are */
	__be16 tot_len = bpf_htons(sizeof(*outer) + payload_len);
	__be16 tos = bpf_htons(pkt->tos);
	__be32 saddr = knob_source4, entropy;
	__be16 check;

	sum += knob_source4_sum + tos + tot_len;
	if (knob_source4_entropy) {
		entropy = encap_entropy(pkt) & knob_source4_entropy;
		saddr |= entropy;
		sum += (entropy & 0xffff) + (entropy >> 16);
	}
	check = ~csum_fold(sum);
	words[0] = 0x45 | tos | (__u32)tot_len << 16 | (__u64)bpf_htons(IPV4_DF) << 48;
	words[1] = OUTER_TTL | protocol << 8 | (__u32)check << 16 | (__u64)saddr << 32;
	outer->daddr = pkt->member->real.w[3];
}

static __always_inline void encap_write_ipv6(const struct pkt *pkt, struct ipv6hdr *outer,
					     __u8 protocol, __u32 payload_len)
{
	__u32 entropy = encap_entropy(pkt);
	const __u64 *real = (const __u64 *)&pkt->member->real;
	__u64 *words = (__u64 *)outer;

	words[0] = bpf_htonl(6u << 28 | (__u32)pkt->tos << 20 | entropy >> 12) |
		   (__u64)bpf_htons(payload_len) << 32 | (__u64)protocol << 48 |
		   (__u64)OUTER_TTL << 56;
	words[1] = knob_source6.w[0] | (__u64)knob_source6.w[1] << 32;
	words[2] = (knob_source6.w[2] | (entropy & knob_source6_entropy.w[2])) |
		   (__u64)(knob_source6.w[3] | (entropy & knob_source6_entropy.w[3])) << 32;
	words[3] = real[0];
	words[4] = real[1];
}

static __always_inline __u8 encap_ipip_protocol(const struct pkt *pkt)
{
	return pkt->tuple.family == FAMILY_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/*
 * The words of an outer IPv4 header that are the same for all packets to a member. GUE's are not
 * kept in the member as IP in IP's are: they would change with its encapsulation, but not in the
 * same store.
 */
static __always_inline __u32 encap_sum4(const struct member *member, __u8 protocol)
{
	__be32 daddr = member->real.w[3];

	return bpf_htons(0x4500) + bpf_htons(IPV4_DF) + bpf_htons(OUTER_TTL << 8 | protocol) +
	       (daddr & 0xffff) + (daddr >> 16);
}
