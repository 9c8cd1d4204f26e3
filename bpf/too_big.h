/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What does not fit the way out once encapsulated: the client is told how long a packet may be, as
 * by a router (RFC 1191, RFC 8201), and sends shorter ones. In IPv4 whether or not the packet has
 * DF: the balancer fragments nothing, and a client that hears of it can.
 */
#pragma once

#include "reply.h"

#define ICMP4_FRAG_NEEDED 4 /* a code of ICMP4_UNREACHABLE */
#define ICMP6_TOO_BIG	  2

/* No client goes below: RFC 791, RFC 8200 section 5. */
#define IPV4_MIN_MTU 68
#define IPV6_MIN_MTU 1280

static __always_inline __u32 too_big_mtu(const struct pkt *pkt, __u32 inner_mtu)
{
	__u32 least = pkt->tuple.family == FAMILY_V4 ? IPV4_MIN_MTU : IPV6_MIN_MTU;

	return inner_mtu > least ? inner_mtu : least;
}

/*
 * Not an ICMP error, nor in IPv4 a later fragment (RFC 1122 section 3.2.2), of which IPv6 makes no
 * exception (RFC 4443 section 2.4 (e)); nor what is no longer than the client would be told to be.
 */
static __always_inline bool too_big_may_answer(const struct pkt *pkt, __u32 mtu)
{
	return pkt->l3_len > mtu && (!pkt->is_later_fragment || pkt->tuple.family == FAMILY_V6) &&
	       (pkt->tuple.protocol == IPPROTO_TCP || pkt->tuple.protocol == IPPROTO_UDP) &&
	       reply_may_answer(pkt);
}

static __always_inline bool too_big_reply(const struct pkt *pkt, __u32 mtu)
{
	if (pkt->tuple.family == FAMILY_V4)
		return reply_with_error(pkt, ICMP4_UNREACHABLE, ICMP4_FRAG_NEEDED, mtu);
	return reply_with_error(pkt, ICMP6_TOO_BIG, 0, mtu);
}

/* `inner_mtu`: the longest IP packet that would have fitted. */
static __noinline int too_big(const struct pkt *pkt, __u32 inner_mtu)
{
	__u32 mtu = too_big_mtu(pkt, inner_mtu);

	if (!too_big_may_answer(pkt, mtu)) {
		count(drop_too_big);
		return XDP_DROP;
	}
	if (!reply_take_token()) {
		count(drop_reply_limit);
		return XDP_DROP;
	}
	if (!too_big_reply(pkt, mtu)) {
		count(drop_too_big);
		return XDP_DROP;
	}
	count(reply_too_big);
	return XDP_TX;
}
