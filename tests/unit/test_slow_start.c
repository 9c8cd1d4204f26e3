/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Slow start: a straight line in few steps, from something to all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/slow_start.h"

static void a_real_gets_more_in_even_steps(void **state)
{
	static const struct {
		uint64_t elapsed_ms;
		uint32_t slow_start_ms;
		uint32_t held_back;
	} rows[] = {
		{0, 0, 0},	    {5, 0, 0},		 {0, 100000, 95},
		{4999, 100000, 95}, {5000, 100000, 90},	 {50000, 100000, 45},
		{99999, 100000, 0}, {100000, 100000, 0}, {0, 2000, 75},
		{500, 2000, 50},    {1999, 2000, 0},	 {0, 1, 50},
		{0, 900, 50},	    {450, 900, 0},	 {UINT64_MAX / 100, 3600000, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t is = slow_start_held_back(rows[i].elapsed_ms, rows[i].slow_start_ms);

		if (is != rows[i].held_back)
			fail_msg("%llu of %u ms: %u %%", (unsigned long long)rows[i].elapsed_ms,
				 rows[i].slow_start_ms, is);
	}
}

/* Follows the steps as the daemon's timer does. */
static void every_step_is_a_change_and_there_are_at_most_20(void **state)
{
	static const uint32_t times[] = {1, 7, 999, 1000, 1001, 2500, 10000, 30000, 65537, 3600000};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		uint32_t held_back = slow_start_held_back(0, times[i]), steps = 1;
		uint64_t at = 0, wait;

		assert_in_range(held_back, 1, 95);
		while ((wait = slow_start_next_ms(at, times[i])) > 0) {
			if (wait > 1)
				assert_int_equal(slow_start_held_back(at + wait - 1, times[i]),
						 held_back);
			at += wait;
			assert_true(slow_start_held_back(at, times[i]) <= held_back);
			held_back = slow_start_held_back(at, times[i]);
			steps++;
			assert_true(steps <= 21);
			if (times[i] >= 1000)
				assert_true(wait >= 499);
		}
		assert_int_equal(at, times[i]);
		assert_int_equal(held_back, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_gets_more_in_even_steps),
		cmocka_unit_test(every_step_is_a_change_and_there_are_at_most_20),
	};

	return cmocka_run_group_tests_name("slow_start", tests, NULL, NULL);
}
