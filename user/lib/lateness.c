/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How late things begin: see lateness.h. */
#include "lateness.h"

#include <string.h>

#define STEPS	   8 /* buckets an octave */
#define STEPS_BITS 3

/* Below STEPS every value has a bucket of its own. */
static uint32_t bucket_of(uint64_t us)
{
	uint32_t octave, bucket;

	if (us < STEPS)
		return (uint32_t)us;
	octave = 63 - (uint32_t)__builtin_clzll(us) - STEPS_BITS;
	bucket = STEPS * (octave + 1) + (uint32_t)((us >> octave) & (STEPS - 1));
	return bucket < LATENESS_BUCKETS ? bucket : LATENESS_BUCKETS - 1;
}

/* The most that a bucket holds. */
static uint64_t bucket_end(uint32_t bucket)
{
	uint32_t octave;

	if (bucket < STEPS)
		return bucket;
	octave = bucket / STEPS - 1;
	return ((STEPS + (uint64_t)bucket % STEPS + 1) << octave) - 1;
}

void lateness_add(struct lateness *lateness, uint64_t late_us, uint64_t now_ms)
{
	struct lateness_window *now = &lateness->windows[0];

	if (now_ms - lateness->began_ms >= LATENESS_WINDOW_MS) {
		lateness->windows[1] = *now;
		memset(now, 0, sizeof(*now));
		lateness->began_ms = now_ms;
	}
	now->counts[bucket_of(late_us)]++;
	now->n++;
	if (late_us > now->max_us)
		now->max_us = late_us;
}

/* The value that `rank` of the counted are not over. */
static uint64_t at_rank(const struct lateness *lateness, uint64_t rank, uint64_t max_us)
{
	uint64_t n = 0, end;

	for (uint32_t i = 0; i < LATENESS_BUCKETS - 1; i++) {
		n += lateness->windows[0].counts[i] + (uint64_t)lateness->windows[1].counts[i];
		end = bucket_end(i);
		if (n >= rank)
			return end < max_us ? end : max_us;
	}
	return max_us;
}

struct lateness_summary lateness_read(const struct lateness *lateness)
{
	const struct lateness_window *a = &lateness->windows[0], *b = &lateness->windows[1];
	struct lateness_summary summary = {
		.n = a->n + b->n,
		.max_us = a->max_us > b->max_us ? a->max_us : b->max_us,
	};

	if (!summary.n)
		return summary;
	summary.p50_us = at_rank(lateness, (summary.n + 1) / 2, summary.max_us);
	summary.p99_us = at_rank(lateness, summary.n - summary.n / 100, summary.max_us);
	return summary;
}
