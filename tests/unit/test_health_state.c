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
		struct health_rules rules = {.rise = rows[r].rise, .fall = rows[r].fall};
		struct health_state s;
		uint64_t since = 100;

		health_state_init(&s, rows[r].initial, since);
		for (size_t i = 0; rows[r].results[i]; i++) {
			char want = rows[r].verdicts[i];
			bool want_changed = want == 'U' || want == 'D';
			bool want_up = want == 'U' || want == 'u';
			bool changed = health_state_result(&s, rows[r].results[i] == '+', &rules,
							   101 + i);

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
	health_state_result(&s, false, &(struct health_rules){.rise = 9, .fall = 9}, 6);
	health_state_result(&s, false, &(struct health_rules){.rise = 9, .fall = 9}, 7);
	assert_int_equal(s.failures, 2);
	assert_int_equal(s.successes, 0);
	health_state_result(&s, true, &(struct health_rules){.rise = 9, .fall = 9}, 8);
	assert_int_equal(s.failures, 0);
	assert_int_equal(s.successes, 1);
	assert_int_equal(s.since_ms, 5);
}

static void a_very_long_row_does_not_wrap(void **state)
{
	struct health_state s;

	health_state_init(&s, HEALTH_UP, 0);
	s.successes = UINT32_MAX;
	health_state_result(&s, true, &(struct health_rules){.rise = 2, .fall = 2}, 1);
	assert_int_equal(s.successes, UINT32_MAX);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void the_first_result_of_one_that_is_assumed_up_decides(void **state)
{
	const struct health_rules rules = {.rise = 3, .fall = 3};
	struct health_state s;

	health_state_assume_up(&s, 10);
	assert_int_equal(s.verdict, HEALTH_UP);
	assert_true(s.is_assumed);
	assert_true(health_state_result(&s, false, &rules, 20));
	assert_int_equal(s.verdict, HEALTH_DOWN);
	assert_false(s.is_assumed);
	assert_int_equal(s.since_ms, 20);

	health_state_assume_up(&s, 10);
	assert_false(health_state_result(&s, true, &rules, 20));
	assert_false(s.is_assumed);
	assert_int_equal(s.since_ms, 10);
	/* Proven now: a row is needed. */
	assert_false(health_state_result(&s, false, &rules, 30));
	assert_false(health_state_result(&s, false, &rules, 40));
	assert_true(health_state_result(&s, false, &rules, 50));
}

/* ---- pace ------------------------------------------------------------------------------------ */

/* i: the interval, f: fast, after each result. Rise 2, fall 3. */
static void probes_come_faster_while_results_speak_against_the_verdict(void **state)
{
	static const struct {
		enum health_verdict initial;
		const char *results;
		const char *paces;
	} cases[] = {
		{HEALTH_UNKNOWN, "+-+---+-++-", "ififfififif"},
		{HEALTH_DOWN, "--+-++", "iififi"},
		{HEALTH_UP, "+---", "iffi"},
	};
	const struct health_rules rules = {.rise = 2, .fall = 3};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct health_state s;

		health_state_init(&s, cases[c].initial, 1);
		assert_int_equal(health_state_is_undecided(&s, 1),
				 cases[c].initial == HEALTH_UNKNOWN);
		for (size_t i = 0; cases[c].results[i]; i++) {
			health_state_result(&s, cases[c].results[i] == '+', &rules, 2);
			if (health_state_is_undecided(&s, 2) != (cases[c].paces[i] == 'f'))
				fail_msg("case %zu: result %zu", c, i);
		}
	}
}

/* ---- flaps ----------------------------------------------------------------------------------- */

/* A real whose state is told by results of +/- at these seconds; rise and fall are 1. */
struct step {
	uint32_t at_s;
	char result;
	enum health_verdict verdict;
	uint32_t flaps;
	uint32_t held_until_s;
};

#define U HEALTH_UP
#define D HEALTH_DOWN

