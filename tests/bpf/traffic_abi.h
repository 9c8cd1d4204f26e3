/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the traffic generator and the proofs agree on. One generator runs on one CPU at a time. */
#pragma once

#include <linux/types.h>

#include "xdplb/abi.h"

/* Of every packet, Ethernet header included; IPv4, so it comes back longer by 20 bytes. */
#define TRAFFIC_FRAME 100
#define TRAFFIC_OUTER 20

/* VIP v is 198.18.0.v port 80, TCP and UDP; its reals are 10.v.x.y: a wrong VIP's real is seen. */
#define TRAFFIC_VIP_NET	 0xc6120000u
#define TRAFFIC_VIP_PORT 80

#define TRAFFIC_KINDS 4
#define TRAFFIC_PICKS 8 /* rings whose picks are known at a time */

/* How the packet that comes back is judged, beside that its real is one of its VIP. */
enum traffic_check {
	CHECK_VIP = 0, /* no further */
	CHECK_LEARN = 1, /* its real is written down */
	CHECK_KEEP = 2, /* its real is what was written down; 0: is not judged */
	CHECK_RING = 3, /* its real is the pick of a ring that was in force meanwhile */
	CHECK_LIFE = 4, /* a flow that was seen proven stays in the table until it is reset */
};

struct traffic_kind {
	__u8 protocol;
	__u8 tcp_flags;
	__u16 pad;
};

/* What became of the packets. */
struct traffic_result {
	__u64 packets;
	__u64 forwarded;
	__u64 foreign; /* went to a real outside their VIP */
	__u64 moved; /* CHECK_KEEP, CHECK_RING: went to another real than they should */
	__u64 unjudged; /* CHECK_RING: too many rings came and went */
	__u64 lost; /* CHECK_LIFE: a proven flow's slot is gone or names another real */
	__u64 proven; /* CHECK_LIFE: flows that were seen proven */
};

/* In .bss of the generator. Packet n is of flow `offset` + position; position grows by `stride`
 * modulo `flows` (0: endlessly, every flow is new). */
struct traffic_state {
	/* set between runs */
	__u64 seed;
	__u32 flows;
	__u32 stride;
	__u32 offset;
	__u32 vip_mask; /* number of VIPs - 1 */
	__u32 check; /* enum traffic_check */
	__u32 kinds;
	struct traffic_kind kind[TRAFFIC_KINDS]; /* in turn ... */
	__u32 is_sequence; /* ... each flow sends all of them before the next flow's turn */
	__u32 lengths; /* CHECK_LIFE: packets from a flow's SYN to its reset */
	__u32 is_closing; /* only judge what came back last */
	/* kept by the generator */
	__u64 position;
	__u32 last_flow;
	__u32 has_last;
	__u32 first_ring; /* CHECK_RING: newest ring when the packet started */
	struct traffic_result result;
};

/* CHECK_RING: the test publishes each switch right after its store. */
struct traffic_rings {
	__u32 newest; /* number of rings switched to so far */
	__u32 vip_id;
	__u64 word[TRAFFIC_PICKS]; /* ring n has word n % TRAFFIC_PICKS in vip_state */
};

/* CHECK_LIFE: map "lives", by flow. */
struct traffic_life {
	__u32 incarnation; /* makes another tuple */
	__u32 age; /* packets sent in this one */
	__u32 real; /* proven there; 0: not seen proven */
	__u32 pad;
};

/* Of 10.v.x.y: reals with another x than 0 come and go, and take their flows with them. */
#define TRAFFIC_REAL_STAYS(real) (((real) >> 8 & 0xff) == 0)

static inline __attribute__((always_inline)) __u64 traffic_mix(__u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Source address (low 32 bits) and port (the next 16) of a flow: 48 random bits. */
static inline __attribute__((always_inline)) __u64 traffic_source(__u64 seed, __u64 flow,
								  __u32 incarnation)
{
	return traffic_mix(seed + flow * 0x9e3779b97f4a7c15ULL +
			   incarnation * 0xd1342543de82ef95ULL);
}
