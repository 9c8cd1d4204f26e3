/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Members by their real's address: see real_index.h. */
#include "real_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

int real_index_init(struct real_index *index, const struct member *members, uint32_t n)
{
	uint32_t heads = 64;

	while (heads < n)
		heads *= 2;
	*index = (struct real_index){.members = members, .mask = heads - 1};
	index->head = malloc(heads * sizeof(*index->head));
	index->next = malloc(((size_t)n + 1) * sizeof(*index->next));
	if (!index->head || !index->next) {
		real_index_free(index);
		return -ENOMEM;
	}
	memset(index->head, 0xff, heads * sizeof(*index->head));
	return 0;
}

void real_index_free(struct real_index *index)
{
	free(index->head);
	free(index->next);
	*index = (struct real_index){};
}

/* Stafford's Mix13: hosts of a subnet differ in the last bytes only. */
static uint32_t *head_of(const struct real_index *index, const struct ip_addr *real)
{
	uint64_t words[2], h;

	memcpy(words, real->b, sizeof(words));
	h = words[0] * 0x9e3779b97f4a7c15ULL ^ words[1];
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
	return &index->head[(h ^ (h >> 31)) & index->mask];
}

void real_index_add(struct real_index *index, uint32_t id)
{
	uint32_t *head = head_of(index, &index->members[id].real);

	index->next[id] = *head;
	*head = id;
}

void real_index_remove(struct real_index *index, uint32_t id)
{
	uint32_t *link = head_of(index, &index->members[id].real);

	while (*link != REAL_INDEX_END && *link != id)
		link = &index->next[*link];
	if (*link == id)
		*link = index->next[id];
}

static uint32_t next_equal(const struct real_index *index, uint32_t id, const struct ip_addr *real)
{
	while (id != REAL_INDEX_END && !addr_equal(&index->members[id].real, real))
		id = index->next[id];
	return id;
}

uint32_t real_index_first(const struct real_index *index, const struct ip_addr *real)
{
	return next_equal(index, *head_of(index, real), real);
}

uint32_t real_index_next(const struct real_index *index, uint32_t id)
{
	return next_equal(index, index->next[id], &index->members[id].real);
}
