/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The express lane: a packet with nothing special about it, of a flow that is proven, fresh and on
 * a real that is up. That is nearly every packet. The lane knows no other: on anything else it says
 * NEXT, having changed and counted nothing, and balance() takes the packet from the start. What it
 * does forward leaves as it would from there (the tests run with and without the lane).
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "flow.h"
#include "forward.h"
#include "knobs.h"
#include "parse.h"
#include "pkt.h"
#include "vip.h"

#define EXPRESS_TCP_FLAGS (TCP_FIN | TCP_SYN | TCP_RST) /* none of them */

#define EXPRESS_NO 0 /* no slot of a flow says that */

/* A TCP header behind the IP header: no shorter frame is read. */
#define EXPRESS_MIN_IPV4 (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))
#define EXPRESS_MIN_IPV6 (sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

/*
 * EtherType and the first byte of the IP header in one comparison, as a little-endian machine loads
 * them: IPv4 with a header of 20 bytes, and IPv6.
 */
#define EXPRESS_KIND_OFFSET   12
#define EXPRESS_IS_IPV4(kind) (((kind)&0xffffff) == 0x450008)
#define EXPRESS_IS_IPV6(kind) (((kind)&0xf0ffff) == 0x60dd86)

/*
 * Ports, and what the flow's slot must say: its state, and the present tick. EXPRESS_NO: not a
 * packet for this lane.
 */
static __always_inline __u32 express_parse_l4(struct pkt *pkt, const __u8 *l4, __u32 l3_header_len)
{
	__u32 ports = *(const __u32 *)l4; /* TCP and UDP have them at the same place */
	__u32 header_len = l4[12] >> 2 & 0x3c;

	pkt->tuple.sport = (__be16)ports;
	pkt->tuple.dport = ports >> 16;
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return pkt->l3_len < l3_header_len + sizeof(struct udphdr) ? EXPRESS_NO
									   : slot_stamp(FLOW_UDP);
	if (pkt->tuple.protocol != IPPROTO_TCP || l4[13] & EXPRESS_TCP_FLAGS ||
	    header_len < sizeof(struct tcphdr) || pkt->l3_len < l3_header_len + header_len)
		return EXPRESS_NO;
	return slot_stamp(FLOW_TCP);
}

/* Linux 6.1 adds no length to a packet pointer that went through a byte swap: no bounds. */
static __always_inline __u32 express_room(const __u8 *l3, const void *data_end)
{
	return (const __u8 *)data_end - l3;
}

