/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which VIP a packet is for. Only asked when the flow table does not know the flow, and for packets
 * that cannot be parsed: what is for no VIP address passes to the host untouched, whatever is in
 * it.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "maps.h"
#include "pkt.h"
#include "stats.h"

/* Leaves the network's bits of an address. */
static __always_inline void vip_mask_address(struct ip_addr *address, __u32 host_bits)
{
#pragma unroll
	for (int i = 3; i >= 0; i--) {
		__u32 bits = host_bits > 32 ? 32 : host_bits;

		address->w[i] &= bpf_htonl((__u32)(~0ULL << bits));
		host_bits -= bits;
	}
}

/* The longest prefix that the destination is in and that leaves so many bits open. */
static __always_inline struct vip_addr *vip_find_prefix(const struct flow_tuple *t, __u32 host_bits)
{
	struct vip_prefix_key key = {
		.prefix_len = VIP_PREFIX_ONE_LEN - host_bits,
		.family = t->family,
		.address = t->dst,
	};

	return bpf_map_lookup_elem(&vip_prefixes, &key);
}

/* NULL: the destination is no VIP's. In a frame of its own, which answers are not stacked upon. */
static __noinline struct vip_addr *vip_find_address(const struct pkt *pkt)
{
	struct vip_addr_key key = {
		.address = pkt->tuple.dst,
		.family = pkt->tuple.family,
	};
	struct vip_addr *address = bpf_map_lookup_elem(&vip_addrs, &key);

	return address ? address : vip_find_prefix(&pkt->tuple, 0);
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

/* The packet's port is served by no VIP. REFUSE_PORT, or its fate. */
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
		return REFUSE_PORT;
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

/* A VIP of the destination, or of the prefix around it that is said. The id, or -1. */
static __always_inline __u32 vip_find_ports(const struct flow_tuple *t, __u32 host_bits)
{
	struct vip_ports_key key = {
		.prefix_len = VIP_PORTS_ONE_LEN,
		.address = t->dst,
		.host_bits = host_bits,
		.family = t->family,
		.protocol = t->protocol,
		.port = t->dport,
	};
	__u32 *id;

	vip_mask_address(&key.address, host_bits);
	id = bpf_map_lookup_elem(&vip_ports, &key);
	return id ? *id : -1;
}

/*
 * The VIPs of many ports or addresses: a range before any port, then prefixes, the longest first
 * that has a VIP for the port. The id, or -1.
 */
__noinline __u32 vip_find_wide(const struct flow_tuple *t)
{
	__u32 host_bits = 0;
	__u32 id;

	if (!t)
		return -1;
	id = vip_find_ports(t, 0);
	for (__u32 i = 0; i < VIP_PREFIX_DEPTH && id == (__u32)-1; i++) {
		const struct vip_addr *prefix = vip_find_prefix(t, host_bits);

		if (!prefix)
			break;
		id = vip_find_ports(t, prefix->host_bits);
		host_bits = prefix->host_bits + 1;
	}
	return id;
}

static __always_inline bool vip_take(__u32 id, struct vip *ret_vip)
{
	ret_vip->id = id;
	ret_vip->state = bpf_map_lookup_elem(&vip_state, &id);
	return ret_vip->state;
}

/* Sets *ret_vip if a VIP serves the tuple's address and port. */
static __always_inline bool vip_lookup(const struct flow_tuple *t, struct vip *ret_vip)
{
	__u32 place = vip_index_place(&t->dst, t->service, t->family == FAMILY_V6);
	struct vip_index *index = bpf_map_lookup_elem(&vip_index, &place);

	if (index && (vip_is(t, READ_WORD(index->id[0]) - 1, ret_vip) ||
		      vip_is(t, READ_WORD(index->id[1]) - 1, ret_vip)))
		return true;
	return vip_is(t, vip_find_hashed(t), ret_vip) || vip_take(vip_find_wide(t), ret_vip);
}

/* Sets *ret_vip, or says what becomes of a packet for none: REFUSE_PORT, or its fate. */
static __always_inline int vip_find(const struct pkt *pkt, struct vip *ret_vip)
{
	return vip_lookup(&pkt->tuple, ret_vip) ? NEXT : vip_no_port(pkt);
}
