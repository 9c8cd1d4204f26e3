/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps become maps: members, rings and their switch, publishing, next hops. */
#include "lab.h"

static uint64_t word_of(const struct lab *lab, size_t v)
{
	return lab->fake->dp.vip_state[lab_vip(lab, v)->id].ring;
}

static void test_members_are_written_as_the_packet_path_reads_them(void **state)
{
	struct lab *lab = lab_one_vip();
	const struct member *m;

	lab->inputs[0][1].health = HEALTH_DOWN;
	lab_settle(lab);
	m = &lab->fake->dp.members[lab_member(lab, 0, 2)->id];
	assert_true(addr_equal(&m->vip, &lab->vips[0].address));
	assert_int_equal(m->port, htons(80));
	assert_int_equal(m->protocol, IPPROTO_TCP);
	assert_int_equal(m->vip_family, FAMILY_V4);
	assert_int_equal(m->real_family, FAMILY_V4);
	assert_int_equal(m->state, MEMBER_DOWN | MEMBER_NOTE_HEALTH_DOWN);
	assert_memory_equal(m->timeout_ticks, lab_vip(lab, 0)->timeout_ticks, FLOW_STATES);
	lab_free(lab);
}

static void test_a_state_is_in_force_before_any_ring(void **state)
{
	struct lab *lab = lab_one_vip();
	uint64_t word;

	lab_settle(lab);
	word = word_of(lab, 0);
	lab->inputs[0][0].health = HEALTH_DOWN;
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(lab->fake->dp.members[lab_member(lab, 0, 1)->id].state & MEMBER_STATE_MASK,
			 MEMBER_DOWN);
	assert_int_equal(word_of(lab, 0), word);
	lab_free(lab);
}

static void test_a_verdict_is_one_word_at_once_and_a_ring_later(void **state)
{
	struct lab *lab = lab_one_vip();
	struct vip_key key = vip_key_of(&lab->vips[0]);
	struct desired_member want = {.real = lab_addr(2), .state = MEMBER_DOWN};
	uint64_t word;

	lab_settle(lab);
	fake_grace_pass(lab->fake);
	word = word_of(lab, 0);
	assert_int_equal(apply_member(lab->applied, &key, &want, 7), 0);
	assert_int_equal(lab->fake->dp.members[lab_member(lab, 0, 2)->id].state, MEMBER_DOWN);
	assert_int_equal(word_of(lab, 0), word);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_MORE);
	assert_int_not_equal(word_of(lab, 0), word);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_DONE);
	want.real = lab_addr(99);
	assert_int_equal(apply_member(lab->applied, &key, &want, 0), -ENOENT);
	lab_free(lab);
}

static void test_rings_name_the_reals_that_are_up_and_no_others(void **state)
{
	struct lab *lab = lab_one_vip();

	lab->inputs[0][0].health = HEALTH_DOWN;
	lab->inputs[0][1].admin = ADMIN_DRAIN;
	lab_add_reals(lab, 0, 10, 4);
	lab->reals[0][3].weight = 0;
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_vip_is_published_after_its_ring_port_before_address(void **state)
{
	struct lab *lab = lab_one_vip();

	assert_int_equal(lab_apply(lab), 0);
	assert_string_equal(lab->fake->log, "");
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_MORE);
	assert_string_equal(lab->fake->log, "gVA");
	assert_int_not_equal(lab->fake->ring_at_publish, 0);
	lab_free(lab);
}

