/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops of the watched addresses: see next_hops.h. A watch asks the kernel for its route and
 * hangs on the neighbour that the answer names; many watches share a gateway. Lookup is by
 * tsearch(3), order of work by lists.
 */
#include "next_hops.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/neighbour.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "log.h"

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct neighbour {
	struct neighbour_info info; /* starts with the key */
	int error; /* of the last order to the kernel */
	LIST_HEAD(, watch) watches;
	LIST_ENTRY(neighbour) all;
};

struct watch {
	struct ip_addr address; /* the key */
	unsigned int refs;
	struct neighbour *neighbour; /* NULL: no route to anywhere */
	struct next_hop now;
	struct next_hop reported;
	const char *reason; /* why now.is_resolved is false */
	bool is_to_resolve;
	bool is_to_report;
	LIST_ENTRY(watch) all;
	LIST_ENTRY(watch) same_neighbour;
	TAILQ_ENTRY(watch) to_resolve;
	TAILQ_ENTRY(watch) to_report;
};

/* ---- Next hops --------------------------------------------------------------------------- */

static bool next_hop_equal(const struct next_hop *a, const struct next_hop *b)
{
	return a->is_resolved == b->is_resolved && a->ifindex == b->ifindex &&
	       strcmp(a->interface, b->interface) == 0 && a->out_ifindex == b->out_ifindex &&
	       memcmp(a->tag, b->tag, sizeof(a->tag)) == 0 && a->is_on_link == b->is_on_link &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       memcmp(a->source_mac, b->source_mac, sizeof(a->source_mac)) == 0 && a->mtu == b->mtu;
}

static bool neighbour_is_usable(const struct neighbour_info *info)
{
	return (info->state & NUD_USABLE) && info->has_mac;
}

/* Asked for, and neither answered nor given up yet (the kernel gives up after 3 s). */
static bool neighbour_is_pending(const struct neighbour *neighbour)
{
	return neighbour->error == 0 &&
	       (neighbour->info.state == NUD_NONE || (neighbour->info.state & NUD_INCOMPLETE));
}

/*
 * Works out the next hop from what is known of its neighbour and link. Until a neighbour that is
 * new to us has answered or failed, packets go on to the one before (a moved route, a flushed
 * neighbour table), if its link still carries them.
 */
static void refresh_watch(struct next_hops *table, struct watch *watch)
{
	const struct neighbour *neighbour = watch->neighbour;
	const uint8_t *mac = neighbour ? neighbour->info.mac : NULL;
	bool is_on_link = neighbour && addr_equal(&neighbour->info.key.address, &watch->address);
	const struct link_info *link =
		neighbour ? links_find(&table->links, neighbour->info.key.ifindex) : NULL;
	struct link_path path = {};
	struct next_hop now = {};

	watch->reason = !neighbour ? "no_route" : links_find_path(&table->links, link, &path);
	if (!watch->reason && !neighbour_is_usable(&neighbour->info)) {
		link = links_find(&table->links, watch->now.ifindex);
		mac = watch->now.mac;
		is_on_link = watch->now.is_on_link;
		if (!watch->now.is_resolved || !neighbour_is_pending(neighbour) ||
		    links_find_path(&table->links, link, &path))
			watch->reason = "no_neighbour";
	}
	if (!watch->reason) {
		now.is_resolved = true;
		now.ifindex = link->ifindex;
		now.is_on_link = is_on_link;
		memcpy(now.interface, link->name, sizeof(now.interface));
		memcpy(now.mac, mac, sizeof(now.mac));
		memcpy(now.source_mac, link->mac, sizeof(now.source_mac));
		now.out_ifindex = path.ifindex;
		memcpy(now.tag, path.tag, sizeof(now.tag));
		now.mtu = path.mtu;
	}
	watch->now = now;
	if (watch->is_to_report || next_hop_equal(&watch->now, &watch->reported))
		return;
	watch->is_to_report = true;
	TAILQ_INSERT_TAIL(&table->to_report, watch, to_report);
}

static void refresh_watches(struct next_hops *table, struct neighbour *neighbour)
{
	struct watch *watch;

	LIST_FOREACH (watch, &neighbour->watches, same_neighbour)
		refresh_watch(table, watch);
}

/* ---- Neighbours -------------------------------------------------------------------------- */

static int compare_neighbour_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct neighbour_key));
}

static struct neighbour *find_neighbour(const struct next_hops *table,
					const struct neighbour_key *key)
{
	struct neighbour **node = tfind(key, &table->neighbour_tree, compare_neighbour_key);

	return node ? *node : NULL;
}

/* Says what the kernel refuses once, not for every neighbour and round. */
static void note_manage_result(struct next_hops *table, struct neighbour *neighbour, int error)
{
	const char *hint = error == -ENOBUFS ? " hint=\"raise gc_thresh3 in net.ipv4.neigh.default "
					       "and net.ipv6.neigh.default\""
					     : "";
	char text[ADDR_TEXT_MAX];

	neighbour->error = error;
	/* -ENODEV: the link has just gone, its event follows. */
	if (error == 0 || error == -ENODEV)
		return;
	table->refusals++;
	if (error != table->logged_error)
		log_warning("neighbour refused address=%s ifindex=%" PRIu32 " reason=\"%s\"%s",
			    addr_format(&neighbour->info.key.address, text),
			    neighbour->info.key.ifindex, strerror(-error), hint);
	table->logged_error = error;
}

