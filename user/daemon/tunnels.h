/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes through the data path. A tunnel is the way of one VIP's packets to one real, as the mark
 * that a socket is given; probes of the same VIP and real share it. Sockets connect to the VIP; at
 * the interface that the route to the VIP names, a program gives their packets the outer header and
 * the next hop of the real (lib/dataplane_probe.h). The program is loaded with the first tunnel and
 * attached where routes lead, and follows them.
 */
#pragma once

#include "lib/dataplane.h"
#include "lib/err.h"
#include "neigh.h"

struct tunnels;
struct tunnel;

enum tunnel_state {
	TUNNEL_READY,
	TUNNEL_NOT_READY, /* for want of something of our own: says nothing about the real */
	TUNNEL_BROKEN, /* packets do not get to the real */
};

int tunnels_new(struct tunnels **ret_tunnels, const char *bpffs, struct neigh *neigh,
		struct err *err);
/* No more questions to neigh, which goes first. */
void tunnels_stop(struct tunnels *tunnels);
/* After the last tunnel_free(); what is attached stays. NULL-safe. */
void tunnels_free(struct tunnels *tunnels);

/* What the packet path is given; the program is loaded anew if that has changed. */
void tunnels_set_knobs(struct tunnels *tunnels, const struct dataplane_knobs *knobs);
/* Detaches where no route to a VIP leads any more, also what an earlier daemon left. */
void tunnels_tidy(struct tunnels *tunnels);
/* Of a VIP (true), a real, or neither. */
bool tunnels_next_hop_changed(struct tunnels *tunnels, const struct ip_addr *address,
			      const struct next_hop *hop);

/* Counted: as many tunnel_put() as tunnels_get(). 0 or -errno. */
int tunnels_get(struct tunnels *tunnels, const struct ip_addr *vip, const struct ip_addr *real,
		enum xdplb_encap encap, uint64_t now_ms, struct tunnel **ret_tunnel);
void tunnel_put(struct tunnel *tunnel);

uint32_t tunnel_mark(const struct tunnel *tunnel);
/* Packets that left for the real; differs from an earlier answer if some did since. */
uint64_t tunnel_sent(const struct tunnel *tunnel);
/* *ret_why is a constant, for people; NULL if it is ready. */
enum tunnel_state tunnel_state(const struct tunnel *tunnel, uint64_t now_ms, const char **ret_why);
