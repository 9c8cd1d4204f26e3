/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table behind neigh.h: watched addresses, the neighbours their routes lead to, the links. Asks
 * the kernel and orders it to keep neighbours fresh, but knows no event loop: neigh.c says what was
 * heard and when to go on.
 */
#pragma once

#include <sys/queue.h>

#include "links.h"
#include "neigh.h"
#include "netlink.h"

struct watch;

/* All zero but for next_hops_init(). */
struct next_hops {
	struct netlink requests;
	struct links links;
	LIST_HEAD(, neighbour) neighbours;
	LIST_HEAD(, watch) watches;
	TAILQ_HEAD(, watch) to_resolve, to_report;
	void *neighbour_tree, *watch_tree; /* tsearch(3) */
	unsigned int refusals; /* neighbours that the kernel refused in this round */
	int logged_error; /* why; 0 after a round without */
};

int next_hops_init(struct next_hops *table, struct err *err);
void next_hops_clear(struct next_hops *table);

/* As the functions of neigh.h. */
int next_hops_watch(struct next_hops *table, const struct ip_addr *address);
void next_hops_unwatch(struct next_hops *table, const struct ip_addr *address);
bool next_hops_get(const struct next_hops *table, const struct ip_addr *address,
		   struct next_hop *ret_next_hop);

/* Routes may have changed: every watch is to be resolved again by next_hops_resolve(). */
void next_hops_queue_all(struct next_hops *table);
/* Resolves at most `max` queued watches. */
void next_hops_resolve(struct next_hops *table, unsigned int max);
/* Takes one next hop that is not what was taken last; false if there is none. */
bool next_hops_take_change(struct next_hops *table, struct ip_addr *ret_address,
			   struct next_hop *ret_next_hop);
bool next_hops_has_work(const struct next_hops *table);

/* table->links has changed at this ifindex. */
void next_hops_link_changed(struct next_hops *table, uint32_t ifindex);
void next_hops_neighbour_changed(struct next_hops *table, const struct neighbour_info *info);
void next_hops_neighbour_gone(struct next_hops *table, const struct neighbour_key *key);
/* Asks the kernel again for the neighbours that it does not keep fresh; all: looks at all. */
void next_hops_refresh(struct next_hops *table, bool all);
