/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers that the balancer itself gives: a RST (RFC 9293 section 3.10.7.1), an ICMP error (RFC
 * 792, RFC 4443). The answer is made from the packet, so it is never larger than the question by
 * more than two headers, goes back the way it came, and is limited in rate. A cold path: size over
 * speed.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>

#include "csum.h"
#include "csum_frame.h"
#include "knobs.h"
#include "maps.h"
#include "pkt.h"
#include "stats.h"

#define REPLY_TTL 64
#define REPLY_DF  0x4000

#define ICMP4_UNREACHABLE      3
#define ICMP4_PORT_UNREACHABLE 3
#define ICMP6_UNREACHABLE      1
#define ICMP6_PORT_UNREACHABLE 4

#define ICMP4_MAX_ERROR 576 /* the whole IP packet: RFC 1812 section 4.3.2.3 */
#define ICMP6_MAX_ERROR 1280 /* RFC 4443 section 2.4 (c) */

/* Any message's beginning: RFC 792, RFC 4443. */
struct reply_icmp {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};

/*
 * One for both families: the words of a mapped address that IPv4 has not add up to 0xffff, which
 * is zero in this arithmetic.
 */
struct reply_pseudo_header {
	struct ip_addr src;
	struct ip_addr dst;
	__be32 len;
	__be32 protocol;
};

/*
 * The longest there is: an answer has the tags of its question. Behind a shorter one comes the IP
 * header, which is written afterwards.
 */
struct reply_ethernet {
	struct ethhdr eth;
	__be16 tags[2 * OUT_TAGS];
};

static __always_inline __u32 reply_ip_header_len(const struct pkt *pkt)
{
	return pkt->tuple.family == FAMILY_V4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* Sources that are no single host (RFC 1122 section 3.2.2, RFC 4443 section 2.4). */
static __always_inline bool reply_source_is_host(const struct pkt *pkt)
{
	const struct ip_addr *src = &pkt->tuple.src;

	if (pkt->tuple.family == FAMILY_V6)
		return src->b[0] != 0xff &&
		       (src->w[0] || src->w[1] || src->w[2] || bpf_ntohl(src->w[3]) > 1);
	return src->b[12] != 0 && src->b[12] != 127 && src->b[12] < 224;
}

static __always_inline bool reply_may_answer(const struct pkt *pkt)
{
	struct ethhdr *eth = pkt_at(pkt, 0, sizeof(*eth));

	return eth && !(eth->h_dest[0] & 1) && reply_source_is_host(pkt);
}

/* Takes one reply out of this CPU's bucket. */
static __noinline bool reply_take_token(void)
{
	__u32 row = 0;
	struct reply_limit *limit = bpf_map_lookup_elem(&reply_limit, &row);
	__u64 now = bpf_jiffies64();
	__u64 full = REPLY_BURST * 1000ULL;

	if (!limit)
		return false;
	limit->tokens += (now - limit->last_jiffies) * REPLY_RATE_PPS * 1000 / knob_hz;
	limit->last_jiffies = now;
	if (limit->tokens > full)
		limit->tokens = full;
	if (limit->tokens < 1000)
		return false;
	limit->tokens -= 1000;
	return true;
}

static __always_inline __u32 reply_pseudo_sum(const struct pkt *pkt, __u8 protocol, __u32 len)
{
	struct reply_pseudo_header pseudo = {
		.src = pkt->tuple.dst,
		.dst = pkt->tuple.src,
		.len = bpf_htonl(len),
		.protocol = bpf_htonl(protocol),
	};

	return bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
}

static __noinline bool reply_write_ipv4(const struct pkt *pkt, __u8 protocol, __u32 l4_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(ip) + l4_len),
		.frag_off = bpf_htons(REPLY_DF),
		.ttl = REPLY_TTL,
		.protocol = protocol,
		.saddr = pkt->tuple.dst.w[3],
		.daddr = pkt->tuple.src.w[3],
	};

	ip.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	return !bpf_xdp_store_bytes(pkt->ctx, pkt->l3_offset, &ip, sizeof(ip));
}

static __noinline bool reply_write_ipv6(const struct pkt *pkt, __u8 protocol, __u32 l4_len)
{
	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = bpf_htons(l4_len),
		.nexthdr = protocol,
		.hop_limit = REPLY_TTL,
	};

	__builtin_memcpy(&ip.saddr, &pkt->tuple.dst, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &pkt->tuple.src, sizeof(ip.daddr));
	return !bpf_xdp_store_bytes(pkt->ctx, pkt->l3_offset, &ip, sizeof(ip));
}

