/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Schedulers lc and p2c: by whose flows, and what holds between two counts of them. */
#include "sched_bed.h"

#include <stdlib.h>
#include <string.h>

#define S SEGMENT_SYN
#define A SEGMENT_ACK
#define F SEGMENT_FIN

#define BURST 10000u

static uint32_t id_of(struct bed *bed, const struct bed_vip *vip, size_t real)
{
	return bed_member_id(bed, vip, vip->reals[real].address);
}

/* As if a scan had just counted these. */
static void set_flows(struct bed *bed, const struct bed_vip *vip, size_t n, const uint32_t *flows)
{
	for (size_t i = 0; i < n; i++) {
		struct member_load *load = &bed->dp->loads[id_of(bed, vip, i)];

		dp_store(load->base, flows[i] - load->delta);
	}
}

static uint32_t least_of(const uint32_t *counts, size_t n)
{
	uint32_t least = counts[0];

	for (size_t i = 1; i < n; i++)
		least = counts[i] < least ? counts[i] : least;
	return least;
}

static uint32_t most_of(const uint32_t *counts, size_t n)
{
	uint32_t most = counts[0];

	for (size_t i = 1; i < n; i++)
		most = counts[i] > most ? counts[i] : most;
	return most;
}

/* ---- lc ------------------------------------------------------------------------------------ */

static void lc_gives_a_flow_to_the_real_with_the_fewest_by_weight(void **state)
{
	static const struct {
		uint32_t weights[4], flows[4];
		size_t next;
	} rows[] = {
		{{100, 100, 100, 100}, {5, 4, 3, 4}, 2},
		{{100, 100, 100, 100}, {0, 1, 1, 1}, 0},
		{{100, 200, 100, 100}, {50, 90, 48, 51}, 1}, /* 45 a hundred */
		{{1, 65535, 1, 1}, {1, 60000, 1, 1}, 1},
		{{1, 2, 4, 8}, {1, 3, 7, 14}, 3}, /* with the next: 2, 2, 2, 15/8 */
		{{65535, 65535, 65535, 65535}, {4000000, 3999999, 4000000, 4000000}, 1},
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed_vip vip = sched_vip(SCHEDULER_LC, 4, rows[i].weights);

		bed_apply(bed, &vip, 1);
		for (uint32_t again = 0; again < 20; again++) {
			size_t real;

			set_flows(bed, &vip, 4, rows[i].flows);
			real = sched_send(bed, (uint32_t)i * 100 + again, S);
			if (real != rows[i].next)
				fail_msg("row %zu: real %zu", i, real);
		}
	}
}

/* Of all: 16 are the most that are looked at one by one. */
static void lc_finds_the_one_real_without_flows_among_sixteen(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 16, NULL);
	uint32_t flows[16];

	bed_apply(*state, &vip, 1);
	for (uint32_t idle = 0; idle < 16; idle++) {
		for (uint32_t i = 0; i < 16; i++)
			flows[i] = i == idle ? 0 : 100;
		set_flows(*state, &vip, 16, flows);
		assert_int_equal(sched_send(*state, idle, S), idle);
	}
}

/* The daemon has counted nothing since the start; on both CPUs. */
static void a_burst_between_two_counts_is_spread_to_the_flow(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 10, NULL);
	uint32_t counts[10] = {};

	bed_apply(*state, &vip, 1);
	for (int cpu = 0; cpu < 2; cpu++) {
		sched_pin(cpu);
		sched_start_flows(*state, (uint32_t)cpu * BURST / 2, BURST / 2, counts);
	}
	sched_unpin();
	for (int i = 0; i < 10; i++)
		assert_int_equal(counts[i], BURST / 10);
}

static void a_burst_levels_out_what_was_uneven(void **state)
{
	static const uint32_t had[] = {0, 100, 200, 300};
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 4, NULL);
	uint32_t counts[4] = {};

	bed_apply(*state, &vip, 1);
	set_flows(*state, &vip, 4, had);
	sched_start_flows(*state, 0, 1000, counts);
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i] + had[i], 400);
}

/* So many that lc draws: nobody is left out, and nobody is buried. */
static void a_burst_over_more_reals_than_are_looked_at_is_spread_all_the_same(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 32, NULL);
	uint32_t counts[32] = {};

	vip.ring = 16381;
	bed_apply(*state, &vip, 1);
	sched_start_flows(*state, 0, 3200, counts);
	assert_in_range(least_of(counts, 32), 96, 100);
	assert_in_range(most_of(counts, 32), 100, 103);
}

/* ---- p2c ----------------------------------------------------------------------------------- */

static void p2c_spreads_a_burst_far_better_than_chance(void **state)
{
	struct bed_vip vips[2] = {
		sched_vip(SCHEDULER_P2C, 10, NULL),
		sched_vip(SCHEDULER_RANDOM, 10, NULL),
	};
	uint32_t spread[2];

	for (int i = 0; i < 2; i++) {
		uint32_t counts[10] = {};

		vips[i].ring = 16381;
		bed_apply(*state, &vips[i], 1);
		sched_start_flows(*state, (uint32_t)i * 20000, 20000, counts);
		spread[i] = most_of(counts, 10) - least_of(counts, 10);
	}
	/* 3 or so against some 140; random falls below 16 once in 10^7. */
	assert_in_range(spread[0], 0, 15);
	assert_in_range(spread[1], 16, 600);
}