static void test_a_vip_without_reals_is_published_with_no_ring(void **state)
{
	struct lab *lab = lab_new();

	lab_add_vip(lab, 1, 80);
	lab_settle(lab);
	assert_int_equal(word_of(lab, 0), 0);
	assert_int_equal(lab->fake->maps->n_vips, 1);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_vip_whose_last_real_goes_down_has_no_ring(void **state)
{
	struct lab *lab = lab_one_vip();

	lab_settle(lab);
	for (size_t r = 0; r < 3; r++)
		lab->inputs[0][r].health = HEALTH_DOWN;
	lab_settle(lab);
	assert_int_equal(word_of(lab, 0), 0);
	lab->inputs[0][1].health = HEALTH_UP;
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_the_spare_half_waits_for_its_grace_period(void **state)
{
	struct lab *lab = lab_one_vip();
	uint64_t word;

	lab_settle(lab);
	lab->inputs[0][0].health = HEALTH_DOWN;
	fake_grace_pass(lab->fake);
	lab_settle(lab);
	lab->inputs[0][1].health = HEALTH_DOWN;
	assert_int_equal(lab_apply(lab), 0);
	word = word_of(lab, 0);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_WAIT);
	assert_int_equal(word_of(lab, 0), word);
	fake_grace_pass(lab->fake);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_MORE);
	assert_int_not_equal(word_of(lab, 0), word);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_DONE);
	lab_free(lab);
}

static void test_one_vip_that_waits_does_not_hold_up_another(void **state)
{
	struct lab *lab = lab_one_vip();

	lab_add_reals(lab, lab_add_vip(lab, 2, 80), 11, 2);
	lab_settle(lab);
	fake_grace_pass(lab->fake);
	lab->inputs[0][0].health = HEALTH_DOWN;
	lab_settle(lab);
	lab->inputs[0][1].health = HEALTH_DOWN;
	lab->inputs[1][1].health = HEALTH_DOWN;
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_MORE);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_WAIT);
	lab_free(lab);
}

/*
 * A half that packets may read is never written: neither the live one, nor the one left behind
 * until its grace period is over. Compared bit by bit around every build.
 */
static void test_no_half_that_packets_may_read_is_written(void **state)
{
	static union ring_block before[LAB_BLOCKS];
	struct lab *lab = lab_one_vip();
	const struct dp *dp = &lab->fake->dp;

	for (int i = 0; i < 60; i++) {
		struct applied_vip *vip;
		struct extent live, left;
		bool is_graced, is_waiting;

		lab->inputs[0][i % 3].health = i % 2 ? HEALTH_UP : HEALTH_DOWN;
		lab->vips[0].ring = i % 17 == 16 ? 1021 : lab->vips[0].ring;
		lab->vips[0].ring = i % 23 == 22 ? 2053 : lab->vips[0].ring;
		assert_int_equal(lab_apply(lab), 0);
		if (i % 3 == 0)
			fake_grace_pass(lab->fake);
		vip = lab_vip(lab, 0);
		live = vip->half[vip->live];
		left = vip->half[!vip->live];
		is_graced = fake_grace_done(lab->fake, vip->spare_ticket);
		memcpy(before, dp->rings, sizeof(before));
		is_waiting = apply_next_ring(lab->applied, &lab->err) == RINGS_WAIT;
		assert_memory_equal(&before[live.base], &dp->rings[live.base],
				    live.blocks * sizeof(before[0]));
		if (!is_graced)
			assert_memory_equal(&before[left.base], &dp->rings[left.base],
					    left.blocks * sizeof(before[0]));
		if (is_waiting)
			assert_memory_equal(before, dp->rings, sizeof(before));
		lab_check(lab);
	}
	lab_free(lab);
}

