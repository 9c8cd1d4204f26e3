/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What packets are told of an address or prefix: one row of a map for all VIPs that have it. The
 * configuration has made sure that they say the same of it.
 */
#include "addr.h"
#include "apply_private.h"
#include "vip_key.h"

static struct vip_addr_key address_key(const struct applied_vip *vip)
{
	return (struct vip_addr_key){
		.address = vip->key.address,
		.family = vip->key.family,
		.host_bits = vip->key.host_bits,
	};
}

/*
 * VIPs of one address or prefix are near each other, since keys begin with it: the first position
 * where there may be one.
 */
static size_t first_of_address(const struct applied *applied, const struct applied_vip *vip)
{
	struct vip_key first = {.address = vip->key.address};

	return applied_position(applied, &first);
}

/* Sets *at to the next position from there on that has one, and returns it; NULL: none is left. */
static struct applied_vip *next_of_address(const struct applied *applied,
					   const struct applied_vip *vip, size_t *at)
{
	for (; *at < applied->n_vips; ++*at) {
		struct applied_vip *other = applied->vips[*at];

		if (!addr_equal(&other->key.address, &vip->key.address))
			return NULL;
		if (vip_key_same_address(&other->key, &vip->key))
			return other;
	}
	return NULL;
}

static struct vip_addr wanted(const struct applied_vip *vip)
{
	return (struct vip_addr){
		.on_no_port = vip->on_no_port,
		.answers_echo = vip->echo == ECHO_ALWAYS ||
				(vip->echo == ECHO_WHILE_UP && vip->is_address_up),
	};
}

bool apply_address_is_published(const struct applied_vip *vip)
{
	struct vip_addr value = wanted(vip);

	/* Adopted and not planned yet: what is said there stays. */
	if (value.on_no_port == NO_POLICY)
		return true;
	return vip->published.on_no_port == value.on_no_port &&
	       vip->published.answers_echo == value.answers_echo;
}

int apply_publish_address(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_addr_key key = address_key(vip);
	struct vip_addr value = wanted(vip);
	struct applied_vip *other;
	size_t at = first_of_address(applied, vip);
	int r;

	if (apply_address_is_published(vip))
		return 0;
	r = dp->ops->vip_addr_set(dp->user, &key, &value);
	if (r)
		return r;
	for (; (other = next_of_address(applied, vip, &at)); at++)
		other->published = value;
	return 0;
}

int apply_unpublish_address(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_addr_key key = address_key(vip);
	struct applied_vip *other;
	size_t at = first_of_address(applied, vip);

	vip->published.on_no_port = NO_POLICY;
	for (; (other = next_of_address(applied, vip, &at)); at++) {
		if (other != vip && other->is_published)
			return 0;
	}
	return dp->ops->vip_addr_del(dp->user, &key);
}

void apply_set_has_ring(struct applied *applied, struct applied_vip *vip, bool has_ring)
{
	size_t first = first_of_address(applied, vip);
	struct applied_vip *other;
	bool is_up = false;

	vip->has_ring = has_ring;
	for (size_t at = first; (other = next_of_address(applied, vip, &at)); at++)
		is_up |= other->has_ring;
	for (size_t at = first; (other = next_of_address(applied, vip, &at)); at++)
		other->is_address_up = is_up;
}
