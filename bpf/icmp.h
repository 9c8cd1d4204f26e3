/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP for a VIP. An error (unreachable, too big, time exceeded, parameter problem) is about a
 * packet that a real sent as the VIP, and quotes its beginning: the error goes, encapsulated like
 * any packet, to the real that owns that packet's flow, so that path-MTU discovery works there. It
 * neither refreshes nor records the flow. A forged error thus reaches no other real than a forged
 * segment would, and there the connection's sequence numbers are checked (RFC 5927). Cold code:
 * what walks and looks up is not static, so that the verifier goes through it once.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "extension.h"
#include "flow.h"
#include "pkt.h"
#include "ring.h"
#include "sched.h"
#include "stats.h"
#include "vip.h"

#define ICMP_QUOTED_L4	 8 /* bytes of the transport header that a quote has (RFC 792) */
#define ICMP_IPV4_OFFSET 0x1fff

/* Not ids of members. */
#define ICMP_NO_VIP  (-1L)
#define ICMP_NO_REAL (-2L)

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};

enum icmp_kind {
	ICMP_KIND_OTHER,
	ICMP_KIND_ERROR,
	ICMP_KIND_IGNORED, /* source quench (RFC 6633), redirect: reals send by their own routes */
	ICMP_KIND_ECHO,
	ICMP_KIND_NEIGHBOUR, /* discovery: an on-link VIP must stay reachable */
};

static __always_inline enum icmp_kind icmp_kind4(__u8 type)
{
	switch (type) {
	case 3: /* destination unreachable, fragmentation needed */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		return ICMP_KIND_ERROR;
	case 4: /* source quench */
	case 5: /* redirect */
		return ICMP_KIND_IGNORED;
	case 8: /* echo request */
		return ICMP_KIND_ECHO;
	default:
		return ICMP_KIND_OTHER;
	}
}

static __always_inline enum icmp_kind icmp_kind6(__u8 type)
{
	if (type < 128) /* also those that nobody knows yet (RFC 4443 section 2.4 (a)) */
		return ICMP_KIND_ERROR;
	if (type == 128) /* echo request */
		return ICMP_KIND_ECHO;
	if (type >= 133 && type <= 136) /* router and neighbour discovery */
		return ICMP_KIND_NEIGHBOUR;
	return type == 137 ? ICMP_KIND_IGNORED : ICMP_KIND_OTHER;
}

/* Where the quoted packet's transport header is, and what stands before it. */
static __always_inline bool icmp_read_header4(struct xdp_md *ctx, struct extensions *x,
					      struct flow_tuple *ret_tuple)
{
	struct iphdr ip;

