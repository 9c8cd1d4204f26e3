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
};

static __always_inline int tx_find(const struct pkt *pkt, struct tx *ret_tx)
{
	__u64 next_hop = READ_WORD(pkt->member->next_hop);
	__u32 row = next_hop >> NEXT_HOP_ROW_SHIFT;
	struct out_interface *out = bpf_map_lookup_elem(&out_interfaces, &row);

	if (!next_hop || !out || !out->ifindex) {
		count(drop_no_next_hop);
		return XDP_DROP;
	}
	ret_tx->next_hop = next_hop;
	ret_tx->out = out;
	return NEXT;
}

static __always_inline void tx_write_ethernet(const struct tx *tx, struct ethhdr *eth,
					      __be16 protocol)
{
	__u64 mac = tx->next_hop;

	*(__u32 *)eth->h_dest = (__u32)mac;
	*(__u16 *)(eth->h_dest + 4) = (__u16)(mac >> 32);
	__builtin_memcpy(eth->h_source, tx->out->mac, sizeof(eth->h_source));
	eth->h_proto = protocol;
}

/* What leaves has an Ethernet header without tags up to here. */
static __always_inline int tx_send(const struct pkt *pkt, const struct tx *tx)
{
	if (tx->out->tag[0] && !vlan_push(pkt->ctx, tx->out->tag[0], tx->out->tag[1])) {
		count(drop_no_headroom);
		return XDP_DROP;
	}
	count_forwarded(pkt);
	if (tx->out->ifindex == pkt->ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect(tx->out->ifindex, 0);
}
