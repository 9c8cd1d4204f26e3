/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * VLAN tags (IEEE 802.1Q, 802.1ad): up to two, either type in either place, any VLAN id with 0
 * (priority only) among them. What comes in tagged is looked at behind its tags; what goes out gets
 * the tags of the way out. Cold code, not static: the verifier goes through it once.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <stdbool.h>

#include "xdplb/abi.h"

#define VLAN_TAG_LEN	  ((__u32)sizeof(__be32))
#define VLAN_MAX_ETHERNET (sizeof(struct ethhdr) + OUT_TAGS * VLAN_TAG_LEN)

static __always_inline bool vlan_is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/*
 * Of a frame whose Ethernet type is a tag's: the offset of what is behind its tags, and above the
 * low 16 bits of that the protocol there, as on the wire. A third tag is such a protocol. 0: the
 * frame ends in a tag.
 */
__noinline __u32 vlan_skip(struct xdp_md *ctx)
{
	__u32 offset = sizeof(struct ethhdr);
	struct {
		__be16 tci;
		__be16 protocol; /* of what follows */
	} tag = {};

	for (__u32 i = 0; i < OUT_TAGS; i++) {
		if (bpf_xdp_load_bytes(ctx, offset, &tag, sizeof(tag)))
			return 0;
		offset += VLAN_TAG_LEN;
		if (!vlan_is_tag(tag.protocol))
			break;
	}
	return (__u32)tag.protocol << 16 | offset;
}

/* Puts tags behind an untagged frame's addresses; `inner` may be 0: none. False: no headroom. */
__noinline int vlan_push(struct xdp_md *ctx, __u32 outer, __u32 inner)
{
	struct {
		__u8 addresses[2 * ETH_ALEN];
		__be32 tag[OUT_TAGS];
	} start = {.tag = {outer, inner}};

	if (bpf_xdp_load_bytes(ctx, 0, start.addresses, sizeof(start.addresses)))
		return false;
	if (!inner)
		return !bpf_xdp_adjust_head(ctx, -(int)VLAN_TAG_LEN) &&
		       !bpf_xdp_store_bytes(ctx, 0, &start, sizeof(start) - VLAN_TAG_LEN);
	return !bpf_xdp_adjust_head(ctx, -(int)sizeof(start.tag)) &&
	       !bpf_xdp_store_bytes(ctx, 0, &start, sizeof(start));
}
