/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probes through the data path: see tunnels.h. */
#include "tunnels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/addr.h"
#include "lib/dataplane_probe.h"
#include "log.h"

#define N_BUCKETS 1024
/* A neighbour is resolved or given up within this time: what is missing before says nothing. */
#define RESOLVE_MS 3500

#define NO_WAY "no way to the VIP: no route, no answer from its gateway, or it is this host's own"

/* The way of unencapsulated packets to a VIP: where the program has to be. */
struct vip_route {
	LIST_ENTRY(vip_route) entry;
	struct ip_addr vip;
	uint32_t n_tunnels;
	uint32_t ifindex; /* attached there; 0: nowhere */
	char interface[IF_NAMESIZE];
	uint32_t filtered_ifindex; /* where replies are known to be dropped: said */
	bool is_lost_said;
};

struct tunnel {
	LIST_ENTRY(tunnel) entry;
	struct tunnels *tunnels;
	struct vip_route *route;
	struct ip_addr real;
	enum xdplb_encap encap;
	uint32_t id;
	uint32_t refs;
	uint64_t begun_ms;
	uint64_t sent_before; /* before the map's count began anew */
	bool is_resolved;
	bool is_on_link;
};

LIST_HEAD(tunnel_list, tunnel);

struct tunnels {
	char *bpffs;
	struct probe_hook *hook;
	struct neigh *neigh; /* NULL: gone */
	struct dataplane_knobs knobs;
	bool is_loaded;
	bool *is_used; /* by id */
	uint32_t last_id;
	LIST_HEAD(, vip_route) routes;
	struct tunnel_list buckets[N_BUCKETS]; /* by real */
};

static struct tunnel_list *bucket_of(struct tunnels *tunnels, const struct ip_addr *real)
{
	uint64_t words[2], h;

	memcpy(words, real->b, sizeof(words));
	h = (words[0] * 0x9e3779b97f4a7c15ULL ^ words[1]) * 0xbf58476d1ce4e5b9ULL;
	return &tunnels->buckets[(h >> 32) % N_BUCKETS];
}

/* ---- the program ----------------------------------------------------------------------------- */

static int load(struct tunnels *tunnels)
{
	struct err err;
	int r = probe_hook_load(tunnels->hook, &tunnels->knobs, &err);

	if (r)
		log_error("no probes through the data path error=\"%s\"", err.text);
	tunnels->is_loaded |= !r;
	return r;
}

static void attach(struct tunnels *tunnels, struct vip_route *route, uint32_t ifindex)
{
	char text[ADDR_TEXT_MAX];
	struct err err;

	route->ifindex = 0;
	if (probe_hook_attach(tunnels->hook, ifindex, &err)) {
		log_error("no probes through the data path vip=%s error=\"%s\"",
			  addr_format(&route->vip, text), err.text);
		return;
	}
	route->ifindex = ifindex;
}

void tunnels_set_knobs(struct tunnels *tunnels, const struct dataplane_knobs *knobs)
{
	bool is_same = memcmp(&tunnels->knobs, knobs, sizeof(*knobs)) == 0;
	struct vip_route *route;

	tunnels->knobs = *knobs;
	if (!tunnels->is_loaded || is_same || load(tunnels))
		return;
	LIST_FOREACH (route, &tunnels->routes, entry) {
		if (route->ifindex)
			attach(tunnels, route, route->ifindex);
	}
}

void tunnels_tidy(struct tunnels *tunnels)
{
	const struct vip_route *route;
	uint32_t *keep;
	size_t n = 0;

	LIST_FOREACH (route, &tunnels->routes, entry)
		n++;
	keep = calloc(n + 1, sizeof(*keep));
	if (!keep)
		return; /* something stays that does nothing */
	n = 0;
	LIST_FOREACH (route, &tunnels->routes, entry) {
		if (route->ifindex)
			keep[n++] = route->ifindex;
	}
	probe_hook_detach_others(tunnels->bpffs, keep, n);
	free(keep);
}

/* ---- routes to VIPs -------------------------------------------------------------------------- */

