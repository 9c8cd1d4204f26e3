/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a real is up, from a row of probe results: rise, fall and hold-down. Pure; the time is an
 * argument.
 *
 * The first result of a real that was never proven decides at once, also of one that is assumed to
 * be up; afterwards `fall` failures in a row make it down and `rise` successes in a row make it up.
 *
 * A flap is going down after having been proven up. The first one costs nothing; the second holds
 * the real down for hold_down_ms at least, and every further one for twice as long as the one
 * before, up to hold_down_max_ms. A real that is up loses a flap whenever it has stayed up for as
 * long as that flap would hold it down (the first: hold_down_ms).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum health_verdict {
	HEALTH_UNKNOWN = 0,
	HEALTH_UP = 1,
	HEALTH_DOWN = 2,
};

struct health_rules {
	uint32_t rise; /* successes in a row until up */
	uint32_t fall; /* failures in a row until down */
	uint32_t hold_down_ms; /* 0: no hold-down, flaps are not counted */
	uint32_t hold_down_max_ms;
};

struct health_state {
	enum health_verdict verdict;
	bool is_assumed; /* up, but never proven */
	uint32_t successes; /* in a row */
	uint32_t failures; /* in a row */
	uint32_t flaps; /* at since_ms */
	uint64_t since_ms; /* of the verdict */
	uint64_t held_until_ms; /* of one that is down: not up before; 0: it is not held */
};

/* What is left of flaps when the state is begun anew. */
struct health_flaps {
	uint32_t count; /* at since_ms */
	uint64_t since_ms; /* of the verdict */
	uint64_t held_until_ms; /* 0: it was not held down */
};

void health_state_init(struct health_state *state, enum health_verdict verdict, uint64_t now_ms);
/* Of a real of which nothing is known: it counts as up until its first result. */
void health_state_assume_up(struct health_state *state, uint64_t now_ms);
/*
 * After either: flaps from before. One that is still held down then is down, whatever was thought
 * of it, and is held no longer than these rules ever hold a real.
 */
void health_state_recall(struct health_state *state, const struct health_flaps *flaps,
			 const struct health_rules *rules, uint64_t now_ms);

/* Takes one result in; true if the verdict changed. */
bool health_state_result(struct health_state *state, bool is_success,
			 const struct health_rules *rules, uint64_t now_ms);

/* What health_state_recall() wants to know; count 0: nothing. */
struct health_flaps health_state_remember(const struct health_state *state,
					  const struct health_rules *rules, uint64_t now_ms);

/* Flaps that are remembered now. */
uint32_t health_state_flaps(const struct health_state *state, const struct health_rules *rules,
			    uint64_t now_ms);

/* Whether results speak against the verdict, so that the next ones may change it. */
bool health_state_is_undecided(const struct health_state *state, uint64_t now_ms);

/*
 * When to probe next: the interval, moved by up to jitter_percent of itself to either side by
 * `random` (any 32 bits).
 */
uint32_t health_next_ms(uint32_t interval_ms, uint32_t jitter_percent, uint32_t random);

const char *health_verdict_name(enum health_verdict verdict);
