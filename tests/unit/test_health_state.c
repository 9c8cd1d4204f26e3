/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rise and fall as rows of results; the jitter's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/health_state.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * results: + success, - failure. verdicts: after each result, U up, D down, ? unknown; a capital
 * where this result changed it, a small letter where it stayed.
 */
static const struct {
	const char *name;
	enum health_verdict initial;
	uint32_t rise;
	uint32_t fall;
	const char *results;
	const char *verdicts;
} rows[] = {
	{"a first success of the unproven decides", HEALTH_UNKNOWN, 2, 3, "+", "U"},
	{"a first failure of the unproven decides", HEALTH_UNKNOWN, 2, 3, "-", "D"},
	{"what was proven before a restart needs a row", HEALTH_UP, 2, 3, "---", "uuD"},
	{"and so does what was proven down", HEALTH_DOWN, 2, 3, "++", "dU"},
	{"fall failures in a row", HEALTH_UP, 2, 3, "-+--+---", "uuuuuuuD"},
	{"rise successes in a row", HEALTH_DOWN, 3, 1, "+-++-+++", "dddddddU"},
	{"a failure that decided counts toward nothing else", HEALTH_UNKNOWN, 2, 3, "-++", "DdU"},
	{"a success that decided does not shorten the fall", HEALTH_UNKNOWN, 2, 2, "+--", "UuD"},
	{"rise 1 and fall 1 follow every result", HEALTH_UP, 1, 1, "-+-+", "DUDU"},
	{"same results change nothing", HEALTH_UNKNOWN, 2, 2, "++++", "Uuuu"},
	{"down stays down", HEALTH_DOWN, 2, 2, "----", "dddd"},
	{"down, up, down", HEALTH_UNKNOWN, 2, 3, "--++---+", "DddUuuDd"},
};

static void rows_of_results_give_the_verdicts(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct health_state s;
		uint64_t since = 100;

		health_state_init(&s, rows[r].initial, since);
		for (size_t i = 0; rows[r].results[i]; i++) {
			char want = rows[r].verdicts[i];
			bool want_changed = want == 'U' || want == 'D';
			bool want_up = want == 'U' || want == 'u';
			bool changed = health_state_result(&s, rows[r].results[i] == '+',
							   rows[r].rise, rows[r].fall, 101 + i);

			if (want_changed)
				since = 101 + i;
			if (changed != want_changed || (s.verdict == HEALTH_UP) != want_up ||
			    s.verdict == HEALTH_UNKNOWN || s.since_ms != since)
				fail_msg("%s: result %zu", rows[r].name, i);
		}
	}
}

static void a_row_counts_and_breaks(void **state)
{
	struct health_state s;

	health_state_init(&s, HEALTH_UP, 5);
	assert_int_equal(s.since_ms, 5);
	health_state_result(&s, false, 9, 9, 6);
	health_state_result(&s, false, 9, 9, 7);
	assert_int_equal(s.failures, 2);
	assert_int_equal(s.successes, 0);
	health_state_result(&s, true, 9, 9, 8);
	assert_int_equal(s.failures, 0);
	assert_int_equal(s.successes, 1);
	assert_int_equal(s.since_ms, 5);
}

static void a_very_long_row_does_not_wrap(void **state)
{
	struct health_state s;

	health_state_init(&s, HEALTH_UP, 0);
	s.successes = UINT32_MAX;
	health_state_result(&s, true, 2, 2, 1);
	assert_int_equal(s.successes, UINT32_MAX);
}

static void jitter_moves_the_interval_to_either_side(void **state)
{
	static const struct {
		uint32_t interval;
		uint32_t jitter;
		uint32_t random;
		uint32_t want;
	} cases[] = {
		{1000, 0, 0, 1000},
		{1000, 0, UINT32_MAX, 1000},
		{1000, 10, 0, 900},
		{1000, 10, UINT32_MAX, 1100},
		{1000, 10, 1U << 31, 1000},
		{1000, 100, UINT32_MAX, 2000},
		{1000, 100, 0, 1},
		{1000, 4000, UINT32_MAX, 2000},
		{0, 10, 0, 1},
		{5, 10, 77, 5},
		{UINT32_MAX, 100, UINT32_MAX, UINT32_MAX},
		{UINT32_MAX, 100, 0, 1U << 31},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		uint32_t next = health_next_ms(cases[c].interval, cases[c].jitter, cases[c].random);

		if (next != cases[c].want)
			fail_msg("case %zu: %u, not %u", c, next, cases[c].want);
	}
}

static void verdicts_have_names(void **state)
{
	assert_string_equal(health_verdict_name(HEALTH_UNKNOWN), "unknown");
	assert_string_equal(health_verdict_name(HEALTH_UP), "up");
	assert_string_equal(health_verdict_name(HEALTH_DOWN), "down");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_results_give_the_verdicts),
		cmocka_unit_test(a_row_counts_and_breaks),
		cmocka_unit_test(a_very_long_row_does_not_wrap),
		cmocka_unit_test(jitter_moves_the_interval_to_either_side),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
