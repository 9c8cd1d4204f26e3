/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other pools for a VIP while the daemon runs: see config_switch.h. The file's check has seen only
 * the pools that the file gives the VIP, so what it asks of them is asked here again.
 */
#include "config_switch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "config_variant.h"

static int compare_reals(const void *a, const void *b)
{
	const struct real_spec *x = *(const struct real_spec *const *)a;
	const struct real_spec *y = *(const struct real_spec *const *)b;
	int r = addr_compare(&x->address, &y->address);

	return r ? r : (x > y) - (x < y);
}

static int compare_ids(const void *a, const void *b)
{
	const struct real_spec *x = *(const struct real_spec *const *)a;
	const struct real_spec *y = *(const struct real_spec *const *)b;
	int r = memcmp(x->server_id.bytes, y->server_id.bytes, sizeof(x->server_id.bytes));

	return r ? r : (x > y) - (x < y);
}

static const struct real_spec **sort(const struct vip_spec *vip,
				     int (*compare)(const void *a, const void *b))
{
	const struct real_spec **sorted = calloc(vip->n_reals + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < vip->n_reals; i++)
		sorted[i] = &vip->reals[i];
	if (sorted)
		qsort((void *)sorted, vip->n_reals, sizeof(*sorted), compare);
	return sorted;
}

static int check_addresses(const struct vip_spec *vip, struct err *err)
{
	const struct real_spec **sorted = sort(vip, compare_reals);
	char text[ADDR_TEXT_MAX];
	int r = 0;

	if (!sorted)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 1; i < vip->n_reals && !r; i++) {
		const struct real_spec *a = sorted[i - 1], *b = sorted[i];

		if (addr_equal(&a->address, &b->address))
			r = err_set(err, EINVAL, "real %s is in pool %s and in pool %s",
				    addr_format(&a->address, text), vip->pools[a->pool].name,
				    vip->pools[b->pool].name);
	}
	free((void *)sorted);
	return r;
}

static int check_server_ids(const struct vip_spec *vip, struct err *err)
{
	const struct real_spec **sorted;
	char text[ADDR_TEXT_MAX];
	int r = 0;

	if (!vip->n_quic)
		return 0;
	for (size_t i = 0; i < vip->n_reals; i++) {
		const struct real_spec *real = &vip->reals[i];

		if (real->server_id.length != vip->quic[0].server_id_length)
			return err_set(err, EINVAL,
				       "real %s of pool %s has no server_id of %u octets, as the "
				       "VIP's `quic` needs",
				       addr_format(&real->address, text),
				       vip->pools[real->pool].name, vip->quic[0].server_id_length);
	}
	sorted = sort(vip, compare_ids);
	if (!sorted)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 1; i < vip->n_reals && !r; i++) {
		if (memcmp(sorted[i - 1]->server_id.bytes, sorted[i]->server_id.bytes,
			   sizeof(sorted[i]->server_id.bytes)) == 0)
			r = err_set(err, EINVAL, "real %s has the server_id of another real",
				    addr_format(&sorted[i]->address, text));
	}
	free((void *)sorted);
	return r;
}

static int check_real(const struct config *config, const struct vip_spec *vip,
		      const struct real_spec *real, struct err *err)
{
	bool is_v4 = addr_is_v4(&real->address);
	char text[ADDR_TEXT_MAX];

	if (addr_in_network(&real->address, &vip->address, vip->host_bits))
		return err_set(err, EINVAL, "real %s of pool %s is the VIP's own address",
			       addr_format(&real->address, text), vip->pools[real->pool].name);
	if (!(is_v4 ? config->source4 : config->source6).is_set && vip->encap != ENCAP_L2DSR)
		return err_set(err, EINVAL, "real %s of pool %s needs encap.source%c in the file",
			       addr_format(&real->address, text), vip->pools[real->pool].name,
			       is_v4 ? '4' : '6');
	return 0;
}

int config_check_vip_pools(const struct config *config, const struct vip_spec *vip, struct err *err)
{
	int r = 0;

	if (vip->n_reals >= XDPLB_MAX_VIP_MEMBERS)
		return err_set(err, EINVAL, "the pools have %zu reals together, at most %d may be",
			       vip->n_reals, XDPLB_MAX_VIP_MEMBERS - 1);
	for (size_t i = 0; i < vip->n_reals && !r; i++)
		r = check_real(config, vip, &vip->reals[i], err);
	r = r ? r : check_addresses(vip, err);
	return r ? r : check_server_ids(vip, err);
}

/* Of the reals with one address only the first stays. */
static int drop_shared(struct vip_spec *vip, struct err *err)
{
	const struct real_spec **sorted = sort(vip, compare_reals);
	bool *is_dropped = calloc(vip->n_reals + 1, sizeof(*is_dropped));
	size_t n = 0;

	if (!sorted || !is_dropped) {
		free((void *)sorted);
		free(is_dropped);
		return err_set(err, ENOMEM, "out of memory");
	}
	for (size_t i = 1; i < vip->n_reals; i++) {
		if (addr_equal(&sorted[i - 1]->address, &sorted[i]->address))
			is_dropped[sorted[i] - vip->reals] = true;
	}
	for (size_t i = 0; i < vip->n_reals; i++) {
		if (!is_dropped[i])
			vip->reals[n++] = vip->reals[i];
	}
	vip->n_reals = n;
	free((void *)sorted);
	free(is_dropped);
	return 0;
}

int config_switch(const struct config *config, size_t vip, const struct pool_use *uses, size_t n,
		  bool allows_shared, struct config **ret_config, struct err *err)
{
	struct config *fresh = config_variant_new(config, vip);
	int r;

	if (!fresh)
		return err_set(err, ENOMEM, "out of memory");
	r = vip_use_pools(&fresh->vips[vip], config, uses, n);
	if (r)
		err_set(err, -r, "out of memory");
	if (!r && allows_shared)
		r = drop_shared(&fresh->vips[vip], err);
	r = r ? r : config_check_vip_pools(fresh, &fresh->vips[vip], err);
	if (r) {
		config_variant_free(fresh, vip);
		return r;
	}
	*ret_config = fresh;
	return 0;
}
