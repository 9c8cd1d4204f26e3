/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See sort_pointers.h. */
#include "sort_pointers.h"

#include <errno.h>
#include <stdlib.h>

int sort_pointers(const void *items, size_t n, size_t size,
		  int (*compare)(const void *a, const void *b), const void ***ret_sorted)
{
	const void **sorted = calloc(n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = (const char *)items + i * size;
	qsort((void *)sorted, n, sizeof(*sorted), compare);
	*ret_sorted = sorted;
	return 0;
}
