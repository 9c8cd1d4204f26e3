/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ids 0 ... n-1, the lowest free first. Pure. */
#pragma once

#include <stdint.h>

struct id_pool {
	uint64_t *used; /* bitmap */
	uint32_t n;
	uint32_t n_used;
	uint32_t hint; /* no free id below */
};

int id_pool_init(struct id_pool *pool, uint32_t n);
void id_pool_free(struct id_pool *pool);
uint32_t id_pool_free_count(const struct id_pool *pool);

/* -ENOSPC if all are in use. */
int id_pool_take(struct id_pool *pool, uint32_t *ret_id);
/* Marks a given id as used; -EEXIST if it is, -ERANGE if there is none such. */
int id_pool_claim(struct id_pool *pool, uint32_t id);
/* Of an id that is not in use: nothing happens. */
void id_pool_release(struct id_pool *pool, uint32_t id);
