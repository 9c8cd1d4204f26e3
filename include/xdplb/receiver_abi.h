/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the real's XDP program and its loader agree on: map keys and the one list of what can happen
 * to a packet. The loader is the only writer of the address maps, the program of the counters.
 */
#pragma once

#include "abi.h"

#define RECEIVER_GUE_PORT 6080 /* unless said otherwise */

#define RECEIVER_MAX_VIPS   4096
#define RECEIVER_MAX_LOCALS 64 /* addresses of the interface */
#define RECEIVER_MAX_FROM   1024 /* prefixes of balancers */

/* Key of the maps "vips" and "locals"; the value is unused. */
struct receiver_addr {
	struct ip_addr address;
	__u32 family; /* enum xdplb_family: an IPv6 packet may carry a mapped address */
};

_Static_assert(sizeof(struct receiver_addr) == 20, "no padding in a hash key");

/*
 * Key of the LPM map "from". The family is matched first and whole, then the address, IPv4 in its
 * mapped form: prefix_len is 32 + 96 + n for an IPv4 prefix of n bits and 32 + n for IPv6.
 */
struct receiver_prefix {
	__u32 prefix_len;
	__u32 family;
	struct ip_addr address;
};

#define RECEIVER_PREFIX_BITS(family, bits) (32 + ((family) == FAMILY_V4 ? 96 : 0) + (bits))
#define RECEIVER_PREFIX_FULL		   (32 + 128)

_Static_assert(sizeof(struct receiver_prefix) == 24, "no padding in a trie key");

/* The host's network stack gets the packet: decapsulated, or untouched. */
#define RECEIVER_PASS_COUNTERS(X)                                                                  \
	X(decapsulated, "tunnel packet for a VIP, outer header removed")                           \
	X(pass_not_ip, "neither IPv4 nor IPv6 (ARP, LLDP, VLAN tags, ...)")                        \
	X(pass_truncated, "too short for an Ethernet and an IP header")                            \
	X(pass_not_tunnel, "neither IP in IP nor for the GUE port, or an IPv6 extension header")   \
	X(pass_not_local, "outer destination is no address of the interface")                      \
	X(pass_fragment, "outer IPv4 packet is a fragment")                                        \
	X(pass_gue_variant, "for the GUE port, but no IP header behind the UDP header")            \
	X(pass_not_vip, "inner destination is no VIP of this real")

/* Dropped; each only for tunnel packets whose outer destination is an address of the interface. */
#define RECEIVER_DROP_COUNTERS(X)                                                                  \
	X(drop_not_a_balancer, "outer source is in no --from prefix")                              \
	X(drop_outer_header, "outer IP version or header length is impossible")                    \
	X(drop_outer_length, "outer IP or UDP length is below its header's or beyond the frame")   \
	X(drop_gue_checksum, "UDP checksum of the GUE packet is wrong")                            \
	X(drop_inner_truncated, "inner IP header lies beyond the end of the packet")               \
	X(drop_inner_header, "inner IP version or header length is impossible")                    \
	X(drop_inner_length, "inner IP length is below its header's or beyond the outer packet")   \
	X(drop_ecn, "congestion mark on a packet that is not ECN-capable (RFC 6040)")              \
	X(drop_adjust_head, "the kernel refused to shorten the frame")

#define RECEIVER_COUNTERS(X)                                                                       \
	RECEIVER_PASS_COUNTERS(X)                                                                  \
	RECEIVER_DROP_COUNTERS(X)

/* Map "receiver_stats": per CPU, one row. Each packet adds one to exactly one of them. */
struct receiver_stats {
#define X(name, text) __u64 name;
	RECEIVER_COUNTERS(X)
#undef X
};

#define RECEIVER_STATS (sizeof(struct receiver_stats) / sizeof(__u64))

/* A counter's place in struct receiver_stats. */
enum receiver_counter {
#define X(name, text) RECEIVER_##name,
	RECEIVER_COUNTERS(X)
#undef X
};