static void test_a_wider_pair_is_used_at_once_and_the_old_one_after_its_grace(void **state)
{
	struct lab *lab = lab_one_vip();
	struct extent old[2];

	lab_settle(lab);
	memcpy(old, lab_vip(lab, 0)->half, sizeof(old));
	lab_add_reals(lab, 0, 10, 20);
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_MORE);
	assert_int_equal(RING_WORD_BASE(word_of(lab, 0)), lab_vip(lab, 0)->half[0].base);
	assert_int_equal(lab->applied->ring_space.n_used, 4);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_DONE);
	assert_int_equal(lab->applied->ring_space.n_used, 4);
	assert_int_equal(ring_space_claim(&lab->applied->ring_space, old[0]), -EEXIST);
	fake_grace_pass(lab->fake);
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_DONE);
	assert_int_equal(lab->applied->ring_space.n_used, 2);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_another_ring_size_comes_with_the_switch(void **state)
{
	static const uint32_t sizes[] = {1021, 251, 509, 4093, 251};
	struct lab *lab = lab_one_vip();

	lab_settle(lab);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t size_before = RING_WORD_SIZE(word_of(lab, 0));

		lab->vips[0].ring = sizes[i];
		assert_int_equal(lab_apply(lab), 0);
		assert_int_equal(RING_WORD_SIZE(word_of(lab, 0)), size_before);
		lab_check(lab);
		lab_rings(lab);
		assert_int_equal(RING_WORD_SIZE(word_of(lab, 0)), sizes[i]);
		lab_check_settled(lab);
	}
	lab_free(lab);
}