static const struct {
	const char *name;
	uint32_t hold_down_s;
	uint32_t max_s;
	struct step steps[16];
} flapping[] = {
	{"no hold-down, no flaps",
	 0,
	 60,
	 {{1, '-', D, 0, 0}, {2, '+', U, 0, 0}, {3, '-', D, 0, 0}, {4, '+', U, 0, 0}}},
	{"the first costs nothing", 10, 60, {{1, '-', D, 1, 0}, {2, '+', U, 1, 0}}},
	{"each further one twice the one before, up to the most",
	 10,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 13},
	  {4, '+', D, 2, 13},
	  {12, '+', D, 2, 13},
	  {13, '+', U, 2, 0},
	  {14, '-', D, 3, 34},
	  {33, '+', D, 3, 34},
	  {34, '+', U, 3, 0},
	  {35, '-', D, 4, 75},
	  {75, '+', U, 4, 0},
	  {76, '-', D, 5, 136},
	  {136, '+', U, 5, 0},
	  {137, '-', D, 5, 197}}},
	{"failures while it is held do not hold it longer",
	 10,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 13},
	  {12, '-', D, 2, 13},
	  {13, '+', U, 2, 0}}},
	{"who is down for long anyway comes up at once",
	 10,
	 60,
	 {{1, '-', D, 1, 0}, {2, '+', U, 1, 0}, {3, '-', D, 2, 13}, {99, '+', U, 2, 0}}},
	/* 2 flaps: forgiven after 10 s, the first 10 s later */
	{"staying up is forgiven step by step",
	 10,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 13},
	  {20, '+', U, 2, 0},
	  {29, '+', U, 2, 0},
	  {30, '+', U, 1, 0},
	  {39, '+', U, 1, 0},
	  {40, '+', U, 0, 0},
	  {41, '-', D, 1, 0}}},
	{"the more flaps, the longer until one is forgiven",
	 10,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 13},
	  {13, '+', U, 2, 0},
	  {14, '-', D, 3, 34},
	  {34, '+', U, 3, 0},
	  {53, '+', U, 3, 0},
	  {54, '+', U, 2, 0},
	  {63, '+', U, 2, 0},
	  {64, '+', U, 1, 0},
	  {74, '+', U, 0, 0}}},
	{"what could not hold it longer is not counted",
	 60,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 63},
	  {63, '+', U, 2, 0},
	  {64, '-', D, 2, 124}}},
	{"what is left counts on",
	 10,
	 60,
	 {{1, '-', D, 1, 0},
	  {2, '+', U, 1, 0},
	  {3, '-', D, 2, 13},
	  {20, '+', U, 2, 0},
	  {31, '-', D, 2, 41},
	  {41, '+', U, 2, 0}}},
};

static void going_down_again_and_again_holds_a_real_down_ever_longer(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(flapping); r++) {
		struct health_rules rules = {.rise = 1,
					     .fall = 1,
					     .hold_down_ms = flapping[r].hold_down_s * 1000,
					     .hold_down_max_ms = flapping[r].max_s * 1000};
		struct health_state s;

		health_state_init(&s, HEALTH_UP, 0);
		for (const struct step *step = flapping[r].steps; step->result; step++) {
			uint64_t now = step->at_s * 1000ULL;

			health_state_result(&s, step->result == '+', &rules, now);
			if (s.verdict != step->verdict ||
			    health_state_flaps(&s, &rules, now) != step->flaps ||
			    s.held_until_ms != step->held_until_s * 1000ULL)
				fail_msg("%s: at %u s: %s, %u flaps, held until %lu",
					 flapping[r].name, step->at_s,
					 health_verdict_name(s.verdict),
					 health_state_flaps(&s, &rules, now), s.held_until_ms);
		}
	}
}

static void a_held_real_is_probed_at_its_interval_until_it_may_come_up(void **state)
{
	const struct health_rules rules = {
		.rise = 2, .fall = 1, .hold_down_ms = 100, .hold_down_max_ms = 1000};
	struct health_state s;

	health_state_init(&s, HEALTH_UP, 0);
	health_state_result(&s, false, &rules, 1);
	health_state_result(&s, true, &rules, 2);
	health_state_result(&s, true, &rules, 3);
	health_state_result(&s, false, &rules, 4); /* held until 104 */
	health_state_result(&s, true, &rules, 50);
	assert_false(health_state_is_undecided(&s, 50));
	assert_true(health_state_is_undecided(&s, 104));
}

static void a_real_that_was_never_proven_up_does_not_flap(void **state)
{
	const struct health_rules rules = {
		.rise = 1, .fall = 1, .hold_down_ms = 100, .hold_down_max_ms = 1000};
	struct health_state s;

	health_state_assume_up(&s, 0);
	health_state_result(&s, false, &rules, 1);
	assert_int_equal(s.flaps, 0);
	health_state_init(&s, HEALTH_UNKNOWN, 0);
	health_state_result(&s, false, &rules, 1);
	assert_int_equal(s.flaps, 0);
}

