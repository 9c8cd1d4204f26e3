/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon and bpf/probe.bpf.c agree on, and bpf/script.bpf.c. A probe through the data path
 * is a packet to the VIP from a socket whose mark says which real it is for.
 */
#pragma once

#include "abi.h"

/* Socket marks of ours, from the top: this byte, one that tells balancers on a host apart, the id.
 */
#define PROBE_MARK		  0x78000000u
#define PROBE_MARK_INSTANCE_SHIFT 16
#define PROBE_ID_MASK		  0xffffu
#define PROBE_TUNNELS		  65535u /* at most; ids 1 ... */

/* Of a connection: every IPv6 link takes 1,280 bytes, less the longest outer header (48), less IPv6
 * and TCP's. */
#define PROBE_MSS (1280 - 48 - 60)

/* Scripts at once. Map "script_marks": the mark of the sockets that are made in a cgroup, by its
 * id; written by the daemon. */
#define PROBE_SCRIPTS 32

/* Map "probe_tunnels": by id, how a VIP's packets get to one real. Written by the daemon, but for
 * `sent`. */
struct probe_tunnel {
	struct ip_addr vip;
	struct ip_addr real;
	__u8 mac[6]; /* of the next hop */
	__u8 source_mac[6];
	__u32 ifindex; /* way out; 0: none known */
	__u16 mtu; /* of the way out */
	__u8 vip_family; /* enum xdplb_family */
	__u8 real_family;
	__u8 encap; /* enum xdplb_encap */
	__u8 pad[3];
	__u64 sent; /* packets; by the program, from 0 whenever the daemon writes */
};

_Static_assert(sizeof(struct probe_tunnel) == 64, "without padding of the compiler's");

/* What became of packets with a mark of ours. */
#define PROBE_COUNTERS(X)                                                                          \
	X(sent, "sent to its real, encapsulated")                                                  \
	X(pass_destination, "passed: its destination is not the VIP that its mark is for")         \
	X(drop_mark, "dropped: nobody has this mark any more (the end of an old connection)")      \
	X(drop_no_next_hop, "dropped: the real's next hop is not resolved")                        \
	X(drop_fragment, "dropped: a fragment")                                                    \
	X(drop_too_big, "dropped: too big for the way out once encapsulated")                      \
	X(drop_no_room, "dropped: no room for the outer header")

/* Map "probe_stats": per CPU, one row. */
struct probe_stats {
#define X(name, text) __u64 name;
	PROBE_COUNTERS(X)
#undef X
};