	if (x->offset + sizeof(ip) > x->end ||
	    bpf_xdp_load_bytes(ctx, x->offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	/* A later fragment has no ports. */
	if (ip.frag_off & bpf_htons(ICMP_IPV4_OFFSET))
		return false;
	ip_addr_map_ipv4(&ret_tuple->src, ip.daddr);
	ip_addr_map_ipv4(&ret_tuple->dst, ip.saddr);
	x->protocol = ip.protocol;
	x->offset += ip.ihl * 4;
	return true;
}

static __always_inline bool icmp_read_header6(struct xdp_md *ctx, struct extensions *x,
					      struct flow_tuple *ret_tuple)
{
	struct ipv6hdr ip;

	if (x->offset + sizeof(ip) > x->end ||
	    bpf_xdp_load_bytes(ctx, x->offset, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	__builtin_memcpy(&ret_tuple->src, &ip.daddr, sizeof(ret_tuple->src));
	__builtin_memcpy(&ret_tuple->dst, &ip.saddr, sizeof(ret_tuple->dst));
	x->protocol = ip.nexthdr;
	x->offset += sizeof(ip);
	return true;
}

/* The IP header of the packet quoted at x->offset: addresses, and what comes behind it. */
__noinline int icmp_read_header(struct xdp_md *ctx, struct extensions *x,
				struct flow_tuple *ret_tuple)
{
	if (!x || !ret_tuple)
		return 0;
	return x->is_ipv6 ? icmp_read_header6(ctx, x, ret_tuple)
			  : icmp_read_header4(ctx, x, ret_tuple);
}

/* Whether the quote goes on with the first bytes of its transport header. */
static __always_inline bool icmp_has_ports(const struct pkt *pkt, const struct extensions *x)
{
	__be16 fragment;

	if (x->protocol != IPPROTO_TCP && x->protocol != IPPROTO_UDP)
		return false;
	if (!x->fragment)
		return true;
	return !bpf_xdp_load_bytes(pkt->ctx, x->fragment + 2, &fragment, sizeof(fragment)) &&
	       !(fragment & bpf_htons(FRAGMENT_OFFSET6));
}

/*
 * The packet quoted behind the ICMP header, as the tuple of the flow whose answer it is: the client
 * is the source.
 */
static __always_inline bool icmp_read_quote(const struct pkt *pkt, struct flow_tuple *ret_tuple)
{
	struct extensions x = {
		.offset = pkt->l4_offset + sizeof(struct icmp_header),
		.end = pkt->l3_offset + pkt->l3_len,
		.is_ipv6 = pkt->tuple.family == FAMILY_V6,
	};
	__be16 ports[ICMP_QUOTED_L4 / 2]; /* TCP's and UDP's are at the same place */

	if (!icmp_read_header(pkt->ctx, &x, ret_tuple) || extension_skip(pkt->ctx, &x) != NEXT ||
	    !icmp_has_ports(pkt, &x))
		return false;
	if (x.offset + sizeof(ports) > x.end ||
	    bpf_xdp_load_bytes(pkt->ctx, x.offset, ports, sizeof(ports)))
		return false;
	ret_tuple->protocol = x.protocol;
	ret_tuple->family = pkt->tuple.family;
	ret_tuple->dport = ports[0];
	ret_tuple->sport = ports[1];
	return true;
}

/* Id of the member that a flow gets that nobody recorded, or ICMP_NO_*. */
__noinline long icmp_pick(struct flow_tuple *tuple, __u64 hash)
{
	struct vip vip = {};
	__u32 id = 0;

	if (!tuple || !vip_lookup(tuple, &vip))
		return ICMP_NO_VIP;
	if (SCHED_IS_USED(SCHEDULER_SOURCE) &&
	    SCHEDULE_KIND(READ_WORD(vip.state->schedule)) == SCHEDULER_SOURCE) {
		long by_source = sched_by_source(tuple, vip.id, false);

		return by_source < 0 ? ICMP_NO_REAL : by_source;
	}
	return ring_find(hash, &vip, &id) ? (long)id : ICMP_NO_REAL;
}

/* An error about a port that no VIP serves: it is the host's where such packets are. */
static __noinline int icmp_no_port(const struct pkt *pkt)
{
	if (vip_passes_unserved(pkt)) {
		count(pass_no_port);
		return XDP_PASS;
	}
	return vip_refuse(pkt, counter_index(drop_icmp_no_port));
}

static __always_inline int icmp_error(struct pkt *pkt)
{
	struct flow_tuple flow = {};
	long id;

	if (!icmp_read_quote(pkt, &flow) || !ip_addr_equal(&flow.dst, &pkt->tuple.dst))
		return vip_refuse(pkt, counter_index(drop_icmp_quote));
	pkt->hash = flow_hash(&flow, &knob_hash_key);
	id = flow_member_of(&flow, pkt->hash);
	if (id < 0)
		id = icmp_pick(&flow, pkt->hash);
	if (id == ICMP_NO_VIP)
		return icmp_no_port(pkt);
	pkt->member_id = id;
	pkt->member = bpf_map_lookup_elem(&members, &pkt->member_id);
	if (id == ICMP_NO_REAL || !pkt->member) {
		count(drop_no_real);
		return XDP_DROP;
	}
	count(flow_icmp_error);
	return NEXT;
}

/*
 * ICMP, or ICMPv6 in IPv6, from pkt->l4_offset on. NEXT: pkt->member gets it. ECHO: a ping. What is
 * worth forwarding is never so large that it comes in fragments.
 */
static __noinline int icmp(struct pkt *pkt)
{
	struct icmp_header header;

	if (vip_filter_pass(pkt) != NEXT)
		return XDP_PASS;
	if (pkt->fragment_offset)
		return vip_refuse(pkt, counter_index(drop_fragment));
	if (pkt->l4_offset + sizeof(header) > pkt->l3_offset + pkt->l3_len ||
	    bpf_xdp_load_bytes(pkt->ctx, pkt->l4_offset, &header, sizeof(header)))
		return vip_refuse(pkt, counter_index(drop_truncated));
	switch (pkt->tuple.family == FAMILY_V4 ? icmp_kind4(header.type)
					       : icmp_kind6(header.type)) {
	case ICMP_KIND_ERROR:
		return icmp_error(pkt);
	case ICMP_KIND_ECHO:
		return ECHO;
	case ICMP_KIND_IGNORED:
		return vip_refuse(pkt, counter_index(drop_icmp_ignored));
	case ICMP_KIND_NEIGHBOUR:
		if (!vip_find_address(pkt))
			break;
		count(pass_neighbour_discovery);
		return XDP_PASS;
	case ICMP_KIND_OTHER:
		break;
	}
	return vip_refuse(pkt, counter_index(drop_protocol));
}
