/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Items in another order than they lie in: pointers to them, sorted. Pure. */
#pragma once

#include <stddef.h>

/*
 * Pointers to the n items, sorted; for the caller to free, also for n = 0. compare gets pointers to
 * pointers and ends a tie by them, since the order of equal items would be any. -ENOMEM.
 */
int sort_pointers(const void *items, size_t n, size_t size,
		  int (*compare)(const void *a, const void *b), const void ***ret_sorted);
