/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reals that are in the file and not in their VIP: see config_removal.h. */
#include "config_removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "config_variant.h"

/* Position from `first` on; SIZE_MAX: none of the n has this address. */
static size_t find(const struct vip_spec *vip, size_t first, size_t n,
		   const struct ip_addr *address)
{
	for (size_t i = first; i < first + n; i++) {
		if (addr_equal(&vip->reals[i].address, address))
			return i;
	}
	return SIZE_MAX;
}

const struct real_spec *vip_find_removed(const struct vip_spec *vip, const struct ip_addr *address)
{
	size_t at = find(vip, vip->n_reals, vip->n_removed, address);

	return at == SIZE_MAX ? NULL : &vip->reals[at];
}

bool vip_remove_real(struct vip_spec *vip, const struct ip_addr *address)
{
	size_t at = find(vip, 0, vip->n_reals, address);
	struct real_spec real;

	if (at == SIZE_MAX)
		return false;
	real = vip->reals[at];
	vip->n_reals--;
	vip->n_removed++;
	memmove(&vip->reals[at], &vip->reals[at + 1], (vip->n_reals - at) * sizeof(real));
	vip->reals[vip->n_reals] = real;
	return true;
}

/* In the order that the file gives a VIP's reals: by its pools, and by place in each. */
static bool comes_before(const struct real_spec *a, const struct real_spec *b)
{
	if (a->pool != b->pool)
		return a->pool < b->pool;
	if (a->mark.line != b->mark.line)
		return a->mark.line < b->mark.line;
	return a->mark.column < b->mark.column;
}

bool vip_add_real(struct vip_spec *vip, const struct ip_addr *address)
{
	size_t from = find(vip, vip->n_reals, vip->n_removed, address), to = 0;
	struct real_spec real;

	if (from == SIZE_MAX)
		return false;
	real = vip->reals[from];
	while (to < vip->n_reals && comes_before(&vip->reals[to], &real))
		to++;
	memmove(&vip->reals[to + 1], &vip->reals[to], (from - to) * sizeof(real));
	vip->reals[to] = real;
	vip->n_reals++;
	vip->n_removed--;
	return true;
}

static int copy_reals(struct vip_spec *vip, const struct vip_spec *old)
{
	size_t n = old->n_reals + old->n_removed;

	vip->pools = calloc(old->n_pools + 1, sizeof(*vip->pools));
	vip->reals = calloc(n + 1, sizeof(*vip->reals));
	if (!vip->pools || !vip->reals)
		return -ENOMEM;
	if (old->n_pools)
		memcpy(vip->pools, old->pools, old->n_pools * sizeof(*vip->pools));
	if (n)
		memcpy(vip->reals, old->reals, n * sizeof(*vip->reals));
	vip->n_pools = old->n_pools;
	vip->n_reals = old->n_reals;
	vip->n_removed = old->n_removed;
	return 0;
}

static int change(const struct config *config, size_t vip, const struct ip_addr *address,
		  bool (*move)(struct vip_spec *vip, const struct ip_addr *address),
		  struct config **ret_config, struct err *err)
{
	struct config *fresh = config_variant_new(config, vip);
	char text[ADDR_TEXT_MAX];
	int r = 0;

	if (!fresh)
		return err_set(err, ENOMEM, "out of memory");
	if (copy_reals(&fresh->vips[vip], &config->vips[vip]))
		r = err_set(err, ENOMEM, "out of memory");
	else if (!move(&fresh->vips[vip], address))
		r = err_set(err, ENOENT, "VIP %s has no real %s", config->vips[vip].name,
			    addr_format(address, text));
	if (r) {
		config_variant_free(fresh, vip);
		return r;
	}
	*ret_config = fresh;
	return 0;
}

int config_remove_real(const struct config *config, size_t vip, const struct ip_addr *address,
		       struct config **ret_config, struct err *err)
{
	return change(config, vip, address, vip_remove_real, ret_config, err);
}

int config_add_real(const struct config *config, size_t vip, const struct ip_addr *address,
		    struct config **ret_config, struct err *err)
{
	return change(config, vip, address, vip_add_real, ret_config, err);
}