static __always_inline __u32 express_parse_ipv4(struct pkt *pkt, const __u8 *l3,
						const void *data_end)
{
	const struct iphdr *ip = (const struct iphdr *)l3;

	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if (pkt->l3_len > express_room(l3, data_end) || ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return EXPRESS_NO;
	pkt->tuple.family = FAMILY_V4;
	pkt->tuple.protocol = ip->protocol;
	ip_addr_map_ipv4(&pkt->tuple.src, ip->saddr);
	ip_addr_map_ipv4(&pkt->tuple.dst, ip->daddr);
	pkt->tos = ip->tos;
	return express_parse_l4(pkt, l3 + sizeof(*ip), sizeof(*ip));
}

static __always_inline __u32 express_parse_ipv6(struct pkt *pkt, const __u8 *l3,
						const void *data_end)
{
	const struct ipv6hdr *ip = (const struct ipv6hdr *)l3;

	pkt->l3_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (pkt->l3_len > express_room(l3, data_end))
		return EXPRESS_NO;
	pkt->tuple.family = FAMILY_V6;
	pkt->tuple.protocol = ip->nexthdr;
	__builtin_memcpy(&pkt->tuple.src, &ip->saddr, sizeof(pkt->tuple.src));
	__builtin_memcpy(&pkt->tuple.dst, &ip->daddr, sizeof(pkt->tuple.dst));
	pkt->tos = bpf_ntohs(*(const __be16 *)l3) >> 4;
	return express_parse_l4(pkt, l3 + sizeof(*ip), sizeof(*ip));
}

/* Sets member and member_id where the flow's slot says `stamp`. */
static __always_inline bool express_follow(struct pkt *pkt, __u32 stamp)
{
	struct flow_bucket *bucket;
	struct member *member;
	__u32 id;
	__u64 word;

	pkt->hash = flow_hash(&pkt->tuple, &knob_hash_key);
	bucket = flow_bucket_at(flow_hash_bucket(pkt->hash, knob_flow_buckets));
	if (!bucket)
		return false;
	word = flow_bucket_word(bucket, pkt->hash);
	if ((word & SLOT_STAMP_MASK) != stamp)
		return false;
	id = SLOT_MEMBER(word);
	member = bpf_map_lookup_elem(&members, &id);
	if (!member || (READ_WORD(member->state) & MEMBER_STATE_MASK) != MEMBER_UP ||
	    !flow_member_serves(member, &pkt->tuple))
		return false;
	pkt->member = member;
	pkt->member_id = id;
	return true;
}

/* Family of the real and kind of encapsulation as a member has them side by side, in one word. */
#define EXPRESS_REAL(family, kind) ((__u16)((family) | (kind) << 8))

_Static_assert(__builtin_offsetof(struct member, encap) ==
		       __builtin_offsetof(struct member, real_family) + 1,
	       "side by side");

static __always_inline bool express_fits(const struct pkt *pkt, const struct tx *tx,
					 __u32 outer_len)
{
	return pkt->l3_len + outer_len <= tx->out->mtu;
}

/* The outer header, where it is one that fits. NEXT: the packet has it, or it is left as it was. */
static __always_inline int express_encap(struct pkt *pkt, struct tx *tx, bool *ret_is_done)
{
	__u16 real = READ_WORD(*(const __u16 *)&pkt->member->real_family);

	*ret_is_done = true;
	if (real == EXPRESS_REAL(FAMILY_V4, ENCAP_IPIP) &&
	    express_fits(pkt, tx, sizeof(struct iphdr)))
		return encap_ipip4(pkt, tx);
	if (real == EXPRESS_REAL(FAMILY_V6, ENCAP_IPIP) &&
	    express_fits(pkt, tx, sizeof(struct ipv6hdr)))
		return encap_ipip6(pkt, tx);
	if (real == EXPRESS_REAL(FAMILY_V4, ENCAP_GUE) && ENCAP_IS_USED(ENCAP_GUE) &&
	    express_fits(pkt, tx, sizeof(struct iphdr) + sizeof(struct udphdr)))
		return encap_gue4(pkt, tx);
	if (real == EXPRESS_REAL(FAMILY_V6, ENCAP_GUE) && ENCAP_IS_USED(ENCAP_GUE) &&
	    !knob_gue_checksum6 &&
	    express_fits(pkt, tx, sizeof(struct ipv6hdr) + sizeof(struct udphdr)))
		return encap_gue6(pkt, tx);
	*ret_is_done = false;
	return NEXT;
}

static __always_inline int express_forward(struct pkt *pkt)
{
	__u64 next_hop = READ_WORD(pkt->member->next_hop);
	struct tx tx = {
		.next_hop = next_hop,
		.out = &out_interfaces[(next_hop >> NEXT_HOP_ROW_SHIFT) % XDPLB_MAX_INTERFACES],
	};
	bool is_done;
	int verdict;

	if (!tx.out->ifindex || tx.out->tag[0])
		return NEXT;
	verdict = express_encap(pkt, &tx, &is_done);
	return is_done && verdict == NEXT ? tx_send_untagged(pkt, &tx) : verdict;
}

static __always_inline int express_known(struct pkt *pkt, __u32 stamp)
{
	int verdict;

	if (stamp == EXPRESS_NO)
		return NEXT;
	verdict = vip_filter_pass(pkt);
	if (verdict != NEXT)
		return verdict;
	return express_follow(pkt, stamp) ? express_forward(pkt) : NEXT;
}

/* Not static: a frame of its own, which those of the stages are not stacked upon. */
__noinline int express(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data;
	const void *data_end = (void *)(long)ctx->data_end;
	struct pkt pkt = {.ctx = ctx, .l3_offset = sizeof(struct ethhdr)};
	__u32 kind;

	if (data + EXPRESS_MIN_IPV4 > (const __u8 *)data_end)
		return NEXT;
	kind = *(const __u32 *)(data + EXPRESS_KIND_OFFSET);
	if (EXPRESS_IS_IPV4(kind))
		return express_known(
			&pkt, express_parse_ipv4(&pkt, data + sizeof(struct ethhdr), data_end));
	if (EXPRESS_IS_IPV6(kind) && data + EXPRESS_MIN_IPV6 <= (const __u8 *)data_end)
		return express_known(
			&pkt, express_parse_ipv6(&pkt, data + sizeof(struct ethhdr), data_end));
	return NEXT;
}
