/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whom a scheduler gives how many new flows: by weight each of them, and how rr and random do it.
 */
#include "sched_bed.h"

static const uint32_t weights[] = {1, 2, 5, 4};

static void check_weights(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 4, weights);
	uint32_t counts[4] = {};
	double deviations;

	vip.ring = 16381;
	bed_apply(bed, &vip, 1);
	sched_start_flows(bed, 0, 6000, counts);
	deviations = sched_chi_deviations(counts, weights, 4);
	if (deviations > 5.5) /* chance: once in 10^8 */
		fail_msg("%s: %u %u %u %u, %.1f standard deviations", name, counts[0], counts[1],
			 counts[2], counts[3], deviations);
}

static void new_flows_are_shared_by_weight(void **state)
{
	sched_for_each(check_weights);
}

/* The same weights in another order must not do. */
static void the_statistic_sees_wrong_weights(void **state)
{
	static const uint32_t wrong[] = {2, 1, 5, 4};
	uint32_t counts[4] = {500, 1000, 2500, 2000};

	assert_true(sched_chi_deviations(counts, weights, 4) < 0);
	assert_true(sched_chi_deviations(counts, wrong, 4) > 10);
}

/* In pieces that are no round, so that every CPU stands somewhere else. */
static double deviations_over_every_cpu(struct bed *bed, enum xdplb_scheduler scheduler)
{
	struct bed_vip vip = sched_vip(scheduler, 4, weights);
	uint32_t counts[4] = {}, flow = 0;
	int cpus[SCHED_CPUS];
	size_t n = sched_cpus(cpus);

	vip.ring = 16381;
	bed_apply(bed, &vip, 1);
	for (uint32_t piece = 0; piece < 300; piece++) {
		for (size_t i = 0; i < n; i++) {
			sched_pin(cpus[i]);
			sched_start_flows(bed, flow, 7, counts);
			flow += 7;
		}
	}
	sched_unpin();
	return sched_chi_deviations(counts, weights, 4);
}

static void random_over_every_cpu_together_is_as_chance_has_it(void **state)
{
	double deviations = deviations_over_every_cpu(*state, SCHEDULER_RANDOM);

	if (deviations < -3.3 || deviations > 5.5) /* chance: once in 5 million */
		fail_msg("%.1f standard deviations", deviations);
}

/* Chance is so even once in ten thousand times. */
static void rr_over_every_cpu_together_is_far_more_even_than_chance(void **state)
{
	double deviations = deviations_over_every_cpu(*state, SCHEDULER_RR);

	if (deviations > -3)
		fail_msg("%.1f standard deviations", deviations);
}

/* So it is no round robin in disguise: for eight reals, eight flows seldom go to eight. */
static void random_is_not_in_turn(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_RANDOM, 8, NULL);
	unsigned int all_differ = 0;

	bed_apply(*state, &vip, 1);
	for (uint32_t round = 0; round < 50; round++) {
		uint32_t counts[8] = {}, once = 0;

		sched_start_flows(*state, round * 8, 8, counts);
		for (int i = 0; i < 8; i++)
			once += counts[i] == 1;
		all_differ += once == 8;
	}
	assert_in_range(all_differ, 0, 5);
}

static void rr_gives_exact_shares_in_every_round_of_a_cpu(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_RR, 4, weights);

	bed_apply(*state, &vip, 1);
	for (int cpu = 0; cpu < 2; cpu++) {
		sched_pin(cpu);
		for (uint32_t round = 0; round < 20; round++) {
			uint32_t counts[4] = {};

			sched_start_flows(*state, (uint32_t)cpu * 1000 + round * 12, 12, counts);
			assert_memory_equal(counts, weights, sizeof(counts));
		}
	}
	sched_unpin();
}

/* In no stretch of flows does anybody get over a turn more or less than its share. */
static void rr_spreads_the_turns_of_a_real(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_RR, 4, weights);
	uint32_t counts[4] = {};

	bed_apply(*state, &vip, 1);
	sched_pin(0);
	for (uint32_t flow = 0; flow < 120; flow++) {
		sched_start_flows(*state, flow, 1, counts);
		for (int i = 0; i < 4; i++) {
			double share = (flow + 1) * weights[i] / 12.0;

			if (counts[i] > share + 1.5 || counts[i] < share - 1.5)
				fail_msg("after %u flows real %d has %u", flow + 1, i, counts[i]);
		}
	}
	sched_unpin();
}

static void cpus_do_not_begin_with_the_same_real(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_RR, 16, NULL);
	size_t first[2];

	bed_apply(*state, &vip, 1);
	for (int cpu = 0; cpu < 2; cpu++) {
		sched_pin(cpu);
		first[cpu] = sched_send(*state, (uint32_t)cpu, SEGMENT_SYN);
	}
	sched_unpin();
	assert_int_not_equal(first[0], first[1]);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, sched_bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_flows_are_shared_by_weight),
		cmocka_unit_test(the_statistic_sees_wrong_weights),
		BED_TEST(random_over_every_cpu_together_is_as_chance_has_it),
		BED_TEST(rr_over_every_cpu_together_is_far_more_even_than_chance),
		BED_TEST(random_is_not_in_turn),
		BED_TEST(rr_gives_exact_shares_in_every_round_of_a_cpu),
		BED_TEST(rr_spreads_the_turns_of_a_real),
		BED_TEST(cpus_do_not_begin_with_the_same_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
