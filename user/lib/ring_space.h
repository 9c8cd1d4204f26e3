/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who has which blocks of the "rings" map: first fit over sorted extents. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint32_t base;
	uint32_t blocks; /* 0: none */
};

struct ring_space {
	uint32_t blocks; /* in all */
	struct extent *used; /* sorted by base, disjoint */
	size_t n_used;
	size_t capacity;
	size_t packed; /* this many at the beginning have no gap before or between them */
};

int ring_space_init(struct ring_space *space, uint32_t blocks);
void ring_space_free(struct ring_space *space);
int ring_space_copy(const struct ring_space *from, struct ring_space *ret_to);

/* -ENOSPC if no gap is large enough, -ENOMEM. */
int ring_space_alloc(struct ring_space *space, uint32_t blocks, struct extent *ret_extent);
/* Marks a given extent as used (adoption); -EEXIST if it overlaps another, -ERANGE, -ENOMEM. */
int ring_space_claim(struct ring_space *space, struct extent extent);
void ring_space_release(struct ring_space *space, struct extent extent);
