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

	if (READ_WORD(vip_filter.word[bit / 64]) >> (bit % 64) & 1)
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

/* Whether what no VIP serves is the host's at this VIP address. */
static __always_inline bool vip_passes_unserved(const struct pkt *pkt)
{
	struct vip_addr *address = vip_find_address(pkt);

	return address && address->on_no_port == ON_NO_PORT_PASS;
}

struct vip {
	__u32 id;
	const struct vip_state *state;
};

/* Whether `id` is the tuple's VIP; then sets *ret_vip. */
static __always_inline bool vip_is(const struct flow_tuple *t, __u32 id, struct vip *ret_vip)
{
	const struct vip_state *state = bpf_map_lookup_elem(&vip_state, &id);

	if (!state || state->service != t->service || state->address.w[3] != t->dst.w[3])
		return false;
	if (t->family == FAMILY_V6 &&
	    (state->address.w[0] != t->dst.w[0] || state->address.w[1] != t->dst.w[1] ||
	     state->address.w[2] != t->dst.w[2]))
		return false;
	ret_vip->id = id;
	ret_vip->state = state;
	return true;
}

/* The VIPs that vip_index has no room for. The id, or -1. */
static __noinline __u32 vip_find_hashed(const struct flow_tuple *t)
{
	struct vip_key key = {
		.address = t->dst,
		.port = t->dport,
		.protocol = t->protocol,
		.family = t->family,
	};
	__u32 *id = bpf_map_lookup_elem(&vips, &key);

	return id ? *id : -1;
}

/* Sets *ret_vip if a VIP serves the tuple's address and port. */
static __always_inline bool vip_lookup(const struct flow_tuple *t, struct vip *ret_vip)
{
	__u32 place = vip_index_place(&t->dst, t->service, t->family == FAMILY_V6);
	struct vip_index *index = bpf_map_lookup_elem(&vip_index, &place);

	if (index && (vip_is(t, READ_WORD(index->id[0]) - 1, ret_vip) ||
		      vip_is(t, READ_WORD(index->id[1]) - 1, ret_vip)))
		return true;
	return vip_is(t, vip_find_hashed(t), ret_vip);
}

/* Sets *ret_vip. */
static __always_inline int vip_find(const struct pkt *pkt, struct vip *ret_vip)
{
	return vip_lookup(&pkt->tuple, ret_vip) ? NEXT : vip_no_port(pkt);
}
