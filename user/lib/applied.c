/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The mirror of the maps, ids and fingerprints: see applied.h. */
#include "applied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

int id_pool_init(struct id_pool *pool, uint32_t n)
{
	*pool = (struct id_pool){.n = n};
	pool->used = calloc(n / 64 + 1, sizeof(*pool->used));
	return pool->used ? 0 : -ENOMEM;
}

static bool id_pool_has(const struct id_pool *pool, uint32_t id)
{
	return pool->used[id / 64] >> (id % 64) & 1;
}

uint32_t id_pool_free_count(const struct id_pool *pool)
{
	return pool->n - pool->n_used;
}

int id_pool_take(struct id_pool *pool, uint32_t *ret_id)
{
	for (uint32_t id = pool->hint; id < pool->n; id++) {
		if (id_pool_has(pool, id))
			continue;
		pool->hint = id + 1;
		*ret_id = id;
		return id_pool_claim(pool, id);
	}
	return -ENOSPC;
}

int id_pool_claim(struct id_pool *pool, uint32_t id)
{
	if (id >= pool->n)
		return -ERANGE;
	if (id_pool_has(pool, id))
		return -EEXIST;
	pool->used[id / 64] |= 1ULL << (id % 64);
	pool->n_used++;
	return 0;
}

void id_pool_release(struct id_pool *pool, uint32_t id)
{
	if (id >= pool->n || !id_pool_has(pool, id))
		return;
	pool->used[id / 64] &= ~(1ULL << (id % 64));
	pool->n_used--;
	if (id < pool->hint)
		pool->hint = id;
}

int applied_new(struct applied **ret_applied, const struct dp *dp, uint64_t key_fingerprint)
{
	struct applied *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->dp = dp;
	a->key_fingerprint = key_fingerprint;
	if (id_pool_init(&a->member_ids, dp->control->members) ||
	    id_pool_init(&a->vip_ids, dp->control->vips) ||
	    ring_space_init(&a->ring_space, dp->control->ring_blocks)) {
		applied_free(a);
		return -ENOMEM;
	}
	*ret_applied = a;
	return 0;
}

static void vip_free(struct applied_vip *vip)
{
	free(vip->members);
	free(vip);
}

void applied_free(struct applied *applied)
{
	if (!applied)
		return;
	for (size_t i = 0; i < applied->n_vips; i++)
		vip_free(applied->vips[i]);
	free(applied->vips);
	free(applied->orphans);
	free(applied->pending);
	free(applied->member_ids.used);
	free(applied->vip_ids.used);
	ring_space_free(&applied->ring_space);
	free(applied);
}

/* The first position whose key is not less. */
static size_t lower_bound(const struct applied *applied, const struct vip_key *key)
{
	size_t low = 0, high = applied->n_vips;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(&applied->vips[middle]->key, key, sizeof(*key)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct applied_vip *applied_find(const struct applied *applied, const struct vip_key *key)
{
	size_t i = lower_bound(applied, key);

	if (i == applied->n_vips || memcmp(&applied->vips[i]->key, key, sizeof(*key)) != 0)
		return NULL;
	return applied->vips[i];
}

struct applied_member *applied_find_member(const struct applied_vip *vip,
					   const struct ip_addr *real, size_t hint)
{
	if (hint < vip->n_members && addr_equal(&vip->members[hint].real, real))
		return &vip->members[hint];
	for (size_t i = 0; i < vip->n_members; i++) {
		if (addr_equal(&vip->members[i].real, real))
			return &vip->members[i];
	}
	return NULL;
}

int applied_insert_vip(struct applied *applied, struct applied_vip *vip)
{
	size_t i = lower_bound(applied, &vip->key);
	struct applied_vip **vips = realloc(applied->vips,
					    (applied->n_vips + 1) * sizeof(struct applied_vip *));

	if (!vips)
		return -ENOMEM;
	applied->vips = vips;
	memmove(vips + i + 1, vips + i, (applied->n_vips - i) * sizeof(struct applied_vip *));
	vips[i] = vip;
	applied->n_vips++;
	return 0;
}

void applied_delete_vip(struct applied *applied, struct applied_vip *vip)
{
	size_t i = lower_bound(applied, &vip->key);

	applied->n_vips--;
	memmove(applied->vips + i, applied->vips + i + 1,
		(applied->n_vips - i) * sizeof(struct applied_vip *));
	vip_free(vip);
}

int applied_add_orphan(struct applied *applied, uint32_t id, uint32_t vip_id)
{
	struct orphan *orphans = realloc(applied->orphans,
					 (applied->n_orphans + 1) * sizeof(*orphans));

	if (!orphans)
		return -ENOMEM;
	applied->orphans = orphans;
	orphans[applied->n_orphans++] = (struct orphan){.id = id, .vip_id = vip_id};
	return 0;
}

int applied_add_pending(struct applied *applied, struct extent extent, uint64_t ticket)
{
	struct pending_extent *pending = realloc(applied->pending,
						 (applied->n_pending + 1) * sizeof(*pending));

	if (!pending)
		return -ENOMEM;
	applied->pending = pending;
	pending[applied->n_pending++] = (struct pending_extent){extent, ticket};
	return 0;
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return hash;
}

/* A sum over members, since the ring does not depend on their order. */
uint64_t applied_fingerprint(const struct applied *applied, const struct applied_vip *vip)
{
	uint64_t hash = fnv1a(0xcbf29ce484222325ULL, &vip->key, sizeof(vip->key));
	uint64_t sum = 0;

	for (size_t i = 0; i < vip->n_members; i++) {
		const struct applied_member *m = &vip->members[i];
		uint64_t one = fnv1a(0xcbf29ce484222325ULL, &m->real, sizeof(m->real));

		if (m->ring_weight)
			sum += fnv1a(one, &m->ring_weight, sizeof(m->ring_weight));
	}
	hash = fnv1a(hash, &vip->ring, sizeof(vip->ring));
	hash = fnv1a(hash, &applied->key_fingerprint, sizeof(applied->key_fingerprint));
	return fnv1a(hash, &sum, sizeof(sum));
}
