/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network interfaces of this namespace, by index. */
#pragma once

#include <sys/queue.h>

#include "netlink.h"

struct link {
	struct link_info info; /* starts with the ifindex, the key */
	LIST_ENTRY(link) all;
};

/* All zero: empty. */
struct links {
	LIST_HEAD(, link) list;
	void *tree; /* tsearch(3) */
};

/* Fills the table from the kernel, from nothing. On failure it holds what was read until then. */
int links_load(struct links *links, struct netlink *nl);
void links_clear(struct links *links);

/* NULL if there is none. Valid until the table changes. */
const struct link_info *links_find(const struct links *links, uint32_t ifindex);

/*
 * Adds or replaces a link. 1: it differs from what was known, which ret_old tells (no name: it is
 * new); 0: nothing changed; -ENOMEM.
 */
int links_set(struct links *links, const struct link_info *info, struct link_info *ret_old);
/* False if there was none. */
bool links_remove(struct links *links, uint32_t ifindex, struct link_info *ret_old);

/* Why nothing can be sent to a neighbour through this link (NULL: no link); NULL if it can. */
const char *link_fault(const struct link_info *info);
