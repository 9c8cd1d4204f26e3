/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: the flow table holds capacity.flows flows, 99.9 % of them at least. Every flow makes its
 * handshake once, in a random order of tuples; then the table is searched for each.
 */
#include "established.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const struct bed_vip vips[] = {
	{.address = "198.18.0.0",
	 .port = TRAFFIC_VIP_PORT,
	 .reals = {{"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.3"}, {"10.0.0.4"}}},
};

static uint64_t read_untracked(const struct bed *bed)
{
	unsigned int n_cpus = dataplane_n_cpus();
	struct stats *per_cpu = calloc(n_cpus, sizeof(*per_cpu));
	uint64_t sum = 0;

	assert_non_null(per_cpu);
	assert_int_equal(dataplane_read_stats(bed->dataplane, per_cpu), 0);
	for (unsigned int i = 0; i < n_cpus; i++)
		sum += per_cpu[i].flow_untracked;
	free(per_cpu);
	return sum;
}

/* Proven, and at the real that the flow was sent to. */
static bool is_tracked(const struct bed *bed, const struct traffic *t, uint32_t flow)
{
	struct flow_tuple tuple = traffic_tuple(t, flow);
	const uint64_t *slot = proof_slot(bed, &tuple);

	return slot && SLOT_WORD_STATE(*slot) == FLOW_TCP &&
	       ntohl(bed->dp->members[SLOT_WORD_MEMBER(*slot)].real.w[3]) == t->picks[flow];
}

/* Each of a flow's three packets counts an untracked flow, so this is the share by the counter. */
static double counted_share(const struct bed *bed, uint32_t n)
{
	return 1 - (double)read_untracked(bed) / (3.0 * n);
}

/* Fills a table for n flows with n flows. */
static struct traffic *fill(struct bed *bed, uint32_t n, const struct variant *variant)
{
	struct traffic *t = traffic_new(bed, &(struct traffic_options){.picks = n, .cpu = 1});

	if (variant)
		traffic_aim(t, variant_prog_fd(variant));
	t->state->seed = n;
	established_learn(t, n);
	return t;
}

/* Share of n flows that a table for n of them tracks. */
static double tracked_share(uint32_t n, uint64_t key_seed)
{
	struct bed *bed = bed_new(&(struct bed_options){.flows = n, .key_seed = key_seed});
	uint32_t tracked = 0;
	struct traffic *t;

	bed_apply(bed, vips, 1);
	t = fill(bed, n, NULL);
	for (uint32_t i = 0; i < n; i++)
		tracked += is_tracked(bed, t, i);
	assert_int_equal(read_untracked(bed), 3ULL * (n - tracked));
	traffic_free(t);
	bed_remove(bed);
	return (double)tracked / n;
}

static void a_table_holds_its_capacity(void **state)
{
	static const uint32_t sizes[] = {1000000, 10000000};

	for (size_t i = 0; i < proof_size(1, 2); i++) {
		double share = tracked_share(sizes[i], i);

		proof_says("capacity: so many flows in a table for so many",
			   "%u flows: %.4f %% tracked", sizes[i], 100 * share);
		assert_true(share >= 0.999);
	}
}

/*
 * In a small table chance weighs more, so it has some more buckets (sizing.h): no key falls below.
 */
static void a_small_table_holds_its_capacity_with_every_key(void **state)
{
	unsigned int keys = proof_size(4, 20);
	double least = 1, sum = 0;

	for (unsigned int i = 0; i < keys; i++) {
		double share = tracked_share(100000, 100 + i);

		sum += share;
		least = share < least ? share : least;
	}
	proof_says("capacity: the same, with several keys",
		   "100000 flows, %u keys: %.4f %% tracked on average, %.4f %% at least", keys,
		   100 * sum / keys, 100 * least);
	assert_true(least >= 0.999);
}

/* Control: what makes room is that the table is sized for twice as many. */
static void a_table_of_half_the_size_does_not(void **state)
{
	const uint32_t n = 100000;
	struct bed *bed = bed_new(&(struct bed_options){.flows = n});
	struct variant *variant;
	struct traffic *t;

	bed_apply(bed, vips, 1);
	variant = variant_new(bed, VARIANT_HALF_TABLE);
	t = fill(bed, n, variant);
	proof_says("capacity, control: half of the buckets", "%.2f %% tracked",
		   100 * counted_share(bed, n));
	assert_true(counted_share(bed, n) < 0.999);
	traffic_free(t);
	variant_free(variant);
	bed_remove(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_holds_its_capacity),
		cmocka_unit_test(a_small_table_holds_its_capacity_with_every_key),
		cmocka_unit_test(a_table_of_half_the_size_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
