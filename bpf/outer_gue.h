/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Generic UDP Encapsulation, variant 1 of draft-ietf-intarea-gue: the client's IP packet right
 * behind a UDP header, as Linux takes it (ip fou add port PORT gue). The UDP source port has the
 * flow's entropy, in the range of RFC 6335 that nobody listens on. No checksum over IPv4; none over
 * IPv6 either (RFC 6935 and 6936: the inner packet has its own) unless the configuration asks.
 */
#pragma once

#include <linux/udp.h>

#include "outer.h"

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
