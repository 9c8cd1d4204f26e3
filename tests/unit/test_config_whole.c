/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong with a configuration file as a whole: names, pools, VIPs among each other, QUIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "config_text.h"

/* Two pools, in lines 4 and 5; the VIP stands in line 7. */
#define POOLS                                                                                      \
	SRC "pools:\n- {name: blue, reals: [{address: 10.1.0.1}]}\n"                               \
	    "- {name: green, reals: [{address: 10.1.1.1}, {address: 10.1.1.2}]}\n"                 \
	    "vips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp"
/* The configurations stand in line 5. */
#define QUIC SRC "vips:\n- {name: web, address: 192.0.2.10, port: 443, protocol: udp,\n    quic: ["

/* clang-format off */
static const struct mistake mistakes[] = {
	/* pools */
	{YAML(IF "pools: blue\n"),
	 "f.yaml:2:8: pools: expected a list, got \"blue\""},
	{YAML(IF "pools: [{reals: []}]\n"),
	 "f.yaml:2:9: pools[0]: expected the key \"name\", which is missing"},
	{YAML(IF "pools: [{name: file}]\n"),
	 "f.yaml:2:16: pools[0].name: expected another name (`vip set VIP pool=file` means the pools of "
	 "the file), got \"file\""},
	{YAML(IF "pools: [{name: a}, {name: b}, {name: a}]\n"),
	 "f.yaml:2:38: pools[2].name: duplicate pool \"a\", already given in line 2"},
	{YAML(SRC "pools:\n- {name: a, reals: [{address: 10.1.0.1}, {address: 10.1.0.1}]}\n"),
	 "f.yaml:4:52: pools[0].reals[1].address: duplicate real 10.1.0.1, already given in line 4"},
	{YAML(POOLS ", pool: red}\n"),
	 "f.yaml:7:67: vips[0].pool: expected the name of one of `pools`, got \"red\""},
	{YAML(POOLS ", pools: [{name: blue}, {name: red}]}\n"),
	 "f.yaml:7:90: vips[0].pools[1].name: expected the name of one of `pools`, got \"red\""},
	{YAML(POOLS ", pools: [{name: blue}, {name: blue}]}\n"),
	 "f.yaml:7:90: vips[0].pools[1].name: duplicate pool \"blue\", already given in line 7"},
	{YAML(POOLS ", pools: []}\n"),
	 "f.yaml:7:68: vips[0].pools: expected at least 1 item, got an empty list"},
	{YAML(POOLS ", pools: [{name: blue, weight: 65536}]}\n"),
	 "f.yaml:7:90: vips[0].pools[0].weight: expected a number from 0 to 65535, got \"65536\""},
	{YAML(POOLS ", pool: blue, reals: []}\n"),
	 "f.yaml:7:67: vips[0].pool: expected one of reals, pool and pools; `reals` is already given in line 7"},
	{YAML(POOLS ", pools: [{name: blue}], pool: green}\n"),
	 "f.yaml:7:68: vips[0].pools: expected one of reals, pool and pools; `pool` is already given in line 7"},
	{YAML(SRC "pools:\n- {name: a, reals: [{address: 10.1.0.1}]}\n- {name: b, reals: [{address: 10.1.0.2},\n   {address: 10.1.0.1}]}\n"
	      "vips: [{name: web, address: 192.0.2.10, port: 80, protocol: tcp, pools: [{name: a}, {name: b}]}]\n"),
	 "f.yaml:7:92: vips[0].pools[1].name: duplicate real 10.1.0.1: in pool \"a\" in line 4, and in pool \"b\" in line 6"},
	{YAML(SRC "pools:\n- {name: a, reals: [{address: 192.0.2.10}]}\n"
	      "vips: [{name: web, address: 192.0.2.10, port: 80, protocol: tcp, pool: a}]\n"),
	 "f.yaml:4:31: pools[0].reals[0].address: expected the real's own address, got the VIP's: that of VIP web"},
	{YAML(SRC "pools:\n- {name: a, reals: [{address: \"fd00::1\"}]}\n"
	      "vips: [{name: web, address: 192.0.2.10, port: 80, protocol: tcp, pool: a}]\n"),
	 "f.yaml:4:31: pools[0].reals[0].address: expected encap.source6 to be set since this real is IPv6"},
	{YAML(SRC "pools:\n- {name: a, reals: [{address: 10.1.0.1}]}\n"
	      "vips: [{name: q, address: 192.0.2.10, port: 443, protocol: udp, pool: a, quic: [{rotation: 0, server_id_length: 2, nonce_length: 6}]}]\n"),
	 "f.yaml:4:21: pools[0].reals[0]: expected the key \"server_id\", since the VIP has `quic`"},
	{YAML(VIP ", min_healthy: 101%}\n"),
	 "f.yaml:4:74: vips[0].min_healthy: expected a number of reals or a percentage from 0% to 100%, got \"101%\""},
	{YAML(VIP ", min_healthy: 2.5}\n"),
	 "f.yaml:4:74: vips[0].min_healthy: expected a number of reals or a percentage from 0% to 100%, got \"2.5\""},
	{YAML(VIP ", min_healthy: 02}\n"),
	 "f.yaml:4:74: vips[0].min_healthy: expected a number without leading zeros, got \"02\""},
	{YAML(VIP ", backup_below: -1}\n"),
	 "f.yaml:4:75: vips[0].backup_below: expected a number of reals or a percentage from 0% to 100%, got \"-1\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, backup: 0}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].backup: expected true, false or a level from 1 to 7, got \"0\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, backup: 02}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].backup: expected a number without leading zeros, got \"02\""},
	{YAML(POOLS ", pools: [{name: blue, backup: 8}]}\n"),
	 "f.yaml:7:90: vips[0].pools[0].backup: expected true, false or a level from 1 to 7, got \"8\""},
	{YAML(VIP ", panic: 50}\n"),
	 "f.yaml:4:68: vips[0].panic: expected a percentage from 0% to 100%, got \"50\""},
	{YAML(VIP ", on_all_down: reject}\n"),
	 "f.yaml:4:74: vips[0].on_all_down: expected drop or all or backup or reset or unreachable, got \"reject\""},
	{YAML(VIP ", slow_start: 61m}\n"),
	 "f.yaml:4:73: vips[0].slow_start: expected a duration from 0s to 1h, got \"61m\""},
	/* values together */
	{YAML("interfaces: [{name: eth0}, {name: eth1}, {name: eth0}]\n"),
	 "f.yaml:1:49: interfaces[2].name: duplicate interface \"eth0\", already given in line 1"},
	{YAML(VIP "}\n- {name: web, address: 192.0.2.11, port: 80, protocol: tcp}\n"),
	 "f.yaml:5:10: vips[1].name: duplicate name \"web\", already given in line 4"},
	{YAML(VIP "}\n- {name: web2, address: 192.0.2.10, port: 80, protocol: tcp}\n"),
	 "f.yaml:5:3: vips[1]: duplicate of VIP \"web\" in line 4: both are tcp 192.0.2.10:80"},
	{YAML(VIP "}\n- {name: web2, address: 192.0.2.10, port: 81, protocol: tcp, on_no_port: drop}\n"),
	 "f.yaml:5:74: vips[1].on_no_port: expected reply, as VIP \"web\" in line 4 says for the same address 192.0.2.10, got drop"},
	{YAML(VIP ", on_no_port: pass}\n- {name: web2, address: 192.0.2.10, port: 79, protocol: tcp}\n"),
	 "f.yaml:5:3: vips[1].on_no_port: expected pass, as VIP \"web\" in line 4 says for the same address 192.0.2.10, got reply"},
	{YAML(VIP "}\n- {name: a, address: 192.0.2.10, port: 8000-8099, protocol: tcp}\n- {name: b, address: 192.0.2.10, port: 8099-8200, protocol: tcp}\n"),
	 "f.yaml:6:40: vips[2].port: ports 8099-8200 of VIP \"b\" overlap 8000-8099 of VIP \"a\" in line 5: both are tcp 192.0.2.10"},
	{YAML(VIP "}\n- {name: b, address: 192.0.2.10, port: 8050-8200, protocol: tcp}\n- {name: a, address: 192.0.2.10, port: 8000-8050, protocol: tcp}\n"),
	 "f.yaml:6:40: vips[2].port: ports 8000-8050 of VIP \"a\" overlap 8050-8200 of VIP \"b\" in line 5: both are tcp 192.0.2.10"},
	{YAML(VIP "}\n- {name: a, address: 192.0.2.0/24, port: 8000-8099, protocol: tcp}\n- {name: b, address: 192.0.2.0/24, port: 8010-8020, protocol: tcp}\n"),
	 "f.yaml:6:42: vips[2].port: ports 8010-8020 of VIP \"b\" overlap 8000-8099 of VIP \"a\" in line 5: both are tcp 192.0.2.0/24"},
	{YAML(VIP "}\n- {name: a, address: 192.0.2.10, port: 8000-8099, protocol: tcp}\n- {name: b, address: 192.0.2.10, port: 8000-8099, protocol: tcp}\n"),
	 "f.yaml:6:3: vips[2]: duplicate of VIP \"a\" in line 5: both are tcp 192.0.2.10:8000-8099"},
	{YAML(VIP "}\n- {name: a, address: \"2001:db8::/64\", port: 0, protocol: tcp, health: {type: none}}\n- {name: b, address: \"2001:db8::/64\", port: 0, protocol: tcp, health: {type: none}}\n"),
	 "f.yaml:6:3: vips[2]: duplicate of VIP \"a\" in line 5: both are tcp [2001:db8::/64]:any"},
	{YAML(VIP "}\n- {name: p20, address: 10.0.0.0/20, port: 80, protocol: tcp}\n- {name: p16, address: 10.0.0.0/16, port: 80, protocol: tcp}\n- {name: p10, address: 10.0.0.0/10, port: 80, protocol: tcp}\n- {name: p12, address: 10.0.0.0/12, port: 80, protocol: tcp}\n- {name: p8, address: 10.0.0.0/8, port: 80, protocol: tcp}\n"),
	 "f.yaml:5:24: vips[1].address: expected at most 4 prefixes in one another, the largest is that of VIP \"p8\" in line 9"},
	{YAML(IF "vips: [{name: a, address: 192.0.2.0/24, port: 80, protocol: tcp, reals: [{address: 192.0.2.9}]}]\n"),
	 "f.yaml:2:84: vips[0].reals[0].address: expected the real's own address, got the VIP's"},
	{YAML(VIP ", echo: always}\n- {name: web2, address: 192.0.2.10, port: 79, protocol: tcp}\n"),
	 "f.yaml:5:3: vips[1].echo: expected always, as VIP \"web\" in line 4 says for the same address 192.0.2.10, got up"},
	{YAML(VIP ", reals: [{address: 192.0.2.10}]}\n"),
	 "f.yaml:4:79: vips[0].reals[0].address: expected the real's own address, got the VIP's"},
	{YAML(VIP ", reals: [{address: 10.1.0.2}, {address: 10.1.0.1}, {address: 10.1.0.2}]}\n"),
	 "f.yaml:4:121: vips[0].reals[2].address: duplicate real 10.1.0.2, already given in line 4"},
	{YAML(VIP ", reals: [{address: \"fd00::1\"}]}\n"),
	 "f.yaml:4:79: vips[0].reals[0].address: expected encap.source6 to be set since this real is IPv6"},
	{YAML(IF "vips: [{name: a, address: \"2001:db8::1\", port: 80, protocol: tcp, reals: [{address: 10.1.0.1}]}]\n"),
	 "f.yaml:2:85: vips[0].reals[0].address: expected encap.source4 to be set since this real is IPv4"},
	/* QUIC */
	{YAML(VIP ", quic: [{rotation: 0, server_id_length: 2, nonce_length: 6}]}\n"),
	 "f.yaml:4:67: vips[0].quic: expected protocol: udp"},
	{YAML(QUIC "{rotation: 7, server_id_length: 2, nonce_length: 6}]}\n"),
	 "f.yaml:5:23: vips[0].quic[0].rotation: expected a number from 0 to 6, got \"7\""},
	{YAML(QUIC "{rotation: 0, server_id_length: 12, nonce_length: 8}]}\n"),
	 "f.yaml:5:62: vips[0].quic[0].nonce_length: expected at most 19 octets together with the server ID"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 3}]}\n"),
	 "f.yaml:5:61: vips[0].quic[0].nonce_length: expected a number from 4 to 18, got \"3\""},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6, key: 00112233}]}\n"),
	 "f.yaml:5:69: vips[0].quic[0].key: expected a key of 16 octets in hex (32 digits)"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6, key: 00112233445566778899aabbccddeeff, key_file: /k}]}\n"),
	 "f.yaml:5:113: vips[0].quic[0].key_file: expected either key or key_file"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6, key_file: /nonexistent/k}]}\n"),
	 "f.yaml:5:74: vips[0].quic[0].key_file: open /nonexistent/k: No such file or directory"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6},\n    {rotation: 0, server_id_length: 2, nonce_length: 6}]}\n"),
	 "f.yaml:6:16: vips[0].quic[1].rotation: duplicate rotation, already given in line 5"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6},\n    {rotation: 1, server_id_length: 3, nonce_length: 6}]}\n"),
	 "f.yaml:6:37: vips[0].quic[1].server_id_length: expected 2, as in line 5: a real has one server_id"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6}],\n    reals: [{address: 10.1.0.1}]}\n"),
	 "f.yaml:6:13: vips[0].reals[0]: expected the key \"server_id\", since the VIP has `quic`"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6}],\n    reals: [{address: 10.1.0.1, server_id: 0a}]}\n"),
	 "f.yaml:6:44: vips[0].reals[0].server_id: expected 2 octets (4 hex digits), as server_id_length says"},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6}],\n    reals: [{address: 10.1.0.1, server_id: 0a1g}]}\n"),
	 "f.yaml:6:44: vips[0].reals[0].server_id: expected a server ID of 1 to 15 octets in hex, got \"0a1g\""},
	{YAML(QUIC "{rotation: 0, server_id_length: 2, nonce_length: 6}],\n    reals: [{address: 10.1.0.1, server_id: 0a1b}, {address: 10.1.0.2, server_id: 0A1B}]}\n"),
	 "f.yaml:6:82: vips[0].reals[1].server_id: duplicate server ID 0A1B, already given in line 6"},
	{YAML(VIP ", reals: [{address: 10.1.0.1, server_id: 0a1b}]}\n"),
	 "f.yaml:4:100: vips[0].reals[0].server_id: expected the VIP to have `quic`, which says how it is written"},
	{YAML(VIP "}\n- {name: b, address: 192.0.2.11, port: 80, protocol: tcp}\ncapacity: {vips: 1}\n"),
	 "f.yaml:6:18: capacity.vips: expected at least 2 for the VIPs of this file, got 1; raise capacity.vips"},
	{YAML(VIP ", reals: [{address: 10.1.0.1}, {address: 10.1.0.2}, {address: 10.1.0.3}, {address: 10.1.0.4}, {address: 10.1.0.5}, {address: 10.1.0.6}, {address: 10.1.0.7}, {address: 10.1.0.8}, {address: 10.1.0.9}, {address: 10.1.0.10}, {address: 10.1.0.11}, {address: 10.1.0.12}, {address: 10.1.0.13}, {address: 10.1.0.14}, {address: 10.1.0.15}, {address: 10.1.0.16}, {address: 10.1.0.17}]}\ncapacity: {members: 16}\n"),
	 "f.yaml:5:21: capacity.members: expected at least 17 for the reals of all VIPs, got 16; raise capacity.members"},
	{YAML(VIP ", ring: 251, reals: [{address: 10.1.0.1}]}\ncapacity: {ring_slots: 544}\n"),
	 "f.yaml:5:24: capacity.ring_slots: expected at least 576 for the rings of all VIPs (two each, with member lists), got 544; raise capacity.ring_slots"},
	{YAML(VIP ", ring: 251, scheduler: rr, reals: [{address: 10.1.0.1}]}\ncapacity: {ring_slots: 576}\n"),
	 "f.yaml:5:24: capacity.ring_slots: expected at least 33344 for the rings of all VIPs (two each, with member lists, and round robin's turns), got 576; raise capacity.ring_slots"},
};
/* clang-format on */

