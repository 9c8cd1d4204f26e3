/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps become maps: what holds for a VIP's address, whichever of its VIPs say so. */
#include "lab.h"

static void test_an_address_stays_while_another_vip_has_it(void **state)
{
	static const uint16_t ports[] = {22, 80, 443};

	for (size_t gone = 0; gone < ARRAY_SIZE(ports); gone++) {
		struct lab *lab = lab_new();

		for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
			lab_add_reals(lab, lab_add_vip(lab, 1, ports[i]), 1, 2);
		lab_add_vip(lab, 2, 80);
		lab_settle(lab);
		lab_remove_vip(lab, gone);
		lab_settle(lab);
		assert_int_equal(lab->fake->maps->n_addrs, 2);
		lab->n_vips = 0;
		lab_settle(lab);
		assert_int_equal(lab->fake->maps->n_addrs, 0);
		lab_free(lab);
	}
}

/* A prefix, its first address, and the next one are three. */
static void test_an_address_is_told_apart_from_the_prefix_it_begins(void **state)
{
	static const uint8_t policies[] = {ON_NO_PORT_PASS, ON_NO_PORT_DROP, ON_NO_PORT_REPLY};
	struct lab *lab = lab_new();

	for (size_t v = 0; v < 3; v++) {
		lab_add_reals(lab, lab_add_vip(lab, v == 2, 80), 1 + 10 * (uint32_t)v, 2);
		lab->vips[v].on_no_port = policies[v];
	}
	lab->vips[0].host_bits = 8;
	lab_settle(lab);
	lab_check_addresses(lab);
	for (size_t v = 0; v < 3; v++) {
		lab->vips[v].on_no_port = policies[(v + 1) % 3];
		lab_settle(lab);
		lab_check_addresses(lab);
	}
	lab_remove_vip(lab, 1);
	lab_settle(lab);
	assert_int_equal(lab->fake->maps->n_addrs, 2);
	lab_free(lab);
}

static void test_a_policy_that_could_not_be_written_is_written_by_the_next_plan(void **state)
{
	struct lab *lab = lab_one_vip();
	struct vip_addr_key key = {lab->vips[0].address, FAMILY_V4, 0};

	lab_settle(lab);
	lab->vips[0].on_no_port = ON_NO_PORT_DROP;
	lab->fake->fail_from = lab->fake->calls + 1;
	lab->fake->n_failing = 1;
	assert_int_equal(lab_apply(lab), -EIO);
	assert_int_equal(lab_apply(lab), 0);
	assert_int_equal(fake_find_addr(lab->fake, &key)->value.on_no_port, ON_NO_PORT_DROP);
	lab_free(lab);
}

static void set_health(struct lab *lab, size_t v, enum health_verdict health)
{
	for (size_t r = 0; r < lab->vips[v].n_reals; r++)
		lab->inputs[v][r].health = health;
	lab_settle(lab);
}

/* Two VIPs with one address, and one with another. */
static struct lab *lab_shared_address(enum echo_policy echo)
{
	struct lab *lab = lab_one_vip();
	size_t second = lab_add_vip(lab, 1, 81), other = lab_add_vip(lab, 2, 80);

	assert_true(addr_equal(&lab->vips[0].address, &lab->vips[second].address));
	lab_add_reals(lab, second, 20, 2);
	lab_add_reals(lab, other, 30, 2);
	for (size_t v = 0; v < lab->n_vips; v++)
		lab->vips[v].echo = echo;
	lab_settle(lab);
	return lab;
}

static void test_a_ping_is_answered_while_one_of_the_addresss_vips_is_up(void **state)
{
	struct lab *lab = lab_shared_address(ECHO_WHILE_UP);

	assert_true(lab_answers_echo(lab, 0));
	set_health(lab, 0, HEALTH_DOWN);
	assert_true(lab_answers_echo(lab, 0));
	set_health(lab, 1, HEALTH_DOWN);
	assert_false(lab_answers_echo(lab, 0));
	assert_true(lab_answers_echo(lab, 2));
	set_health(lab, 0, HEALTH_UP);
	assert_true(lab_answers_echo(lab, 0));
	lab_remove_vip(lab, 0);
	lab_settle(lab);
	assert_int_equal(lab->vips[1].port, 81);
	assert_false(lab_answers_echo(lab, 1));
	lab_free(lab);
}

static void test_the_setting_says_whether_a_ping_is_answered_at_all(void **state)
{
	static const struct {
		enum echo_policy echo;
		bool when_up, when_down;
	} rows[] = {
		{ECHO_WHILE_UP, true, false}, {ECHO_ALWAYS, true, true}, {ECHO_OFF, false, false}};
	struct lab *lab = lab_shared_address(ECHO_WHILE_UP);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		lab->vips[2].echo = rows[i].echo;
		set_health(lab, 2, HEALTH_UP);
		assert_int_equal(lab_answers_echo(lab, 2), rows[i].when_up);
		set_health(lab, 2, HEALTH_DOWN);
		assert_int_equal(lab_answers_echo(lab, 2), rows[i].when_down);
	}
	lab_free(lab);
}

static void test_a_ping_of_a_vip_that_drains_is_not_answered(void **state)
{
	struct lab *lab = lab_one_vip();

	lab_settle(lab);
	for (size_t r = 0; r < lab->vips[0].n_reals; r++)
		lab->inputs[0][r].admin = ADMIN_DRAIN;
	lab_settle(lab);
	assert_false(lab_answers_echo(lab, 0));
	lab_free(lab);
}

static void test_a_successor_knows_which_addresses_are_up(void **state)
{
	struct lab *lab = lab_shared_address(ECHO_WHILE_UP);

	set_health(lab, 0, HEALTH_DOWN);
	set_health(lab, 2, HEALTH_DOWN);
	assert_int_equal(lab_adopt(lab), 0);
	assert_true(lab_answers_echo(lab, 0));
	assert_false(lab_answers_echo(lab, 2));
	lab_settle(lab);
	assert_true(lab_answers_echo(lab, 0));
	assert_false(lab_answers_echo(lab, 2));
	lab_free(lab);
}

static void test_a_vip_whose_address_could_not_be_written_is_still_removed(void **state)
{
	struct lab *lab = lab_one_vip();

	assert_int_equal(lab_apply(lab), 0);
	lab->fake->fail_from = lab->fake->calls + 3; /* grace, port, address */
	lab->fake->n_failing = 1;
	assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_WAIT);
	lab_check(lab);
	lab->n_vips = 0;
	lab_settle(lab);
	assert_int_equal(lab->fake->maps->n_vips, 0);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_stays_while_another_vip_has_it),
		cmocka_unit_test(test_an_address_is_told_apart_from_the_prefix_it_begins),
		cmocka_unit_test(
			test_a_policy_that_could_not_be_written_is_written_by_the_next_plan),
		cmocka_unit_test(test_a_ping_is_answered_while_one_of_the_addresss_vips_is_up),
		cmocka_unit_test(test_the_setting_says_whether_a_ping_is_answered_at_all),
		cmocka_unit_test(test_a_ping_of_a_vip_that_drains_is_not_answered),
		cmocka_unit_test(test_a_successor_knows_which_addresses_are_up),
		cmocka_unit_test(test_a_vip_whose_address_could_not_be_written_is_still_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
