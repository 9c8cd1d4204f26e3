/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The express lane: a packet with nothing special about it, of a flow that is proven, fresh and on
 * a real that is up. That is nearly every packet. The lane knows no other: on anything else it says
 * NEXT, having changed and counted nothing, and balance() takes the packet from the start. What it
 * does forward leaves as it would from there (knob_express turns it off; the tests run both ways).
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

/* Ports, and the state that the flow must be in; FLOW_NONE: not a packet for this lane. */
static __always_inline __u32 express_parse_l4(struct pkt *pkt, const void *l4, __u32 l4_len)
{
	const struct tcphdr *tcp = l4;
	__u32 header_len;

	pkt->tuple.sport = tcp->source; /* UDP has them at the same place */
	pkt->tuple.dport = tcp->dest;
	if (pkt->tuple.protocol == IPPROTO_UDP)
		return l4_len < sizeof(struct udphdr) ? FLOW_NONE : FLOW_UDP;
	if (pkt->tuple.protocol != IPPROTO_TCP || ((const __u8 *)l4)[13] & EXPRESS_TCP_FLAGS)
		return FLOW_NONE;
	header_len = tcp->doff * 4;
	return header_len < sizeof(*tcp) || header_len > l4_len ? FLOW_NONE : FLOW_TCP;
}

/* Each reads as far as a TCP header goes: a shorter frame is not for this lane. */
static __always_inline __u32 express_parse_ipv4(struct pkt *pkt, const void *data,
						const void *data_end)
{
	const struct iphdr *ip = data + sizeof(struct ethhdr);
	const void *l4 = ip + 1;

	if (l4 + sizeof(struct tcphdr) > data_end || *(const __u8 *)ip != 0x45)
		return FLOW_NONE;
	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if ((const void *)ip + pkt->l3_len > data_end || ip->frag_off & bpf_htons(IPV4_FRAGMENT) ||
	    pkt->l3_len < sizeof(*ip))
		return FLOW_NONE;
	pkt->tuple.family = FAMILY_V4;
	pkt->tuple.protocol = ip->protocol;
	parse_map_ipv4(&pkt->tuple.src, ip->saddr);
	parse_map_ipv4(&pkt->tuple.dst, ip->daddr);
	pkt->tos = ip->tos;
	return express_parse_l4(pkt, l4, pkt->l3_len - sizeof(*ip));
}

static __always_inline __u32 express_parse_ipv6(struct pkt *pkt, const void *data,
						const void *data_end)
{
	const struct ipv6hdr *ip = data + sizeof(struct ethhdr);
	const void *l4 = ip + 1;
	__u32 payload_len;

	if (l4 + sizeof(struct tcphdr) > data_end || ip->version != 6)
		return FLOW_NONE;
	payload_len = bpf_ntohs(ip->payload_len);
	pkt->l3_len = sizeof(*ip) + payload_len;
	if (l4 + payload_len > data_end)
		return FLOW_NONE;
	pkt->tuple.family = FAMILY_V6;
	pkt->tuple.protocol = ip->nexthdr;
	__builtin_memcpy(&pkt->tuple.src, &ip->saddr, sizeof(pkt->tuple.src));
	__builtin_memcpy(&pkt->tuple.dst, &ip->daddr, sizeof(pkt->tuple.dst));
	pkt->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	return express_parse_l4(pkt, l4, payload_len);
}

/* Sets member and member_id where the flow is in `state`, stamped in this very tick. */
static __always_inline bool express_follow(struct pkt *pkt, __u32 state)
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
	if ((word & SLOT_STAMP_MASK) != slot_stamp(state))
		return false;
	id = SLOT_MEMBER(word);
	member = bpf_map_lookup_elem(&members, &id);
	if (!member || (READ_WORD(member->state) & MEMBER_STATE_MASK) != MEMBER_UP ||
	    !flow_member_serves(member, pkt))
		return false;
	pkt->member = member;
	pkt->member_id = id;
	return true;
}

static __always_inline int express_known(struct pkt *pkt, __u32 state)
{
	int verdict;

	if (state == FLOW_NONE)
		return NEXT;
	verdict = vip_filter_pass(pkt);
	if (verdict != NEXT)
		return verdict;
	return express_follow(pkt, state) ? forward(pkt) : NEXT;
}

static __always_inline int express(struct xdp_md *ctx)
{
	const void *data = (void *)(long)ctx->data;
	const void *data_end = (void *)(long)ctx->data_end;
	const struct ethhdr *eth = data;
	struct pkt pkt = {.ctx = ctx, .l3_offset = sizeof(*eth)};

	if (!knob_express || data + sizeof(*eth) > data_end)
		return NEXT;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return express_known(&pkt, express_parse_ipv4(&pkt, data, data_end));
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return express_known(&pkt, express_parse_ipv6(&pkt, data, data_end));
	return NEXT;
}
