/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When the id of a removed real is free again, and what becomes of its counters. */
#include "lab.h"

static uint64_t slot_of(uint32_t id, enum flow_state state, uint32_t age)
{
	return 5ULL << FLOW_TAG_SHIFT | (uint64_t)id << FLOW_MEMBER_SHIFT |
	       (uint64_t)state << FLOW_STATE_SHIFT | age;
}

static void set_flow(struct lab *lab, uint64_t word)
{
	lab->fake->dp.flows[0].slot[0] = word;
}

/* A VIP with three reals of which the first has just been removed; its id. */
static struct lab *lab_with_removed(uint32_t *ret_id)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	*ret_id = lab_member(lab, web, 1)->id;
	lab_remove_real(lab, web, 0);
	assert_int_equal(lab_apply(lab), 0);
	return lab;
}

static enum retire_stage stage_of(const struct lab *lab)
{
	return lab_member(lab, 0, 1)->retirement.stage;
}

static bool is_freed(const struct lab *lab)
{
	return lab_member(lab, 0, 1) == NULL;
}

static void test_a_removed_real_drains_and_one_that_was_down_stays_down(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 3);
	lab->inputs[web][1].health = HEALTH_DOWN;
	lab_settle(lab);
	lab_remove_real(lab, web, 0);
	lab_remove_real(lab, web, 0);
	lab_settle(lab);
	assert_int_equal(lab_member(lab, web, 1)->state, MEMBER_DRAIN | MEMBER_NOTE_REMOVED);
	assert_int_equal(lab_member(lab, web, 2)->state, MEMBER_DOWN | MEMBER_NOTE_REMOVED);
	lab_free(lab);
}

static void test_an_id_waits_for_ring_grace_scan_grace_and_scan(void **state)
{
	const struct ip_addr removed = lab_addr(1);
	uint32_t id;
	struct lab *lab = lab_with_removed(&id);

	fake_grace_pass(lab->fake);
	lab_scan(lab);
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_IN_RING); /* the old ring still names it */

	lab_rings(lab);
	lab_scan(lab);
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_FIRST_GRACE); /* packets may still have that ring */

	fake_grace_pass(lab->fake);
	set_flow(lab, slot_of(id, FLOW_TCP, 0));
	lab_scan(lab);
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_FIRST_SCAN); /* a flow names it */

	set_flow(lab, 0);
	lab_scan(lab);
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_SECOND_GRACE); /* for whom the scan overtook */

	fake_grace_pass(lab->fake);
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_SECOND_SCAN);
	set_flow(lab, slot_of(id, FLOW_TCP, 0));
	lab_scan(lab);
	assert_int_equal(stage_of(lab), RETIRE_FIRST_SCAN); /* there was one: all over again */

	set_flow(lab, 0);
	lab_scan(lab);
	fake_grace_pass(lab->fake);
	lab_scan(lab);
	assert_false(is_freed(lab));
	lab_scan(lab);
	assert_true(is_freed(lab));
	assert_int_equal(lab_vip(lab, 0)->n_members, 2);
	assert_int_equal(lab->fake->dp.members[id].state, 0);
	apply_next_hop(lab->applied, &removed, 77); /* nobody's any more */
	assert_int_equal(lab->fake->dp.members[id].next_hop, 0);
	lab_free(lab);
}

static void test_an_expired_flow_of_a_removed_real_does_not_hold_its_id(void **state)
{
	uint32_t id;
	struct lab *lab = lab_with_removed(&id);

	lab_rings(lab);
	set_flow(lab, slot_of(id, FLOW_TCP, FLOW_AGE_OLD));
	lab_retire_all(lab);
	assert_true(is_freed(lab));
	assert_int_equal(lab->fake->dp.flows[0].slot[0], FLOW_SLOT_FREED);
	lab_free(lab);
}

