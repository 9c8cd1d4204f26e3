/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rise, fall and hold-down: see health_state.h. */
#include "health_state.h"

void health_state_init(struct health_state *state, enum health_verdict verdict, uint64_t now_ms)
{
	*state = (struct health_state){.verdict = verdict, .since_ms = now_ms};
}

void health_state_assume_up(struct health_state *state, uint64_t now_ms)
{
	health_state_init(state, HEALTH_UP, now_ms);
	state->is_assumed = true;
}

/* How long this many flaps hold a real down. */
static uint64_t hold_ms(const struct health_rules *rules, uint32_t flaps)
{
	uint64_t hold = rules->hold_down_ms;

	if (flaps < 2)
		return 0;
	for (uint32_t i = 2; i < flaps && hold < rules->hold_down_max_ms; i++)
		hold *= 2;
	return hold < rules->hold_down_max_ms ? hold : rules->hold_down_max_ms;
}

uint32_t health_state_flaps(const struct health_state *state, const struct health_rules *rules,
			    uint64_t now_ms)
{
	uint64_t up_ms = now_ms > state->since_ms ? now_ms - state->since_ms : 0;
	uint32_t flaps = rules->hold_down_ms ? state->flaps : 0;

	while (state->verdict == HEALTH_UP && flaps > 0) {
		uint64_t need = flaps > 1 ? hold_ms(rules, flaps) : rules->hold_down_ms;

		if (up_ms < need)
			break;
		up_ms -= need;
		flaps--;
	}
	return flaps;
}

void health_state_recall(struct health_state *state, const struct health_flaps *flaps,
			 const struct health_rules *rules, uint64_t now_ms)
{
	uint64_t latest = now_ms + rules->hold_down_max_ms;

	if (!rules->hold_down_ms || !flaps->count)
		return;
	state->flaps = flaps->count;
	state->since_ms = flaps->since_ms < now_ms ? flaps->since_ms : now_ms;
	if (flaps->held_until_ms <= now_ms)
		return;
	state->verdict = HEALTH_DOWN;
	state->is_assumed = false;
	state->held_until_ms = flaps->held_until_ms < latest ? flaps->held_until_ms : latest;
}

struct health_flaps health_state_remember(const struct health_state *state,
					  const struct health_rules *rules, uint64_t now_ms)
{
	if (!health_state_flaps(state, rules, now_ms))
		return (struct health_flaps){};
	return (struct health_flaps){state->flaps, state->since_ms, state->held_until_ms};
}

/* No flap is counted that could not hold it down for longer: it would only be remembered longer. */
static void flap(struct health_state *state, const struct health_rules *rules, uint64_t now_ms)
{
	uint32_t flaps = health_state_flaps(state, rules, now_ms);

	if (rules->hold_down_ms && (flaps < 2 || hold_ms(rules, flaps) < rules->hold_down_max_ms))
		flaps++;
	state->flaps = flaps;
	state->held_until_ms = hold_ms(rules, flaps) ? now_ms + hold_ms(rules, flaps) : 0;
}

static void count(uint32_t *row, uint32_t *other)
{
	if (*row < UINT32_MAX)
		(*row)++;
	*other = 0;
}

static bool is_decided(const struct health_state *state, bool is_success,
		       const struct health_rules *rules, uint64_t now_ms)
{
	if (state->verdict == HEALTH_UNKNOWN || state->is_assumed)
		return true;
	if (!is_success)
		return state->failures >= rules->fall;
	return state->successes >= rules->rise && now_ms >= state->held_until_ms;
}

bool health_state_result(struct health_state *state, bool is_success,
			 const struct health_rules *rules, uint64_t now_ms)
{
	enum health_verdict verdict = is_success ? HEALTH_UP : HEALTH_DOWN;
	bool is_settled;

	if (is_success)
		count(&state->successes, &state->failures);
	else
		count(&state->failures, &state->successes);
	is_settled = is_decided(state, is_success, rules, now_ms);
	if (state->verdict == verdict || !is_settled) {
		state->is_assumed = false;
		return false;
	}
	if (state->verdict == HEALTH_UP && !state->is_assumed)
		flap(state, rules, now_ms);
	if (is_success)
		state->held_until_ms = 0;
	state->is_assumed = false;
	state->verdict = verdict;
	state->since_ms = now_ms;
	return true;
}

bool health_state_is_undecided(const struct health_state *state, uint64_t now_ms)
{
	switch (state->verdict) {
	case HEALTH_UP:
		return state->is_assumed || state->failures > 0;
	case HEALTH_DOWN:
		return state->successes > 0 && now_ms >= state->held_until_ms;
	case HEALTH_UNKNOWN:
		break;
	}
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
