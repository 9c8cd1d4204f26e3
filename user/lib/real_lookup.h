/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds reals by address in an array of structs: at once where the caller's guess is right (both
 * sides in the same order), else by an order that is sorted once, when it is first needed. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "xdplb/abi.h"

struct real_lookup {
	const struct ip_addr *first; /* the address in the first struct */
	size_t stride; /* from one struct's address to the next */
	size_t n;
	const struct ip_addr **sorted; /* NULL: not needed yet */
};

bool real_lookup_find(struct real_lookup *lookup, const struct ip_addr *real, size_t guess,
		      size_t *ret_at);
void real_lookup_end(struct real_lookup *lookup);
