/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From what is asked and what is there to a list of changes: see prepare.h. */
#include "prepare.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "bpffs.h"
#include "lib/addr.h"

/* The larger outer header is IPv6's; a link that has room for it beside 1500 bytes needs nothing.
 */
#define OUTER_HEADER 40
#define UDP_HEADER   8
#define CLIENT_MTU   1500
#define TCP_HEADER   20
#define IPV4_HEADER  20
#define IPV6_HEADER  40
#define SMALLEST_MSS 88 /* net.ipv4.tcp_min_snd_mss is 48; below this nothing useful is left */
#define RP_LOOSE     2
#define ARP_IGNORE   1 /* answer only for addresses of the interface the request came in by */
#define ARP_ANNOUNCE 2 /* ask with an address of the interface the request goes out by */

/* ---- The wishes --------------------------------------------------------------------------- */

static int take_from(const struct options *options, struct receiver_state *state)
{
	if (!options->n_from)
		return 0;
	free(state->from);
	state->n_from = 0;
	state->from = calloc(options->n_from, sizeof(*state->from));
	if (!state->from)
		return -ENOMEM;
	memcpy(state->from, options->from, options->n_from * sizeof(*state->from));
	state->n_from = options->n_from;
	return 0;
}

/* As given, else as before, else the usual one. */
static uint16_t wanted_gue_port(const struct options *options, const struct receiver_state *state)
{
	if (options->has_gue_port)
		return options->gue_port;
	return state->n_vips ? state->gue_port : RECEIVER_GUE_PORT;
}

static int take_options(const struct options *options, struct receiver_state *state)
{
	int r = 0;

	snprintf(state->interface, sizeof(state->interface), "%s", options->interface);
	free(state->pins);
	state->pins = bpffs_pins(options->bpffs, options->interface);
	if (!state->pins)
		return -ENOMEM;
	if (options->has_mode)
		state->mode = options->mode;
	state->gue_port = wanted_gue_port(options, state);
	state->program = attach_program();
	for (size_t i = 0; i < options->n_vips && !r; i++)
		r = state_add_vip(state, &options->vips[i]);
	return r ? r : take_from(options, state);
}

static int take_locals(struct receiver_state *state, FILE *notes, struct err *err)
{
	struct address_list list = {};
	char text[ADDR_TEXT_MAX];
	int r = netlink_addresses((int)if_nametoindex(state->interface), &list, err);

	if (r)
		return r;
	free(state->locals);
	state->locals = list.items;
	state->n_locals = list.n;
	if (list.n > RECEIVER_MAX_LOCALS)
		return err_set(err, E2BIG, "%s has %zu addresses, at most %u can be served",
			       state->interface, list.n, RECEIVER_MAX_LOCALS);
	if (!list.n)
		fprintf(notes,
			"# %s has no address that a balancer could send to: give it one "
			"and run up again\n",
			state->interface);
	for (size_t i = 0; i < list.n; i++)
		for (size_t j = 0; j < state->n_vips; j++)
			if (addr_equal(&list.items[i], &state->vips[j]))
				return err_set(err, EADDRINUSE,
					       "%s is an address of %s, which would answer ARP for "
					       "it: remove it there (ip address del %s dev %s)",
					       addr_format(&list.items[i], text), state->interface,
					       text, state->interface);
	return 0;
}

/* ---- The changes -------------------------------------------------------------------------- */

/* Records the change; marks it to be made unless it is in force. */
static int want_change(struct receiver_state *state, const struct change *wanted, struct err *err)
{
	struct change c = *wanted, *known = state_find_change(state, wanted);
	bool in_force;
	int r = change_check(&c, &in_force, &c.found_value, err);

	if (r)
		return r;
	if (known && known->is_made) {
		c.is_made = true;
		c.old_value = known->old_value;
	} else {
		c.is_made = !in_force;
		c.old_value = c.found_value;
	}
	c.is_made_now = !in_force;
	if (known)
		*known = c;
	else if (state_add_change(state, &c))
		return err_errno(err, ENOMEM, "plan");
	return 0;
}

static int want_sysctl(struct receiver_state *state, enum change_kind kind, const char *interface,
		       const char *setting, uint32_t value, struct err *err)
{
	struct change c = {.kind = kind, .value = value};

	snprintf(c.sysctl, sizeof(c.sysctl), "net/ipv4/conf/%s/%s", interface, setting);
	return want_change(state, &c, err);
}

static bool has_vip_of(const struct receiver_state *state, enum xdplb_family family)
{
	for (size_t i = 0; i < state->n_vips; i++)
		if (addr_family(&state->vips[i]) == family)
			return true;
	return false;
}

