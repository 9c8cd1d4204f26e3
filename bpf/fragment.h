/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP fragments. A datagram's first fragment has the ports and goes the way of any packet; where it
 * went is remembered, and the later ones, which have none, follow it. One that comes before its
 * first, or long after it, is dropped: only a real that gets all of them can put them together
 * (docs/adr/0008-fragments.md). Cold code.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>

#include "extension.h"
#include "flow.h"
#include "knobs.h"
#include "maps.h"
#include "pkt.h"
#include "stats.h"
#include "vip.h"

/* What one fragment says of itself. */
struct fragment_header {
	struct fragment_key key;
	__u32 offset; /* of its data in the datagram, bytes */
	__u32 protocol; /* of the datagram: IPv4's, or what follows the Fragment header */
};

static __always_inline bool fragment_read4(const struct pkt *pkt,
					   struct fragment_header *ret_header)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(pkt->ctx, pkt->fragment_offset, &ip, sizeof(ip)))
		return false;
	ret_header->key.id = ip.id;
	ret_header->key.protocol = ip.protocol;
	ret_header->offset = (bpf_ntohs(ip.frag_off) & 0x1fff) * 8;
	ret_header->protocol = ip.protocol;
	return true;
}

/* In IPv6 the id alone tells datagrams apart: fragments may differ in what they say follows. */
static __always_inline bool fragment_read6(const struct pkt *pkt,
					   struct fragment_header *ret_header)
{
	struct extension header;

	if (bpf_xdp_load_bytes(pkt->ctx, pkt->fragment_offset, &header, sizeof(header)))
		return false;
	ret_header->key.id = header.fragment_id;
	ret_header->key.protocol = IPPROTO_FRAGMENT;
	ret_header->offset = bpf_ntohs(header.fragment) & FRAGMENT_OFFSET6;
	ret_header->protocol = header.next;
	return true;
}

static __always_inline bool fragment_read(const struct pkt *pkt, struct fragment_header *ret_header)
{
	ret_header->key.src = pkt->tuple.src;
	ret_header->key.dst = pkt->tuple.dst;
	ret_header->key.family = pkt->tuple.family;
	return pkt->tuple.family == FAMILY_V4 ? fragment_read4(pkt, ret_header)
					      : fragment_read6(pkt, ret_header);
}

/* Data that would be put over the TCP header of the first fragment (RFC 1858, RFC 3128). */
static __always_inline bool fragment_overlaps_header(const struct fragment_header *header)
{
	return header->protocol == IPPROTO_TCP && header->offset < sizeof(struct tcphdr);
}

/* The real that got the first fragment gets this one, if it is still the VIP's and up. */
static __always_inline int fragment_follow(struct pkt *pkt, const struct fragment *first)
{
	struct member *member;
	__u32 state;

	pkt->tuple.sport = first->sport;
	pkt->tuple.service = first->service;
	pkt->member_id = first->member;
	member = bpf_map_lookup_elem(&members, &pkt->member_id);
	if (!member || !flow_member_serves(member, &pkt->tuple))
		return vip_refuse(pkt, counter_index(drop_fragment_unknown));
	state = READ_WORD(member->state) & MEMBER_STATE_MASK;
	if (state != MEMBER_UP && state != MEMBER_DRAIN)
		return vip_refuse(pkt, counter_index(drop_fragment_unknown));
	pkt->hash = flow_hash(&pkt->tuple, &knob_hash_key);
	pkt->fragment_offset = 0;
	pkt->is_later_fragment = true;
	pkt->member = member;
	count(flow_fragment);
	return NEXT;
}

static __always_inline bool fragment_is_late(const struct fragment *first)
{
	return bpf_jiffies64() - first->jiffies > (__u64)FRAGMENT_TIMEOUT_S * knob_hz;
}

/* NEXT without pkt->member: a first fragment, to be recorded once it has one. */
static __noinline int fragment(struct pkt *pkt)
{
	struct fragment_header header = {};
	struct fragment *first;

	if (vip_filter_pass(pkt) != NEXT)
		return XDP_PASS;
	if (!fragment_read(pkt, &header))
		return vip_refuse(pkt, counter_index(drop_bad_length));
	if (!header.offset)
		return NEXT;
	if (fragment_overlaps_header(&header))
		return vip_refuse(pkt, counter_index(drop_fragment));
	first = bpf_map_lookup_elem(&fragments, &header.key);
	if (first && !fragment_is_late(first))
		return fragment_follow(pkt, first);
	/* Its first may have gone to the host. */
	if (vip_passes_unserved(pkt)) {
		count(pass_no_port);
		return XDP_PASS;
	}
	return vip_refuse(pkt, counter_index(drop_fragment_unknown));
}

/* Where a first fragment goes. A datagram that uses an id again takes its place. */
static __noinline int fragment_record(const struct pkt *pkt)
{
	struct fragment_header header = {};
	struct fragment first = {
		.jiffies = bpf_jiffies64(),
		.member = pkt->member_id,
		.service = pkt->tuple.service,
		.sport = pkt->tuple.sport,
	};

	if (fragment_read(pkt, &header))
		bpf_map_update_elem(&fragments, &header.key, &first, BPF_ANY);
	return NEXT;
}
