/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, default routes and links of this network namespace, by rtnetlink. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "xdplb/abi.h"

struct address_list {
	struct ip_addr *items;
	size_t n;
};

/* The addresses of an interface, all scopes. Caller frees ret_list->items. */
int netlink_addresses(int ifindex, struct address_list *ret_list, struct err *err);

/*
 * Adds a VIP to an interface so that the host receives and answers for it but never chooses it as
 * the source of a connection of its own: IPv4 with scope host, IPv6 deprecated, without DAD.
 */
int netlink_vip_add(int ifindex, const struct ip_addr *vip, struct err *err);

/* -EADDRNOTAVAIL if it is not there. */
int netlink_vip_delete(int ifindex, const struct ip_addr *vip, struct err *err);

#define ROUTE_TEXT_MAX 160

/* What tells default routes of the main table apart. */
struct route_id {
	uint32_t priority;
	uint8_t family; /* enum xdplb_family */
	uint8_t tos;
};

/* A default route and the message that would make it again. */
struct route {
	struct route_id id;
	uint32_t advmss; /* 0: none */
	uint8_t protocol; /* who made it: RTPROT_x */
	char text[ROUTE_TEXT_MAX]; /* "default via 10.0.0.1 dev eth0 metric 100" */
	void *message; /* owned: struct nlmsghdr as dumped */
};

struct route_list {
	struct route *items;
	size_t n;
};

bool route_id_equal(const struct route_id *a, const struct route_id *b);

/* The unicast default routes of the main table. Free with route_list_free(). */
int netlink_default_routes(struct route_list *ret_list, struct err *err);
void route_list_free(struct route_list *list);

/* Replaces the route by itself with another advmss (0: none). */
int netlink_route_set_advmss(const struct route *route, uint32_t advmss, struct err *err);

int netlink_link_mtu(const char *interface, uint32_t *ret_mtu, struct err *err);
int netlink_link_is_up(const char *interface, bool *ret_is_up, struct err *err);
int netlink_link_set_up(const char *interface, bool is_up, struct err *err);
