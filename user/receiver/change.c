/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes of the host: see change.h. */
#include "change.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define RP_FILTER_ALL	 "net/ipv4/conf/all/rp_filter"
#define RP_FILTER_STRICT 1

static const char *const kind_names[] = {
	[CHANGE_SYSCTL] = "sysctl", [CHANGE_RP_FILTER] = "rp_filter", [CHANGE_LO_UP] = "lo_up",
	[CHANGE_VIP] = "vip",	    [CHANGE_ADVMSS] = "advmss",
};

#define KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

bool change_same(const struct change *a, const struct change *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case CHANGE_SYSCTL:
	case CHANGE_RP_FILTER:
		return !strcmp(a->sysctl, b->sysctl);
	case CHANGE_VIP:
		return addr_equal(&a->vip, &b->vip);
	case CHANGE_ADVMSS:
		return route_id_equal(&a->route, &b->route);
	case CHANGE_LO_UP:
		break;
	}
	return true;
}

/* ---- Is it so? ---------------------------------------------------------------------------- */

/* The kernel takes the larger of the interface's value and that of "all". */
static int check_rp_filter(const struct change *c, bool *ret_in_force, uint32_t *ret_found,
			   struct err *err)
{
	uint32_t all, own;
	int r = sysctl_read(c->sysctl, &own, err);

	if (!r)
		r = sysctl_read(RP_FILTER_ALL, &all, err);
	if (r)
		return r;
	*ret_in_force = (own > all ? own : all) != RP_FILTER_STRICT;
	*ret_found = own;
	return 0;
}

static int check_vip(const struct change *c, bool *ret_in_force, struct err *err)
{
	struct address_list list = {};
	int r = netlink_addresses((int)if_nametoindex("lo"), &list, err);

	if (r)
		return r;
	*ret_in_force = false;
	for (size_t i = 0; i < list.n; i++)
		*ret_in_force |= addr_equal(&list.items[i], &c->vip);
	free(list.items);
	return 0;
}

static const struct route *find_route(const struct route_list *list, const struct route_id *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (route_id_equal(&list->items[i].id, id))
			return &list->items[i];
	return NULL;
}

static int check_advmss(const struct change *c, bool *ret_in_force, uint32_t *ret_found,
			struct err *err)
{
	struct route_list list = {};
	const struct route *route;
	int r = netlink_default_routes(&list, err);

	if (r)
		return r;
	route = find_route(&list, &c->route);
	*ret_in_force = route && route->advmss && route->advmss <= c->value;
	*ret_found = route ? route->advmss : 0;
	route_list_free(&list);
	return 0;
}

int change_check(const struct change *c, bool *ret_in_force, uint32_t *ret_found, struct err *err)
{
	bool in_force = false;
	uint32_t found = 0;
	int r = 0;

	switch (c->kind) {
	case CHANGE_SYSCTL:
		r = sysctl_read(c->sysctl, &found, err);
		in_force = found >= c->value;
		break;
	case CHANGE_RP_FILTER:
		r = check_rp_filter(c, &in_force, &found, err);
		break;
	case CHANGE_LO_UP:
		r = netlink_link_is_up("lo", &in_force, err);
		break;
	case CHANGE_VIP:
		r = check_vip(c, &in_force, err);
		break;
	case CHANGE_ADVMSS:
		r = check_advmss(c, &in_force, &found, err);
		break;
	}
	if (r)
		return r;
	*ret_in_force = in_force;
	if (ret_found)
		*ret_found = found;
	return 0;
}

/* ---- Make and undo ------------------------------------------------------------------------ */

/* Sets the route's advmss; with only_from, if it is still that. -ENOENT: it is not there so. */
static int set_advmss(const struct change *c, const uint32_t *only_from, uint32_t value,
		      struct err *err)
{
	struct route_list list = {};
	const struct route *route;
	int r = netlink_default_routes(&list, err);

	if (r)
		return r;
	route = find_route(&list, &c->route);
	if (!route || (only_from && route->advmss != *only_from))
		r = err_set(err, ENOENT, "the route is no longer there");
	else
		r = netlink_route_set_advmss(route, value, err);
	route_list_free(&list);
	return r;
}

int change_make(const struct change *c, struct err *err)
{
	char text[256];
	int r = 0;

	switch (c->kind) {
	case CHANGE_SYSCTL:
	case CHANGE_RP_FILTER:
		r = sysctl_write(c->sysctl, c->value, err);
		break;
	case CHANGE_LO_UP:
		r = netlink_link_set_up("lo", true, err);
		break;
	case CHANGE_VIP:
		r = netlink_vip_add((int)if_nametoindex("lo"), &c->vip, err);
		break;
	case CHANGE_ADVMSS:
		r = set_advmss(c, NULL, c->value, err);
		break;
	}
	if (r) {
		change_describe(c, text, sizeof(text));
		err_prefix(err, "%s", text);
	}
	return r;
}

static int undo_sysctl(const struct change *c, uint32_t value, struct err *err)
{
	uint32_t now;
	int r = sysctl_read(c->sysctl, &now, err);

	if (r)
		return r;
	if (now != c->value)
		return -ENOENT; /* somebody else's value by now */
	return sysctl_write(c->sysctl, value, err);
}