static bool neighbour_needs_kernel(const struct neighbour_info *info)
{
	return !(info->state & NUD_PERMANENT) && !(info->is_managed && neighbour_is_usable(info));
}

/*
 * Looks the neighbour up and orders the kernel to resolve and keep it, unless it does already, the
 * operator set it, or nothing could be sent. The kernel drops entries when a link goes down, and
 * asks again for one that FAILED only every 5 s (interval_probe_time_ms): the order does so at
 * once.
 */
static void ensure_neighbour(struct next_hops *table, struct neighbour *neighbour)
{
	struct neighbour_info info;

	if (netlink_get_neighbour(&table->requests, &neighbour->info.key, &info) < 0)
		info = (struct neighbour_info){.key = neighbour->info.key};
	neighbour->info = info;
	if (!link_fault(links_find(&table->links, info.key.ifindex)) &&
	    neighbour_needs_kernel(&info))
		note_manage_result(table, neighbour,
				   netlink_manage_neighbour(&table->requests, &info.key));
	refresh_watches(table, neighbour);
}

static struct neighbour *get_or_add_neighbour(struct next_hops *table,
					      const struct neighbour_key *key)
{
	struct neighbour *neighbour = find_neighbour(table, key);

	if (neighbour)
		return neighbour;
	neighbour = calloc(1, sizeof(*neighbour));
	if (!neighbour)
		return NULL;
	neighbour->info.key = *key;
	if (!tsearch(neighbour, &table->neighbour_tree, compare_neighbour_key)) {
		free(neighbour);
		return NULL;
	}
	LIST_INSERT_HEAD(&table->neighbours, neighbour, all);
	ensure_neighbour(table, neighbour);
	return neighbour;
}

static void remove_neighbour(struct next_hops *table, struct neighbour *neighbour)
{
	tdelete(neighbour, &table->neighbour_tree, compare_neighbour_key);
	LIST_REMOVE(neighbour, all);
	free(neighbour);
}

/* Forgets a neighbour that nobody needs; the kernel too, if it was managed for us. */
static void release_neighbour(struct next_hops *table, struct neighbour *neighbour)
{
	struct neighbour_info info;

	if (!LIST_EMPTY(&neighbour->watches))
		return;
	/* An entry that the operator made PERMANENT meanwhile is no longer managed. */
	if (netlink_get_neighbour(&table->requests, &neighbour->info.key, &info) == 0 &&
	    info.is_managed && !(info.state & NUD_PERMANENT))
		(void)netlink_delete_neighbour(&table->requests, &info.key);
	remove_neighbour(table, neighbour);
}

/* ---- Watches ----------------------------------------------------------------------------- */