static int want_addresses(struct receiver_state *state, struct err *err)
{
	struct change lo_up = {.kind = CHANGE_LO_UP};
	int r = want_change(state, &lo_up, err);

	for (size_t i = 0; i < state->n_vips && !r; i++) {
		struct change c = {.kind = CHANGE_VIP, .vip = state->vips[i]};

		r = want_change(state, &c, err);
	}
	return r;
}

/* Forgets routes that are gone: there is nothing left to undo. */
static void forget_routes(struct receiver_state *state, const struct route_list *routes)
{
	size_t kept = 0;

	for (size_t i = 0; i < state->n_changes; i++) {
		bool is_there = state->changes[i].kind != CHANGE_ADVMSS;

		for (size_t j = 0; j < routes->n && !is_there; j++)
			is_there = route_id_equal(&state->changes[i].route, &routes->items[j].id);
		if (is_there)
			state->changes[kept++] = state->changes[i];
	}
	state->n_changes = kept;
}

static uint32_t outer_len(const struct receiver_state *state)
{
	return OUTER_HEADER + (state->gue_port ? UDP_HEADER : 0);
}

static uint32_t roomy_mtu(const struct receiver_state *state)
{
	return CLIENT_MTU + outer_len(state);
}

static int want_route(struct receiver_state *state, const struct route *route, uint32_t mtu,
		      FILE *notes, struct err *err)
{
	uint32_t headers = outer_len(state) + TCP_HEADER +
			   (route->id.family == FAMILY_V4 ? IPV4_HEADER : IPV6_HEADER);
	struct change c = {.kind = CHANGE_ADVMSS, .route = route->id, .value = mtu - headers};

	if (mtu < headers + SMALLEST_MSS)
		return err_set(err, EINVAL, "the MTU of %s is %u: too small for tunnel packets",
			       state->interface, mtu);
	/* The next advertisement would bring back a route of its own beside a replaced one. */
	if (route->protocol == RTPROT_RA) {
		fprintf(notes,
			"# %s comes from router advertisements and is left as it is: let "
			"the router advertise an MTU of %u, or use an MTU of %u\n",
			route->text, mtu - outer_len(state), roomy_mtu(state));
		return 0;
	}
	snprintf(c.route_text, sizeof(c.route_text), "%s", route->text);
	return want_change(state, &c, err);
}

static int want_routes(struct receiver_state *state, FILE *notes, struct err *err)
{
	struct route_list routes = {};
	size_t n_of[2] = {};
	uint32_t mtu;
	int r = netlink_link_mtu(state->interface, &mtu, err);

	if (!r)
		r = netlink_default_routes(&routes, err);
	if (r)
		return r;
	forget_routes(state, &routes);
	for (size_t i = 0; i < routes.n && !r && mtu < roomy_mtu(state); i++) {
		n_of[routes.items[i].id.family == FAMILY_V6]++;
		if (has_vip_of(state, (enum xdplb_family)routes.items[i].id.family))
			r = want_route(state, &routes.items[i], mtu, notes, err);
	}
	for (size_t i = 0; i < 2 && !r && mtu < roomy_mtu(state); i++)
		if (!n_of[i] && has_vip_of(state, i ? FAMILY_V6 : FAMILY_V4))
			fprintf(notes,
				"# no IPv%d default route to set advmss on: run up again "
				"once there is one\n",
				i ? 6 : 4);
	route_list_free(&routes);
	return r;
}

int prepare_up(const struct options *options, struct receiver_state *state, FILE *notes,
	       struct err *err)
{
	bool is_up;
	int r = take_options(options, state);

	if (r)
		return err_errno(err, -r, "plan");
	r = take_locals(state, notes, err);
	if (!r)
		r = netlink_link_is_up(state->interface, &is_up, err);
	if (!r && !is_up)
		fprintf(notes, "# %s is down: nothing arrives until `ip link set %s up`\n",
			state->interface, state->interface);
	if (!r && has_vip_of(state, FAMILY_V4)) {
		r = want_sysctl(state, CHANGE_SYSCTL, "all", "arp_ignore", ARP_IGNORE, err);
		if (!r)
			r = want_sysctl(state, CHANGE_SYSCTL, "all", "arp_announce", ARP_ANNOUNCE,
					err);
		if (!r)
			r = want_sysctl(state, CHANGE_RP_FILTER, state->interface, "rp_filter",
					RP_LOOSE, err);
	}
	if (!r)
		r = want_addresses(state, err);
	if (!r && !options->no_advmss)
		r = want_routes(state, notes, err);
	return r;
}