int change_undo(const struct change *c, uint32_t value, bool *ret_undone, struct err *err)
{
	char text[256];
	int r = 0;

	switch (c->kind) {
	case CHANGE_SYSCTL:
	case CHANGE_RP_FILTER:
		r = undo_sysctl(c, value, err);
		break;
	case CHANGE_LO_UP:
		r = netlink_link_set_up("lo", false, err);
		break;
	case CHANGE_VIP:
		r = netlink_vip_delete((int)if_nametoindex("lo"), &c->vip, err);
		break;
	case CHANGE_ADVMSS:
		r = set_advmss(c, &c->value, value, err);
		break;
	}
	*ret_undone = r == 0;
	if (r == -ENOENT || r == -EADDRNOTAVAIL)
		return 0;
	if (r) {
		change_describe_undo(c, value, text, sizeof(text));
		err_prefix(err, "%s", text);
	}
	return r;
}

/* ---- As text ------------------------------------------------------------------------------ */

/* sysctl(8) takes slashes too; dots read better where no interface name has one. */
static void describe_sysctl(const struct change *c, uint32_t value, char *text, size_t size)
{
	char name[SYSCTL_NAME_MAX];

	snprintf(name, sizeof(name), "%s", c->sysctl);
	if (!strchr(name, '.'))
		for (char *p = name; *p; p++)
			if (*p == '/')
				*p = '.';
	snprintf(text, size, "sysctl -w %s=%u", name, value);
}

static void describe_vip(const struct change *c, const char *verb, const char *tail, char *text,
			 size_t size)
{
	char address[ADDR_TEXT_MAX];

	snprintf(text, size, "ip address %s %s/%d dev lo%s", verb, addr_format(&c->vip, address),
		 addr_is_v4(&c->vip) ? 32 : 128, tail);
}

static void describe_advmss(const struct change *c, uint32_t value, char *text, size_t size)
{
	char advmss[24] = "";

	if (value)
		snprintf(advmss, sizeof(advmss), " advmss %u", value);
	snprintf(text, size, "ip%s route replace %s%s", c->route.family == FAMILY_V6 ? " -6" : "",
		 c->route_text, advmss);
}

void change_describe(const struct change *c, char *text, size_t size)
{
	switch (c->kind) {
	case CHANGE_SYSCTL:
	case CHANGE_RP_FILTER:
		describe_sysctl(c, c->value, text, size);
		break;
	case CHANGE_LO_UP:
		snprintf(text, size, "ip link set lo up");
		break;
	case CHANGE_VIP:
		describe_vip(c, "add",
			     addr_is_v4(&c->vip) ? " scope host" : " nodad preferred_lft 0", text,
			     size);
		break;
	case CHANGE_ADVMSS:
		describe_advmss(c, c->value, text, size);
		break;
	}
}

void change_describe_undo(const struct change *c, uint32_t value, char *text, size_t size)
{
	switch (c->kind) {
	case CHANGE_SYSCTL:
	case CHANGE_RP_FILTER:
		describe_sysctl(c, value, text, size);
		break;
	case CHANGE_LO_UP:
		snprintf(text, size, "ip link set lo down");
		break;
	case CHANGE_VIP:
		describe_vip(c, "del", "", text, size);
		break;
	case CHANGE_ADVMSS:
		describe_advmss(c, value, text, size);
		break;
	}
}

/* ---- As JSON ------------------------------------------------------------------------------ */

json_t *change_to_json(const struct change *c)
{
	char vip[ADDR_TEXT_MAX] = "";

	if (c->kind == CHANGE_VIP)
		addr_format(&c->vip, vip);
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:i, s:I, s:i, s:I, s:I}", "kind",
			 kind_names[c->kind], "made", (int)c->is_made, "sysctl", c->sysctl,
			 "address", vip, "route", c->route_text, "family", (int)c->route.family,
			 "priority", (json_int_t)c->route.priority, "tos", (int)c->route.tos,
			 "value", (json_int_t)c->value, "old_value", (json_int_t)c->old_value);
}

int change_from_json(const json_t *json, struct change *ret_change)
{
	struct change c = {};
	const char *kind, *sysctl, *address, *route;
	json_int_t priority, value, old_value;
	int made, family, tos;
	size_t k = 0;

	if (json_unpack((json_t *)json, "{s:s, s:b, s:s, s:s, s:s, s:i, s:I, s:i, s:I, s:I}",
			"kind", &kind, "made", &made, "sysctl", &sysctl, "address", &address,
			"route", &route, "family", &family, "priority", &priority, "tos", &tos,
			"value", &value, "old_value", &old_value))
		return -EINVAL;
	while (k < KINDS && strcmp(kind, kind_names[k]) != 0)
		k++;
	/* The name is written to under /proc/sys: only what up itself records. */
	if (k == KINDS || (*sysctl && strncmp(sysctl, "net/ipv4/conf/", 14) != 0) ||
	    strstr(sysctl, "..") || (*address && addr_parse(address, &c.vip)))
		return -EINVAL;
	c.kind = (enum change_kind)k;
	c.is_made = made;
	snprintf(c.sysctl, sizeof(c.sysctl), "%s", sysctl);
	snprintf(c.route_text, sizeof(c.route_text), "%s", route);
	c.route.family = (uint8_t)family;
	c.route.priority = (uint32_t)priority;
	c.route.tos = (uint8_t)tos;
	c.value = (uint32_t)value;
	c.old_value = (uint32_t)old_value;
	*ret_change = c;
	return 0;
}
