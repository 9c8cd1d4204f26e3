/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reals by address: see real_lookup.h. */
#include "real_lookup.h"

#include <stdlib.h>

#include "addr.h"

static const struct ip_addr *nth(const struct real_lookup *lookup, size_t i)
{
	return (const struct ip_addr *)((const char *)lookup->first + i * lookup->stride);
}

static int compare(const void *a, const void *b)
{
	const struct ip_addr *const *x = a, *const *y = b;

	return addr_compare(*x, *y);
}

static void sort(struct real_lookup *lookup)
{
	lookup->sorted = malloc(lookup->n * sizeof(struct ip_addr *));
	if (!lookup->sorted)
		return;
	for (size_t i = 0; i < lookup->n; i++)
		lookup->sorted[i] = nth(lookup, i);
	qsort(lookup->sorted, lookup->n, sizeof(struct ip_addr *), compare);
}

/* Without memory for the order; slow, not wrong. */
static bool find_one_by_one(const struct real_lookup *lookup, const struct ip_addr *real,
			    size_t *ret_at)
{
	for (size_t i = 0; i < lookup->n; i++) {
		if (!addr_equal(nth(lookup, i), real))
			continue;
		*ret_at = i;
		return true;
	}
	return false;
}

bool real_lookup_find(struct real_lookup *lookup, const struct ip_addr *real, size_t guess,
		      size_t *ret_at)
{
	const struct ip_addr **found;

	if (lookup->n == 0)
		return false;
	if (guess < lookup->n && addr_equal(nth(lookup, guess), real)) {
		*ret_at = guess;
		return true;
	}
	if (!lookup->sorted)
		sort(lookup);
	if (!lookup->sorted)
		return find_one_by_one(lookup, real, ret_at);
	found = bsearch(&real, lookup->sorted, lookup->n, sizeof(struct ip_addr *), compare);
	if (!found)
		return false;
	*ret_at = ((const char *)*found - (const char *)lookup->first) / lookup->stride;
	return true;
}

void real_lookup_end(struct real_lookup *lookup)
{
	free(lookup->sorted);
	lookup->sorted = NULL;
}
