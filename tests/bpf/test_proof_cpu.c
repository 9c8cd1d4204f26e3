/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: flows that a change of RSS takes to another CPU keep their real. They take half of the
 * flow table's slots, and the ring changes before they come to the other CPU.
 */
#include "established.h"

#define FLOWS 100000u

/* Every flow once on this CPU; those that went to another real. */
static uint64_t moved_on(struct established *e, int cpu, struct traffic_result *ret_result)
{
	e->keepers->cpu = cpu;
	*ret_result = traffic_run(e->keepers, e->n);
	assert_int_equal(ret_result->forwarded, e->n);
	assert_int_equal(ret_result->foreign, 0);
	return ret_result->moved;
}

static void no_flow_moves_with_its_cpu(void **state)
{
	struct traffic_result r;
	struct established e;
	uint64_t moved = 0;
	double share = 0;

	established_new(&e, FLOWS, 0);
	moved += moved_on(&e, 0, &r);
	moved += moved_on(&e, 1, &r);
	share = established_change_ring(&e);
	moved += moved_on(&e, 0, &r);
	moved += moved_on(&e, 1, &r);
	proof_says("RSS: flows come to another CPU, twice before and twice after a ring change",
		   "%u flows in %.1f %% of the slots; the change of %.0f %% of the ring would move "
		   "%u; moved: %llu",
		   e.tracked, 100 * e.load, 100 * share, established_off_ring(&e),
		   (unsigned long long)moved);
	assert_true(share >= 0.2);
	assert_int_equal(moved, 0);
	established_free(&e);
}

/* Control: what keeps them is one table for all CPUs. */
static void with_a_table_for_each_cpu_they_move(void **state)
{
	struct variant *variant;
	struct traffic_result r;
	struct established e;

	established_new(&e, FLOWS, 0);
	variant = variant_new(e.bed, VARIANT_OWN_TABLE);
	assert_int_equal(moved_on(&e, 1, &r), 0);
	established_change_ring(&e);
	traffic_aim(e.keepers, variant_prog_fd(variant));
	moved_on(&e, 0, &r);
	proof_says("RSS, control: the other CPU has a table of its own", "moved: %llu of %u",
		   (unsigned long long)r.moved, e.tracked);
	assert_true(r.moved > e.n / 10);
	variant_free(variant);
	established_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_flow_moves_with_its_cpu),
		cmocka_unit_test(with_a_table_for_each_cpu_they_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
