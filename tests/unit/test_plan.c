/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which steps a change makes, in which order, and what is refused for want of room. */
#include "lab.h"

/* A letter a step: V, S, v for VIPs (add, set, remove), M, m, x for reals. */
static const char *steps_of(struct lab *lab)
{
	static const char letters[] = {
		[PLAN_ADD_VIP] = 'V',	 [PLAN_SET_VIP] = 'S',	     [PLAN_ADD_MEMBER] = 'M',
		[PLAN_SET_MEMBER] = 'm', [PLAN_REMOVE_MEMBER] = 'x', [PLAN_REMOVE_VIP] = 'v',
	};
	static char text[128];
	size_t i = 0;

	assert_int_equal(lab_plan(lab), 0);
	for (; i < lab->plan.n_steps && i + 1 < sizeof(text); i++)
		text[i] = letters[lab->plan.steps[i].kind];
	text[i] = '\0';
	return text;
}

/* Two VIPs, of three reals and of two, in force. */
static struct lab *lab_two_vips(void)
{
	struct lab *lab = lab_new();

	lab_add_reals(lab, lab_add_vip(lab, 1, 80), 1, 3);
	lab_add_reals(lab, lab_add_vip(lab, 2, 443), 11, 2);
	lab_settle(lab);
	return lab;
}

static void test_from_nothing_each_vip_comes_with_its_reals_behind_it(void **state)
{
	struct lab *lab = lab_new();

	lab_add_reals(lab, lab_add_vip(lab, 1, 80), 1, 3);
	lab_add_reals(lab, lab_add_vip(lab, 2, 443), 11, 2);
	assert_string_equal(steps_of(lab), "VMMMVMM");
	lab_free(lab);
}

static void add_real(struct lab *lab)
{
	lab_add_real(lab, 0, 4, 10);
}

static void remove_first_real(struct lab *lab)
{
	lab_remove_real(lab, 0, 0);
}

static void replace_real(struct lab *lab)
{
	lab->reals[0][1].address = lab_addr(9);
}

static void reweight(struct lab *lab)
{
	lab->reals[0][1].weight = 11;
}

static void weight_zero(struct lab *lab)
{
	lab->reals[0][1].weight = 0;
}

static void drain(struct lab *lab)
{
	lab->inputs[1][0].admin = ADMIN_DRAIN;
}

static void disable(struct lab *lab)
{
	lab->inputs[1][0].admin = ADMIN_DISABLED;
}

static void go_down(struct lab *lab)
{
	lab->inputs[0][2].health = HEALTH_DOWN;
}

static void change_policy(struct lab *lab)
{
	lab->vips[0].on_no_port = ON_NO_PORT_PASS;
}

static void change_on_all_down(struct lab *lab)
{
	lab->vips[0].on_all_down = ALL_DOWN_RESET;
}

static void change_echo(struct lab *lab)
{
	lab->vips[0].echo = ECHO_OFF;
}

static void change_timeout(struct lab *lab)
{
	lab->vips[0].timeouts.tcp_ms = 10000;
}

static void enlarge_ring(struct lab *lab)
{
	lab->vips[0].ring = 1021;
}

static void shrink_ring(struct lab *lab)
{
	lab->vips[0].ring = 127;
}

static void take_turns(struct lab *lab)
{
	lab->vips[0].scheduler = SCHEDULER_RR;
}

static void count_connections(struct lab *lab)
{
	lab->vips[0].scheduler = SCHEDULER_LC;
}

static void change_affinity(struct lab *lab)
{
	lab->vips[0].source.affinity_ms = 60000;
}

static void change_encap(struct lab *lab)
{
	lab->vips[0].encap = ENCAP_GUE;
}

static void add_many_reals(struct lab *lab)
{
	lab_add_reals(lab, 0, 20, 14);
}

static void remove_vip(struct lab *lab)
{
	lab_remove_vip(lab, 0);
}

static void move_vip(struct lab *lab)
{
	lab->vips[0].port = 81;
}

static void widen_vip(struct lab *lab)
{
	lab->vips[0].port = 70;
	lab->vips[0].port_last = 90;
}