static void every_mistake_is_named_with_its_place(void **state)
{
	check_mistakes(mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

/* clang-format off */
static const struct {
	const char *yaml;
	const char *warning; /* NULL: none */
} warnings[] = {
	{VIP ", on_all_down: backup, reals: [{address: 10.1.0.1}]}\n",
	 "f.yaml:4:74: vips[0].on_all_down: the VIP has no backups: new flows are dropped, as with `drop`"},
	{VIP ", on_all_down: backup, reals: [{address: 10.1.0.1, backup: 3}]}\n", NULL},
	{VIP ", on_all_down: all, backup_below: 0, reals: [{address: 10.1.0.1}]}\n", NULL},
	{VIP ", backup_below: 50%, reals: [{address: 10.1.0.1}]}\n",
	 "f.yaml:4:75: vips[0].backup_below: the VIP has no backups: it changes nothing"},
	{POOLS ", backup_below: 1, pools: [{name: blue}, {name: green, backup: true}]}\n", NULL},
	{VIP ", min_healthy: 2, reals: [{address: 10.1.0.1}, {address: 10.1.0.2, weight: 0}, {address: 10.1.0.3, backup: 1}]}\n",
	 "f.yaml:4:74: vips[0].min_healthy: more than the VIP's 1 reals that are no backups and have a weight: it will always be degraded"},
	{VIP ", min_healthy: 1, reals: [{address: 10.1.0.1}]}\n", NULL},
	{VIP ", min_healthy: 100%, reals: [{address: 10.1.0.1}]}\n", NULL},
	{VIP ", reals: [{address: 10.0.0.10}]}\n",
	 "f.yaml:4:69: vips[0]: real 10.0.0.10 is the balancer's own address (encap.source4)"},
	{IF "defaults: {on_all_down: backup}\n" "encap: {source4: 10.0.0.10}\nvips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp, reals: [{address: 10.1.0.1}]}\n",
	 "f.yaml:2:25: defaults.on_all_down: no VIP has backups: new flows are dropped, as with `drop`"},
	{IF "defaults: {backup_below: 1}\n" "encap: {source4: 10.0.0.10}\nvips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp, reals: [{address: 10.1.0.1}]}\n",
	 "f.yaml:2:26: defaults.backup_below: no VIP has backups: it changes nothing"},
	{IF "defaults: {backup_below: 1}\n" "encap: {source4: 10.0.0.10}\nvips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp, reals: [{address: 10.1.0.1, backup: true}]}\n",
	 NULL},
	{IF "defaults: {backup_below: 1, on_all_down: backup}\n", NULL},
};
/* clang-format on */

static void what_will_not_do_what_it_says_is_warned_of(void **state)
{
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		struct config *config = parse_config(warnings[i].yaml);

		if (config->warnings.n != (warnings[i].warning != NULL))
			fail_msg("%zu warnings: %s", config->warnings.n, warnings[i].yaml);
		if (warnings[i].warning)
			assert_string_equal(config->warnings.texts[0], warnings[i].warning);
		config_free(config);
	}
}

static void many_warnings_are_counted(void **state)
{
	char text[8192], *p = text + sprintf(text, "%s", SRC "vips:\n");
	struct config *config;

	for (int i = 0; i < 23; i++)
		p += sprintf(p,
			     "- {name: v%d, address: 192.0.2.10, port: %d, protocol: tcp, "
			     "min_healthy: 1}\n",
			     i, i + 1);
	config = parse_config(text);
	assert_int_equal(config->warnings.n, 21);
	assert_string_equal(config->warnings.texts[20], "f.yaml: 3 warnings more");
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named_with_its_place),
		cmocka_unit_test(what_will_not_do_what_it_says_is_warned_of),
		cmocka_unit_test(many_warnings_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
