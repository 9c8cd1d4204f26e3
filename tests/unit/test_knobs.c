/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loaded program has in it what the configuration uses, and nothing else. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "config_text.h"
#include "lib/dataplane.h"

#define HZ    250
#define REALS ", reals: [{address: 10.1.0.1}]}\n"

static struct dataplane_knobs knobs_of(const char *yaml)
{
	const struct flow_hash_key key = {};
	struct config *config = parse_config(yaml);
	struct dataplane_knobs knobs = dataplane_knobs_of(config, &key, HZ);

	config_free(config);
	return knobs;
}

static void test_a_plain_vip_has_nothing_but_what_it_needs(void **state)
{
	struct dataplane_knobs k = knobs_of(VIP REALS);

	assert_int_equal(k.encaps, 1u << ENCAP_IPIP);
	assert_int_equal(k.schedulers, 1u << SCHEDULER_MAGLEV);
	assert_int_equal(k.source4_entropy, 0);
	assert_false(k.gue_checksum6);
	assert_false(k.is_quic_on);
	assert_true(k.is_express_on);
}

static void test_what_one_vip_of_many_uses_is_in_the_program(void **state)
{
	static const struct {
		const char *vip;
		uint16_t encaps, schedulers;
		bool is_quic_on;
	} cases[] = {
		{"encap: gue", 1u << ENCAP_GUE, 0, false},
		{"encap: l2dsr", 1u << ENCAP_L2DSR, 0, false},
		{"scheduler: source", 0, 1u << SCHEDULER_SOURCE, false},
		{"scheduler: rr", 0, 1u << SCHEDULER_RR, false},
		{"scheduler: random", 0, 1u << SCHEDULER_RANDOM, false},
		{"scheduler: lc", 0, 1u << SCHEDULER_LC, false},
		{"scheduler: p2c", 0, 1u << SCHEDULER_P2C, false},
		{"quic: [{rotation: 0, server_id_length: 2, nonce_length: 6}]", 0, 0, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dataplane_knobs k;
		char text[512];

		snprintf(text, sizeof(text),
			 VIP REALS "- {name: other, address: 192.0.2.11, port: 443, protocol: udp, "
				   "%s, reals: [{address: 10.1.0.2%s}]}\n",
			 cases[i].vip, cases[i].is_quic_on ? ", server_id: \"0a1b\"" : "");
		k = knobs_of(text);
		assert_int_equal(k.encaps, 1u << ENCAP_IPIP | cases[i].encaps);
		assert_int_equal(k.schedulers, 1u << SCHEDULER_MAGLEV | cases[i].schedulers);
		assert_int_equal(k.is_quic_on, cases[i].is_quic_on);
	}
}

static void test_entropy_is_only_in_the_program_where_the_source_is_a_prefix(void **state)
{
	struct dataplane_knobs k = knobs_of(
		IF "encap: {source4: 10.0.0.0/16, source6: \"fd00:1::/64\"}\n"
		   "vips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp" REALS);

	assert_int_equal(k.source4_entropy, htonl(0xffff));
	assert_int_equal(k.source6_entropy.w[1], 0);
	assert_int_equal(k.source6_entropy.w[3], UINT32_MAX);
}

/* 100,000 SYNs a second, in windows of 16 jiffies, at 250 a second. */
static void test_the_guard_is_on_but_where_its_rate_is_zero(void **state)
{
	struct dataplane_knobs k = knobs_of(VIP REALS);

	assert_int_equal(k.syn_window_shift, 4);
	assert_int_equal(k.syn_window_limit, 6400);
	assert_int_equal(knobs_of(VIP REALS "guard: {syn_rate: 0/s}\n").syn_window_limit, 0);
	assert_int_equal(knobs_of(VIP REALS "guard: {syn_rate: 1/s}\n").syn_window_limit, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_vip_has_nothing_but_what_it_needs),
		cmocka_unit_test(test_what_one_vip_of_many_uses_is_in_the_program),
		cmocka_unit_test(test_entropy_is_only_in_the_program_where_the_source_is_a_prefix),
		cmocka_unit_test(test_the_guard_is_on_but_where_its_rate_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