static void open_vip(struct lab *lab)
{
	lab->vips[0].port = 0;
	lab->vips[0].port_last = 65535;
}

static void widen_vip_and_ring(struct lab *lab)
{
	widen_vip(lab);
	lab->vips[0].ring = 1021;
}

static void spread_vip(struct lab *lab)
{
	lab->vips[0].address = lab_addr(0x10000);
	lab->vips[0].host_bits = 8;
}

static void split_vip(struct lab *lab)
{
	widen_vip(lab);
	lab_add_vip(lab, 1, 85);
}

static void join_any_vip(struct lab *lab)
{
	lab->vips[lab_add_vip(lab, 1, 0)].port_last = 65535;
}

static void swap_vips(struct lab *lab)
{
	struct vip_spec first = lab->vips[0];
	struct real_spec reals[LAB_REALS];

	memcpy(reals, lab->reals[0], sizeof(reals));
	lab->vips[0] = lab->vips[1];
	lab->vips[1] = first;
	memcpy(lab->reals[0], lab->reals[1], sizeof(reals));
	memcpy(lab->reals[1], reals, sizeof(reals));
	memcpy(lab->inputs[1], lab->inputs[0], sizeof(lab->inputs[1])); /* all are up */
	lab->vips[0].reals = lab->reals[0];
	lab->vips[1].reals = lab->reals[1];
}

static void swap_reals(struct lab *lab)
{
	struct real_spec first = lab->reals[0][0];

	lab->reals[0][0] = lab->reals[0][2];
	lab->reals[0][2] = first;
}

static void change_nothing(struct lab *lab)
{
}

static const struct {
	const char *what;
	void (*change)(struct lab *lab);
	const char *steps;
} changes[] = {
	{"nothing", change_nothing, ""},
	{"VIPs in another order", swap_vips, ""},
	{"reals in another order", swap_reals, ""},
	{"a real more", add_real, "M"},
	{"a real less, and those behind it move up", remove_first_real, "x"},
	{"another real", replace_real, "Mx"},
	{"another weight", reweight, "m"},
	{"weight 0", weight_zero, "m"},
	{"drain", drain, "m"},
	{"disable", disable, "m"},
	{"down", go_down, "m"},
	{"on_no_port", change_policy, "S"},
	{"echo", change_echo, "S"},
	{"on_all_down", change_on_all_down, "S"},
	{"a shorter timeout, the longest stays another VIP's", change_timeout, "S"},
	{"a larger ring", enlarge_ring, "S"},
	{"a smaller ring", shrink_ring, "S"},
	{"a scheduler with turns", take_turns, "S"},
	{"a scheduler without", count_connections, "S"},
	{"affinity", change_affinity, "S"},
	{"encapsulation", change_encap, "S"},
	{"more reals than the member list has room for", add_many_reals, "SMMMMMMMMMMMMMM"},
	{"a VIP less", remove_vip, "v"},
	{"another port is another VIP", move_vip, "VMMMv"},
	{"more ports are the same VIP", widen_vip, "S"},
	{"any port is the same VIP", open_vip, "S"},
	{"more ports and a larger ring", widen_vip_and_ring, "S"},
	{"the prefix around it is another VIP", spread_vip, "VMMMv"},
	{"any port beside it is a new one", join_any_vip, "V"},
	{"a port inside the range of another VIP is a new one", split_vip, "SV"},
};

static void test_a_change_makes_exactly_the_steps_it_needs(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct lab *lab = lab_two_vips();
		const char *steps;

		changes[i].change(lab);
		steps = steps_of(lab);
		if (strcmp(steps, changes[i].steps) != 0)
			fail_msg("%s: steps %s, not %s", changes[i].what, steps, changes[i].steps);
		lab_free(lab);
	}
}

static void test_a_change_that_is_applied_makes_no_steps_again(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct lab *lab = lab_two_vips();

		changes[i].change(lab);
		assert_int_equal(lab_apply(lab), 0);
		assert_string_equal(steps_of(lab), ""); /* before its rings ... */
		lab_rings(lab);
		assert_string_equal(steps_of(lab), ""); /* ... and after */
		lab_check_settled(lab);
		lab_free(lab);
	}
}