static int compare_address(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static struct watch *find_watch(const struct next_hops *table, const struct ip_addr *address)
{
	struct watch **node = tfind(address, &table->watch_tree, compare_address);

	return node ? *node : NULL;
}

static void move_watch(struct next_hops *table, struct watch *watch, struct neighbour *neighbour)
{
	struct neighbour *old = watch->neighbour;

	if (old == neighbour)
		return;
	watch->neighbour = neighbour;
	if (old)
		LIST_REMOVE(watch, same_neighbour);
	if (neighbour)
		LIST_INSERT_HEAD(&neighbour->watches, watch, same_neighbour);
	if (old)
		release_neighbour(table, old);
}

/* Asks for the route; -ENOMEM leaves the watch as it was. */
static int resolve_watch(struct next_hops *table, struct watch *watch)
{
	struct neighbour *neighbour = NULL;
	struct neighbour_key via;
	char text[ADDR_TEXT_MAX];
	int ret;

	ret = netlink_get_route(&table->requests, &watch->address, &via);
	if (ret < 0 && ret != -ENETUNREACH)
		log_warning("route lookup failed real=%s reason=\"%s\"",
			    addr_format(&watch->address, text), strerror(-ret));
	if (ret == 0) {
		neighbour = get_or_add_neighbour(table, &via);
		if (!neighbour)
			return -ENOMEM;
	}
	move_watch(table, watch, neighbour);
	refresh_watch(table, watch);
	return 0;
}

static void log_next_hop(const struct watch *watch)
{
	const struct next_hop *hop = &watch->now;
	char text[ADDR_TEXT_MAX];

	addr_format(&watch->address, text);
	if (hop->is_resolved)
		log_debug("next hop real=%s interface=%s mac=%02x:%02x:%02x:%02x:%02x:%02x", text,
			  hop->interface, hop->mac[0], hop->mac[1], hop->mac[2], hop->mac[3],
			  hop->mac[4], hop->mac[5]);
	else
		log_debug("next hop unresolved real=%s reason=%s", text, watch->reason);
}

/* ---- Public ------------------------------------------------------------------------------ */

int next_hops_init(struct next_hops *table, struct err *err)
{
	int ret;

	TAILQ_INIT(&table->to_resolve);
	TAILQ_INIT(&table->to_report);
	ret = netlink_open(&table->requests, false, err);
	if (ret < 0)
		return ret;
	ret = links_load(&table->links, &table->requests);
	return ret < 0 ? err_errno(err, -ret, "read network interfaces") : 0;
}

void next_hops_clear(struct next_hops *table)
{
	struct neighbour *neighbour;
	struct watch *watch;

	while ((watch = LIST_FIRST(&table->watches))) {
		tdelete(watch, &table->watch_tree, compare_address);
		LIST_REMOVE(watch, all);
		free(watch);
	}
	while ((neighbour = LIST_FIRST(&table->neighbours)))
		remove_neighbour(table, neighbour);
	links_clear(&table->links);
	netlink_close(&table->requests);
}

int next_hops_watch(struct next_hops *table, const struct ip_addr *address)
{
	struct watch *watch = find_watch(table, address);
	int ret;

	if (watch) {
		watch->refs++;
		return 0;
	}
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->address = *address;
	watch->refs = 1;
	if (!tsearch(watch, &table->watch_tree, compare_address)) {
		free(watch);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&table->watches, watch, all);
	ret = resolve_watch(table, watch);
	if (ret < 0)
		next_hops_unwatch(table, address);
	return ret;
}

void next_hops_unwatch(struct next_hops *table, const struct ip_addr *address)
{
	struct watch *watch = find_watch(table, address);

	if (!watch || --watch->refs > 0)
		return;
	move_watch(table, watch, NULL);
	if (watch->is_to_resolve)
		TAILQ_REMOVE(&table->to_resolve, watch, to_resolve);
	if (watch->is_to_report)
		TAILQ_REMOVE(&table->to_report, watch, to_report);
	tdelete(watch, &table->watch_tree, compare_address);
	LIST_REMOVE(watch, all);
	free(watch);
}

bool next_hops_get(const struct next_hops *table, const struct ip_addr *address,
		   struct next_hop *ret_next_hop)
{
	const struct watch *watch = find_watch(table, address);

	if (!watch)
		return false;
	*ret_next_hop = watch->now;
	return true;
}

void next_hops_queue_all(struct next_hops *table)
{
	struct watch *watch;

	LIST_FOREACH (watch, &table->watches, all) {
		if (watch->is_to_resolve)
			continue;
		watch->is_to_resolve = true;
		TAILQ_INSERT_TAIL(&table->to_resolve, watch, to_resolve);
	}
}

void next_hops_resolve(struct next_hops *table, unsigned int max)
{
	char text[ADDR_TEXT_MAX];
	struct watch *watch;

	while (max-- > 0 && (watch = TAILQ_FIRST(&table->to_resolve))) {
		TAILQ_REMOVE(&table->to_resolve, watch, to_resolve);
		watch->is_to_resolve = false;
		if (resolve_watch(table, watch) < 0)
			log_error("next hop kept real=%s reason=out_of_memory",
				  addr_format(&watch->address, text));
	}
}

bool next_hops_take_change(struct next_hops *table, struct ip_addr *ret_address,
			   struct next_hop *ret_next_hop)
{
	struct watch *watch;

	while ((watch = TAILQ_FIRST(&table->to_report))) {
		TAILQ_REMOVE(&table->to_report, watch, to_report);
		watch->is_to_report = false;
		if (next_hop_equal(&watch->now, &watch->reported))
			continue; /* back to what it was before anybody was told */
		log_next_hop(watch);
		watch->reported = watch->now;
		*ret_address = watch->address;
		*ret_next_hop = watch->now;
		return true;
	}
	return false;
}

bool next_hops_has_work(const struct next_hops *table)
{
	return !TAILQ_EMPTY(&table->to_resolve) || !TAILQ_EMPTY(&table->to_report);
}

void next_hops_link_changed(struct next_hops *table, uint32_t ifindex)
{
	struct neighbour *neighbour;

	LIST_FOREACH (neighbour, &table->neighbours, all) {
		if (neighbour->info.key.ifindex == ifindex)
			ensure_neighbour(table, neighbour);
		else if (links_is_above(&table->links, neighbour->info.key.ifindex, ifindex))
			refresh_watches(table, neighbour);
	}
}

void next_hops_neighbour_changed(struct next_hops *table, const struct neighbour_info *info)
{
	struct neighbour *neighbour = find_neighbour(table, &info->key);

	if (!neighbour)
		return;
	neighbour->info = *info;
	refresh_watches(table, neighbour);
}

void next_hops_neighbour_gone(struct next_hops *table, const struct neighbour_key *key)
{
	struct neighbour *neighbour = find_neighbour(table, key);

	if (neighbour)
		ensure_neighbour(table, neighbour);
}

void next_hops_refresh(struct next_hops *table, bool all)
{
	struct neighbour *neighbour;

	table->refusals = 0;
	LIST_FOREACH (neighbour, &table->neighbours, all) {
		if (all || neighbour_needs_kernel(&neighbour->info))
			ensure_neighbour(table, neighbour);
	}
	if (table->refusals == 0)
		table->logged_error = 0;
}
