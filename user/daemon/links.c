/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Network interfaces: see links.h. */
#include "links.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A dump during which links came or went is inconsistent (-EINTR) and asked for again. */
#define LOAD_TRIES 10

#define TAG_BYTES 4

static int compare_ifindex(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct link *find_link(const struct links *links, uint32_t ifindex)
{
	struct link **node = tfind(&ifindex, &links->tree, compare_ifindex);

	return node ? *node : NULL;
}

static struct link *add_link(struct links *links, uint32_t ifindex)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->info.ifindex = ifindex;
	if (!tsearch(link, &links->tree, compare_ifindex)) {
		free(link);
		return NULL;
	}
	LIST_INSERT_HEAD(&links->list, link, all);
	return link;
}

static void drop_link(struct links *links, struct link *link)
{
	tdelete(link, &links->tree, compare_ifindex);
	LIST_REMOVE(link, all);
	free(link);
}

static bool link_info_equal(const struct link_info *a, const struct link_info *b)
{
	return a->ifindex == b->ifindex && strcmp(a->name, b->name) == 0 &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->mtu == b->mtu &&
	       a->is_up == b->is_up && a->has_arp == b->has_arp && a->tag == b->tag &&
	       a->lower == b->lower;
}

struct load {
	struct links *links;
	int ret;
};

static void on_link(void *user, const struct link_info *info)
{
	struct load *load = user;
	struct link_info old;

	if (links_set(load->links, info, &old) < 0)
		load->ret = -ENOMEM;
}

int links_load(struct links *links, struct netlink *nl)
{
	struct load load = {.links = links};
	int tries = LOAD_TRIES;
	int ret;

	do {
		links_clear(links);
		ret = netlink_dump_links(nl, on_link, &load);
	} while (ret == -EINTR && --tries > 0);
	return ret < 0 ? ret : load.ret;
}

void links_clear(struct links *links)
{
	struct link *link;

	while ((link = LIST_FIRST(&links->list)))
		drop_link(links, link);
}

const struct link_info *links_find(const struct links *links, uint32_t ifindex)
{
	struct link *link = find_link(links, ifindex);

	return link ? &link->info : NULL;
}

int links_set(struct links *links, const struct link_info *info, struct link_info *ret_old)
{
	struct link *link = find_link(links, info->ifindex);

	if (!link)
		link = add_link(links, info->ifindex);
	if (!link)
		return -ENOMEM;
	if (link_info_equal(&link->info, info))
		return 0;
	*ret_old = link->info;
	link->info = *info;
	return 1;
}

bool links_remove(struct links *links, uint32_t ifindex, struct link_info *ret_old)
{
	struct link *link = find_link(links, ifindex);

	if (!link)
		return false;
	*ret_old = link->info;
	drop_link(links, link);
	return true;
}

/*
 * What XDP sends may be one tag longer than the interface's MTU and Ethernet header (the kernel's
 * xdp_ok_fwd_dev()).
 */
static uint32_t path_mtu(const struct link_info *top, const struct link_info *bottom,
			 unsigned int n_tags)
{
	uint32_t mtu = bottom->mtu + TAG_BYTES - n_tags * TAG_BYTES;

	return n_tags == 0 || top->mtu < mtu ? top->mtu : mtu;
}

const char *links_find_path(const struct links *links, const struct link_info *link,
			    struct link_path *ret_path)
{
	const struct link_info *top = link;
	struct link_path path = {};
	const char *fault = link_fault(link);
	unsigned int n_tags = 0;

	for (; !fault && link->tag; link = links_find(links, link->lower)) {
		if (n_tags++ == OUT_TAGS)
			return "too_many_vlan_tags";
		/* The lower the device, the further out its tag. */
		memmove(&path.tag[1], &path.tag[0], sizeof(path.tag) - sizeof(path.tag[0]));
		path.tag[0] = link->tag;
		if (!links_find(links, link->lower))
			return "vlan_of_another_namespace";
		fault = link_fault(links_find(links, link->lower));
	}
	if (fault)
		return fault;
	path.ifindex = link->ifindex;
	path.mtu = path_mtu(top, link, n_tags);
	*ret_path = path;
	return NULL;
}

bool links_is_above(const struct links *links, uint32_t ifindex, uint32_t lower)
{
	const struct link_info *link = links_find(links, ifindex);

	for (unsigned int i = 0; i < OUT_TAGS && link && link->tag; i++) {
		if (link->lower == lower)
			return true;
		link = links_find(links, link->lower);
	}
	return false;
}

const char *link_fault(const struct link_info *info)
{
	if (!info)
		return "no_link";
	if (!info->has_arp)
		return "link_without_arp";
	return info->is_up ? NULL : "link_down";
}
