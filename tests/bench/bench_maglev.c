/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a ring takes to build: a JSON line a case. The Maglev paper's bar for 65,537 slots and
 * 100 reals is 1.8 ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/maglev.h"

#define ROUNDS_MAX 101

struct bench_case {
	const char *name;
	uint32_t size;
	size_t reals;
	uint32_t max_weight; /* weights 1 ... max_weight, mixed; 1: equal */
	int rounds;
};

static const struct bench_case cases[] = {
	{"ring-251x3", 251, 3, 1, 101},
	{"ring-65537x10", 65537, 10, 1, 101},
	{"ring-65537x100", 65537, 100, 1, 101},
	{"ring-65537x100-weighted", 65537, 100, 100, 101},
	{"ring-65537x1000", 65537, 1000, 1, 51},
	{"ring-655373x100", 655373, 100, 1, 11},
	{"ring-655373x1000-weighted", 655373, 1000, 100, 11},
	{"ring-655373x65536-weighted", 655373, 65536, 65535, 5},
};

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int run_case(const struct bench_case *c)
{
	struct maglev_real *reals = calloc(c->reals, sizeof(*reals));
	uint16_t *slots = calloc(c->size, sizeof(*slots));
	double ms[ROUNDS_MAX];
	int err = reals && slots ? 0 : -1;

	for (size_t i = 0; !err && i < c->reals; i++) {
		reals[i].address.b[0] = 0x20;
		reals[i].address.b[13] = (uint8_t)(i >> 16);
		reals[i].address.b[14] = (uint8_t)(i >> 8);
		reals[i].address.b[15] = (uint8_t)i;
		reals[i].weight = 1 + (uint32_t)(i * 7919 % c->max_weight);
	}
	for (int i = 0; !err && i < c->rounds; i++) {
		double start = now_ms();

		err = maglev_build(reals, c->reals, c->size, slots);
		ms[i] = now_ms() - start;
	}
	if (!err) {
		qsort(ms, (size_t)c->rounds, sizeof(ms[0]), compare_doubles);
		printf("{\"case\":\"%s\",\"ms_median\":%.4f,\"ms_min\":%.4f,\"rounds\":%d}\n",
		       c->name, ms[c->rounds / 2], ms[0], c->rounds);
	}
	free(slots);
	free(reals);
	return err;
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (run_case(&cases[i]))
			return 1;
	}
	return 0;
}
