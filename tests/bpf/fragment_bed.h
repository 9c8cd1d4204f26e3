/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For the tests of fragments: VIPs of every kind, datagrams to them in pieces. */
#pragma once

#include "harness.h"

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define PASS4	"192.0.2.12"
#define PASS6	"2001:db8:f::12"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define PAYLOAD 3000
#define PIECE	1400 /* bytes of a datagram in one fragment, a multiple of 8 */

/* The first ones are a VIP of each kind; the last ones leave other ports to the host. */
enum { DNS4, DNS6, WEB4, WEB6, FRAGMENT_KINDS };
#define FRAGMENT_VIPS 6u
extern const struct bed_vip fragment_vips[FRAGMENT_VIPS];

/* The usual bed with these VIPs; bed_teardown() ends it. */
int fragment_setup(void **state);

/* A packet of PAYLOAD bytes for a VIP, by its place in fragment_vips. */
struct packet fragment_datagram(size_t vip, uint16_t sport);

/* A piece of a packet: `offset` and `len` are of what is behind its IP header. */
struct piece {
	uint32_t id;
	size_t offset;
	size_t len; /* 0: up to the end */
};

void fragment_build(const struct packet *packet, const struct piece *piece,
		    struct frame *ret_frame);

/* Sends the piece of PIECE bytes at this offset. */
void fragment_send(struct bed *bed, const struct packet *packet, uint32_t id, size_t offset,
		   struct run *ret_run);
/* The same; fails with `what` unless it raised this counter. */
void fragment_expect(struct bed *bed, const struct packet *packet, uint32_t id, size_t offset,
		     const char *counter, const char *what);

/* Gives the flow to this real, wherever its first packet went. */
void fragment_plant(struct bed *bed, const struct packet *p, const struct bed_vip *vip,
		    const char *real);
