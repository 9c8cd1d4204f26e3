/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ping of a VIP is answered here, with everything that it carries, while its address is up: one
 * of its VIPs has a real for a new flow (or as the configuration says). IPv4 options and extension
 * headers are not sent back. Cold code.
 */
#pragma once

#include <linux/in.h>
#include <bpf/bpf_endian.h>

#include "csum.h"
#include "pkt.h"
#include "reply.h"
#include "stats.h"
#include "vip.h"

/* From the question's type to the answer's, in the word that a message begins with. */
#define ECHO4_TO_REPLY (-0x0800) /* 8, 0 */
#define ECHO6_TO_REPLY 0x0100 /* 128, 129 */

struct echo_start {
	__be16 kind; /* type and code */
	__be16 check;
};

/*
 * RFC 1624 equation 3, for the first word; the pseudo headers of question and answer have the same
 * sum. Zero is written as all ones: as good, and right even where all the rest is zero.
 */
static __always_inline void echo_change(struct echo_start *start, int change)
{
	__be16 kind = bpf_htons((__u16)(bpf_ntohs(start->kind) + change));
	__u32 sum = (__u16)~start->check + (__u16)~start->kind + kind;
	__u16 check = ~csum_fold(sum);

	start->kind = kind;
	start->check = check ? check : 0xffff;
}

static __always_inline bool echo_reply(const struct pkt *pkt)
{
	bool is_v4 = pkt->tuple.family == FAMILY_V4;
	__u32 header_len = pkt->l4_offset - pkt->l3_offset;
	struct echo_start start;

	if (bpf_xdp_load_bytes(pkt->ctx, pkt->l4_offset, &start, sizeof(start)))
		return false;
	echo_change(&start, is_v4 ? ECHO4_TO_REPLY : ECHO6_TO_REPLY);
	if (!reply_frame(pkt, (int)(reply_ip_header_len(pkt) - header_len),
			 is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, pkt->l3_len - header_len))
		return false;
	return !bpf_xdp_store_bytes(pkt->ctx, pkt->l3_offset + reply_ip_header_len(pkt), &start,
				    sizeof(start));
}

static __noinline int echo(const struct pkt *pkt)
{
	const struct vip_addr *address = vip_find_address(pkt);

	if (!address) {
		count(pass_no_vip);
		return XDP_PASS;
	}
	if (!address->answers_echo || !reply_may_answer(pkt)) {
		count(drop_echo);
		return XDP_DROP;
	}
	if (!reply_take_token()) {
		count(drop_reply_limit);
		return XDP_DROP;
	}
	if (!echo_reply(pkt)) {
		count(drop_echo);
		return XDP_DROP;
	}
	count(reply_echo);
	return XDP_TX;
}
