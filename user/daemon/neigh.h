/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops: for each watched address the route, the gateway and its MAC, kept fresh from netlink
 * (RTNLGRP_LINK, _NEIGH, _IPV4_ROUTE, _IPV6_ROUTE). The kernel keeps the neighbour entries alive
 * (NTF_EXT_MANAGED, Linux 5.16). Needs CAP_NET_ADMIN. All calls and callbacks are in one thread.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/err.h"
#include "xdplb/abi.h"

struct neigh;

struct next_hop {
	bool is_resolved; /* false: no route, link down, or no answer yet; the rest is zero */
	uint32_t ifindex; /* of the interface that the route names */
	char interface[IF_NAMESIZE];
	uint32_t out_ifindex; /* what frames leave through: that, or what the VLAN device is on ...
			       */
	__be32 tag[OUT_TAGS]; /* ... with these tags, as struct out_interface has them */
	uint8_t mac[6]; /* of the gateway, or of the real on the same link */
	bool is_on_link; /* the latter */
	uint8_t source_mac[6]; /* of the interface */
	uint32_t mtu; /* of the interface and what it is on */
};

enum link_news {
	LINK_CHANGED, /* MAC, MTU, ...; or it is new */
	LINK_UP, /* by the operator, and it has carrier */
	LINK_DOWN, /* it was up, or is new */
	LINK_GONE,
};

struct neigh_ops {
	/* The next hop of a watched address is not what it was (at first: unresolved). Never called
	 * from inside neigh_watch(). A new gateway takes over when it has answered; until then, or
	 * until the kernel gives it up (3 s), the one before stays, if its link is up. */
	void (*next_hop_changed)(void *user, const struct ip_addr *address,
				 const struct next_hop *next_hop);
	void (*link_changed)(void *user, uint32_t ifindex, const char *name, enum link_news news);
};

int neigh_new(struct neigh **ret_neigh, sd_event *event, const struct neigh_ops *ops, void *user,
	      struct err *err);
/* Closes the sockets; leaves the kernel's managed entries, since packets go on without the daemon.
 */
void neigh_free(struct neigh *neigh);

/* Counted: as many neigh_unwatch() as neigh_watch(). The last unwatch drops the managed entry. */
int neigh_watch(struct neigh *neigh, const struct ip_addr *address, struct err *err);
void neigh_unwatch(struct neigh *neigh, const struct ip_addr *address);

/* Whether there is such a link, up and with carrier. */
bool neigh_link_is_up(const struct neigh *neigh, uint32_t ifindex);

/* What is known now; false if the address is not watched. */
bool neigh_get(const struct neigh *neigh, const struct ip_addr *address,
	       struct next_hop *ret_next_hop);