static void test_a_removed_real_is_removed_once(void **state)
{
	struct lab *lab = lab_two_vips();

	lab_remove_real(lab, 0, 0);
	lab_settle(lab);
	assert_non_null(lab_member(lab, 0, 1)); /* its flows finish */
	assert_string_equal(steps_of(lab), "");
	lab_add_real(lab, 0, 1, 10);
	assert_string_equal(steps_of(lab), "m");
	lab_free(lab);
}

static void fill_vips(struct lab *lab)
{
	for (uint32_t i = 0; i < 5; i++)
		lab_add_vip(lab, i, 80);
}

static void fill_members(struct lab *lab)
{
	lab_add_reals(lab, lab_add_vip(lab, 9, 80), 1, 21);
}

static void fill_rings(struct lab *lab)
{
	lab->vips[lab_add_vip(lab, 9, 80)].ring = 4093;
}

static void fill_with_turns(struct lab *lab)
{
	lab->vips[lab_add_vip(lab, 9, 80)].scheduler = SCHEDULER_RR;
}

static void test_what_does_not_fit_is_refused_by_the_name_of_its_key(void **state)
{
	static const struct {
		void (*change)(struct lab *lab);
		const char *said;
	} rows[] = {
		{fill_vips, "capacity.vips (now 4)"},
		{fill_members, "capacity.members (now 20)"},
		{fill_rings, "twice 4096 slots (of the ring and the list of its reals) do not fit"},
		{fill_rings, "capacity.ring_slots (now 4096)"},
		{fill_with_turns, "list of its reals, and of round robin's turns) do not fit"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lab *lab = lab_new_sized(20, 4, 128);

		rows[i].change(lab);
		assert_int_equal(lab_plan(lab), -ENOSPC);
		assert_non_null(strstr(lab->err.text, rows[i].said));
		assert_int_equal(lab->plan.n_steps, 0);
		assert_int_equal(lab->applied->ring_space.n_used, 0);
		assert_int_equal(lab->applied->member_ids.n_used, 0);
		lab_free(lab);
	}
}

static void test_a_plan_that_fits_to_the_last_block_is_carried_out(void **state)
{
	struct lab *lab = lab_new_sized(20, 4, 2 * (8 + 1));

	lab_add_reals(lab, lab_add_vip(lab, 1, 80), 1, 3);
	lab_settle(lab);
	lab_check_settled(lab);
	lab_add_vip(lab, 2, 80);
	assert_int_equal(lab_plan(lab), -ENOSPC);
	lab_free(lab);
}

static void test_a_plan_that_takes_the_last_ids_is_carried_out(void **state)
{
	struct lab *lab = lab_new_sized(20, 4, 128);

	for (uint32_t i = 0; i < 4; i++)
		lab_add_reals(lab, lab_add_vip(lab, i, 80), 1, 5);
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_wider_pair_that_is_not_in_use_yet_makes_room_for_the_next(void **state)
{
	/* 18 blocks in use; a wider pair of 66 fits, another beside it would not. */
	struct lab *lab = lab_new_sized(20, 4, 18 + 2 * 66);

	lab_add_reals(lab, lab_add_vip(lab, 1, 80), 1, 3);
	lab_settle(lab);
	lab->vips[0].ring = 1021;
	assert_int_equal(lab_apply(lab), 0);
	lab->vips[0].ring = 2053;
	assert_int_equal(lab_apply(lab), 0);
	lab_check(lab);
	lab_rings(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_nothing_each_vip_comes_with_its_reals_behind_it),
		cmocka_unit_test(test_a_change_makes_exactly_the_steps_it_needs),
		cmocka_unit_test(test_a_change_that_is_applied_makes_no_steps_again),
		cmocka_unit_test(test_a_removed_real_is_removed_once),
		cmocka_unit_test(test_what_does_not_fit_is_refused_by_the_name_of_its_key),
		cmocka_unit_test(test_a_plan_that_fits_to_the_last_block_is_carried_out),
		cmocka_unit_test(test_a_plan_that_takes_the_last_ids_is_carried_out),
		cmocka_unit_test(test_a_wider_pair_that_is_not_in_use_yet_makes_room_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