static int read_rp_filter(const char *interface)
{
	char path[96];
	int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", interface);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

/* With strict filtering, replies from the VIP count as forged where its route does not leave. */
static void check_replies(struct vip_route *route, const struct next_hop *real)
{
	int all = read_rp_filter("all"), here = read_rp_filter(real->interface);
	char text[ADDR_TEXT_MAX];

	if (!addr_is_v4(&route->vip) || !route->ifindex || real->ifindex == route->ifindex ||
	    route->filtered_ifindex == real->ifindex || (all > here ? all : here) != 1)
		return;
	route->filtered_ifindex = real->ifindex;
	log_warning("replies of probes through the data path are dropped if they come in here "
		    "vip=%s interface=%s route=%s reason=rp_filter fix=\"sysctl "
		    "net.ipv4.conf.%s.rp_filter=2\"",
		    addr_format(&route->vip, text), real->interface, route->interface,
		    real->interface);
}

/* Once, until there was one. */
static void say_no_way(struct vip_route *route)
{
	char text[ADDR_TEXT_MAX];

	if (!route->is_lost_said)
		log_warning("no probes through the data path vip=%s reason=\"%s\"",
			    addr_format(&route->vip, text), NO_WAY);
	route->is_lost_said = true;
}

static void route_changed(struct tunnels *tunnels, struct vip_route *route,
			  const struct next_hop *hop)
{
	char text[ADDR_TEXT_MAX];

	addr_format(&route->vip, text);
	if (hop->is_resolved && hop->ifindex == route->ifindex)
		return;
	if (!hop->is_resolved) {
		if (route->ifindex)
			say_no_way(route);
		route->ifindex = 0;
		return;
	}
	memcpy(route->interface, hop->interface, sizeof(route->interface));
	attach(tunnels, route, hop->ifindex);
	route->is_lost_said = false;
	if (route->ifindex)
		log_info("probes through the data path vip=%s interface=%s", text, hop->interface);
	tunnels_tidy(tunnels);
}

static int route_get(struct tunnels *tunnels, const struct ip_addr *vip,
		     struct vip_route **ret_route)
{
	struct vip_route *route;
	struct next_hop hop;
	int r;

	LIST_FOREACH (route, &tunnels->routes, entry) {
		if (addr_equal(&route->vip, vip)) {
			*ret_route = route;
			return 0;
		}
	}
	route = calloc(1, sizeof(*route));
	if (!route)
		return -ENOMEM;
	route->vip = *vip;
	r = neigh_watch(tunnels->neigh, vip, NULL);
	if (r) {
		free(route);
		return r;
	}
	LIST_INSERT_HEAD(&tunnels->routes, route, entry);
	if (neigh_get(tunnels->neigh, vip, &hop) && hop.is_resolved)
		route_changed(tunnels, route, &hop);
	*ret_route = route;
	return 0;
}

static void route_put(struct tunnels *tunnels, struct vip_route *route)
{
	if (route->n_tunnels)
		return;
	if (tunnels->neigh)
		neigh_unwatch(tunnels->neigh, &route->vip);
	LIST_REMOVE(route, entry);
	free(route);
}

/* ---- tunnels --------------------------------------------------------------------------------- */

static void publish(struct tunnel *t, const struct next_hop *hop)
{
	struct probe_tunnel value = {
		.vip = t->route->vip,
		.real = t->real,
		.vip_family = addr_family(&t->route->vip),
		.real_family = addr_family(&t->real),
		.encap = (uint8_t)t->encap,
	};
	char text[ADDR_TEXT_MAX];
	int r;

	t->sent_before = tunnel_sent(t);
	t->is_resolved = hop->is_resolved;
	t->is_on_link = hop->is_on_link;
	if (hop->is_resolved && (hop->is_on_link || t->encap != ENCAP_L2DSR)) {
		memcpy(value.mac, hop->mac, sizeof(value.mac));
		memcpy(value.source_mac, hop->source_mac, sizeof(value.source_mac));
		value.ifindex = hop->ifindex;
		value.mtu = hop->mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)hop->mtu;
	}
	r = probe_hook_set(t->tunnels->hook, t->id, &value);
	if (r) {
		t->is_resolved = false;
		log_error("no probes through the data path real=%s error=\"%s\"",
			  addr_format(&t->real, text), strerror(-r));
	}
	if (hop->is_resolved)
		check_replies(t->route, hop);
}

bool tunnels_next_hop_changed(struct tunnels *tunnels, const struct ip_addr *address,
			      const struct next_hop *hop)
{
	struct vip_route *route;
	bool is_vip = false;
	struct tunnel *t;

	LIST_FOREACH (route, &tunnels->routes, entry) {
		if (!addr_equal(&route->vip, address))
			continue;
		route_changed(tunnels, route, hop);
		is_vip = true;
	}
	LIST_FOREACH (t, bucket_of(tunnels, address), entry) {
		if (addr_equal(&t->real, address))
			publish(t, hop);
	}
	return is_vip;
}

/* An id is taken anew as late as can be: a closed connection's last packets carry it for a while.
 */
static int take_id(struct tunnels *tunnels, uint32_t *ret_id)
{
	for (uint32_t i = 0; i < PROBE_TUNNELS; i++) {
		tunnels->last_id = tunnels->last_id % PROBE_TUNNELS + 1;
		if (tunnels->is_used[tunnels->last_id])
			continue;
		tunnels->is_used[tunnels->last_id] = true;
		*ret_id = tunnels->last_id;
		return 0;
	}
	return -ENOSPC;
}

