/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one list of what can happen to a packet. It makes the fields of the per-CPU map "stats" (so
 * that bpftool prints them by name), the labels of xdplbctl and the table in docs/packet-path.md.
 * Every packet that is not forwarded adds one to exactly one PASS, REPLY or DROP counter; a
 * forwarded packet is counted at its member ("member_stats"), whose sum is the verdict "forwarded".
 */
#pragma once

#include <linux/types.h>

/* The host's network stack gets the packet untouched. */
#define XDPLB_PASS_COUNTERS(X)                                                                     \
	X(pass_not_ip, "neither IPv4 nor IPv6 (ARP, LLDP, ...), or over two VLAN tags")            \
	X(pass_truncated, "too short for an Ethernet header with its tags and an IP header")       \
	X(pass_no_vip, "destination is no VIP address")                                            \
	X(pass_neighbour_discovery, "ICMPv6 neighbour discovery for a VIP address")                \
	X(pass_no_port, "VIP address, port not served, on_no_port: pass")

/* The balancer answers itself. */
#define XDPLB_REPLY_COUNTERS(X)                                                                    \
	X(reply_reset, "TCP RST to a port of a VIP address that is not served")                    \
	X(reply_unreachable, "ICMP port unreachable to a port of a VIP address that is not "       \
			     "served")                                                             \
	X(reply_no_real,                                                                           \
	  "TCP RST or ICMP unreachable to a new flow that no real of the VIP can take")            \
	X(reply_flow_reset,                                                                        \
	  "TCP RST to a flow of a real that is down, or was drained long enough")                  \
	X(reply_too_big, "ICMP fragmentation needed, or ICMPv6 packet too big")                    \
	X(reply_echo, "ping of a VIP address answered")

/* Dropped; each only for packets whose destination is a VIP address. */
#define XDPLB_DROP_COUNTERS(X)                                                                     \
	X(drop_bad_header, "IP version or header length is impossible")                            \
	X(drop_bad_length, "IP length is shorter than its headers or longer than the frame")       \
	X(drop_truncated, "transport header lies beyond the end of the packet")                    \
	X(drop_fragment, "IP fragment of ICMP, or one that overlaps the TCP header")               \
	X(drop_fragment_unknown, "later IP fragment before its first, or long after it")           \
	X(drop_extension, "IPv6 extension headers: too many, out of place, or a source route")     \
	X(drop_protocol, "neither TCP nor UDP, nor an ICMP error or ping")                         \
	X(drop_echo, "ping of a VIP address that is down, or echo: off, or from no host")          \
	X(drop_icmp_quote, "ICMP error whose quote is cut off, no TCP or UDP, or not the VIP's")   \
	X(drop_icmp_no_port, "ICMP error about a port that is not served")                         \
	X(drop_icmp_ignored, "ICMP redirect or source quench")                                     \
	X(drop_no_port, "port not served, on_no_port: drop, or nothing to answer to")              \
	X(drop_reply_limit, "to be answered, but reply rate exceeded")                             \
	X(drop_no_real, "no real of the VIP can take the packet")                                  \
	X(drop_no_next_hop, "the real's next hop is not resolved")                                 \
	X(drop_not_on_link, "the real is behind a gateway, which L2 DSR cannot pass")              \
	X(drop_too_big,                                                                            \
	  "does not fit the outgoing MTU once encapsulated, and must not be answered")             \
	X(drop_no_headroom, "no room in the frame for the outer header")                           \
	X(drop_encap, "the member's encapsulation is not in the loaded program")

/* What the flow table did; these do not count packets a second time. */
#define XDPLB_FLOW_COUNTERS(X)                                                                     \
	X(flow_inserted, "flow recorded")                                                          \
	X(flow_untracked, "flow not recorded: both buckets hold live flows only")                  \
	X(flow_syn_flood, "SYN over guard.syn_rate: by the ring, neither looked up nor recorded")  \
	X(flow_evicted_unproven, "an unproven flow made room")                                     \
	X(flow_lost_race, "another CPU changed the slot first")                                    \
	X(flow_mismatch, "slot named a member whose VIP has not this port; the ring decided")      \
	X(flow_moved, "flow left a real that is down")                                             \
	X(flow_icmp_error, "ICMP error given to the real of the flow it is about")                 \
	X(flow_fragment, "later IP fragment given to the real that got the first")                 \
	X(quic_by_cid, "QUIC packet given to the real that its connection ID names")               \
	X(quic_unroutable, "no configuration reads a QUIC packet's connection ID; the 4-tuple "    \
			   "decided")                                                              \
	X(quic_no_server, "connection ID of a server that is unknown or down; the 4-tuple "        \
			  "decided")

#define XDPLB_ALL_COUNTERS(X)                                                                      \
	XDPLB_PASS_COUNTERS(X)                                                                     \
	XDPLB_REPLY_COUNTERS(X)                                                                    \
	XDPLB_DROP_COUNTERS(X)                                                                     \
	XDPLB_FLOW_COUNTERS(X)

/* Map "stats": per CPU, one row. Written by the packet path. */
struct stats {
#define X(name, text) __u64 name;
	XDPLB_ALL_COUNTERS(X)
#undef X
};

#define XDPLB_STATS (sizeof(struct stats) / sizeof(__u64))
