/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Round robin's turns: a row in which everybody has turns by weight, spread evenly. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Writes ids[i] so often as weights[i] (> 0) says of n, at most `room` (>= n) turns altogether; the
 * weights are exact if their least common terms fit, else everybody is within one turn of it and
 * has at least one. *ret_n: turns written. 0 or -ENOMEM.
 */
int turns_make(const uint32_t *ids, const uint32_t *weights, size_t n, size_t room,
	       uint32_t *ret_turns, size_t *ret_n);
