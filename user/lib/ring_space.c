/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Extents of the ring map: see ring_space.h. */
#include "ring_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ring_space_init(struct ring_space *space, uint32_t blocks)
{
	*space = (struct ring_space){.blocks = blocks};
	return 0;
}

void ring_space_free(struct ring_space *space)
{
	free(space->used);
	*space = (struct ring_space){};
}

int ring_space_copy(const struct ring_space *from, struct ring_space *ret_to)
{
	struct ring_space to = *from;

	to.used = malloc((from->n_used + 1) * sizeof(*to.used));
	if (!to.used)
		return -ENOMEM;
	if (from->n_used)
		memcpy(to.used, from->used, from->n_used * sizeof(*to.used));
	to.capacity = from->n_used + 1;
	*ret_to = to;
	return 0;
}

/* The first used extent that does not begin before. */
static size_t position(const struct ring_space *space, uint32_t base)
{
	size_t low = 0, high = space->n_used;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (space->used[middle].base < base)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where the first gap can begin. */
static uint32_t packed_end(const struct ring_space *space)
{
	const struct extent *last = space->packed ? &space->used[space->packed - 1] : NULL;

	return last ? last->base + last->blocks : 0;
}

static int insert_at(struct ring_space *space, size_t i, struct extent extent)
{
	if (space->n_used == space->capacity) {
		size_t capacity = space->capacity ? space->capacity * 2 : 16;
		struct extent *used = realloc(space->used, capacity * sizeof(*used));

		if (!used)
			return -ENOMEM;
		space->used = used;
		space->capacity = capacity;
	}
	memmove(space->used + i + 1, space->used + i, (space->n_used - i) * sizeof(*space->used));
	space->used[i] = extent;
	space->n_used++;
	while (space->packed < space->n_used &&
	       space->used[space->packed].base == packed_end(space))
		space->packed++;
	return 0;
}

int ring_space_alloc(struct ring_space *space, uint32_t blocks, struct extent *ret_extent)
{
	uint32_t base = packed_end(space);
	int err;

	for (size_t i = space->packed; i <= space->n_used; i++) {
		uint32_t gap_end = i < space->n_used ? space->used[i].base : space->blocks;

		if (gap_end - base >= blocks) {
			err = insert_at(space, i, (struct extent){base, blocks});
			if (!err)
				*ret_extent = (struct extent){base, blocks};
			return err;
		}
		if (i < space->n_used)
			base = space->used[i].base + space->used[i].blocks;
	}
	return -ENOSPC;
}

int ring_space_claim(struct ring_space *space, struct extent extent)
{
	size_t i;

	if (!extent.blocks)
		return 0;
	if ((uint64_t)extent.base + extent.blocks > space->blocks)
		return -ERANGE;
	i = position(space, extent.base);
	if (i > 0 && space->used[i - 1].base + space->used[i - 1].blocks > extent.base)
		return -EEXIST;
	if (i < space->n_used && extent.base + extent.blocks > space->used[i].base)
		return -EEXIST;
	return insert_at(space, i, extent);
}

void ring_space_release(struct ring_space *space, struct extent extent)
{
	size_t i = position(space, extent.base);

	if (!extent.blocks || i == space->n_used || space->used[i].base != extent.base)
		return;
	space->packed = i < space->packed ? i : space->packed;
	space->n_used--;
	memmove(space->used + i, space->used + i + 1, (space->n_used - i) * sizeof(*space->used));
}
