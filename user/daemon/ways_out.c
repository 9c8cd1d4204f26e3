/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ways out: next hops from the kernel's routes and neighbours into members and out_interfaces.
 */
#include <errno.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "log.h"

#define NO_ROW 0u

static bool row_is_named(const struct controller *c, uint32_t row)
{
	const struct dp *dp = dataplane_dp(c->dataplane);

	for (uint32_t id = 0; id < dp->control->members; id++) {
		if (dp->members[id].next_hop >> NEXT_HOP_ROW_SHIFT == row)
			return true;
	}
	return false;
}

/* The row of what the routes name, or one that nobody uses; row 0 stays empty: a next hop word of 0
 * is none. */
static uint32_t find_row(const struct controller *c, uint32_t device)
{
	const struct dp *dp = dataplane_dp(c->dataplane);

	for (uint32_t row = 1; row < XDPLB_MAX_INTERFACES; row++) {
		if (dp->out[row].ifindex && dp->out[row].device == device)
			return row;
	}
	for (uint32_t row = 1; row < XDPLB_MAX_INTERFACES; row++) {
		if (!dp->out[row].ifindex && !row_is_named(c, row))
			return row;
	}
	return NO_ROW;
}

static void write_row(const struct dp *dp, uint32_t row, const struct next_hop *hop)
{
	struct out_interface *out = &dp->out[row];

	memcpy(out->mac, hop->source_mac, sizeof(out->mac));
	out->mtu = hop->mtu > UINT16_MAX ? UINT16_MAX : hop->mtu;
	memcpy(out->tag, hop->tag, sizeof(out->tag));
	out->device = hop->ifindex;
	dp_store(out->ifindex, hop->out_ifindex);
}

static void clear_row(const struct controller *c, uint32_t ifindex)
{
	const struct dp *dp = dataplane_dp(c->dataplane);

	for (uint32_t row = 1; row < XDPLB_MAX_INTERFACES; row++) {
		if (dp->out[row].ifindex == ifindex || dp->out[row].device == ifindex)
			dp_store(dp->out[row].ifindex, 0);
	}
}

static uint64_t next_hop_word(struct controller *c, const struct next_hop *hop)
{
	uint64_t word = 0;
	uint32_t row;

	if (!hop->is_resolved)
		return NEXT_HOP_NONE;
	row = find_row(c, hop->ifindex);
	if (row == NO_ROW) {
		log_error("no room for another way out interface=%s limit=%u", hop->interface,
			  XDPLB_MAX_INTERFACES - 1);
		return NEXT_HOP_NONE;
	}
	write_row(dataplane_dp(c->dataplane), row, hop);
	for (int i = 5; i >= 0; i--)
		word = word << 8 | hop->mac[i];
	return word | (uint64_t)row << NEXT_HOP_ROW_SHIFT;
}

static void publish(struct controller *c, const struct ip_addr *address, const struct next_hop *hop)
{
	uint64_t word = next_hop_word(c, hop);
	char text[ADDR_TEXT_MAX];

	if (!hop->is_resolved || hop->is_on_link)
		apply_next_hop(c->applied, address, word);
	else if (apply_gateway(c->applied, address, word))
		log_warning("real not on link, no packets by l2dsr real=%s interface=%s "
			    "reason=gateway",
			    addr_format(address, text), hop->interface);
}

static void on_next_hop(void *user, const struct ip_addr *address, const struct next_hop *hop)
{
	struct controller *c = user;
	char text[ADDR_TEXT_MAX];

	if (c->is_detached || tunnels_next_hop_changed(c->tunnels, address, hop))
		return;
	addr_format(address, text);
	if (hop->is_resolved)
		log_info("next hop real=%s interface=%s mac=%02x:%02x:%02x:%02x:%02x:%02x", text,
			 hop->interface, hop->mac[0], hop->mac[1], hop->mac[2], hop->mac[3],
			 hop->mac[4], hop->mac[5]);
	else
		log_warning("next hop lost real=%s", text);
	publish(c, address, hop);
}

void ways_out_refresh(struct controller *c)
{
	for (size_t v = 0; v < c->runs.n_vips; v++) {
		for (size_t i = 0; i < c->runs.vips[v].n_reals; i++) {
			const struct ip_addr *address = &c->runs.vips[v].reals[i]->spec.address;
			struct next_hop hop;

			if (neigh_get(c->neigh, address, &hop) && hop.is_resolved)
				publish(c, address, &hop);
		}
	}
}

static void on_link(void *user, uint32_t ifindex, const char *name, enum link_news news)
{
	struct controller *c = user;

	if (c->is_detached || !c->config)
		return;
	if (news == LINK_GONE)
		clear_row(c, ifindex);
	attachments_link_changed(c, ifindex, name, news);
}

int ways_out_start(struct controller *c, struct err *err)
{
	static const struct neigh_ops ops = {
		.next_hop_changed = on_next_hop,
		.link_changed = on_link,
	};

	return neigh_new(&c->neigh, c->event, &ops, c, err);
}
