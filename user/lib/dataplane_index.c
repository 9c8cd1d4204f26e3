/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The VIP index: where packets look before they ask the hash map "vips", see struct vip_index in
 * include/xdplb/abi.h. What is in it is in "vips" too, so it goes in last and out first.
 */
#include <stdlib.h>

#include "dataplane_private.h"

static bool is_one_service(const struct vip_key *key)
{
	return !key->port_last && !key->host_bits;
}

static struct vip_index *place_of(const struct dataplane *d, const struct vip_key *key)
{
	struct vip_state probe = {.port = key->port, .protocol = key->protocol};

	probe.family = key->family;
	return &d->index[vip_index_place(&key->address, probe.service, key->family == FAMILY_V6)];
}

/* The half of `place` that holds `entry`, or NULL. */
static uint32_t *half_with(struct vip_index *place, uint32_t entry)
{
	for (int i = 0; i < 2; i++) {
		if (place->id[i] == entry)
			return &place->id[i];
	}
	return NULL;
}

void dataplane_index_add(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id)
{
	struct vip_index *place = place_of(dataplane, key);
	uint32_t *free_half = half_with(place, 0);

	if (is_one_service(key) && free_half && !half_with(place, vip_id + 1))
		dp_store(*free_half, vip_id + 1);
}

void dataplane_index_remove(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id)
{
	uint32_t *half = half_with(place_of(dataplane, key), vip_id + 1);

	if (is_one_service(key) && half)
		dp_store(*half, 0);
}

int dataplane_index_init(struct dataplane *dataplane, struct err *err)
{
	struct vip_key *keys;
	uint32_t *ids;
	size_t n;
	int r = dataplane_read_vips(dataplane, &keys, &ids, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (ids[i] < dataplane->dp.control->vips)
			dataplane_index_add(dataplane, &keys[i], ids[i]);
	}
	free(keys);
	free(ids);
	return 0;
}
