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

/* How frames leave through a link: through it, or tagged through what its VLAN devices are on. */
struct link_path {
	uint32_t ifindex;
	__be32 tag[OUT_TAGS]; /* as struct out_interface has them */
	uint32_t mtu; /* for IP, tags beside it */
};

/* NULL if there is a way, else why there is none (link NULL: no link). */
const char *links_find_path(const struct links *links, const struct link_info *link,
			    struct link_path *ret_path);
/* Whether the link is a VLAN device on that one, with others between them or not. */
bool links_is_above(const struct links *links, uint32_t ifindex, uint32_t lower);

/* Why nothing can be sent to a neighbour through this link (NULL: no link); NULL if it can. */
const char *link_fault(const struct link_info *info);
