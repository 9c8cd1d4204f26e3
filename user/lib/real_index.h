/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a real's address to the members that have it, in any number of VIPs: chains of member ids.
 * The address is read from the member itself, so it must not change between add and remove. Pure.
 */
#pragma once

#include <stdint.h>

#include "xdplb/abi.h"

#define REAL_INDEX_END UINT32_MAX

struct real_index {
	const struct member *members;
	uint32_t *head; /* by hash of the address */
	uint32_t *next; /* by member id */
	uint32_t mask;
};

int real_index_init(struct real_index *index, const struct member *members, uint32_t n);
void real_index_free(struct real_index *index);

void real_index_add(struct real_index *index, uint32_t id);
void real_index_remove(struct real_index *index, uint32_t id);

/* The ids of an address one after the other, until REAL_INDEX_END. */
uint32_t real_index_first(const struct real_index *index, const struct ip_addr *real);
uint32_t real_index_next(const struct real_index *index, uint32_t id);