/* Hold-down 10 s, 60 s at most; it is 1000 s, and flaps are from before. */
static void flaps_from_before_a_restart_count_on(void **state)
{
	static const struct {
		const char *name;
		enum health_verdict verdict;
		struct health_flaps flaps;
		enum health_verdict then;
		uint32_t count;
		uint64_t held_until_ms;
	} cases[] = {
		{"nothing", U, {}, U, 0, 0},
		{"still held down", D, {2, 990000, 1007000}, D, 2, 1007000},
		{"held down, and the maps were lost",
		 HEALTH_UNKNOWN,
		 {2, 990000, 1007000},
		 D,
		 2,
		 1007000},
		{"held down, and counts as up until proven",
		 U,
		 {2, 990000, 1007000},
		 D,
		 2,
		 1007000},
		{"held until now", U, {2, 995000, 1000000}, U, 2, 0},
		{"no longer held", D, {3, 900000, 999000}, D, 3, 0},
		{"for longer than it ever could be", D, {2, 990000, 9000000}, D, 2, 1060000},
		{"up, with flaps", U, {2, 995000, 0}, U, 2, 0},
		{"up, forgiven meanwhile", U, {2, 985000, 0}, U, 1, 0},
		{"up, all forgiven meanwhile", U, {2, 900000, 0}, U, 0, 0},
		{"since a time that is yet to come", U, {2, 2000000, 0}, U, 2, 0},
	};
	const struct health_rules rules = {
		.rise = 1, .fall = 1, .hold_down_ms = 10000, .hold_down_max_ms = 60000};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct health_state s;

		health_state_init(&s, cases[c].verdict, 1000000);
		health_state_recall(&s, &cases[c].flaps, &rules, 1000000);
		if (s.verdict != cases[c].then || s.since_ms > 1000000 ||
		    (!cases[c].flaps.count && s.since_ms != 1000000) ||
		    s.held_until_ms != cases[c].held_until_ms ||
		    health_state_flaps(&s, &rules, 1000000) != cases[c].count)
			fail_msg("%s: %s, %u flaps, held until %lu", cases[c].name,
				 health_verdict_name(s.verdict),
				 health_state_flaps(&s, &rules, 1000000), s.held_until_ms);
	}
}

static void a_real_held_down_before_a_restart_comes_up_when_its_time_has_ended(void **state)
{
	const struct health_rules rules = {
		.rise = 1, .fall = 1, .hold_down_ms = 10000, .hold_down_max_ms = 60000};
	const struct health_flaps flaps = {2, 990000, 1007000};
	struct health_flaps left;
	struct health_state s;

	health_state_assume_up(&s, 1000000);
	health_state_recall(&s, &flaps, &rules, 1000000);
	assert_false(health_state_result(&s, true, &rules, 1006999));
	left = health_state_remember(&s, &rules, 1006999);
	assert_int_equal(left.count, 2);
	assert_int_equal(left.held_until_ms, 1007000);
	assert_true(health_state_result(&s, true, &rules, 1007000));
	assert_true(health_state_result(&s, false, &rules, 1008000));
	assert_int_equal(s.held_until_ms, 1028000);
	left = health_state_remember(&s, &rules, 1008000);
	assert_int_equal(left.count, 3);
}

static void without_hold_down_flaps_from_before_are_forgotten(void **state)
{
	const struct health_rules rules = {.rise = 1, .fall = 1};
	const struct health_flaps flaps = {2, 990000, 1007000};
	struct health_state s;

	health_state_init(&s, HEALTH_DOWN, 1000000);
	health_state_recall(&s, &flaps, &rules, 1000000);
	assert_int_equal(s.since_ms, 1000000);
	assert_true(health_state_result(&s, true, &rules, 1000001));
	assert_int_equal(health_state_remember(&s, &rules, 1000001).count, 0);
}

static void flaps_that_are_forgiven_or_of_no_use_are_not_remembered(void **state)
{
	const struct health_rules rules = {
		.rise = 1, .fall = 1, .hold_down_ms = 10000, .hold_down_max_ms = 60000};
	struct health_state s = {.verdict = HEALTH_UP, .flaps = 1, .since_ms = 1000};

	assert_int_equal(health_state_remember(&s, &rules, 10999).count, 1);
	assert_int_equal(health_state_remember(&s, &rules, 11000).count, 0);
	s.verdict = HEALTH_DOWN;
	assert_int_equal(health_state_remember(&s, &rules, 11000).count, 1);
	/* Hold-down was switched off. */
	assert_int_equal(health_state_flaps(&s, &(struct health_rules){}, 11000), 0);
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
		cmocka_unit_test(the_first_result_of_one_that_is_assumed_up_decides),
		cmocka_unit_test(probes_come_faster_while_results_speak_against_the_verdict),
		cmocka_unit_test(going_down_again_and_again_holds_a_real_down_ever_longer),
		cmocka_unit_test(a_held_real_is_probed_at_its_interval_until_it_may_come_up),
		cmocka_unit_test(a_real_that_was_never_proven_up_does_not_flap),
		cmocka_unit_test(flaps_from_before_a_restart_count_on),
		cmocka_unit_test(
			a_real_held_down_before_a_restart_comes_up_when_its_time_has_ended),
		cmocka_unit_test(without_hold_down_flaps_from_before_are_forgotten),
		cmocka_unit_test(flaps_that_are_forgiven_or_of_no_use_are_not_remembered),
		cmocka_unit_test(jitter_moves_the_interval_to_either_side),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
