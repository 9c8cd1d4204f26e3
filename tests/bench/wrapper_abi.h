/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the wrapper program and the benchmark agree on: the state of a batch, and which packet
 * belongs to which flow number.
 */
#pragma once

#include <linux/types.h>

#include "xdplb/abi.h"

/* Of every packet, Ethernet header included. */
#define WRAPPER_FRAME 100

/* As much of it as the wrapper writes: up to the end of a TCP header over IPv6, in whole words. */
#define WRAPPER_HEADER_WORDS 10

/* TCP flags. */
#define SEND_SYN 0x02
#define SEND_ACK 0x10

/* Slots of the map "programs". */
enum wrapper_target {
	WRAPPER_FLOOR = 0, /* XDP_TX */
	WRAPPER_ENCAP_FLOOR = 1, /* XDP_TX behind a constant outer header */
	WRAPPER_BALANCER = 2,
	WRAPPER_TARGETS = 3,
};

#define WRAPPER_MAX_ROUNDS 32

/*
 * The wrapper's state, in its .bss. In each round every target from `target` to `last_target` gets
 * `packets` packets, timed from packet `warm` to the last one; they are of the flows at positions
 * position, position + stride, ... modulo `flows`. All in one test run, since the kernel waits for
 * an RCU grace period around each.
 */
struct wrapper_state {
	/* set before a test run */
	__u32 first_target;
	__u32 last_target;
	__u32 flows;
	__u32 stride;
	__u32 packets;
	__u32 warm;
	__u32 offset; /* number of flow 0 */
	__u32 vip_mask; /* number of VIPs - 1 */
	__be32 vip; /* last word of VIP 0's address; the flow number chooses among the VIPs */
	__u32 dport; /* as on the wire */
	/* kept by the wrapper */
	__u32 position; /* of the next packet */
	__u32 target;
	__u32 done; /* of this target's packets */
	__u32 round;
	__u64 grown; /* bytes by which packets came back longer than they went */
	__u64 sunk; /* bytes of frames that ended in the program "sink" */
	__u64 start_ns;
	__u64 ns[WRAPPER_MAX_ROUNDS][4]; /* by target, of packets - 1 - warm packets */
	/* Ethernet, IP and transport header; addresses and source port are filled in by flow. */
	__u64 header[WRAPPER_HEADER_WORDS];
};

/* Client of a flow (last word of its address): no two numbers share one. */
static inline __attribute__((always_inline)) __be32 wrapper_client(__u32 flow)
{
	return flow * 0x9e3779b1u;
}

static inline __attribute__((always_inline)) __be16 wrapper_port(__u32 flow)
{
	return (__be16)(flow * 40503u) | 1024;
}
