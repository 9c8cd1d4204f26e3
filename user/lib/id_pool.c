/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which ids are in use: see id_pool.h. */
#include "id_pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int id_pool_init(struct id_pool *pool, uint32_t n)
{
	*pool = (struct id_pool){.n = n};
	pool->used = calloc(n / 64 + 1, sizeof(*pool->used));
	return pool->used ? 0 : -ENOMEM;
}

void id_pool_free(struct id_pool *pool)
{
	free(pool->used);
	*pool = (struct id_pool){};
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
	for (uint32_t word = pool->hint / 64; word <= pool->n / 64; word++) {
		uint32_t id;

		if (pool->used[word] == UINT64_MAX)
			continue;
		id = word * 64 + (uint32_t)__builtin_ctzll(~pool->used[word]);
		if (id >= pool->n)
			break;
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
