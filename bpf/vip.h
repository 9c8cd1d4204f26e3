/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which VIP a packet is for. Only asked when the flow table does not know the flow, and for packets
 * that cannot be parsed: what is for no VIP address passes to the host untouched, whatever is in
 * it.
 */
#pragma once

#include "maps.h"
#include "pkt.h"
#include "reply.h"
#include "stats.h"

static __always_inline struct vip_addr *vip_find_address(const struct pkt *pkt)
{
	struct vip_addr_key key = {
		.address = pkt->tuple.dst,
		.family = pkt->tuple.family,
	};

	return bpf_map_lookup_elem(&vip_addrs, &key);
}

/*
 * Lets packets for other addresses go before the flow table and the VIPs are asked: one word that
 * is in the cache. Few get past it.
 */
static __always_inline int vip_filter_pass(const struct pkt *pkt)
{
	__u32 bit = vip_filter_bit(&pkt->tuple.dst);
	__u32 row = 0;
	struct vip_filter *filter = bpf_map_lookup_elem(&vip_filter, &row);

	if (!filter || filter->word[bit / 64 % (VIP_FILTER_BITS / 64)] >> (bit % 64) & 1)
		return NEXT;
	count(pass_no_vip);
	return XDP_PASS;
}

/* A packet that is not to be forwarded, for the reason counted at `counter` if it is for a VIP. */
static __noinline int vip_refuse(const struct pkt *pkt, __u32 counter)
{
	if (!vip_find_address(pkt)) {
		count(pass_no_vip);
		return XDP_PASS;
	}
	count_at(counter);
	return XDP_DROP;
}

/* The packet's port is served by no VIP. */
static __noinline int vip_no_port(const struct pkt *pkt)
{
	struct vip_addr *address = vip_find_address(pkt);

	if (!address) {
		count(pass_no_vip);
		return XDP_PASS;
	}
	switch (address->on_no_port) {
	case ON_NO_PORT_PASS:
		count(pass_no_port);
		return XDP_PASS;
	case ON_NO_PORT_REPLY:
		return reply_no_port(pkt);
	default:
		count(drop_no_port);
		return XDP_DROP;
	}
}

/* Sets *ret_vip_id. */
static __always_inline int vip_find(const struct pkt *pkt, __u32 *ret_vip_id)
{
	struct vip_key key = {
		.address = pkt->tuple.dst,
		.port = pkt->tuple.dport,
		.protocol = pkt->tuple.protocol,
		.family = pkt->tuple.family,
	};
	__u32 *id = bpf_map_lookup_elem(&vips, &key);

	if (!id)
		return vip_no_port(pkt);
	*ret_vip_id = *id;
	return NEXT;
}
