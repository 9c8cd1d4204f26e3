/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pools of a VIP in one line, and other pools in a running configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "lib/config.h"
#include "lib/config_switch.h"
#include "lib/config_variant.h"
#include "lib/pool_text.h"

static const char file[] =
	"interfaces: [{name: eth0}]\n"
	"encap: {source4: 10.0.0.10}\n"
	"pools:\n"
	"- {name: blue, reals: [{address: 10.1.0.1}, {address: 10.1.0.2}]}\n"
	"- {name: green, reals: [{address: 10.1.1.1}]}\n"
	"- {name: both, reals: [{address: 10.1.0.2}, {address: 10.1.1.1}, {address: 10.1.2.1}]}\n"
	"- {name: six, reals: [{address: \"fd00::1\"}]}\n"
	"- {name: own, reals: [{address: 192.0.2.10}]}\n"
	"- {name: id, reals: [{address: 10.1.3.1, server_id: 0a0b}]}\n"
	"- {name: same, reals: [{address: 10.1.3.2, server_id: 0a0b}]}\n"
	"- {name: ids, reals: [{address: 10.1.4.1, server_id: 0a03},\n"
	"   {address: 10.1.4.2, server_id: 0a01}, {address: 10.1.4.3, server_id: 0a02}]}\n"
	"- {name: again, reals: [{address: 10.1.5.1, server_id: 0a05},\n"
	"   {address: 10.1.5.2, server_id: 0a03}]}\n"
	"vips:\n"
	"- {name: web, address: 192.0.2.10, port: 80, protocol: tcp, pool: blue}\n"
	"- {name: other, address: 192.0.2.11, port: 80, protocol: tcp, pool: blue}\n"
	"- {name: quic, address: 192.0.2.12, port: 443, protocol: udp, pool: id,\n"
	"   quic: [{rotation: 0, server_id_length: 2, nonce_length: 6}]}\n";

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

static void what_is_read_is_written_the_same(void **state)
{
	static const char *const texts[] = {
		"blue",
		"blue:90,green:10",
		"blue:0",
		"six:backup",
		"blue,green:5:backup,both",
		"green:65535",
		"six:backup2,blue:0:backup7",
	};
	struct pool_use uses[VIP_POOLS_MAX];
	char text[POOL_TEXT_MAX];
	struct err err = {};
	size_t n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (pool_text_parse(*state, texts[i], uses, &n, &err))
			fail_msg("%s: %s", texts[i], err.text);
		assert_string_equal(pool_text_format(uses, n, text), texts[i]);
	}
	assert_int_equal(pool_text_parse(*state, "blue:100", uses, &n, &err), 0);
	assert_string_equal(pool_text_format(uses, n, text), "blue");
	assert_int_equal(pool_text_parse(*state, "blue:backup1", uses, &n, &err), 0);
	assert_string_equal(pool_text_format(uses, n, text), "blue:backup");
}

static void what_is_no_list_of_pools_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *error;
	} rows[] = {
		{"", -EINVAL, "expected pools as NAME"},
		{"blue,", -EINVAL, "expected pools as NAME"},
		{",blue", -EINVAL, "expected pools as NAME"},
		{":5", -EINVAL, "expected pools as NAME"},
		{"blue:x", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:65536", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:05", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:-1", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue::5", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:5:", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue:5:backup:", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue::backup", -EINVAL, "expected a weight from 0 to 65535"},
		{"blue:5:spare", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue:backup:5", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue:5:backup:5", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue:5:5", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"blue:backup0", -EINVAL, "\"backup1\" to \"backup7\", got \"backup0\""},
		{"blue:backup8", -EINVAL, "\"backup1\" to \"backup7\", got \"backup8\""},
		{"blue:backup22", -EINVAL, "\"backup1\" to \"backup7\""},
		{"blue:5:backups", -EINVAL, "expected NAME[:WEIGHT][:backup[LEVEL]]"},
		{"red", -ENOENT, "no pool named red"},
		{"blue,green,blue:5", -EINVAL, "pool blue is named twice"},
		{"blue,green,green:5", -EINVAL, "pool green is named twice"},
		{"blue:000000", -EINVAL, "expected a weight from 0 to 65535"},
	};
	struct pool_use uses[VIP_POOLS_MAX];
	struct err err;
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pool_text_parse(*state, rows[i].text, uses, &n, &err), rows[i].r);
		if (!strstr(err.text, rows[i].error))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

