/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* health.via: what it goes with, and what makes two probes the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config_text.h"
#include "lib/addr.h"

/* clang-format off */
static const struct mistake mistakes[] = {
	{YAML(VIP ", health: {via: gre}}\n"),
	 "f.yaml:4:75: vips[0].health.via: expected direct or tunnel, got \"gre\""},
	{YAML(VIP ", health: {via: tunnel, source: \"fd00::9\"}}\n"),
	 "f.yaml:4:91: vips[0].health.source: expected an IPv4 address as that of the VIP, 192.0.2.10, with via tunnel, got fd00::9"},
};
/* clang-format on */

static void mistakes_are_named_with_their_place(void **state)
{
	check_mistakes(mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

/* Who shares a probe: see health_spec_equal(). */
static void the_vip_and_its_encapsulation_are_probed_only_through_the_tunnel(void **state)
{
	struct config *c = parse_config(
		"interfaces: [{name: eth0}]\nencap: {source4: 10.0.0.10, source6: fd00::1}\nvips:\n"
		"- {name: a, address: 192.0.2.1, port: 80, protocol: tcp,\n"
		"   health: {port: 80, via: tunnel}}\n"
		"- {name: b, address: 192.0.2.1, port: 81, protocol: tcp,\n"
		"   health: {port: 80, via: tunnel}}\n"
		"- {name: c, address: 192.0.2.2, port: 80, protocol: tcp,\n"
		"   health: {port: 80, via: tunnel}}\n"
		"- {name: d, address: 192.0.2.1, port: 82, protocol: tcp, encap: gue,\n"
		"   health: {port: 80, via: tunnel}}\n"
		"- {name: e, address: 192.0.2.1, port: 83, protocol: tcp, health: {port: 80}}\n"
		"- {name: f, address: 192.0.2.2, port: 84, protocol: tcp, encap: gue,\n"
		"   health: {port: 80, via: direct}}\n");
	static const int group[] = {0, 0, 1, 2, 3, 3};

	for (size_t i = 0; i < c->n_vips; i++) {
		for (size_t j = 0; j < c->n_vips; j++)
			assert_int_equal(health_spec_equal(&c->vips[i].health, &c->vips[j].health),
					 group[i] == group[j]);
	}
	config_free(c);
}

static void every_type_that_probes_inherits_it(void **state)
{
	struct config *c = parse_config("interfaces: [{name: eth0}]\nencap: {source4: 10.0.0.10}\n"
					"defaults: {health: {via: tunnel}}\nvips:\n"
					"- {name: a, address: 192.0.2.1, port: 80, protocol: tcp}\n"
					"- {name: b, address: 192.0.2.1, port: 81, protocol: tcp,\n"
					"   health: {type: script, command: /a}}\n"
					"- {name: c, address: 192.0.2.1, port: 82, protocol: tcp,\n"
					"   health: {type: none}}\n");

	assert_int_equal(c->vips[0].health.via, VIA_TUNNEL);
	assert_int_equal(c->vips[1].health.via, VIA_TUNNEL);
	assert_int_equal(c->vips[2].health.via, VIA_DIRECT);
	config_free(c);
}

static void a_prefix_is_probed_at_its_first_address(void **state)
{
	static const char *const first[] = {"192.0.2.64", "2001:db8::ff00", "192.0.2.1"};
	struct config *c = parse_config(
		"interfaces: [{name: eth0}]\nencap: {source4: 10.0.0.10, source6: fd00::1}\n"
		"defaults: {health: {via: tunnel}}\nvips:\n"
		"- {name: a, address: 192.0.2.64/26, port: 80, protocol: tcp}\n"
		"- {name: b, address: \"2001:db8::ff00/120\", port: 0,\n"
		"   protocol: tcp, health: {port: 80}}\n"
		"- {name: c, address: 192.0.2.1, port: 80, protocol: tcp}\n");
	struct ip_addr expected;

	for (size_t i = 0; i < c->n_vips; i++) {
		addr_parse(first[i], &expected);
		assert_true(addr_equal(&c->vips[i].health.vip, &expected));
	}
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(mistakes_are_named_with_their_place),
		cmocka_unit_test(the_vip_and_its_encapsulation_are_probed_only_through_the_tunnel),
		cmocka_unit_test(every_type_that_probes_inherits_it),
		cmocka_unit_test(a_prefix_is_probed_at_its_first_address),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
