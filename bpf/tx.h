/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way out: the member's next hop word gives the destination MAC and a row of out_interfaces,
 * which gives the rest. Both are published by the daemon from the kernel's routes and neighbours.
 */
#pragma once

#include "maps.h"
#include "pkt.h"
#include "ring.h"
#include "stats.h"
#include "vlan.h"

struct tx {
	__u64 next_hop;
	struct out_interface *out;
	__u32 inner_mtu; /* set with TOO_BIG: the longest IP packet that would have fitted */
};

static __noinline int tx_refuse(__u64 next_hop)
{
	if (next_hop == NEXT_HOP_NOT_ON_LINK)
		count(drop_not_on_link);
	else
		count(drop_no_next_hop);
	return XDP_DROP;
}

static __always_inline int tx_find(const struct pkt *pkt, struct tx *ret_tx)
{
	__u64 next_hop = READ_WORD(pkt->member->next_hop);
	__u32 row = next_hop >> NEXT_HOP_ROW_SHIFT;
	struct out_interface *out = &out_interfaces[row % XDPLB_MAX_INTERFACES];

	if (!next_hop || !out->ifindex)
		return tx_refuse(next_hop);
	ret_tx->next_hop = next_hop;
	ret_tx->out = out;
	return NEXT;
}

static __always_inline void tx_write_ethernet(const struct tx *tx, struct ethhdr *eth,
					      __be16 protocol)
{
	__u64 source = *(const __u64 *)tx->out; /* mac, and two bytes that are shifted out */

	((__u64 *)eth)[0] = source << 48 | (tx->next_hop & NEXT_HOP_MAC_MASK);
	((__u32 *)eth)[2] = source >> 16;
	eth->h_proto = protocol;
}

static __always_inline int tx_send_untagged(const struct pkt *pkt, const struct tx *tx)
{
	count_forwarded(pkt);
	if (tx->out->ifindex == pkt->ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect(tx->out->ifindex, 0);
}

/* What leaves has an Ethernet header without tags up to here. */
static __always_inline int tx_send(const struct pkt *pkt, const struct tx *tx)
{
	if (tx->out->tag[0] && !vlan_push(pkt->ctx, tx->out->tag[0], tx->out->tag[1])) {
		count(drop_no_headroom);
		return XDP_DROP;
	}
	return tx_send_untagged(pkt, tx);
}
