/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two configurations that share what does not differ: see config_variant.h. */
#include "config_variant.h"

#include <stdlib.h>
#include <string.h>

struct config *config_variant_new(const struct config *config, size_t vip)
{
	struct config *fresh = malloc(sizeof(*fresh));
	struct vip_spec *vips = malloc(config->n_vips * sizeof(*vips));

	if (!fresh || !vips) {
		free(fresh);
		free(vips);
		return NULL;
	}
	*fresh = *config;
	memcpy(vips, config->vips, config->n_vips * sizeof(*vips));
	vips[vip].pools = NULL;
	vips[vip].n_pools = 0;
	vips[vip].reals = NULL;
	vips[vip].n_reals = 0;
	vips[vip].n_removed = 0;
	fresh->vips = vips;
	return fresh;
}

void config_variant_free(struct config *config, size_t vip)
{
	free(config->vips[vip].pools);
	free(config->vips[vip].reals);
	free(config->vips);
	free(config);
}
