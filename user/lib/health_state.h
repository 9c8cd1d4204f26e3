/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a real is up, from a row of probe results: rise and fall. Pure; the time is an argument.
 * The first result of a real that was never proven decides at once; afterwards `fall` failures in a
 * row make it down and `rise` successes in a row make it up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum health_verdict {
	HEALTH_UNKNOWN = 0,
	HEALTH_UP = 1,
	HEALTH_DOWN = 2,
};

struct health_state {
	enum health_verdict verdict;
	uint32_t successes; /* in a row */
	uint32_t failures; /* in a row */
	uint64_t since_ms; /* of the verdict */
};

void health_state_init(struct health_state *state, enum health_verdict verdict, uint64_t now_ms);

/* Takes one result in; true if the verdict changed. */
bool health_state_result(struct health_state *state, bool is_success, uint32_t rise, uint32_t fall,
			 uint64_t now_ms);

/*
 * When to probe next: the interval, moved by up to jitter_percent of itself to either side by
 * `random` (any 32 bits).
 */
uint32_t health_next_ms(uint32_t interval_ms, uint32_t jitter_percent, uint32_t random);

const char *health_verdict_name(enum health_verdict verdict);