static void test_a_removed_vip_is_unpublished_before_its_members_are_freed(void **state)
{
	struct lab *lab = lab_one_vip();
	uint32_t id;

	lab_settle(lab);
	id = lab_member(lab, 0, 1)->id;
	lab_remove_vip(lab, 0);
	lab->fake->fail_from = lab->fake->calls + 1;
	lab->fake->n_failing = 2; /* the address is not deleted, and not said again */
	fake_log_clear(lab->fake);
	assert_int_equal(lab_apply(lab), -EIO);
	assert_int_equal(lab->fake->dp.members[id].state & MEMBER_STATE_MASK, MEMBER_UP);
	lab_check_packets(lab);

	fake_log_clear(lab->fake);
	lab->fake->n_failing = 0;
	lab_settle(lab);
	assert_string_equal(lab->fake->log, "avg");
	assert_int_equal(lab->fake->dp.members[id].state, MEMBER_FREE);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_next_hop_reaches_every_member_with_that_real(void **state)
{
	struct lab *lab = lab_one_vip();
	struct ip_addr real = lab_addr(2);
	uint32_t n = 0;

	lab_add_reals(lab, lab_add_vip(lab, 2, 80), 2, 1);
	lab_add_reals(lab, lab_add_vip(lab, 3, 80), 12, 1);
	lab_settle(lab);
	apply_next_hop(lab->applied, &real, 77);
	for (uint32_t id = 0; id < 256; id++) {
		const struct member *m = &lab->fake->dp.members[id];

		assert_int_equal(m->next_hop, addr_equal(&m->real, &real) ? 77 : 0);
		n += m->next_hop == 77;
	}
	assert_int_equal(n, 2);

	lab_remove_vip(lab, 0);
	lab_settle(lab);
	lab_retire_all(lab);
	apply_next_hop(lab->applied, &real, 78);
	n = 0;
	for (uint32_t id = 0; id < 256; id++)
		n += lab->fake->dp.members[id].next_hop == 78;
	assert_int_equal(n, 1);
	lab_free(lab);
}

/* The n-th member with this real, in order of ids. */
static const struct member *member_of(const struct lab *lab, const struct ip_addr *real, uint32_t n)
{
	for (uint32_t id = 0; id < 256; id++) {
		const struct member *m = &lab->fake->dp.members[id];

		if (m->state != MEMBER_FREE && addr_equal(&m->real, real) && !n--)
			return m;
	}
	fail();
	return NULL;
}

static void test_a_gateway_is_no_next_hop_for_l2_dsr(void **state)
{
	struct lab *lab = lab_one_vip();
	struct ip_addr real = lab_addr(2);

	lab_add_reals(lab, lab_add_vip(lab, 2, 80), 2, 1);
	lab->vips[1].encap = ENCAP_L2DSR;
	lab_settle(lab);
	assert_int_equal(apply_gateway(lab->applied, &real, 77), 1);
	assert_int_equal(member_of(lab, &real, 0)->next_hop, 77);
	assert_int_equal(member_of(lab, &real, 1)->next_hop, NEXT_HOP_NOT_ON_LINK);
	apply_next_hop(lab->applied, &real, 78);
	assert_int_equal(member_of(lab, &real, 1)->next_hop, 78);
	lab_free(lab);
}

static void test_a_vip_that_changes_to_l2_dsr_waits_for_its_next_hops(void **state)
{
	struct lab *lab = lab_one_vip();
	struct ip_addr real = lab_addr(2);

	lab_settle(lab);
	apply_next_hop(lab->applied, &real, 77);
	lab->vips[0].encap = ENCAP_GUE;
	lab_settle(lab);
	assert_int_equal(member_of(lab, &real, 0)->next_hop, 77);
	assert_int_equal(member_of(lab, &real, 0)->encap, ENCAP_GUE);
	lab->vips[0].encap = ENCAP_L2DSR;
	lab_settle(lab);
	assert_int_equal(member_of(lab, &real, 0)->next_hop, NEXT_HOP_NONE);
	apply_next_hop(lab->applied, &real, 77);
	lab->vips[0].on_no_port = ON_NO_PORT_DROP;
	lab_settle(lab);
	assert_int_equal(member_of(lab, &real, 0)->next_hop, 77);
	assert_int_equal(applied_encaps(lab->applied), 1u << ENCAP_L2DSR);
	lab_free(lab);
}

static void test_timeouts_of_another_clock_reach_every_member(void **state)
{
	struct lab *lab = lab_one_vip();
	struct flow_clock clock;

	lab_add_reals(lab, lab_add_vip(lab, 2, 80), 1, 3);
	lab_settle(lab);
	for (size_t v = 0; v < 2; v++)
		lab->vips[v].timeouts.tcp_ms *= 100;
	flow_clock_make(lab->vips, 2, LAB_HZ, &clock);
	apply_timeouts(lab->applied, &lab->desired, &clock, LAB_HZ);
	for (size_t v = 0; v < 2; v++) {
		for (uint32_t host = 1; host <= 3; host++) {
			uint32_t id = lab_member(lab, v, host)->id;

			assert_int_equal(lab->fake->dp.members[id].timeout_ticks[FLOW_TCP],
					 clock.timeout_ticks[FLOW_TCP]);
		}
	}
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members_are_written_as_the_packet_path_reads_them),
		cmocka_unit_test(test_a_state_is_in_force_before_any_ring),
		cmocka_unit_test(test_a_verdict_is_one_word_at_once_and_a_ring_later),
		cmocka_unit_test(test_rings_name_the_reals_that_are_up_and_no_others),
		cmocka_unit_test(test_a_vip_is_published_after_its_ring_port_before_address),
		cmocka_unit_test(test_a_vip_without_reals_is_published_with_no_ring),
		cmocka_unit_test(test_a_vip_whose_last_real_goes_down_has_no_ring),
		cmocka_unit_test(test_the_spare_half_waits_for_its_grace_period),
		cmocka_unit_test(test_one_vip_that_waits_does_not_hold_up_another),
		cmocka_unit_test(test_no_half_that_packets_may_read_is_written),
		cmocka_unit_test(test_a_wider_pair_is_used_at_once_and_the_old_one_after_its_grace),
		cmocka_unit_test(test_another_ring_size_comes_with_the_switch),
		cmocka_unit_test(test_a_removed_vip_is_unpublished_before_its_members_are_freed),
		cmocka_unit_test(test_a_next_hop_reaches_every_member_with_that_real),
		cmocka_unit_test(test_a_gateway_is_no_next_hop_for_l2_dsr),
		cmocka_unit_test(test_a_vip_that_changes_to_l2_dsr_waits_for_its_next_hops),
		cmocka_unit_test(test_timeouts_of_another_clock_reach_every_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
