/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Wanted VIPs and applied ones: see vip_match.h. */
#include "vip_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "vip_key.h"

/* The first applied VIP that shares a port and is not wanted by another, or NULL. */
static struct applied_vip *find_sharing(const struct applied *applied, const struct vip_key *key,
					const bool *is_wanted)
{
	struct vip_key first = {.address = key->address};

	for (size_t i = applied_position(applied, &first); i < applied->n_vips; i++) {
		struct applied_vip *vip = applied->vips[i];

		if (!addr_equal(&vip->key.address, &key->address))
			return NULL;
		if (!(is_wanted && is_wanted[i]) && vip_key_shares_port(&vip->key, key))
			return vip;
	}
	return NULL;
}

struct applied_vip *vip_match_find(const struct applied *applied, const struct vip_key *key)
{
	struct applied_vip *vip = applied_find(applied, key);

	return vip ? vip : find_sharing(applied, key, NULL);
}

int vip_match_make(const struct applied *applied, const struct desired *desired,
		   struct vip_match *ret_match)
{
	struct vip_match match = {
		.have = calloc(desired->n_vips + 1, sizeof(*match.have)),
		.is_wanted = calloc(applied->n_vips + 1, sizeof(*match.is_wanted)),
	};

	if (!match.have || !match.is_wanted) {
		vip_match_free(&match);
		return -ENOMEM;
	}
	for (size_t i = 0; i < desired->n_vips; i++) {
		match.have[i] = applied_find(applied, &desired->vips[i].key);
		if (match.have[i])
			match.is_wanted[applied_position(applied, &desired->vips[i].key)] = true;
	}
	for (size_t i = 0; i < desired->n_vips; i++) {
		struct applied_vip *vip = match.have[i];

		if (!vip)
			vip = find_sharing(applied, &desired->vips[i].key, match.is_wanted);
		if (!vip)
			continue;
		match.have[i] = vip;
		match.is_wanted[applied_position(applied, &vip->key)] = true;
	}
	*ret_match = match;
	return 0;
}

void vip_match_free(struct vip_match *match)
{
	free(match->have);
	free(match->is_wanted);
	*match = (struct vip_match){};
}
