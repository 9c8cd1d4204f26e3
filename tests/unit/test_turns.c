/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Turns of round robin: how many everybody has, and how they are spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/sizing.h"
#include "lib/turns.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_REALS     65535u

struct round {
	uint32_t *turns;
	uint32_t *counts; /* by position of the id */
	uint32_t *ids;
	size_t n;
};

/* Ids are 1000 and up: not positions. */
static struct round make(const uint32_t *weights, size_t n, size_t room)
{
	struct round r = {
		.turns = calloc(room + 1, sizeof(uint32_t)),
		.counts = calloc(n + 1, sizeof(uint32_t)),
		.ids = calloc(n + 1, sizeof(uint32_t)),
	};

	assert_true(r.turns && r.counts && r.ids);
	r.turns[room] = 0xdeadbeef;
	for (size_t i = 0; i < n; i++)
		r.ids[i] = (uint32_t)(1000 + i);
	assert_int_equal(turns_make(r.ids, weights, n, room, r.turns, &r.n), 0);
	assert_in_range(r.n, n ? 1 : 0, room);
	assert_int_equal(r.turns[room], 0xdeadbeef);
	for (size_t i = 0; i < r.n; i++) {
		assert_in_range(r.turns[i], 1000, 1000 + n - 1);
		r.counts[r.turns[i] - 1000]++;
	}
	return r;
}

static void end(struct round *r)
{
	free(r->turns);
	free(r->counts);
	free(r->ids);
}

static void turns_are_as_the_weights_in_lowest_terms(void **state)
{
	static const struct {
		uint32_t weights[4], counts[4];
	} rows[] = {
		{{100, 100, 100, 100}, {1, 1, 1, 1}}, {{100, 50, 25, 25}, {4, 2, 1, 1}},
		{{1, 2, 5, 4}, {1, 2, 5, 4}},	      {{65535, 65535, 65535, 65535}, {1, 1, 1, 1}},
		{{7, 7, 7, 14}, {1, 1, 1, 2}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct round r = make(rows[i].weights, 4, SIZING_LEAST_TURNS);

		assert_memory_equal(r.counts, rows[i].counts, sizeof(rows[i].counts));
		end(&r);
	}
}

static void of_one_real_or_none_there_is_no_more_to_say(void **state)
{
	struct round r = make((uint32_t[]){77}, 1, 8);

	assert_int_equal(r.n, 1);
	end(&r);
	r = make(NULL, 0, 8);
	assert_int_equal(r.n, 0);
	end(&r);
}

/* Up to the end of any stretch of the round, nobody is over 1.5 turns from its share. */
static void check_spread(const uint32_t *weights, size_t n, size_t room)
{
	struct round r = make(weights, n, room);
	uint32_t *so_far = calloc(n, sizeof(*so_far));

	assert_non_null(so_far);
	for (size_t at = 0; at < r.n; at++) {
		so_far[r.turns[at] - 1000]++;
		for (size_t i = 0; i < n; i++) {
			double share = (double)(at + 1) * r.counts[i] / (double)r.n;

			if (so_far[i] > share + 1.5 || so_far[i] < share - 1.5)
				fail_msg("real %zu of %zu has %u of %.2f turns after %zu", i, n,
					 so_far[i], share, at + 1);
		}
	}
	free(so_far);
	end(&r);
}

static void the_turns_of_a_real_are_spread_over_the_round(void **state)
{
	uint32_t weights[40];

	check_spread((uint32_t[]){1, 100}, 2, SIZING_LEAST_TURNS);
	check_spread((uint32_t[]){10, 10, 11}, 3, SIZING_LEAST_TURNS);
	check_spread((uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 8}, 9, SIZING_LEAST_TURNS);
	srand(1);
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
			weights[i] = 1 + (uint32_t)rand() % 100;
		check_spread(weights, 2 + (size_t)round % 39, 1000);
	}
}

static void weights_that_need_too_many_turns_are_rounded_and_nobody_is_left_out(void **state)
{
	static const uint32_t weights[] = {65521, 40009, 3, 1};
	struct round r = make(weights, 4, SIZING_LEAST_TURNS);
	double sum = 65521 + 40009 + 3 + 1;

	for (size_t i = 0; i < 4; i++) {
		double due = weights[i] / sum * (double)r.n;

		assert_true(r.counts[i] >= 1);
		assert_true(r.counts[i] < due + 2 && r.counts[i] > due - 4);
	}
	end(&r);
}

static void as_many_reals_as_a_vip_can_have_fit(void **state)
{
	uint32_t *weights = calloc(MAX_REALS, sizeof(*weights));
	struct round r;

	assert_non_null(weights);
	for (uint32_t i = 0; i < MAX_REALS; i++)
		weights[i] = 1 + i;
	r = make(weights, MAX_REALS, sizing_turns(MAX_REALS));
	for (uint32_t i = 0; i < MAX_REALS; i++)
		assert_true(r.counts[i] >= 1);
	assert_true(r.counts[MAX_REALS - 1] > 3 * r.counts[0]);
	end(&r);
	free(weights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_are_as_the_weights_in_lowest_terms),
		cmocka_unit_test(of_one_real_or_none_there_is_no_more_to_say),
		cmocka_unit_test(the_turns_of_a_real_are_spread_over_the_round),
		cmocka_unit_test(
			weights_that_need_too_many_turns_are_rounded_and_nobody_is_left_out),
		cmocka_unit_test(as_many_reals_as_a_vip_can_have_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
