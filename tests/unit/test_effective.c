/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration, operator and health taken together: the whole table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "lib/addr.h"
#include "lib/desired.h"

#define UP   MEMBER_NOTE_HEALTH_UP
#define DOWN MEMBER_NOTE_HEALTH_DOWN

static const struct {
	enum admin_state admin;
	enum health_verdict health;
	uint32_t weight;
	uint32_t state;
	uint32_t ring_weight;
	enum real_state called; /* with flows */
	enum real_state called_idle;
} rows[] = {
	{ADMIN_ENABLED, HEALTH_UP, 10, MEMBER_UP | UP, 10, REAL_UP, REAL_UP},
	{ADMIN_ENABLED, HEALTH_UP, 0, MEMBER_DRAIN | UP, 0, REAL_UP, REAL_UP},
	{ADMIN_ENABLED, HEALTH_DOWN, 10, MEMBER_DOWN | DOWN, 0, REAL_DOWN, REAL_DOWN},
	{ADMIN_ENABLED, HEALTH_DOWN, 0, MEMBER_DOWN | DOWN, 0, REAL_DOWN, REAL_DOWN},
	{ADMIN_ENABLED, HEALTH_UNKNOWN, 10, MEMBER_DOWN, 0, REAL_UNKNOWN, REAL_UNKNOWN},
	{ADMIN_ENABLED, HEALTH_UNKNOWN, 0, MEMBER_DOWN, 0, REAL_UNKNOWN, REAL_UNKNOWN},
	{ADMIN_DRAIN, HEALTH_UP, 10, MEMBER_DRAIN | UP, 0, REAL_DRAINING, REAL_DRAINED},
	{ADMIN_DRAIN, HEALTH_UP, 0, MEMBER_DRAIN | UP, 0, REAL_DRAINING, REAL_DRAINED},
	{ADMIN_DRAIN, HEALTH_DOWN, 10, MEMBER_DOWN | DOWN, 0, REAL_DOWN, REAL_DOWN},
	{ADMIN_DRAIN, HEALTH_DOWN, 0, MEMBER_DOWN | DOWN, 0, REAL_DOWN, REAL_DOWN},
	{ADMIN_DRAIN, HEALTH_UNKNOWN, 10, MEMBER_DOWN, 0, REAL_DRAINING, REAL_DRAINED},
	{ADMIN_DRAIN, HEALTH_UNKNOWN, 0, MEMBER_DOWN, 0, REAL_DRAINING, REAL_DRAINED},
	{ADMIN_DISABLED, HEALTH_UP, 10, MEMBER_DOWN | UP, 0, REAL_DISABLED, REAL_DISABLED},
	{ADMIN_DISABLED, HEALTH_UP, 0, MEMBER_DOWN | UP, 0, REAL_DISABLED, REAL_DISABLED},
	{ADMIN_DISABLED, HEALTH_DOWN, 10, MEMBER_DOWN | DOWN, 0, REAL_DISABLED, REAL_DISABLED},
	{ADMIN_DISABLED, HEALTH_DOWN, 0, MEMBER_DOWN | DOWN, 0, REAL_DISABLED, REAL_DISABLED},
	{ADMIN_DISABLED, HEALTH_UNKNOWN, 10, MEMBER_DOWN, 0, REAL_DISABLED, REAL_DISABLED},
	{ADMIN_DISABLED, HEALTH_UNKNOWN, 0, MEMBER_DOWN, 0, REAL_DISABLED, REAL_DISABLED},
};

static void test_state_and_ring_weight_follow_the_table(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct real_spec real = {.weight = rows[i].weight};
		struct real_input input = {.admin = rows[i].admin, .health = rows[i].health};
		struct desired_member m = effective_member(&real, input);

		if (m.state != rows[i].state || m.ring_weight != rows[i].ring_weight ||
		    m.weight != rows[i].ring_weight)
			fail_msg("row %zu: state %x weight %u", i, m.state, m.ring_weight);
	}
}

