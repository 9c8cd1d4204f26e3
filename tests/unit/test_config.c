/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is wrong with a configuration file is said with its line, column and path. Of probes:
 * test_config_health.c; what only the whole file shows: test_config_whole.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config_text.h"

/* clang-format off */
static const struct mistake mistakes[] = {
	/* YAML itself */
	{YAML(""),
	 "f.yaml:1:1: expected a mapping, got an empty file"},
	{YAML("# only a comment\n"),
	 "f.yaml:1:1: expected a mapping, got an empty file"},
	{YAML("- a\n- b\n"),
	 "f.yaml:1:1: expected a mapping, got a list"},
	{YAML("just text\n"),
	 "f.yaml:1:1: expected a mapping, got \"just text\""},
	{YAML("interfaces: [\n"),
	 "f.yaml:2:1: expected YAML: while parsing a flow node: did not find expected node content"},
	{YAML(IF "bpffs: \"/a\n"),
	 "f.yaml:3:1: expected YAML: while scanning a quoted scalar: found unexpected end of stream"},
	{YAML(IF "\tbpffs: /a\n"),
	 "f.yaml:2:1: expected YAML: while scanning for the next token: found character that cannot start any token"},
	{YAML(IF "bpffs: /a\000b\n"),
	 "f.yaml:2:10: expected UTF-8 text: control characters are not allowed"},
	{YAML(IF "bpffs: \"/a\\0b\"\n"),
	 "f.yaml:2:8: bpffs: expected text without NUL bytes"},
	{YAML(IF "bpffs: /\377\n"),
	 "f.yaml:2:9: expected UTF-8 text: invalid leading UTF-8 octet"},
	{YAML(IF "bpffs: &a /a\n"),
	 "f.yaml:2:8: bpffs: anchors and aliases are not supported"},
	{YAML(IF "bpffs: *a\n"),
	 "f.yaml:2:8: bpffs: anchors and aliases are not supported"},
	{YAML(IF "bpffs: !!str /a\n"),
	 "f.yaml:2:8: bpffs: tags (!...) are not supported"},
	{YAML(IF "<<: {bpffs: /a}\n"),
	 "f.yaml:2:1: merge keys (<<) are not supported"},
	{YAML(IF "---\nbpffs: /a\n"),
	 "f.yaml:2:1: expected one YAML document, got another"},
	{YAML(IF "...\n---\na: b\n"),
	 "f.yaml:3:1: expected one YAML document, got another"},
	{YAML(IF "? [a]\n: b\n"),
	 "f.yaml:2:3: expected a key, got a list"},
	{YAML(IF "bpffs: [[[[[[[[[[/a]]]]]]]]]]\n"),
	 "f.yaml:2:8: bpffs: expected a text, got a list"},
	{YAML(IF "bpffs: /a\nbpffs: /b\n"),
	 "f.yaml:3:1: bpffs: duplicate key, already given in line 2"},
	/* keys */
	{YAML(IF "nonsense: 1\n"),
	 "f.yaml:2:1: unknown key \"nonsense\"; known are interfaces, bpffs, encap, capacity, guard, defaults, pools, vips"},
	{YAML(IF "vipz: []\n"),
	 "f.yaml:2:1: unknown key \"vipz\"; did you mean \"vips\"?"},
	{YAML(VIP ", reals: [{address: 10.1.0.1, wieght: 5}]}\n"),
	 "f.yaml:4:89: vips[0].reals[0]: unknown key \"wieght\"; did you mean \"weight\"?"},
	{YAML(VIP ", fast_interval: 1s}\n"),
	 "f.yaml:4:61: vips[0]: unknown key \"fast_interval\"; known are encap, scheduler, source, ring, slow_start, panic, on_all_down, min_healthy, backup_below, timeouts, on_no_port, echo, on_down, drain, ejection, health, name, address, port, protocol, reals, quic, pool, pools"},
	{YAML(IF "vips: [{address: 192.0.2.1, port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:8: vips[0]: expected the key \"name\", which is missing"},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 80}]\n"),
	 "f.yaml:2:8: vips[0]: expected the key \"protocol\", which is missing"},
	{YAML("vips: []\n"),
	 "f.yaml:1:1: expected the key \"interfaces\", which is missing"},
	{YAML("interfaces: []\n"),
	 "f.yaml:1:13: interfaces: expected at least 1 item, got an empty list"},
	{YAML("interfaces: eth0\n"),
	 "f.yaml:1:13: interfaces: expected a list, got \"eth0\""},
	{YAML("interfaces: [eth0]\n"),
	 "f.yaml:1:14: interfaces[0]: expected a mapping, got \"eth0\""},
	{YAML("interfaces:\n"),
	 "f.yaml:1:12: interfaces: expected a list, got nothing"},
	{YAML(IF "encap: 10.0.0.1\n"),
	 "f.yaml:2:8: encap: expected a mapping, got \"10.0.0.1\""},
	{YAML(VIP ", reals: 10.1.0.1}\n"),
	 "f.yaml:4:68: vips[0].reals: expected a list, got \"10.1.0.1\""},
	/* numbers */
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 65536}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"65536\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 80x}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"80x\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 0120}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number without leading zeros, got \"0120\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 1e3}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"1e3\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: -1}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"-1\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: \"5 \"}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"5 \""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 99999999999}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"99999999999\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: 1k}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got \"1k\""},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: [1]}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got a list"},
	{YAML(VIP ", reals: [{address: 10.1.0.1, weight: }]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].weight: expected a number from 0 to 65535, got nothing"},
	{YAML(VIP ", ring: 65536}\n"),
	 "f.yaml:4:67: vips[0].ring: expected a prime from 251 to 655373, got \"65536\""},
	{YAML(VIP ", ring: 250}\n"),
	 "f.yaml:4:67: vips[0].ring: expected a prime from 251 to 655373, got \"250\""},
	{YAML(VIP ", ring: 655379}\n"),
	 "f.yaml:4:67: vips[0].ring: expected a prime from 251 to 655373, got \"655379\""},
	{YAML(IF "capacity: {flows: 999}\n"),
	 "f.yaml:2:19: capacity.flows: expected a count from 1k to 100M, got \"999\""},
	{YAML(IF "capacity: {flows: 101M}\n"),
	 "f.yaml:2:19: capacity.flows: expected a count from 1k to 100M, got \"101M\""},
	{YAML(IF "capacity: {members: 2M}\n"),
	 "f.yaml:2:21: capacity.members: expected a count from 16 to 1M, got \"2M\""},
	{YAML(IF "capacity: {vips: 64K}\n"),
	 "f.yaml:2:18: capacity.vips: expected a count from 1 to 65535, got \"64K\""},
	{YAML(IF "capacity: {ring_slots: 5G}\n"),
	 "f.yaml:2:24: capacity.ring_slots: expected a count from 251 to 1000M, got \"5G\""},
	{YAML(IF "defaults: {timeouts: {tcp: 25h}}\n"),
	 "f.yaml:2:28: defaults.timeouts.tcp: expected a duration from 1s to 24h, got \"25h\""},
	{YAML(IF "defaults: {timeouts: {tcp: 999ms}}\n"),
	 "f.yaml:2:28: defaults.timeouts.tcp: expected a duration from 1s to 24h, got \"999ms\""},
	{YAML(IF "defaults: {timeouts: {udp: 60}}\n"),
	 "f.yaml:2:28: defaults.timeouts.udp: expected a duration from 1s to 1h, got \"60\""},
	{YAML(IF "defaults: {timeouts: {udp: 1 s}}\n"),
	 "f.yaml:2:28: defaults.timeouts.udp: expected a duration from 1s to 1h, got \"1 s\""},
	{YAML(IF "guard: {max_removed: 0%}\n"),
	 "f.yaml:2:22: guard.max_removed: expected a percentage from 1% to 100%, got \"0%\""},
	{YAML(IF "guard: {syn_rate: 100k}\n"),
	 "f.yaml:2:19: guard.syn_rate: expected a rate from 0/s to 1000M/s, got \"100k\""},
	{YAML(IF "guard: {syn_rate: 1001M/s}\n"),
	 "f.yaml:2:19: guard.syn_rate: expected a rate from 0/s to 1000M/s, got \"1001M/s\""},
	{YAML(IF "guard: {max_removed: 101%}\n"),
	 "f.yaml:2:22: guard.max_removed: expected a percentage from 1% to 100%, got \"101%\""},
	/* texts and addresses */
	{YAML("interfaces: [{name: sixteen-letters-}]\n"),
	 "f.yaml:1:21: interfaces[0].name: expected an interface name of 1 to 15 characters without '/', ':' and blanks, got \"sixteen-letters-\""},
	{YAML("interfaces: [{name: \"eth0:1\"}]\n"),
	 "f.yaml:1:21: interfaces[0].name: expected an interface name of 1 to 15 characters without '/', ':' and blanks, got \"eth0:1\""},
	{YAML("interfaces: [{name: ..}]\n"),
	 "f.yaml:1:21: interfaces[0].name: expected an interface name of 1 to 15 characters without '/', ':' and blanks, got \"..\""},
	{YAML(IF "bpffs: sys/fs/bpf\n"),
	 "f.yaml:2:8: bpffs: expected an absolute path of at most 255 characters, got \"sys/fs/bpf\""},
	{YAML(IF "vips: [{name: \"a b\", address: 192.0.2.1, port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:15: vips[0].name: expected a name of 1 to 63 letters, digits, '.', '_' or '-', got \"a b\""},
	{YAML(IF "vips:\n- name: a\n  address: 10.0.0.300\n"),
	 "f.yaml:4:12: vips[0].address: expected an IP address or prefix, got \"10.0.0.300\""},
	{YAML(IF "vips:\n- name: a\n  address: \"::ffff:10.0.0.1\"\n"),
	 "f.yaml:4:12: vips[0].address: expected an IP address or prefix (an IPv4 address is written without ::ffff:), got \"::ffff:10.0.0.1\""},
	{YAML(IF "vips:\n- name: a\n  address: 0.0.0.0\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not unspecified), got \"0.0.0.0\""},
	{YAML(IF "vips:\n- name: a\n  address: 127.0.0.1\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not loopback), got \"127.0.0.1\""},
	{YAML(IF "vips:\n- name: a\n  address: 224.0.0.1\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not multicast), got \"224.0.0.1\""},
	{YAML(IF "vips:\n- name: a\n  address: 255.255.255.255\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not broadcast), got \"255.255.255.255\""},
	{YAML(IF "vips:\n- name: a\n  address: \"::\"\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not unspecified), got \"::\""},
	{YAML(IF "vips:\n- name: a\n  address: \"::1\"\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not loopback), got \"::1\""},
	{YAML(IF "vips:\n- name: a\n  address: \"ff02::1\"\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not multicast), got \"ff02::1\""},
	{YAML(IF "vips:\n- name: a\n  address: \"fe80::1\"\n"),
	 "f.yaml:4:12: vips[0].address: expected a unicast address (not link-local), got \"fe80::1\""},
	{YAML(IF "vips:\n- name: a\n  address: 10.1\n"),
	 "f.yaml:4:12: vips[0].address: expected an IP address or prefix, got \"10.1\""},
	{YAML(IF "vips:\n- name: a\n  address: \"10.0.0.1:80\"\n"),
	 "f.yaml:4:12: vips[0].address: expected an IP address or prefix, got \"10.0.0.1:80\""},
	{YAML(IF "encap: {source4: \"fd00::1\"}\n"),
	 "f.yaml:2:18: encap.source4: expected an IPv4 address or prefix, got \"fd00::1\""},
	{YAML(IF "encap: {source6: 10.0.0.1}\n"),
	 "f.yaml:2:18: encap.source6: expected an IPv6 address or prefix, got \"10.0.0.1\""},
	{YAML(IF "encap: {source4: 10.0.0.1/16}\n"),
	 "f.yaml:2:18: encap.source4: expected a prefix without host bits, got \"10.0.0.1/16\""},
	{YAML(IF "encap: {source4: 10.0.0.0/7}\n"),
	 "f.yaml:2:18: encap.source4: expected a prefix length from 8 to 32, got \"10.0.0.0/7\""},
	{YAML(IF "encap: {source6: \"fd00::/31\"}\n"),
	 "f.yaml:2:18: encap.source6: expected a prefix length from 32 to 128, got \"fd00::/31\""},
	{YAML(IF "encap: {source4: 10.0.0.0/33}\n"),
	 "f.yaml:2:18: encap.source4: expected a prefix length from 8 to 32, got \"10.0.0.0/33\""},
	{YAML(IF "encap: {gue_port: 0}\n"),
	 "f.yaml:2:19: encap.gue_port: expected a number from 1 to 65535, got \"0\""},
	{YAML(IF "encap: {gue_port: 65536}\n"),
	 "f.yaml:2:19: encap.gue_port: expected a number from 1 to 65535, got \"65536\""},
	{YAML(IF "encap: {gue_checksum6: true}\n"),
	 "f.yaml:2:24: encap.gue_checksum6: expected zero or computed, got \"true\""},
	{YAML(IF "encap: {source4: 10.0.0.0/}\n"),
	 "f.yaml:2:18: encap.source4: expected an IPv4 address or prefix, got \"10.0.0.0/\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 70000, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"70000\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 080, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a number without leading zeros, got \"080\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: -80, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"-80\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 80-, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"80-\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 80-90-91, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"80-90-91\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 8000-65536, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"8000-65536\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: any, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got \"any\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 0-100, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a range that begins with the lower port, which is not 0, got \"0-100\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 90-80, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a range that begins with the lower port, which is not 0, got \"90-80\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 80-80, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected a range that begins with the lower port, which is not 0, got \"80-80\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 0, protocol: tcp}]\n"),
	 "f.yaml:2:44: vips[0].port: expected health.port to be given, or health.type none, since any port leaves open which one is probed"},
	{YAML(IF "vips: [{name: a, address: \"192.0.2.1/24\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a prefix without host bits, got \"192.0.2.1/24\""},
	{YAML(IF "vips: [{name: a, address: \"192.0.0.0/7\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a prefix length from 8 to 32, got \"192.0.0.0/7\""},
	{YAML(IF "vips: [{name: a, address: \"192.0.2.0/33\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a prefix length from 8 to 32, got \"192.0.2.0/33\""},
	{YAML(IF "vips: [{name: a, address: \"2001:db8::/31\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a prefix length from 32 to 128, got \"2001:db8::/31\""},
	{YAML(IF "vips: [{name: a, address: \"2001:db8::1/64\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a prefix without host bits, got \"2001:db8::1/64\""},
	{YAML(IF "vips: [{name: a, address: \"192.0.2.0/\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected an IP address or prefix, got \"192.0.2.0/\""},
	{YAML(IF "vips: [{name: a, address: \"224.0.0.0/8\", port: 80, protocol: tcp}]\n"),
	 "f.yaml:2:27: vips[0].address: expected a unicast address (not multicast), got \"224.0.0.0/8\""},
	{YAML(IF "vips: [{name: a, address: 192.0.2.1, port: 80, protocol: icmp}]\n"),
	 "f.yaml:2:58: vips[0].protocol: expected tcp or udp, got \"icmp\""},
	{YAML(IF "defaults: {on_no_port: ignore}\n"),
	 "f.yaml:2:24: defaults.on_no_port: expected reply or drop or pass, got \"ignore\""},
	{YAML(IF "defaults: {echo: down}\n"),
	 "f.yaml:2:18: defaults.echo: expected up or always or off, got \"down\""},
	/* not built yet */
	{YAML("interfaces: [{name: eth0, attach: shared}]\n"),
	 "f.yaml:1:35: interfaces[0].attach: not supported yet: shared"},
	{YAML(IF "metrics: {listen: \"127.0.0.1:9106\"}\n"),
	 "f.yaml:2:1: metrics: not supported yet: where /metrics and the stats page listen"},
	{YAML(IF "defaults: {encap: nat}\n"),
	 "f.yaml:2:19: defaults.encap: expected ipip or gue or l2dsr, got \"nat\""},
	{YAML(VIP ", scheduler: lrt}\n"),
	 "f.yaml:4:72: vips[0].scheduler: not supported yet: lrt"},
	{YAML(VIP ", scheduler: source, source: {tuple: 4}}\n"),
	 "f.yaml:4:96: vips[0].source.tuple: expected 1, 2, 3 or 5, got 4"},
	{YAML(IF "defaults: {source: {tuple: 4}}\n"),
	 "f.yaml:2:28: defaults.source.tuple: expected 1, 2, 3 or 5, got 4"},
	{YAML(VIP ", scheduler: source, source: {tuple: 6}}\n"),
	 "f.yaml:4:96: vips[0].source.tuple: expected a number from 1 to 5, got \"6\""},
	{YAML(VIP ", scheduler: source, source: {prefix4: 33}}\n"),
	 "f.yaml:4:98: vips[0].source.prefix4: expected a number from 1 to 32, got \"33\""},
	{YAML(VIP ", scheduler: source, source: {prefix6: 0}}\n"),
	 "f.yaml:4:98: vips[0].source.prefix6: expected a number from 1 to 128, got \"0\""},
	{YAML(VIP ", scheduler: source, source: {affinity: 1500ms}}\n"),
	 "f.yaml:4:99: vips[0].source.affinity: expected whole seconds, got 1500ms"},
	{YAML(IF "defaults: {source: {affinity: 900ms}}\n"),
	 "f.yaml:2:31: defaults.source.affinity: expected whole seconds, got 900ms"},
	{YAML(VIP ", scheduler: source, source: {affinity: 25h}}\n"),
	 "f.yaml:4:99: vips[0].source.affinity: expected a duration from 0s to 24h, got \"25h\""},
	{YAML(VIP ", scheduler: rr, source: {tuple: 1}}\n"),
	 "f.yaml:4:84: vips[0].source: expected no such key with scheduler rr; it belongs to source"},
};
/* clang-format on */

static void every_mistake_is_named_with_its_place(void **state)
{
	check_mistakes(mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void nobody_has_to_ask_for_the_reason(void **state)
{
	struct config *config;

	assert_int_equal(parse_mistake(&mistakes[0], &config, NULL), -EINVAL);
}

static void a_missing_file_is_named(void **state)
{
	struct config *config;
	struct err err;

	assert_int_equal(config_load("/nonexistent/x.yaml", &config, &err), -ENOENT);
	assert_string_equal(err.text, "open /nonexistent/x.yaml: No such file or directory");
}

static void more_than_64_mib_are_refused(void **state)
{
	struct config *config;
	struct err err;

	assert_int_equal(config_parse("f.yaml", "", (64u << 20) + 1, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1:1: expected at most 64 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named_with_its_place),
		cmocka_unit_test(nobody_has_to_ask_for_the_reason),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(more_than_64_mib_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
