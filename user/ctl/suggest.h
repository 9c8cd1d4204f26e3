/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "Did you mean ...?" for a mistyped word. Pure. */
#pragma once

#include <stddef.h>

/*
 * The candidate with the fewest single-letter changes from word (swapped neighbours are one), if
 * that is at most a third of its length and one; NULL if none is near.
 */
const char *suggest_nearest(const char *word, const char *const *candidates, size_t n);
