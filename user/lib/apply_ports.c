/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A VIP's address and ports as the packet path reads them, and their change while packets flow: the
 * VIP is found under its new ports before it is lost under the old, and its members take both for
 * theirs in between as far as they are the same, so a flow that still fits never misses.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "apply.h"
#include "apply_private.h"
#include "vip_key.h"

int apply_delete_done(int r)
{
	return r == -ENOENT ? 0 : r;
}

void apply_write_key(const struct dp *dp, const struct applied_vip *vip)
{
	struct vip_state *state = &dp->vip_state[vip->id];
	struct vip_state key = {
		.port = vip->key.port, .protocol = vip->key.protocol, .family = vip->key.family};

	state->address = vip->key.address;
	state->host_bits = vip->key.host_bits;
	dp_store(state->port_last, vip->key.port_last);
	dp_store(state->service, key.service);
}

__be16 apply_port_last(const struct vip_key *key)
{
	return key->host_bits && !key->port_last ? key->port : key->port_last;
}

void apply_set_ports(const struct dp *dp, const struct applied_vip *vip)
{
	for (size_t i = 0; i < vip->n_members; i++) {
		struct member *m = &dp->members[vip->members[i].id];
		struct member service = {.port = vip->key.port,
					 .protocol = vip->key.protocol,
					 .vip_family = vip->key.family};

		dp_store(m->port_last, apply_port_last(&vip->key));
		dp_store(m->service, service.service);
	}
}

int apply_drop_left_key(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	if (vip->has_left_key)
		r = apply_delete_done(dp->ops->vip_del(dp->user, &vip->left_key));
	if (!r)
		vip->has_left_key = false;
	return r;
}

int apply_move_vip(struct applied *applied, struct applied_vip *vip, const struct vip_key *key)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	if (vip->is_published)
		r = dp->ops->vip_set(dp->user, key, vip->id);
	if (r)
		return r;
	vip->left_key = vip->key;
	vip->has_left_key = vip->is_published;
	applied_move_vip(applied, vip, key);
	vip->is_changed = true;
	apply_set_ports(dp, vip);
	apply_write_key(dp, vip);
	return apply_drop_left_key(applied, vip);
}