static int tunnel_start(struct tunnel *t, const struct ip_addr *vip)
{
	struct tunnels *tunnels = t->tunnels;
	struct next_hop hop = {};
	int r = take_id(tunnels, &t->id);

	r = r ? r : route_get(tunnels, vip, &t->route);
	if (r)
		return r;
	t->route->n_tunnels++;
	r = neigh_watch(tunnels->neigh, &t->real, NULL);
	if (r)
		return r;
	neigh_get(tunnels->neigh, &t->real, &hop);
	LIST_INSERT_HEAD(bucket_of(tunnels, &t->real), t, entry);
	t->refs = 1;
	publish(t, &hop);
	return 0;
}

static void tunnel_free(struct tunnel *t)
{
	struct tunnels *tunnels = t->tunnels;

	if (t->id) {
		probe_hook_remove(tunnels->hook, t->id);
		tunnels->is_used[t->id] = false;
	}
	if (t->refs) {
		LIST_REMOVE(t, entry);
		if (tunnels->neigh)
			neigh_unwatch(tunnels->neigh, &t->real);
	}
	if (t->route) {
		t->route->n_tunnels--;
		route_put(tunnels, t->route);
	}
	free(t);
}

int tunnels_get(struct tunnels *tunnels, const struct ip_addr *vip, const struct ip_addr *real,
		enum xdplb_encap encap, uint64_t now_ms, struct tunnel **ret_tunnel)
{
	struct tunnel *t;
	int r;

	LIST_FOREACH (t, bucket_of(tunnels, real), entry) {
		if (addr_equal(&t->real, real) && addr_equal(&t->route->vip, vip) &&
		    t->encap == encap) {
			t->refs++;
			*ret_tunnel = t;
			return 0;
		}
	}
	r = tunnels->is_loaded ? 0 : load(tunnels);
	if (r)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->tunnels = tunnels;
	t->real = *real;
	t->encap = encap;
	t->begun_ms = now_ms;
	r = tunnel_start(t, vip);
	if (r) {
		tunnel_free(t);
		return r;
	}
	*ret_tunnel = t;
	return 0;
}

void tunnel_put(struct tunnel *tunnel)
{
	if (!tunnel)
		return;
	if (tunnel->refs > 1)
		tunnel->refs--;
	else
		tunnel_free(tunnel);
}

uint32_t tunnel_mark(const struct tunnel *tunnel)
{
	return probe_hook_mark(tunnel->tunnels->hook, tunnel->id);
}

uint64_t tunnel_sent(const struct tunnel *tunnel)
{
	return probe_hook_sent(tunnel->tunnels->hook, tunnel->id) + tunnel->sent_before;
}

enum tunnel_state tunnel_state(const struct tunnel *tunnel, uint64_t now_ms, const char **ret_why)
{
	bool is_new = now_ms < tunnel->begun_ms + RESOLVE_MS;

	*ret_why = NULL;
	if (!tunnel->route->ifindex) {
		*ret_why = NO_WAY;
		if (!is_new)
			say_no_way(tunnel->route);
		return TUNNEL_NOT_READY;
	}
	if (!tunnel->is_resolved) {
		*ret_why = "no next hop to the real";
		return is_new ? TUNNEL_NOT_READY : TUNNEL_BROKEN;
	}
	if (tunnel->encap == ENCAP_L2DSR && !tunnel->is_on_link) {
		*ret_why = "the real is behind a gateway, which l2dsr cannot pass";
		return TUNNEL_BROKEN;
	}
	return TUNNEL_READY;
}

/* ---- all ------------------------------------------------------------------------------------- */

int tunnels_new(struct tunnels **ret_tunnels, const char *bpffs, struct neigh *neigh,
		struct err *err)
{
	struct tunnels *tunnels = calloc(1, sizeof(*tunnels));

	if (!tunnels)
		return err_errno(err, ENOMEM, "probes through the data path");
	tunnels->neigh = neigh;
	tunnels->is_used = calloc(PROBE_TUNNELS + 1, sizeof(*tunnels->is_used));
	tunnels->bpffs = strdup(bpffs);
	if (!tunnels->is_used || !tunnels->bpffs || probe_hook_new(&tunnels->hook, bpffs)) {
		tunnels_free(tunnels);
		return err_errno(err, ENOMEM, "probes through the data path");
	}
	*ret_tunnels = tunnels;
	return 0;
}

void tunnels_stop(struct tunnels *tunnels)
{
	if (tunnels)
		tunnels->neigh = NULL;
}

void tunnels_free(struct tunnels *tunnels)
{
	if (!tunnels)
		return;
	probe_hook_free(tunnels->hook);
	free(tunnels->is_used);
	free(tunnels->bpffs);
	free(tunnels);
}