/* With two reals the two are compared, so it is the least; but for one time in hundreds. */
static void p2c_of_two_reals_takes_the_one_with_fewer(void **state)
{
	static const uint32_t flows[] = {50, 10};
	struct bed_vip vip = sched_vip(SCHEDULER_P2C, 2, NULL);
	uint32_t counts[2] = {};

	bed_apply(*state, &vip, 1);
	for (uint32_t i = 0; i < 200; i++) {
		set_flows(*state, &vip, 2, flows);
		sched_start_flows(*state, i, 1, counts);
	}
	assert_in_range(counts[0], 0, 8);
}

/* A real that comes up empty is not buried: no more than the draws that come upon it. */
static void p2c_does_not_bury_a_real_that_is_new(void **state)
{
	uint32_t flows[10], counts[10] = {};
	struct bed_vip vip = sched_vip(SCHEDULER_P2C, 10, NULL);

	bed_apply(*state, &vip, 1);
	for (int i = 0; i < 10; i++)
		flows[i] = i ? 100000 : 0;
	set_flows(*state, &vip, 10, flows);
	sched_start_flows(*state, 0, 1000, counts);
	assert_in_range(counts[0], 120, 260); /* 1 - (9/10)^2: 19 % */
}

/* ---- Counts -------------------------------------------------------------------------------- */

static void establish(struct bed *bed, uint32_t flow, size_t *ret_real)
{
	*ret_real = sched_send(bed, flow, S);
	assert_int_equal(sched_send(bed, flow, A), *ret_real);
}

/* Flows that ended leave room; flows that are there count, whoever gave them. */
static void after_a_scan_the_flows_that_are_there_count(void **state)
{
	static const uint8_t ways[] = {SCHEDULER_LC, SCHEDULER_MAGLEV};

	for (size_t w = 0; w < sizeof(ways); w++) {
		struct bed *bed = sched_bed_new();
		struct bed_vip vip = sched_vip(ways[w], 4, NULL);
		uint32_t had[4] = {}, counts[4] = {};
		size_t real;

		bed_apply(bed, &vip, 1);
		for (uint32_t i = 0; i < 400; i++) {
			establish(bed, i, &real);
			if (real == 2)
				sched_send(bed, i, F | A);
			else
				had[real]++;
		}
		vip.scheduler = SCHEDULER_LC;
		bed_apply(bed, &vip, 1);
		bed_scan(bed);
		for (int i = 0; i < 4; i++) {
			const struct member_load *load =
				&bed->dp->loads[id_of(bed, &vip, (size_t)i)];

			assert_int_equal(load->base + load->delta, had[i]);
		}
		sched_start_flows(bed, 1000, least_of((uint32_t[]){had[0], had[1], had[3]}, 3),
				  counts);
		for (int i = 0; i < 4; i++)
			assert_true((i == 2) == (counts[i] > 0));
		bed_remove(bed);
	}
}

/* At once, not when the daemon counts next; a FIN that is repeated closes nothing more. */
static void a_flow_that_its_client_closes_does_not_count_any_more(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags[3];
		bool counts;
	} rows[] = {
		{"FIN", {F | A}, false},
		{"FIN twice", {F | A, F | A}, false},
		{"RST", {SEGMENT_RST}, false},
		{"FIN, then RST", {F | A, SEGMENT_RST}, false},
		{"a forged RST, and it goes on", {SEGMENT_RST, A}, true},
		{"a forged RST, goes on, and FIN", {SEGMENT_RST, A, F | A}, false},
		{"ACK", {A}, true},
	};
	struct bed *bed = *state;
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 2, NULL);

	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct member_load *load;
		uint32_t before;
		size_t real;

		establish(bed, i, &real);
		load = &bed->dp->loads[id_of(bed, &vip, real)];
		before = load->base + load->delta;
		for (int k = 0; k < 3 && rows[i].flags[k]; k++)
			sched_send(bed, i, rows[i].flags[k]);
		if (load->base + load->delta != before - !rows[i].counts)
			fail_msg("%s: %u flows, before %u", rows[i].what, load->base + load->delta,
				 before);
	}
}

/* What was counted too late or twice makes no real look full. */
static void a_count_below_zero_is_none(void **state)
{
	static const uint32_t flows[] = {3, (uint32_t)-2, 3};
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 3, NULL);

	bed_apply(*state, &vip, 1);
	set_flows(*state, &vip, 3, flows);
	assert_int_equal(sched_send(*state, 1, S), 1);
}

/* Even if its member id had many. */
static void a_real_that_is_new_has_no_flows(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = sched_vip(SCHEDULER_LC, 3, NULL);
	uint32_t counts[4] = {};

	bed_apply(bed, &vip, 1);
	sched_start_flows(bed, 0, 300, counts);
	vip = sched_vip(SCHEDULER_LC, 4, NULL);
	bed_apply(bed, &vip, 1);
	memset(counts, 0, sizeof(counts));
	sched_start_flows(bed, 1000, 100, counts);
	assert_int_equal(counts[3], 100);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, sched_bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(lc_gives_a_flow_to_the_real_with_the_fewest_by_weight),
		BED_TEST(lc_finds_the_one_real_without_flows_among_sixteen),
		BED_TEST(a_burst_between_two_counts_is_spread_to_the_flow),
		BED_TEST(a_burst_levels_out_what_was_uneven),
		BED_TEST(a_burst_over_more_reals_than_are_looked_at_is_spread_all_the_same),
		BED_TEST(p2c_spreads_a_burst_far_better_than_chance),
		BED_TEST(p2c_of_two_reals_takes_the_one_with_fewer),
		BED_TEST(p2c_does_not_bury_a_real_that_is_new),
		cmocka_unit_test(after_a_scan_the_flows_that_are_there_count),
		BED_TEST(a_flow_that_its_client_closes_does_not_count_any_more),
		BED_TEST(a_count_below_zero_is_none),
		BED_TEST(a_real_that_is_new_has_no_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
