/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Timeouts in the ticks that flows are stamped in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/flow_clock.h"

static const uint32_t hertz[] = {100, 250, 300, 1000};
static const uint32_t timeouts_ms[] = {1000,   1500,	5000,	 10000,	   60000,
				       333333, 3600000, 7654321, 43200000, 86400000};

static struct vip_spec vip_with(uint32_t ms)
{
	return (struct vip_spec){.timeouts = {ms, ms, ms, ms}};
}

static void test_every_timeout_is_16_to_32_ticks_and_never_cut_short(void **state)
{
	for (size_t h = 0; h < 4; h++) {
		for (size_t i = 0; i < 10; i++) {
			struct vip_spec vip = vip_with(timeouts_ms[i]);
			struct flow_clock clock;

			flow_clock_make(&vip, 1, hertz[h], &clock);
			for (int s = FLOW_SYN; s < FLOW_STATES; s++) {
				uint64_t jiffies = (uint64_t)clock.timeout_ticks[s]
						   << clock.tick_shift[s];

				assert_in_range(clock.timeout_ticks[s], 16, 32);
				assert_true(jiffies * 1000 / hertz[h] >= timeouts_ms[i]);
			}
		}
	}
}

static void test_each_state_goes_by_its_own_timeout(void **state)
{
	struct vip_spec vip = {.timeouts = {86400000, 60000, 5000, 30000}};
	struct flow_clock clock;
	__u8 ticks[FLOW_STATES];

	flow_clock_make(&vip, 1, 1000, &clock);
	flow_clock_ticks(&clock, &vip.timeouts, 1000, ticks);
	for (int s = FLOW_SYN; s < FLOW_STATES; s++)
		assert_int_equal(ticks[s], clock.timeout_ticks[s]);
	assert_int_equal(clock.tick_shift[FLOW_SYN], clock.tick_shift[FLOW_ACK]);
	assert_int_equal(clock.tick_shift[FLOW_FIN], clock.tick_shift[FLOW_RST]);
	assert_int_equal(clock.tick_shift[FLOW_UDP], clock.tick_shift[FLOW_UDP_FIRST]);
	assert_true(clock.tick_shift[FLOW_TCP] > clock.tick_shift[FLOW_FIN]);
	assert_true(clock.tick_shift[FLOW_FIN] > clock.tick_shift[FLOW_UDP]);
	assert_true(clock.tick_shift[FLOW_UDP] > clock.tick_shift[FLOW_SYN]);
	assert_int_equal(ticks[FLOW_NONE], 0);
}

static void test_a_shorter_timeout_is_fewer_ticks_of_the_longest_ones_clock(void **state)
{
	struct vip_spec vips[] = {vip_with(60000), vip_with(15000)};
	struct flow_clock clock;
	__u8 longer[FLOW_STATES], shorter[FLOW_STATES];

	flow_clock_make(vips, 2, 250, &clock);
	flow_clock_ticks(&clock, &vips[0].timeouts, 250, longer);
	flow_clock_ticks(&clock, &vips[1].timeouts, 250, shorter);
	for (int s = FLOW_SYN; s < FLOW_STATES; s++) {
		assert_int_equal(longer[s], clock.timeout_ticks[s]);
		assert_in_range(shorter[s], longer[s] / 4, longer[s] / 4 + 1);
	}
}

static void test_a_timeout_is_never_no_ticks_at_all(void **state)
{
	struct vip_spec vips[] = {vip_with(86400000), vip_with(1)};
	struct flow_clock clock;
	__u8 ticks[FLOW_STATES];

	flow_clock_make(vips, 2, 100, &clock);
	flow_clock_ticks(&clock, &vips[1].timeouts, 100, ticks);
	for (int s = FLOW_SYN; s < FLOW_STATES; s++)
		assert_int_equal(ticks[s], 1);
}

static void test_without_a_vip_there_is_a_clock_all_the_same(void **state)
{
	struct flow_clock clock;

	flow_clock_make(NULL, 0, 250, &clock);
	assert_in_range(clock.timeout_ticks[FLOW_TCP], 16, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_timeout_is_16_to_32_ticks_and_never_cut_short),
		cmocka_unit_test(test_each_state_goes_by_its_own_timeout),
		cmocka_unit_test(test_a_shorter_timeout_is_fewer_ticks_of_the_longest_ones_clock),
		cmocka_unit_test(test_a_timeout_is_never_no_ticks_at_all),
		cmocka_unit_test(test_without_a_vip_there_is_a_clock_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
