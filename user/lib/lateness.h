/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How late things begin, over the last 10 to 20 seconds: a histogram whose buckets are an eighth of
 * their value wide. Pure; the time is an argument.
 */
#pragma once

#include <stdint.h>

#define LATENESS_WINDOW_MS 10000
#define LATENESS_BUCKETS   232

struct lateness {
	struct lateness_window {
		uint32_t counts[LATENESS_BUCKETS];
		uint64_t n;
		uint64_t max_us;
	} windows[2]; /* this one and the one before */
	uint64_t began_ms; /* of windows[0] */
};

struct lateness_summary {
	uint64_t n;
	uint64_t p50_us; /* no more than an eighth too much */
	uint64_t p99_us;
	uint64_t max_us;
};

void lateness_add(struct lateness *lateness, uint64_t late_us, uint64_t now_ms);
struct lateness_summary lateness_read(const struct lateness *lateness);
