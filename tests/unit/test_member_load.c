/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What lc and p2c compare: counts of scans, and what is given in between. */
#include "fake_dp.h"

#include "lib/member_load.h"

#define MEMBERS 4

struct bed {
	struct fake *fake;
	struct flow_scan scan;
};

static struct bed bed_new(void)
{
	struct bed bed = {.fake = fake_new(MEMBERS, 1, 1, 2)};

	assert_int_equal(flow_scan_init(&bed.scan, MEMBERS), 0);
	return bed;
}

static void bed_end(struct bed *bed)
{
	flow_scan_free(&bed->scan);
	fake_free(bed->fake);
}

/* As the packet path does. */
static void give(const struct bed *bed, uint32_t id, uint32_t n)
{
	bed->fake->dp.loads[id].delta += n;
}

static uint32_t flows_of(const struct bed *bed, uint32_t id)
{
	const struct member_load *load = &bed->fake->dp.loads[id];

	return load->base + load->delta;
}

static void what_is_given_counts_at_once(void **state)
{
	struct bed bed = bed_new();

	give(&bed, 1, 5);
	assert_int_equal(flows_of(&bed, 1), 5);
	assert_int_equal(flows_of(&bed, 0), 0);
	bed_end(&bed);
}

static void a_count_takes_the_place_of_what_was_given_before_it_began(void **state)
{
	struct bed bed = bed_new();

	give(&bed, 1, 5);
	member_load_begin(&bed.fake->dp);
	give(&bed, 1, 2); /* while it runs */
	bed.scan.members[1].active = 3; /* two have ended */
	bed.scan.members[2].active = 7; /* given by the ring */
	member_load_end(&bed.fake->dp, &bed.scan);
	assert_int_equal(flows_of(&bed, 1), 3 + 2);
	assert_int_equal(flows_of(&bed, 2), 7);
	give(&bed, 1, 1);
	assert_int_equal(flows_of(&bed, 1), 6);
	bed_end(&bed);
}

static void sums_go_round(void **state)
{
	struct bed bed = bed_new();

	give(&bed, 1, UINT32_MAX - 1);
	member_load_begin(&bed.fake->dp);
	bed.scan.members[1].active = 10;
	member_load_end(&bed.fake->dp, &bed.scan);
	give(&bed, 1, 5);
	assert_int_equal(flows_of(&bed, 1), 15);
	bed_end(&bed);
}

static void a_new_member_does_not_inherit_the_flows_of_its_id(void **state)
{
	struct bed bed = bed_new();

	give(&bed, 3, 1000);
	member_load_reset(&bed.fake->dp, 3, 50);
	assert_int_equal(flows_of(&bed, 3), 0);
	assert_int_equal(bed.fake->dp.loads[3].weight, 50);
	give(&bed, 3, 1);
	assert_int_equal(flows_of(&bed, 3), 1);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_counts_at_once),
		cmocka_unit_test(a_count_takes_the_place_of_what_was_given_before_it_began),
		cmocka_unit_test(sums_go_round),
		cmocka_unit_test(a_new_member_does_not_inherit_the_flows_of_its_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
