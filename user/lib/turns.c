/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns of round robin: see turns.h. Turn k of c is due at (k + phase) / c of the round, where the
 * phases of all are spread by the golden ratio: so nobody's turns come in a row while others wait,
 * nor do those of many who have one each. Sorted by due time by counting: a round may have a
 * quarter of a million turns.
 */
#include "turns.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* How many turns everybody has in a round; returns their sum. */
static size_t share_out(const uint32_t *weights, size_t n, size_t room, uint32_t *ret_counts)
{
	uint32_t divisor = 0;
	uint64_t sum = 0;
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		divisor = common_divisor(weights[i], divisor);
		sum += weights[i];
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t count = weights[i] / divisor;

		/* Rounded down, and one for those with less: never more than there is room for. */
		if (sum / divisor > room)
			count = 1 + (uint64_t)weights[i] * (room - n) / sum;
		ret_counts[i] = (uint32_t)count;
		total += count;
	}
	return total;
}

#define PHASE_BITS 20

/* Below `total`: at most 2^18 turns, and as many in the round. */
static size_t due(size_t i, uint32_t turn, uint32_t count, size_t total)
{
	uint32_t phase = (uint32_t)i * 0x9e3779b9u >> (32 - PHASE_BITS);

	return (((uint64_t)turn << PHASE_BITS) + phase) * total / ((uint64_t)count << PHASE_BITS);
}

int turns_make(const uint32_t *ids, const uint32_t *weights, size_t n, size_t room,
	       uint32_t *ret_turns, size_t *ret_n)
{
	uint32_t *counts = calloc(n + 1, sizeof(*counts));
	size_t total = counts && n ? share_out(weights, n, room, counts) : 0;
	uint32_t *place = calloc(total + 1, sizeof(*place));

	if (!counts || !place) {
		free(counts);
		free(place);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < counts[i]; k++)
			place[due(i, k, counts[i], total) + 1]++;
	}
	for (size_t at = 1; at < total; at++)
		place[at] += place[at - 1];
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < counts[i]; k++)
			ret_turns[place[due(i, k, counts[i], total)]++] = ids[i];
	}
	free(counts);
	free(place);
	*ret_n = total;
	return 0;
}