static void test_a_real_that_comes_back_keeps_its_id(void **state)
{
	uint32_t id;
	struct lab *lab = lab_with_removed(&id);

	lab_rings(lab);
	for (int i = 0; i < 3; i++) {
		fake_grace_pass(lab->fake);
		lab_scan(lab);
	}
	lab_add_real(lab, 0, 1, 10);
	lab_settle(lab);
	assert_int_equal(lab_member(lab, 0, 1)->id, id);
	lab_retire_all(lab);
	assert_int_equal(lab_member(lab, 0, 1)->id, id);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_real_removed_anew_begins_its_way_anew(void **state)
{
	uint32_t id;
	struct lab *lab = lab_with_removed(&id);

	lab_rings(lab);
	for (int i = 0; i < 4; i++) {
		fake_grace_pass(lab->fake);
		lab_scan(lab);
	}
	lab_add_real(lab, 0, 1, 10);
	lab_settle(lab);
	lab_remove_real(lab, 0, 2);
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(stage_of(lab), RETIRE_IN_RING);
	lab_free(lab);
}

static void test_counters_of_a_freed_real_are_banked_and_its_own_begin_at_zero(void **state)
{
	uint32_t id;
	struct lab *lab = lab_with_removed(&id);
	struct vip_state *bank = &lab->fake->dp.vip_state[lab_vip(lab, 0)->id];

	lab->fake->stats[id] = (struct member_stats){.packets = 3, .bytes = 4, .new_flows = 5};
	lab_rings(lab);
	lab_retire_all(lab);
	assert_true(is_freed(lab));
	assert_int_equal(bank->freed_packets, 3);
	assert_int_equal(bank->freed_bytes, 4);
	assert_int_equal(bank->freed_new_flows, 5);
	assert_int_equal(lab->fake->stats[id].packets, 0);
	lab_free(lab);
}

static void test_an_id_whose_counters_cannot_be_read_or_zeroed_is_not_freed(void **state)
{
	static const char calls[] = {'s', 'z'};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint32_t id;
		struct lab *lab = lab_with_removed(&id);

		lab->fake->stats[id].packets = 3;
		lab_rings(lab);
		while (stage_of(lab) != RETIRE_SECOND_SCAN) {
			fake_grace_pass(lab->fake);
			lab_scan(lab);
		}
		lab->fake->fail_from = lab->fake->calls + 1 + i;
		lab->fake->n_failing = 1;
		lab_scan(lab);
		assert_false(is_freed(lab));
		assert_int_equal(lab->fake->dp.vip_state[0].freed_packets, 0);
		lab_retire_all(lab);
		assert_true(is_freed(lab));
		assert_int_equal(lab->fake->dp.vip_state[0].freed_packets, 3);
		lab_free(lab);
	}
}

static void test_the_id_of_a_removed_vip_waits_for_its_members(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);
	uint32_t vip_id, id;

	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	vip_id = lab_vip(lab, web)->id;
	id = lab_member(lab, web, 2)->id;
	lab_remove_vip(lab, web);
	lab_settle(lab);
	assert_int_equal(lab->fake->dp.members[id].state, MEMBER_FREE);
	lab_add_vip(lab, 2, 80);
	fake_grace_pass(lab->fake);
	lab_settle(lab);
	assert_int_not_equal(lab_vip(lab, 0)->id, vip_id);

	lab_scan(lab); /* by far not enough */
	assert_int_equal(lab->applied->n_orphans, 3);
	assert_int_equal(lab->applied->vip_refs[vip_id], 3); /* one an orphan */
	lab_retire_all(lab);
	assert_int_equal(lab->applied->vip_refs[vip_id], 0);
	assert_int_equal(lab->applied->n_orphans, 0);
	lab_free(lab);
}

static void test_the_id_of_a_removed_vip_without_reals_waits_for_a_grace_period(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);
	uint32_t vip_id;

	lab_settle(lab);
	vip_id = lab_vip(lab, web)->id;
	lab->vips[web].port = 81;
	fake_grace_pass(lab->fake);
	assert_int_equal(lab_apply(lab), 0);
	lab->vips[web].port = 82;
	assert_int_equal(lab_apply(lab), 0);
	assert_int_not_equal(lab_vip(lab, web)->id, vip_id);
	fake_grace_pass(lab->fake);
	lab->vips[web].port = 83;
	lab_rings(lab);
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(lab_vip(lab, web)->id, vip_id);
	lab_free(lab);
}

static void test_flows_of_a_removed_vip_are_cleared_and_then_its_ids_are_free(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 1);
	lab_settle(lab);
	set_flow(lab, slot_of(lab_member(lab, web, 1)->id, FLOW_TCP, 0));
	lab_remove_vip(lab, web);
	lab_settle(lab);
	lab_retire_all(lab);
	assert_int_equal(lab->fake->dp.flows[0].slot[0], FLOW_SLOT_FREED);
	assert_int_equal(lab->applied->member_ids.n_used, 0);
	assert_int_equal(lab->applied->ring_space.n_used, 0);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_removed_real_drains_and_one_that_was_down_stays_down),
		cmocka_unit_test(test_an_id_waits_for_ring_grace_scan_grace_and_scan),
		cmocka_unit_test(test_an_expired_flow_of_a_removed_real_does_not_hold_its_id),
		cmocka_unit_test(test_a_real_that_comes_back_keeps_its_id),
		cmocka_unit_test(test_a_real_removed_anew_begins_its_way_anew),
		cmocka_unit_test(
			test_counters_of_a_freed_real_are_banked_and_its_own_begin_at_zero),
		cmocka_unit_test(test_an_id_whose_counters_cannot_be_read_or_zeroed_is_not_freed),
		cmocka_unit_test(test_the_id_of_a_removed_vip_waits_for_its_members),
		cmocka_unit_test(
			test_the_id_of_a_removed_vip_without_reals_waits_for_a_grace_period),
		cmocka_unit_test(test_flows_of_a_removed_vip_are_cleared_and_then_its_ids_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