static void more_pools_than_a_vip_can_have_are_refused(void **state)
{
	struct pool_spec pools[VIP_POOLS_MAX + 1] = {};
	struct config config = {.pools = pools, .n_pools = VIP_POOLS_MAX + 1};
	char names[VIP_POOLS_MAX + 1][8], text[9 * (VIP_POOLS_MAX + 1)] = "";
	struct pool_use uses[VIP_POOLS_MAX];
	struct err err;
	size_t n;

	for (size_t i = 0; i <= VIP_POOLS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "p%zu", i);
		pools[i].name = names[i];
	}
	for (size_t i = 0; i <= VIP_POOLS_MAX; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
			 names[i]);
		assert_int_equal(pool_text_parse(&config, text, uses, &n, &err),
				 i < VIP_POOLS_MAX ? 0 : -EINVAL);
	}
	assert_int_equal(n, VIP_POOLS_MAX);
	assert_string_equal(err.text, "expected at most 16 pools");
}

static int switch_to(struct config *config, size_t vip, const char *text, bool allows_shared,
		     struct config **ret_config, struct err *err)
{
	struct pool_use uses[VIP_POOLS_MAX];
	size_t n;

	assert_int_equal(pool_text_parse(config, text, uses, &n, err), 0);
	return config_switch(config, vip, uses, n, allows_shared, ret_config, err);
}

static void a_switch_changes_one_vip_and_either_configuration_can_go(void **state)
{
	struct config *config = *state, *fresh;
	struct err err = {};

	for (int keep = 0; keep < 2; keep++) {
		assert_int_equal(switch_to(config, 0, "green:5", false, &fresh, &err), 0);
		assert_int_equal(fresh->vips[0].n_reals, 1);
		assert_int_equal(fresh->vips[0].pools[0].weight, 5);
		assert_int_equal(config->vips[0].n_reals, 2 - keep);
		assert_int_equal(fresh->vips[1].n_reals, 2);
		config_variant_free(keep ? fresh : config, 0);
		config = keep ? config : fresh;
	}
	*state = config;
}

static void pools_that_share_a_real_are_joined_once_or_refused(void **state)
{
	struct config *fresh;
	struct err err = {};

	assert_int_equal(switch_to(*state, 0, "blue,both:0", true, &fresh, &err), 0);
	assert_int_equal(fresh->vips[0].n_reals, 4);
	assert_int_equal(fresh->vips[0].reals[1].pool, 0);
	assert_int_equal(fresh->vips[0].reals[2].pool, 1);
	config_variant_free(fresh, 0);
	assert_int_equal(switch_to(*state, 0, "blue,both", false, &fresh, &err), -EINVAL);
	assert_string_equal(err.text, "real 10.1.0.2 is in pool blue and in pool both");
	assert_int_equal(switch_to(*state, 0, "both,blue:0", true, &fresh, &err), 0);
	assert_int_equal(fresh->vips[0].n_reals, 4);
	assert_int_equal(fresh->vips[0].reals[0].pool, 0);
	assert_int_equal(fresh->vips[0].reals[3].pool, 1);
	config_variant_free(fresh, 0);
	assert_int_equal(switch_to(*state, 0, "both,blue", false, &fresh, &err), -EINVAL);
	assert_string_equal(err.text, "real 10.1.0.2 is in pool both and in pool blue");
}

static void pools_whose_server_ids_differ_go_together(void **state)
{
	struct config *fresh;
	struct err err = {};

	assert_int_equal(switch_to(*state, 2, "ids,id", false, &fresh, &err), 0);
	assert_int_equal(fresh->vips[2].n_reals, 4);
	config_variant_free(fresh, 2);
}

static void a_pool_that_does_not_go_with_the_vip_is_refused(void **state)
{
	static const struct {
		size_t vip;
		const char *pools, *error;
	} rows[] = {
		{0, "six", "needs encap.source6 in the file"},
		{0, "own", "is the VIP's own address"},
		{2, "blue", "has no server_id of 2 octets"},
		{2, "id,same", "has the server_id of another real"},
		{2, "ids,again", "real 10.1.5.2 has the server_id of another real"},
		{2, "ids,blue", "has no server_id of 2 octets"},
	};
	struct config *fresh;
	struct err err = {};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(switch_to(*state, rows[i].vip, rows[i].pools, false, &fresh, &err),
				 -EINVAL);
		if (!strstr(err.text, rows[i].error))
			fail_msg("%s: %s", rows[i].pools, err.text);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_read_is_written_the_same),
		TEST(what_is_no_list_of_pools_is_refused_with_its_reason),
		cmocka_unit_test(more_pools_than_a_vip_can_have_are_refused),
		TEST(a_switch_changes_one_vip_and_either_configuration_can_go),
		TEST(pools_that_share_a_real_are_joined_once_or_refused),
		TEST(pools_whose_server_ids_differ_go_together),
		TEST(a_pool_that_does_not_go_with_the_vip_is_refused),
	};

	return cmocka_run_group_tests_name("pool_text", tests, NULL, NULL);
}
