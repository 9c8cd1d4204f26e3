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

#include "pkt.h"
#include "stats.h"
#include "vip.h"

#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define NDP_FIRST     133 /* ICMPv6 router solicitation ... redirect (RFC 4861) */
#define NDP_LAST      137

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

/* ICMPv6 for a VIP: a router that checks whether an on-link VIP is still there must be answered. */
static __noinline int parse_icmpv6(const struct pkt *pkt)
{
	__u8 *type = pkt_at(pkt, pkt->l3_offset + sizeof(struct ipv6hdr), 1);

	if (type && *type >= NDP_FIRST && *type <= NDP_LAST && vip_find_address(pkt)) {
		count(pass_neighbour_discovery);
		return XDP_PASS;
	}
	return vip_refuse(pkt, counter_index(drop_protocol));
}

static __always_inline int parse_ports(struct pkt *pkt, __u32 l3_header_len)
{
	__u32 l4_len = pkt->l3_len - l3_header_len;

	pkt->l4_offset = pkt->l3_offset + l3_header_len;
	if (pkt->tuple.protocol == IPPROTO_TCP)
		return parse_tcp(pkt, l4_len);
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return parse_udp(pkt, l4_len);
	return vip_refuse(pkt, counter_index(drop_protocol));
}

static __always_inline void parse_map_ipv4(struct ip_addr *ret_addr, __be32 addr)
{
	ret_addr->w[0] = 0;
	ret_addr->w[1] = 0;
	ret_addr->w[2] = bpf_htonl(0xffff);
	ret_addr->w[3] = addr;
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
	parse_map_ipv4(&pkt->tuple.src, ip->saddr);
	parse_map_ipv4(&pkt->tuple.dst, ip->daddr);
	pkt->tos = ip->tos;
	header_len = ip->ihl * 4;
	if (ip->version != 4 || header_len < sizeof(*ip))
		return vip_refuse(pkt, counter_index(drop_bad_header));
	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if (pkt->l3_len < header_len || !pkt_has_bytes(pkt, pkt->l3_offset + pkt->l3_len))
		return vip_refuse(pkt, counter_index(drop_bad_length));
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return vip_refuse(pkt, counter_index(drop_fragment));
	return parse_ports(pkt, header_len);
}

static __noinline int parse_ipv6_other(const struct pkt *pkt)
{
	switch (pkt->tuple.protocol) {
	case IPPROTO_ICMPV6:
		return parse_icmpv6(pkt);
	case IPPROTO_FRAGMENT:
		return vip_refuse(pkt, counter_index(drop_fragment));
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return vip_refuse(pkt, counter_index(drop_extension));
	default:
		return vip_refuse(pkt, counter_index(drop_protocol));
	}
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
	if (pkt->tuple.protocol != IPPROTO_TCP && pkt->tuple.protocol != IPPROTO_UDP)
		return parse_ipv6_other(pkt);
	return parse_ports(pkt, sizeof(*ip));
}

static __always_inline int parse(struct pkt *pkt)
{
	struct ethhdr *eth = pkt_at(pkt, 0, sizeof(*eth));

	if (!eth) {
		count(pass_truncated);
		return XDP_PASS;
	}
	pkt->l3_offset = sizeof(*eth);
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(pkt);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(pkt);
	count(pass_not_ip);
	return XDP_PASS;
}
