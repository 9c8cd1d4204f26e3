/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps of a linear ramp: see slow_start.h. */
#include "slow_start.h"

#define STEPS_MAX   20
#define STEP_MIN_MS 500

static uint32_t count_steps(uint32_t slow_start_ms)
{
	uint32_t steps = slow_start_ms / STEP_MIN_MS;

	if (steps < 2)
		return 2;
	return steps < STEPS_MAX ? steps : STEPS_MAX;
}

/* 1 in the first step, `steps` when it is over. */
static uint64_t step_at(uint64_t elapsed_ms, uint32_t slow_start_ms, uint32_t steps)
{
	return 1 + elapsed_ms * steps / slow_start_ms;
}

uint32_t slow_start_held_back(uint64_t elapsed_ms, uint32_t slow_start_ms)
{
	uint32_t steps = count_steps(slow_start_ms);

	if (elapsed_ms >= slow_start_ms)
		return 0;
	return (uint32_t)(100 - 100 * step_at(elapsed_ms, slow_start_ms, steps) / steps);
}

uint64_t slow_start_next_ms(uint64_t elapsed_ms, uint32_t slow_start_ms)
{
	uint32_t steps = count_steps(slow_start_ms);
	uint64_t step;

	if (elapsed_ms >= slow_start_ms)
		return 0;
	step = step_at(elapsed_ms, slow_start_ms, steps);
	/* The first millisecond that is in the next step. */
	return (step * slow_start_ms + steps - 1) / steps - elapsed_ms;
}