static void test_drains_deaths_and_ejections_say_what_becomes_of_flows(void **state)
{
	static const struct {
		struct real_input input;
		uint32_t state;
		enum real_state called; /* with flows */
	} cases[] = {
		{{ADMIN_DRAIN, HEALTH_UP, .rest = DRAIN_KEEP}, MEMBER_DRAIN | UP, REAL_DRAINING},
		{{ADMIN_DRAIN, HEALTH_UP, .rest = DRAIN_MOVE}, MEMBER_DOWN | UP, REAL_DRAINED},
		{{ADMIN_DRAIN, HEALTH_UP, .rest = DRAIN_RESET},
		 MEMBER_DOWN | MEMBER_RESETS | UP,
		 REAL_DRAINED},
		{{ADMIN_DISABLED, HEALTH_UP, .rest = DRAIN_RESET},
		 MEMBER_DOWN | MEMBER_RESETS | UP,
		 REAL_DISABLED},
		{{ADMIN_DISABLED, HEALTH_UP, .rest = DRAIN_MOVE}, MEMBER_DOWN | UP, REAL_DISABLED},
		{{ADMIN_DISABLED, HEALTH_UP, .resets_when_down = true},
		 MEMBER_DOWN | UP,
		 REAL_DISABLED},
		{{ADMIN_ENABLED, HEALTH_DOWN, .resets_when_down = true},
		 MEMBER_DOWN | MEMBER_RESETS | DOWN,
		 REAL_DOWN},
		{{ADMIN_DRAIN, HEALTH_DOWN, .resets_when_down = true},
		 MEMBER_DOWN | MEMBER_RESETS | DOWN,
		 REAL_DOWN},
		{{ADMIN_ENABLED, HEALTH_UNKNOWN, .resets_when_down = true},
		 MEMBER_DOWN,
		 REAL_UNKNOWN},
		{{ADMIN_ENABLED, HEALTH_UP, .resets_when_down = true}, MEMBER_UP | UP, REAL_UP},
		{{ADMIN_ENABLED, HEALTH_UP, .is_ejected = true}, MEMBER_DRAIN | UP, REAL_EJECTED},
		{{ADMIN_ENABLED, HEALTH_DOWN, .is_ejected = true}, MEMBER_DOWN | DOWN, REAL_DOWN},
		{{ADMIN_DRAIN, HEALTH_UP, .is_ejected = true}, MEMBER_DRAIN | UP, REAL_DRAINING},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct real_spec real = {.weight = 1};
		uint32_t have = effective_member(&real, cases[i].input).state;

		if (have != cases[i].state)
			fail_msg("case %zu: %x", i, have);
		assert_int_equal(effective_real_state(cases[i].input, true), cases[i].called);
	}
}

static void test_a_real_is_called_by_the_table(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct real_input input = {.admin = rows[i].admin, .health = rows[i].health};

		assert_int_equal(effective_real_state(input, 1), rows[i].called);
		assert_int_equal(effective_real_state(input, 0), rows[i].called_idle);
	}
}

static void test_every_state_of_a_real_has_a_name(void **state)
{
	static const char *const names[] = {
		[REAL_UP] = "up",
		[REAL_DOWN] = "down",
		[REAL_DRAINING] = "draining",
		[REAL_DRAINED] = "drained",
		[REAL_DISABLED] = "disabled",
		[REAL_UNKNOWN] = "unknown",
		[REAL_EJECTED] = "ejected",
		[REAL_REMOVED] = "removed",
	};

	for (int i = 0; i <= REAL_REMOVED; i++)
		assert_string_equal(real_state_name(i), names[i]);
}

static struct real_input input_of(void *user, size_t vip, size_t real)
{
	bool is_down = vip == 1 && real == 2;

	++*(int *)user;
	return (struct real_input){.health = is_down ? HEALTH_DOWN : HEALTH_UP};
}

static void test_every_real_of_every_vip_is_asked_for_once(void **state)
{
	struct real_spec reals[3] = {{.weight = 1}, {.weight = 2}, {.weight = 3}};
	struct vip_spec vips[2] = {{.reals = reals, .n_reals = 3}, {.reals = reals, .n_reals = 3}};
	struct config config = {.vips = vips, .n_vips = 2};
	struct desired desired;
	int calls = 0;

	assert_int_equal(effective(&config, input_of, &calls, &desired), 0);
	assert_int_equal(calls, 6);
	assert_int_equal(desired.n_vips, 2);
	assert_int_equal(desired.vips[0].members[2].ring_weight, 3);
	assert_int_equal(desired.vips[1].members[2].ring_weight, 0);
	assert_ptr_equal(desired.vips[1].spec, &vips[1]);
	desired_free(&desired);
	assert_int_equal(desired.n_vips, 0);
}

static void test_the_key_of_a_vip_is_as_packets_carry_it(void **state)
{
	struct vip_spec vip = {.port = 443, .protocol = IPPROTO_UDP};
	struct vip_key key;

	assert_int_equal(addr_parse("2001:db8::1", &vip.address), 0);
	key = vip_key_of(&vip);
	assert_int_equal(key.port, htons(443));
	assert_int_equal(key.protocol, IPPROTO_UDP);
	assert_int_equal(key.family, FAMILY_V6);
	assert_int_equal(addr_parse("192.0.2.1", &vip.address), 0);
	assert_int_equal(vip_key_of(&vip).family, FAMILY_V4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_and_ring_weight_follow_the_table),
		cmocka_unit_test(test_drains_deaths_and_ejections_say_what_becomes_of_flows),
		cmocka_unit_test(test_a_real_is_called_by_the_table),
		cmocka_unit_test(test_every_state_of_a_real_has_a_name),
		cmocka_unit_test(test_every_real_of_every_vip_is_asked_for_once),
		cmocka_unit_test(test_the_key_of_a_vip_is_as_packets_carry_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
