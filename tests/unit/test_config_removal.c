// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reals that are taken out of a VIP which the file still lists, and put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/config.h"
#include "lib/config_removal.h"
#include "lib/config_variant.h"
#include "lib/pool_text.h"

/* Own reals, on one line and on several; and pools, the second one first in the file. */
static const char file[] = "interfaces: [{name: eth0}]\n"
			   "encap: {source4: 10.0.0.10}\n"
			   "pools:\n"
			   "- {name: green, reals: [{address: 10.0.0.3}, {address: 10.0.0.4}]}\n"
			   "- {name: blue, reals: [{address: 10.0.0.1}, {address: 10.0.0.2}]}\n"
			   "vips:\n"
			   "- name: web\n"
			   "  address: 192.0.2.10\n"
			   "  port: 80\n"
			   "  protocol: tcp\n"
			   "  reals: [{address: 10.0.0.1}, {address: 10.0.0.2},\n"
			   "    {address: 10.0.0.3}, {address: 10.0.0.4}]\n"
			   "- {name: pools, address: 192.0.2.11, port: 80, protocol: tcp,\n"
			   "   pools: [{name: blue}, {name: green, backup: true}]}\n";

enum { WEB, POOLS };

static int setup(void **state)
{
	struct config *config = NULL;
	struct err err = {};

	if (config_parse("f.yaml", file, sizeof(file) - 1, &config, &err))
		fail_msg("%s", err.text);
	*state = config;
	return 0;
}

static int teardown(void **state)
{
	config_free(*state);
	return 0;
}

/* 10.0.0.N */
static struct ip_addr real_n(char n)
{
	char text[] = "10.0.0.N";
	struct ip_addr addr;

	text[7] = n;
	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* "134 2": the VIP's reals, then those that are parked, which have no order. */
static void assert_reals(const struct vip_spec *vip, const char *expected)
{
	size_t n = strchr(expected, ' ') - expected, n_removed = strlen(expected) - n - 1;

	assert_int_equal(vip->n_reals, n);
	assert_int_equal(vip->n_removed, n_removed);
	for (size_t i = 0; i < n; i++) {
		struct ip_addr want = real_n(expected[i]);

		if (!addr_equal(&vip->reals[i].address, &want))
			fail_msg("real %zu is not %c of %s", i, expected[i], expected);
		assert_null(vip_find_removed(vip, &want));
		assert_ptr_equal(vip_find_real(vip, &want), &vip->reals[i]);
	}
	for (size_t i = 0; i < n_removed; i++) {
		struct ip_addr want = real_n(expected[n + 1 + i]);

		assert_non_null(vip_find_removed(vip, &want));
		assert_null(vip_find_real(vip, &want));
	}
}

/* -N: taken out; +N: put back. */
static void reals_leave_and_come_back_to_where_the_file_has_them(void **state)
{
	static const struct {
		char verb, real;
		bool is_done;
		const char *then;
	} steps[] = {
		{'+', '1', false, "1234 "}, {'-', '2', true, "134 2"},	{'-', '2', false, "134 2"},
		{'-', '4', true, "13 24"},  {'-', '9', false, "13 24"}, {'+', '9', false, "13 24"},
		{'-', '1', true, "3 124"},  {'+', '2', true, "23 14"},	{'+', '4', true, "234 1"},
		{'-', '3', true, "24 13"},  {'-', '2', true, "4 123"},	{'-', '4', true, " 1234"},
		{'+', '3', true, "3 124"},  {'+', '1', true, "13 24"},	{'+', '4', true, "134 2"},
		{'+', '2', true, "1234 "},
	};
	struct config *config = *state;

	for (int vip = WEB; vip <= POOLS; vip++) {
		struct vip_spec *spec = &config->vips[vip];

		assert_reals(spec, "1234 ");
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			struct ip_addr real = real_n(steps[i].real);
			bool is_done = steps[i].verb == '+' ? vip_add_real(spec, &real)
							    : vip_remove_real(spec, &real);

			assert_int_equal(is_done, steps[i].is_done);
			assert_reals(spec, steps[i].then);
		}
	}
}

static void what_a_real_is_goes_with_it(void **state)
{
	struct config *config = *state;
	struct vip_spec *vip = &config->vips[POOLS];
	struct ip_addr three = real_n('3');

	assert_true(vip_remove_real(vip, &three));
	assert_int_equal(vip_find_removed(vip, &three)->pool, 1);
	assert_true(vip_find_removed(vip, &three)->backup_level);
	assert_true(vip_add_real(vip, &three));
	assert_int_equal(vip->reals[2].pool, 1);
	assert_true(vip->reals[2].backup_level);
}

static void a_variant_differs_in_one_vip_and_either_can_go(void **state)
{
	struct ip_addr two = real_n('2'), four = real_n('4');
	struct config *config = *state, *fresh, *back;
	struct err err = {};

	for (int vip = WEB; vip <= POOLS; vip++) {
		assert_int_equal(config_remove_real(config, vip, &two, &fresh, &err), 0);
		assert_reals(&fresh->vips[vip], "134 2");
		assert_reals(&config->vips[vip], "1234 ");
		assert_int_equal(fresh->vips[!vip].n_reals, config->vips[!vip].n_reals);
		assert_int_equal(fresh->vips[vip].n_pools, config->vips[vip].n_pools);
		assert_int_equal(config_add_real(fresh, vip, &two, &back, &err), 0);
		assert_reals(&back->vips[vip], "1234 ");
		config_variant_free(back, vip);
		config_variant_free(config, vip);
		config = fresh;
		assert_int_equal(config_remove_real(config, vip, &four, &fresh, &err), 0);
		assert_reals(&fresh->vips[vip], "13 24");
		config_variant_free(fresh, vip);
		assert_reals(&config->vips[vip], "134 2");
	}
	*state = config;
}

static void a_real_that_is_not_there_is_refused(void **state)
{
	struct ip_addr nine = real_n('9'), one = real_n('1');
	struct config *fresh = NULL;
	struct err err = {};

	assert_int_equal(config_remove_real(*state, WEB, &nine, &fresh, &err), -ENOENT);
	assert_string_equal(err.text, "VIP web has no real 10.0.0.9");
	assert_int_equal(config_add_real(*state, WEB, &one, &fresh, &err), -ENOENT);
	assert_null(fresh);
}

static void other_pools_come_with_all_their_reals(void **state)
{
	struct config *config = *state;
	struct vip_spec *vip = &config->vips[POOLS];
	struct pool_use uses[VIP_POOLS_MAX];
	struct ip_addr one = real_n('1');
	struct err err = {};
	size_t n;

	assert_true(vip_remove_real(vip, &one));
	assert_int_equal(pool_text_parse(config, "blue", uses, &n, &err), 0);
	assert_int_equal(vip_use_pools(vip, config, uses, n), 0);
	assert_reals(vip, "12 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reals_leave_and_come_back_to_where_the_file_has_them),
		TEST(what_a_real_is_goes_with_it),
		TEST(a_variant_differs_in_one_vip_and_either_can_go),
		TEST(a_real_that_is_not_there_is_refused),
		TEST(other_pools_come_with_all_their_reals),
	};

	return cmocka_run_group_tests_name("config_removal", tests, NULL, NULL);
}
