/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frame to five-tuple. A frame too short to tell its destination passes; anything else that is
 * wrong is dropped if, and only if, it is for a VIP address (vip_refuse).
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "echo.h"
#include "extension.h"
#include "fragment.h"
#include "icmp.h"
#include "pkt.h"
#include "stats.h"
#include "vip.h"
#include "vlan.h"

#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV4_OFFSET   0x1fff

static __always_inline int parse_tcp(struct pkt *pkt, __u32 l4_len)
{
	struct tcphdr *tcp = pkt_at(pkt, pkt->l4_offset, sizeof(*tcp));
	__u32 header_len;

	if (!tcp || l4_len < sizeof(*tcp))
		return vip_refuse(pkt, counter_index(drop_truncated));
	header_len = tcp->doff * 4;
	if (header_len < sizeof(*tcp) || header_len > l4_len)
		return vip_refuse(pkt, counter_index(drop_truncated));
	pkt->tuple.sport = tcp->source;
	pkt->tuple.dport = tcp->dest;
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->payload_len = l4_len - header_len;
	return NEXT;
}

static __always_inline int parse_udp(struct pkt *pkt, __u32 l4_len)
{
	struct udphdr *udp = pkt_at(pkt, pkt->l4_offset, sizeof(*udp));

	if (!udp || l4_len < sizeof(*udp))
		return vip_refuse(pkt, counter_index(drop_truncated));
	pkt->tuple.sport = udp->source;
	pkt->tuple.dport = udp->dest;
	pkt->tcp_flags = 0;
	pkt->payload_len = l4_len - sizeof(*udp);
	return NEXT;
}

static __always_inline int parse_icmp(struct pkt *pkt)
{
	int verdict = icmp(pkt);

	return verdict == ECHO ? echo(pkt) : verdict;
}

static __always_inline int parse_l4(struct pkt *pkt)
{
	__u32 l4_len = pkt->l3_offset + pkt->l3_len - pkt->l4_offset;

	if (pkt->tuple.protocol == IPPROTO_TCP)
		return parse_tcp(pkt, l4_len);
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return parse_udp(pkt, l4_len);
	if (pkt->tuple.protocol == (pkt->tuple.family == FAMILY_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return parse_icmp(pkt);
	return vip_refuse(pkt, counter_index(drop_protocol));
}

/*
 * Between the IP header and what it says comes next there may be more headers; what is for no VIP
 * is not searched for them. Moves l4_offset and tuple.protocol behind them.
 */
static __noinline int parse_extensions(struct pkt *pkt)
{
	struct extensions x = {
		.offset = pkt->l4_offset,
		.end = pkt->l3_offset + pkt->l3_len,
		.protocol = pkt->tuple.protocol,
		.is_ipv6 = pkt->tuple.family == FAMILY_V6,
	};
	int counter;

	if (vip_filter_pass(pkt) != NEXT)
		return XDP_PASS;
	counter = extension_skip(pkt->ctx, &x);
	if (counter != NEXT)
		return vip_refuse(pkt, counter);
	pkt->l4_offset = x.offset;
	pkt->tuple.protocol = x.protocol;
	if (x.fragment)
		pkt->fragment_offset = x.fragment;
	return NEXT;
}

static __always_inline int parse_ipv4(struct pkt *pkt)
{
	struct iphdr *ip = pkt_at(pkt, pkt->l3_offset, sizeof(*ip));
	__u32 header_len;

	if (!ip) {
		count(pass_truncated);
		return XDP_PASS;
	}
	pkt->tuple.family = FAMILY_V4;
	pkt->tuple.protocol = ip->protocol;
	ip_addr_map_ipv4(&pkt->tuple.src, ip->saddr);
	ip_addr_map_ipv4(&pkt->tuple.dst, ip->daddr);
	pkt->tos = ip->tos;
	header_len = ip->ihl * 4;
	if (ip->version != 4 || header_len < sizeof(*ip))
		return vip_refuse(pkt, counter_index(drop_bad_header));
	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if (pkt->l3_len < header_len || !pkt_has_bytes(pkt, pkt->l3_offset + pkt->l3_len))
		return vip_refuse(pkt, counter_index(drop_bad_length));
	pkt->l4_offset = pkt->l3_offset + header_len;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		pkt->fragment_offset = pkt->l3_offset;
	/* A later fragment has data there, whatever the protocol. */
	if (pkt->tuple.protocol == IPPROTO_AH && !(ip->frag_off & bpf_htons(IPV4_OFFSET)))
		return parse_extensions(pkt);
	return NEXT;
}

static __always_inline int parse_ipv6(struct pkt *pkt)
{
	struct ipv6hdr *ip = pkt_at(pkt, pkt->l3_offset, sizeof(*ip));

	if (!ip) {
		count(pass_truncated);
		return XDP_PASS;
	}
	pkt->tuple.family = FAMILY_V6;
	pkt->tuple.protocol = ip->nexthdr;
	__builtin_memcpy(&pkt->tuple.src, &ip->saddr, sizeof(pkt->tuple.src));
	__builtin_memcpy(&pkt->tuple.dst, &ip->daddr, sizeof(pkt->tuple.dst));
	pkt->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	if (ip->version != 6)
		return vip_refuse(pkt, counter_index(drop_bad_header));
	pkt->l3_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (!pkt_has_bytes(pkt, pkt->l3_offset + pkt->l3_len))
		return vip_refuse(pkt, counter_index(drop_bad_length));
	pkt->l4_offset = pkt->l3_offset + sizeof(*ip);
	if (pkt->tuple.protocol != IPPROTO_TCP && pkt->tuple.protocol != IPPROTO_UDP)
		return parse_extensions(pkt);
	return NEXT;
}

/* The Ethernet header with its tags; sets *ret_protocol. */
static __always_inline int parse_l2(struct pkt *pkt, __be16 *ret_protocol)
{
	struct ethhdr *eth = pkt_at(pkt, 0, sizeof(*eth));
	__u32 behind;

	if (!eth) {
		count(pass_truncated);
		return XDP_PASS;
	}
	pkt->l3_offset = sizeof(*eth);
	*ret_protocol = eth->h_proto;
	if (!vlan_is_tag(eth->h_proto))
		return NEXT;
	behind = vlan_skip(pkt->ctx);
	if (!behind) {
		count(pass_truncated);
		return XDP_PASS;
	}
	pkt->l3_offset = behind & 0xffff;
	*ret_protocol = behind >> 16;
	return NEXT;
}

static __always_inline int parse_l3(struct pkt *pkt)
{
	__be16 protocol = 0;
	int verdict = parse_l2(pkt, &protocol);

	if (verdict != NEXT)
		return verdict;
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(pkt);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(pkt);
	count(pass_not_ip);
	return XDP_PASS;
}

static __always_inline int parse(struct pkt *pkt)
{
	int verdict = parse_l3(pkt);

	if (verdict == NEXT && pkt->fragment_offset)
		verdict = fragment(pkt);
	if (verdict == NEXT && !pkt->member)
		verdict = parse_l4(pkt);
	return verdict;
}
