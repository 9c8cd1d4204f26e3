/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of pools to the pools, and where the reals of a VIP were said: see config_resolve.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "config_resolve.h"
#include "sort_pointers.h"

/* The pools of a file by name. */
struct linking {
	struct config_errors errors;
	struct doc_file *doc;
	const void **sorted; /* struct doc_pool */
};

static int compare_pools(const void *a, const void *b)
{
	const struct doc_pool *x = *(const struct doc_pool *const *)a;
	const struct doc_pool *y = *(const struct doc_pool *const *)b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x > y) - (x < y);
}

static int compare_name(const void *name, const void *pool)
{
	return strcmp(name, (*(const struct doc_pool *const *)pool)->name);
}

static int sort_pools(struct linking *l)
{
	const struct doc_pool *pools = l->doc->pools.items;
	size_t n = l->doc->pools.n;
	char path[PLACE_TEXT_MAX];
	int r = sort_pointers(pools, n, sizeof(*pools), compare_pools, &l->sorted);

	if (r)
		return r;
	for (size_t i = 1; i < n; i++) {
		const struct doc_pool *a = l->sorted[i - 1], *b = l->sorted[i];

		if (strcmp(a->name, b->name) != 0)
			continue;
		snprintf(path, sizeof(path), "pools[%zu].name", (size_t)(b - pools));
		return config_fail(&l->errors, b->at[POOL_NAME], path,
				   "duplicate pool \"%s\", already given in line %u", b->name,
				   a->at[POOL_NAME].line);
	}
	return 0;
}

/* `pool: X` becomes `pools: [{name: X}]`. */
static int list_pool(struct doc_vip *vip)
{
	struct doc_use *use = calloc(1, sizeof(*use));

	if (!use)
		return -ENOMEM;
	vip->pools = (struct doc_list){.items = use, .n = 1, .room = 1};
	use->self = use->at[USE_NAME] = vip->at[VIP_POOL];
	use->name = strdup(vip->pool);
	return use->name ? 0 : -ENOMEM;
}

static int link_use(const struct linking *l, const struct doc_vip *vip, size_t i)
{
	const struct doc_vip *vips = l->doc->vips.items;
	struct doc_use *uses = vip->pools.items, *use = &uses[i];
	const struct doc_pool *const *found = bsearch(use->name, (const void *)l->sorted,
						      l->doc->pools.n, sizeof(*l->sorted),
						      compare_name);
	char path[PLACE_TEXT_MAX];

	if (vip->pool)
		snprintf(path, sizeof(path), "vips[%zu].pool", (size_t)(vip - vips));
	else
		snprintf(path, sizeof(path), "vips[%zu].pools[%zu].name", (size_t)(vip - vips), i);
	if (!found)
		return config_fail(&l->errors, use->at[USE_NAME], path,
				   "expected the name of one of `pools`, got \"%s\"", use->name);
	use->pool = (size_t)(*found - (const struct doc_pool *)l->doc->pools.items);
	for (size_t k = 0; k < i; k++) {
		if (uses[k].pool == use->pool)
			return config_fail(&l->errors, use->at[USE_NAME], path,
					   "duplicate pool \"%s\", already given in line %u",
					   use->name, uses[k].at[USE_NAME].line);
	}
	return 0;
}

static int link_vip(const struct linking *l, struct doc_vip *vip)
{
	static const size_t keys[] = {VIP_REALS, VIP_POOL, VIP_POOLS};
	const struct doc_vip *vips = l->doc->vips.items;
	size_t given = VIP_KEYS;
	char path[PLACE_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!schema_is_given(vip, keys[i]))
			continue;
		if (given != VIP_KEYS) {
			snprintf(path, sizeof(path), "vips[%zu].%s", (size_t)(vip - vips),
				 schema_vip.fields[keys[i]].key);
			return config_fail(&l->errors, vip->at[keys[i]], path,
					   "expected one of reals, pool and pools; `%s` is already "
					   "given in line %u",
					   schema_vip.fields[given].key, vip->at[given].line);
		}
		given = keys[i];
	}
	if (vip->pool)
		r = list_pool(vip);
	for (size_t i = 0; i < vip->pools.n && !r; i++)
		r = link_use(l, vip, i);
	return r;
}

