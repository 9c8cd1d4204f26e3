/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The histogram of lateness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/lateness.h"

static void nothing_counted_is_all_zero(void **state)
{
	struct lateness_summary s = lateness_read(&(struct lateness){});

	assert_int_equal(s.n, 0);
	assert_int_equal(s.p99_us, 0);
	assert_int_equal(s.max_us, 0);
}

/* Of any single value, all of the summary is that value; the largest fall into one bucket. */
static void every_value_finds_its_bucket(void **state)
{
	for (uint64_t us = 0; us < UINT64_C(1) << 40; us += us / 3 + 1) {
		struct lateness l = {};
		struct lateness_summary s;

		lateness_add(&l, us, 5);
		s = lateness_read(&l);
		assert_int_equal(s.p50_us, us);
		assert_int_equal(s.p99_us, us);
		assert_int_equal(s.max_us, us);
	}
}

static void percentiles_are_at_most_an_eighth_too_much(void **state)
{
	static struct lateness l;
	struct lateness_summary s;

	for (uint64_t us = 1; us <= 10000; us++)
		lateness_add(&l, us, 5);
	s = lateness_read(&l);
	assert_int_equal(s.n, 10000);
	assert_in_range(s.p50_us, 5000, 5000 + 5000 / 8);
	assert_in_range(s.p99_us, 9900, 10000);
	assert_int_equal(s.max_us, 10000);
}

static void one_in_a_hundred_is_not_in_the_p99_and_two_are(void **state)
{
	struct lateness l = {};

	for (int i = 0; i < 99; i++)
		lateness_add(&l, 10, 5);
	lateness_add(&l, 5000, 5);
	assert_in_range(lateness_read(&l).p99_us, 10, 11);
	lateness_add(&l, 5000, 5);
	assert_in_range(lateness_read(&l).p99_us, 5000, 5000);
}

static void what_is_older_than_two_windows_is_forgotten(void **state)
{
	static struct lateness l;

	lateness_add(&l, 99999, 1);
	lateness_add(&l, 7, LATENESS_WINDOW_MS);
	assert_int_equal(lateness_read(&l).max_us, 99999);
	lateness_add(&l, 7, 2 * LATENESS_WINDOW_MS);
	lateness_add(&l, 7, 3 * LATENESS_WINDOW_MS);
	assert_int_equal(lateness_read(&l).max_us, 7);
	assert_int_equal(lateness_read(&l).n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_counted_is_all_zero),
		cmocka_unit_test(every_value_finds_its_bucket),
		cmocka_unit_test(percentiles_are_at_most_an_eighth_too_much),
		cmocka_unit_test(one_in_a_hundred_is_not_in_the_p99_and_two_are),
		cmocka_unit_test(what_is_older_than_two_windows_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
