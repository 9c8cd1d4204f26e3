/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rtnetlink as values: one question or order to the kernel a call, and the events it multicasts.
 * Holds no state but the sockets and never waits: the kernel answers within the send
 * (rtnetlink(7)).
 */
#pragma once

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "xdplb/abi.h"

struct netlink {
	struct mnl_socket *socket;
	uint32_t seq;
};

struct link_info {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	uint32_t mtu;
	bool is_up; /* by the operator, and it has carrier */
	bool has_arp; /* Ethernet whose neighbours have MACs; not lo, tun, IFF_NOARP */
	__be32 tag; /* of a VLAN device, as on the wire: type and id; 0: it is none */
	uint32_t lower; /* what a VLAN device is on; 0: in another namespace */
};

/* Without padding: compared as bytes. */
struct neighbour_key {
	uint32_t ifindex;
	struct ip_addr address;
};

_Static_assert(sizeof(struct neighbour_key) == 20, "no padding");

struct neighbour_info {
	struct neighbour_key key;
	uint16_t state; /* NUD_*; NUD_NONE: there is no entry */
	bool is_managed; /* NTF_EXT_MANAGED */
	bool has_mac;
	uint8_t mac[6];
};

enum netlink_event_type {
	NETLINK_EVENT_LINK,
	NETLINK_EVENT_LINK_GONE, /* of link: ifindex and name */
	NETLINK_EVENT_NEIGHBOUR,
	NETLINK_EVENT_NEIGHBOUR_GONE, /* of neighbour: key */
	NETLINK_EVENT_ROUTES, /* a route, address, rule or next-hop object: answers may differ */
};

struct netlink_event {
	enum netlink_event_type type;
	union {
		struct link_info link;
		struct neighbour_info neighbour;
	};
};

typedef void (*netlink_link_fn)(void *user, const struct link_info *link);
typedef void (*netlink_event_fn)(void *user, const struct netlink_event *event);

/* A socket for questions, or (monitor) one that hears of links, neighbours, routes, addresses. */
int netlink_open(struct netlink *ret_nl, bool is_monitor, struct err *err);
void netlink_close(struct netlink *nl);

int netlink_dump_links(struct netlink *nl, netlink_link_fn found, void *user);

/*
 * Asks for the way to an address: the neighbour that a packet would go to (the gateway, or the
 * address itself), one of them where the route has several. -ENETUNREACH: no route, or one that
 * stays here (local, blackhole, ...).
 */
int netlink_get_route(struct netlink *nl, const struct ip_addr *address,
		      struct neighbour_key *ret_via);

/* -ENOENT: no entry. */
int netlink_get_neighbour(struct netlink *nl, const struct neighbour_key *key,
			  struct neighbour_info *ret_info);
/*
 * Makes the kernel resolve a neighbour now and keep it fresh. It would also turn a PERMANENT entry
 * into a resolved one (Linux 6.18 does): look before. -ENOBUFS: the neighbour table is full.
 */
int netlink_manage_neighbour(struct netlink *nl, const struct neighbour_key *key);
int netlink_delete_neighbour(struct netlink *nl, const struct neighbour_key *key);

/*
 * Hands over what a monitor has heard, a bounded amount a call (the rest keeps the socket
 * readable). -ENOBUFS: events were lost.
 */
int netlink_read_events(struct netlink *nl, netlink_event_fn heard, void *user);