/*
 * Makes the frame `grow` bytes longer in front (below 0: shorter) and as long as the answer behind,
 * and writes what stands before its transport header. Stores go by helper: Linux 6.1 forgets which
 * family it is when it has to spill it, and then misses the bounds check that depends on it.
 */
static __noinline bool reply_frame(const struct pkt *pkt, int grow, __u8 protocol, __u32 l4_len)
{
	__u32 frame_len = pkt->l3_offset + reply_ip_header_len(pkt) + l4_len;
	struct reply_ethernet eth;
	__u8 client[ETH_ALEN];
	int surplus;

	if (bpf_xdp_load_bytes(pkt->ctx, 0, &eth, sizeof(eth)))
		return false;
	__builtin_memcpy(client, eth.eth.h_source, sizeof(client));
	__builtin_memcpy(eth.eth.h_source, eth.eth.h_dest, sizeof(client));
	__builtin_memcpy(eth.eth.h_dest, client, sizeof(client));
	if (grow && bpf_xdp_adjust_head(pkt->ctx, -grow))
		return false;
	/* Not by 0: that is to grow, which not every driver lets a multi-buffer frame do. */
	surplus = (int)(bpf_xdp_get_buff_len(pkt->ctx) - frame_len);
	if ((surplus && bpf_xdp_adjust_tail(pkt->ctx, -surplus)) ||
	    bpf_xdp_store_bytes(pkt->ctx, 0, &eth, sizeof(eth)))
		return false;
	return pkt->tuple.family == FAMILY_V4 ? reply_write_ipv4(pkt, protocol, l4_len)
					      : reply_write_ipv6(pkt, protocol, l4_len);
}

static __noinline bool reply_with_reset(const struct pkt *pkt)
{
	struct tcphdr tcp, rst = {.doff = sizeof(rst) / 4, .rst = 1};
	__u32 len = pkt->payload_len;

	if (bpf_xdp_load_bytes(pkt->ctx, pkt->l4_offset, &tcp, sizeof(tcp)))
		return false;
	rst.source = tcp.dest;
	rst.dest = tcp.source;
	if (tcp.ack) {
		rst.seq = tcp.ack_seq;
	} else {
		len += tcp.syn + tcp.fin;
		rst.ack = 1;
		rst.ack_seq = bpf_htonl(bpf_ntohl(tcp.seq) + len);
	}
	rst.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&rst, sizeof(rst),
					     reply_pseudo_sum(pkt, IPPROTO_TCP, sizeof(rst))));
	if (!reply_frame(pkt, 0, IPPROTO_TCP, sizeof(rst)))
		return false;
	return !bpf_xdp_store_bytes(pkt->ctx, pkt->l3_offset + reply_ip_header_len(pkt), &rst,
				    sizeof(rst));
}

/* As much of the packet as an ICMP error of the largest size has room for. */
static __always_inline __u32 reply_quote_len(const struct pkt *pkt)
{
	__u32 most = pkt->tuple.family == FAMILY_V4 ? ICMP4_MAX_ERROR : ICMP6_MAX_ERROR;

	most -= reply_ip_header_len(pkt) + sizeof(struct reply_icmp);
	return pkt->l3_len < most ? pkt->l3_len : most;
}

/* The quote is already in its place behind the headers that go in front of it. */
static __noinline bool reply_with_error(const struct pkt *pkt, __u8 type, __u8 code, __u32 rest)
{
	bool is_v4 = pkt->tuple.family == FAMILY_V4;
	__u8 protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	__u32 len = sizeof(struct reply_icmp) + reply_quote_len(pkt);
	struct reply_icmp message = {.type = type, .code = code, .rest = bpf_htonl(rest)};
	__u64 sum = csum_frame(pkt->ctx, pkt->l3_offset, reply_quote_len(pkt));

	if (!is_v4)
		sum += reply_pseudo_sum(pkt, protocol, len);
	sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&message, sizeof(message), 0);
	message.check = ~csum_fold64(sum);
	if (!reply_frame(pkt, (int)(reply_ip_header_len(pkt) + sizeof(message)), protocol, len))
		return false;
	return !bpf_xdp_store_bytes(pkt->ctx, pkt->l3_offset + reply_ip_header_len(pkt), &message,
				    sizeof(message));
}
