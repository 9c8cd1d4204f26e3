/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rise and fall: see health_state.h. */
#include "health_state.h"

void health_state_init(struct health_state *state, enum health_verdict verdict, uint64_t now_ms)
{
	*state = (struct health_state){.verdict = verdict, .since_ms = now_ms};
}

static void count(uint32_t *row, uint32_t *other)
{
	if (*row < UINT32_MAX)
		(*row)++;
	*other = 0;
}

bool health_state_result(struct health_state *state, bool is_success, uint32_t rise, uint32_t fall,
			 uint64_t now_ms)
{
	enum health_verdict verdict = is_success ? HEALTH_UP : HEALTH_DOWN;
	uint32_t needed = is_success ? rise : fall;
	uint32_t row;

	if (is_success)
		count(&state->successes, &state->failures);
	else
		count(&state->failures, &state->successes);
	row = is_success ? state->successes : state->failures;

	if (state->verdict == verdict || (state->verdict != HEALTH_UNKNOWN && row < needed))
		return false;
	state->verdict = verdict;
	state->since_ms = now_ms;
	return true;
}

uint32_t health_next_ms(uint32_t interval_ms, uint32_t jitter_percent, uint32_t random)
{
	uint64_t percent = jitter_percent < 100 ? jitter_percent : 100;
	uint64_t wanted = interval_ms * percent / 100;
	uint64_t reach = wanted < INT32_MAX ? wanted : INT32_MAX; /* 32 bits hold 2 * reach + 1 */
	uint64_t offset = (2 * reach + 1) * random >> 32; /* 0 ... 2 * reach */
	uint64_t next = interval_ms - reach + offset;

	if (next == 0)
		return 1; /* never a busy loop */
	return next < UINT32_MAX ? (uint32_t)next : UINT32_MAX;
}

const char *health_verdict_name(enum health_verdict verdict)
{
	switch (verdict) {
	case HEALTH_UNKNOWN:
		return "unknown";
	case HEALTH_UP:
		return "up";
	case HEALTH_DOWN:
		return "down";
	}
	return "?";
}
