/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops in the event loop: see neigh.h. What the monitor hears becomes either a new look at one
 * neighbour or link, or, for anything that may change a route, one pass over all watches a little
 * later. The pass and the callbacks run in slices from the event loop, so that 10,000 watches do
 * not hold up the probes and the API.
 */
#include "neigh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "next_hops.h"

/* How long route events are gathered before all watches are resolved again. */
#define RESOLVE_DELAY_US 20000
/* How often neighbours that the kernel does not keep fresh are asked for. */
#define REFRESH_INTERVAL_US 1000000
/* Watches resolved in one turn of the event loop: under a millisecond. */
#define RESOLVE_SLICE 128

struct neigh {
	const struct neigh_ops *ops;
	void *user;
	struct next_hops table;
	struct netlink monitor;
	sd_event_source *monitor_source;
	sd_event_source *work_source; /* enabled while the table has work */
	sd_event_source *resolve_timer; /* enabled while a pass is due */
	sd_event_source *refresh_timer;
};

static void update_work(struct neigh *neigh)
{
	(void)sd_event_source_set_enabled(
		neigh->work_source, next_hops_has_work(&neigh->table) ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_work(sd_event_source *source, void *user)
{
	struct neigh *neigh = user;
	struct next_hop next_hop;
	struct ip_addr address;

	next_hops_resolve(&neigh->table, RESOLVE_SLICE);
	while (next_hops_take_change(&neigh->table, &address, &next_hop))
		neigh->ops->next_hop_changed(neigh->user, &address, &next_hop);
	update_work(neigh);
	return 0;
}

/* Not later for every further event: a storm must not put the pass off for ever. */
static void schedule_resolve_all(struct neigh *neigh)
{
	int enabled = SD_EVENT_OFF;

	(void)sd_event_source_get_enabled(neigh->resolve_timer, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_time_relative(neigh->resolve_timer, RESOLVE_DELAY_US);
	(void)sd_event_source_set_enabled(neigh->resolve_timer, SD_EVENT_ONESHOT);
}

static int on_resolve_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct neigh *neigh = user;

	next_hops_queue_all(&neigh->table);
	update_work(neigh);
	return 0;
}

static int on_refresh_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct neigh *neigh = user;

	next_hops_refresh(&neigh->table, false);
	update_work(neigh);
	(void)sd_event_source_set_time_relative(source, REFRESH_INTERVAL_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- Events ------------------------------------------------------------------------------ */

static enum link_news link_news(const struct link_info *info, const struct link_info *old)
{
	if (old->name[0] ? old->is_up == info->is_up : info->is_up)
		return LINK_CHANGED;
	return info->is_up ? LINK_UP : LINK_DOWN;
}

static void on_link(struct neigh *neigh, const struct link_info *info)
{
	struct link_info old;
	int ret = links_set(&neigh->table.links, info, &old);

	if (ret < 0)
		log_error("link ignored interface=%s reason=out_of_memory", info->name);
	if (ret <= 0)
		return;
	next_hops_link_changed(&neigh->table, info->ifindex);
	schedule_resolve_all(neigh);
	if (old.name[0] && strcmp(old.name, info->name) != 0)
		neigh->ops->link_changed(neigh->user, info->ifindex, old.name, LINK_GONE);
	neigh->ops->link_changed(neigh->user, info->ifindex, info->name, link_news(info, &old));
}

static void on_link_gone(struct neigh *neigh, uint32_t ifindex)
{
	struct link_info old;

	if (!links_remove(&neigh->table.links, ifindex, &old))
		return;
	next_hops_link_changed(&neigh->table, ifindex);
	schedule_resolve_all(neigh);
	neigh->ops->link_changed(neigh->user, ifindex, old.name, LINK_GONE);
}

static void on_netlink_event(void *user, const struct netlink_event *event)
{
	struct neigh *neigh = user;

	switch (event->type) {
	case NETLINK_EVENT_LINK:
		on_link(neigh, &event->link);
		break;
	case NETLINK_EVENT_LINK_GONE:
		on_link_gone(neigh, event->link.ifindex);
		break;
	case NETLINK_EVENT_NEIGHBOUR:
		next_hops_neighbour_changed(&neigh->table, &event->neighbour);
		break;
	case NETLINK_EVENT_NEIGHBOUR_GONE:
		next_hops_neighbour_gone(&neigh->table, &event->neighbour.key);
		break;
	case NETLINK_EVENT_ROUTES:
		schedule_resolve_all(neigh);
		break;
	}
}

static void resync_links(struct neigh *neigh)
{
	struct links now = {};
	struct link *link, *next;
	int ret = links_load(&now, &neigh->table.requests);

	if (ret < 0) {
		log_error("link dump failed reason=\"%s\"", strerror(-ret));
		links_clear(&now);
		return;
	}
	for (link = LIST_FIRST(&neigh->table.links.list); link; link = next) {
		next = LIST_NEXT(link, all);
		if (!links_find(&now, link->info.ifindex))
			on_link_gone(neigh, link->info.ifindex);
	}
	LIST_FOREACH (link, &now.list, all)
		on_link(neigh, &link->info);
	links_clear(&now);
}

/*
 * An overrun socket takes nothing more until it has been read empty, and says so only once (Linux
 * 6.18, NETLINK_S_CONGESTED): a new one hears what follows from here on.
 */
static void replace_monitor(struct neigh *neigh)
{
	struct netlink fresh;
	struct err err = {};
	int ret = netlink_open(&fresh, true, &err);

	if (ret < 0) {
		log_error("netlink monitor kept reason=\"%s\"", err.text);
		return;
	}
	ret = sd_event_source_set_io_fd(neigh->monitor_source, mnl_socket_get_fd(fresh.socket));
	if (ret < 0) {
		log_error("netlink monitor kept reason=\"%s\"", strerror(-ret));
		netlink_close(&fresh);
		return;
	}
	netlink_close(&neigh->monitor);
	neigh->monitor = fresh;
}

static int on_monitor(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct neigh *neigh = user;
	int ret = netlink_read_events(&neigh->monitor, on_netlink_event, neigh);

	if (ret < 0) {
		log_info("netlink events lost, reading all again reason=\"%s\"", strerror(-ret));
		replace_monitor(neigh);
		resync_links(neigh);
		next_hops_refresh(&neigh->table, true);
		schedule_resolve_all(neigh);
	}
	update_work(neigh);
	return 0;
}

/* ---- Public ------------------------------------------------------------------------------ */

static int add_sources(struct neigh *neigh, sd_event *event)
{
	int ret;

	ret = sd_event_add_io(event, &neigh->monitor_source,
			      mnl_socket_get_fd(neigh->monitor.socket), EPOLLIN, on_monitor, neigh);
	if (ret >= 0)
		ret = sd_event_add_defer(event, &neigh->work_source, on_work, neigh);
	if (ret >= 0)
		ret = sd_event_source_set_enabled(neigh->work_source, SD_EVENT_OFF);
	if (ret >= 0)
		ret = sd_event_add_time_relative(event, &neigh->resolve_timer, CLOCK_MONOTONIC, 0,
						 1000, on_resolve_timer, neigh);
	if (ret >= 0)
		ret = sd_event_source_set_enabled(neigh->resolve_timer, SD_EVENT_OFF);
	if (ret >= 0)
		ret = sd_event_add_time_relative(event, &neigh->refresh_timer, CLOCK_MONOTONIC,
						 REFRESH_INTERVAL_US, 0, on_refresh_timer, neigh);
	return ret;
}

int neigh_new(struct neigh **ret_neigh, sd_event *event, const struct neigh_ops *ops, void *user,
	      struct err *err)
{
	struct neigh *neigh = calloc(1, sizeof(*neigh));
	int ret;

	if (!neigh)
		return err_errno(err, ENOMEM, "next hops");
	neigh->ops = ops;
	neigh->user = user;
	/* The monitor first: a change while the table is read is heard. */
	ret = netlink_open(&neigh->monitor, true, err);
	if (ret == 0)
		ret = next_hops_init(&neigh->table, err);
	if (ret < 0)
		goto fail;
	ret = add_sources(neigh, event);
	if (ret < 0) {
		err_errno(err, -ret, "next hops");
		goto fail;
	}
	*ret_neigh = neigh;
	return 0;
fail:
	neigh_free(neigh);
	return ret;
}

void neigh_free(struct neigh *neigh)
{
	if (!neigh)
		return;
	sd_event_source_disable_unref(neigh->refresh_timer);
	sd_event_source_disable_unref(neigh->resolve_timer);
	sd_event_source_disable_unref(neigh->work_source);
	sd_event_source_disable_unref(neigh->monitor_source);
	netlink_close(&neigh->monitor);
	next_hops_clear(&neigh->table);
	free(neigh);
}

int neigh_watch(struct neigh *neigh, const struct ip_addr *address, struct err *err)
{
	int ret = next_hops_watch(&neigh->table, address);

	update_work(neigh);
	return ret < 0 ? err_errno(err, -ret, "watch next hop") : 0;
}

void neigh_unwatch(struct neigh *neigh, const struct ip_addr *address)
{
	next_hops_unwatch(&neigh->table, address);
}

bool neigh_link_is_up(const struct neigh *neigh, uint32_t ifindex)
{
	const struct link_info *link = links_find(&neigh->table.links, ifindex);

	return link && link->is_up;
}

bool neigh_get(const struct neigh *neigh, const struct ip_addr *address,
	       struct next_hop *ret_next_hop)
{
	return next_hops_get(&neigh->table, address, ret_next_hop);
}
