/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slow start: what a real that came back gets of its weight, in even steps up to the whole. A step
 * costs a ring, so there are at most 20, none shorter than half a second; the first is never
 * nothing. Pure.
 */
#pragma once

#include <stdint.h>

/* The percentage of its weight that a real does not get yet, elapsed_ms after it came back. */
uint32_t slow_start_held_back(uint64_t elapsed_ms, uint32_t slow_start_ms);

/* How long from then until it gets more; 0: it has all. */
uint64_t slow_start_next_ms(uint64_t elapsed_ms, uint32_t slow_start_ms);