int config_link_pools(const char *file, struct doc_file *doc, struct err *err)
{
	struct linking l = {.errors = {file, err, NULL}, .doc = doc};
	struct doc_vip *vips = doc->vips.items;
	int r = sort_pools(&l);

	for (size_t i = 0; i < doc->vips.n && !r; i++)
		r = link_vip(&l, &vips[i]);
	free((void *)l.sorted);
	return r;
}

/* ---- Where reals were said ------------------------------------------------------------------- */

static size_t add_places(const struct doc_list *reals, const struct doc_use *use,
			 struct doc_place *places)
{
	const struct doc_real *items = reals->items;

	for (size_t i = 0; i < reals->n; i++)
		places[i] = (struct doc_place){&items[i], use, i};
	return reals->n;
}

int config_vip_places(const struct doc_file *doc, const struct doc_vip *vip,
		      struct doc_place **ret_places, size_t *ret_n)
{
	const struct doc_pool *pools = doc->pools.items;
	const struct doc_use *uses = vip->pools.items;
	size_t n = vip->reals.n;
	struct doc_place *places;

	for (size_t i = 0; i < vip->pools.n; i++)
		n += pools[uses[i].pool].reals.n;
	places = calloc(n + 1, sizeof(*places));
	if (!places)
		return -ENOMEM;
	n = add_places(&vip->reals, NULL, places);
	for (size_t i = 0; i < vip->pools.n; i++)
		n += add_places(&pools[uses[i].pool].reals, &uses[i], places + n);
	*ret_places = places;
	*ret_n = n;
	return 0;
}

const char *doc_place_path(const struct doc_place *place, size_t vip, const char *key, char *buf)
{
	snprintf(buf, PLACE_TEXT_MAX, "%s[%zu].reals[%zu]%s", place->use ? "pools" : "vips",
		 place->use ? place->use->pool : vip, place->index, key);
	return buf;
}

/* ---- Pools by themselves --------------------------------------------------------------------- */

static int compare_reals(const void *a, const void *b)
{
	const struct doc_real *x = *(const struct doc_real *const *)a;
	const struct doc_real *y = *(const struct doc_real *const *)b;
	int r = addr_compare(&x->address, &y->address);

	return r ? r : (x > y) - (x < y);
}

static int check_pool(const struct doc_file *doc, size_t p, const struct config_errors *errors)
{
	const struct doc_pool *pool = (const struct doc_pool *)doc->pools.items + p;
	const struct doc_real *reals = pool->reals.items;
	const void **sorted;
	char addr[ADDR_TEXT_MAX], path[PLACE_TEXT_MAX];
	int r = sort_pointers(reals, pool->reals.n, sizeof(*reals), compare_reals, &sorted);

	if (r)
		return r;
	for (size_t i = 1; i < pool->reals.n && !r; i++) {
		const struct doc_real *a = sorted[i - 1], *b = sorted[i];

		if (!addr_equal(&a->address, &b->address))
			continue;
		snprintf(path, sizeof(path), "pools[%zu].reals[%zu].address", p,
			 (size_t)(b - reals));
		r = config_fail(errors, b->at[REAL_ADDRESS], path,
				"duplicate real %s, already given in line %u",
				addr_format(&b->address, addr), a->at[REAL_ADDRESS].line);
	}
	free((void *)sorted);
	return r;
}

int config_check_pools(const struct doc_file *doc, const struct config *config, struct err *err)
{
	const struct config_errors errors = {config->file, err, NULL};
	int r = 0;

	for (size_t p = 0; p < doc->pools.n && !r; p++)
		r = check_pool(doc, p, &errors);
	return r;
}
