/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong with a configuration file is said with its line, column and path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "lib/config.h"

struct bad_case {
	const char *yaml;
	size_t len;
	const char *error;
};

#define YAML(text) text, sizeof(text) - 1

/* Beginnings of files; the VIP stands in line 4 and is to be closed. */
#define IF  "interfaces: [{name: eth0}]\n"
#define SRC IF "encap: {source4: 10.0.0.10}\n"
#define VIP SRC "vips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp"
/* The configurations stand in line 5. */
#define QUIC SRC "vips:\n- {name: web, address: 192.0.2.10, port: 443, protocol: udp,\n    quic: ["

/* clang-format off */
static const struct bad_case bad_cases[] = {
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
	 "f.yaml:2:1: unknown key \"nonsense\"; known are interfaces, bpffs, encap, capacity, guard, defaults, vips"},
	{YAML(IF "vipz: []\n"),
	 "f.yaml:2:1: unknown key \"vipz\"; did you mean \"vips\"?"},
	{YAML(VIP ", reals: [{address: 10.1.0.1, wieght: 5}]}\n"),
	 "f.yaml:4:89: vips[0].reals[0]: unknown key \"wieght\"; did you mean \"weight\"?"},
	{YAML(VIP ", fast_interval: 1s}\n"),
	 "f.yaml:4:61: vips[0]: unknown key \"fast_interval\"; known are encap, scheduler, ring, slow_start, timeouts, on_no_port, echo, health, name, address, port, protocol, reals, quic"},
	{YAML(VIP ", health: {fast_interval: 1s}}\n"),
	 "f.yaml:4:70: vips[0].health: unknown key \"fast_interval\"; did you mean \"interval\"?"},
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
	{YAML(IF "defaults: {health: {interval: 49ms}}\n"),
	 "f.yaml:2:31: defaults.health.interval: expected a duration from 50ms to 1h, got \"49ms\""},
	{YAML(IF "defaults: {health: {jitter: 51%}}\n"),
	 "f.yaml:2:29: defaults.health.jitter: expected a percentage from 0% to 50%, got \"51%\""},
	{YAML(IF "defaults: {health: {jitter: 10}}\n"),
	 "f.yaml:2:29: defaults.health.jitter: expected a percentage from 0% to 50%, got \"10\""},
	{YAML(IF "defaults: {health: {fall: 0}}\n"),
	 "f.yaml:2:27: defaults.health.fall: expected a number from 1 to 100, got \"0\""},
	{YAML(IF "guard: {max_removed: 0%}\n"),
	 "f.yaml:2:22: guard.max_removed: expected a percentage from 1% to 100%, got \"0%\""},
	{YAML(IF "guard: {max_removed: 101%}\n"),
	 "f.yaml:2:22: guard.max_removed: expected a percentage from 1% to 100%, got \"101%\""},
	{YAML(VIP ", health: {port: 70000}}\n"),
	 "f.yaml:4:76: vips[0].health.port: expected a port from 1 to 65535, got \"70000\""},
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
	{YAML(VIP ", health: {type: http, path: healthz}}\n"),
	 "f.yaml:4:88: vips[0].health.path: expected a path that starts with '/' and has no blanks, got \"healthz\""},
	{YAML(VIP ", health: {type: http, path: \"/a\\r\\nX: y\"}}\n"),
	 "f.yaml:4:88: vips[0].health.path: expected a path that starts with '/' and has no blanks, got \"/a??X: y\""},
	{YAML(VIP ", health: {type: http, method: get}}\n"),
	 "f.yaml:4:90: vips[0].health.method: expected an HTTP method such as GET, got \"get\""},
	{YAML(VIP ", health: {type: http, host: \"a b\"}}\n"),
	 "f.yaml:4:88: vips[0].health.host: expected a host name without blanks, got \"a b\""},
	{YAML(VIP ", health: {type: http, headers: [a]}}\n"),
	 "f.yaml:4:91: vips[0].health.headers: expected a mapping of header names to values, got a list"},
	{YAML(VIP ", health: {type: http, headers: {\"a b\": c}}}\n"),
	 "f.yaml:4:92: vips[0].health.headers: expected an HTTP header name, got \"a b\""},
	{YAML(VIP ", health: {type: http, headers: {a: \"c\\n\"}}}\n"),
	 "f.yaml:4:95: vips[0].health.headers: expected a header value of one line, got \"c?\""},
	{YAML(VIP ", health: {type: http, headers: {a: b, A: c}}}\n"),
	 "f.yaml:4:98: vips[0].health.headers: duplicate header \"A\""},
	{YAML(VIP ", health: {type: http, expect: 99}}\n"),
	 "f.yaml:4:90: vips[0].health.expect: expected a status code from 100 to 599, got \"99\""},
	{YAML(VIP ", health: {type: http, expect: [200, ok]}}\n"),
	 "f.yaml:4:96: vips[0].health.expect[1]: expected a status code from 100 to 599, got \"ok\""},
	{YAML(VIP ", health: {type: http, expect: []}}\n"),
	 "f.yaml:4:90: vips[0].health.expect: expected at least one item, got an empty list"},
	{YAML(VIP ", health: {type: http, expect: [200, [204]]}}\n"),
	 "f.yaml:4:96: vips[0].health.expect[1]: expected a text or a list of texts, got a list"},
	{YAML(VIP ", health: {type: tcp, expect: pong}}\n"),
	 "f.yaml:4:89: vips[0].health.expect: expected no such key with type tcp; it belongs to http, https, udp, dns"},
	{YAML(VIP ", health: {expect: [pong], send: ping, type: udp}}\n"),
	 "f.yaml:4:78: vips[0].health.expect: expected a text with type udp, got a list"},
	{YAML(VIP ", health: {type: udp, send: ping, expect: \"\"}}\n"),
	 "f.yaml:4:101: vips[0].health.expect: expected a text of 1 to 4096 characters, with the escapes \\n, \\r, \\t, \\\\ and \\xHH, got \"\""},
	{YAML(VIP ", health: {type: udp, send: ping, expect: a\\z}}\n"),
	 "f.yaml:4:101: vips[0].health.expect: expected a text of 1 to 4096 characters, with the escapes \\n, \\r, \\t, \\\\ and \\xHH, got \"a\\z\""},
	{YAML(VIP ", health: {type: udp, send: \\x1}}\n"),
	 "f.yaml:4:87: vips[0].health.send: expected a text of at most 4096 characters, with the escapes \\n, \\r, \\t, \\\\ and \\xHH, got \"\\x1\""},
	{YAML(VIP ", health: {type: udp}}\n"),
	 "f.yaml:4:69: vips[0].health: expected the key \"send\" with type udp, which is missing"},
	{YAML(IF "defaults: {health: {type: udp}}\nvips:\n- {name: a, address: 192.0.2.1, port: 53, protocol: udp}\n"),
	 "f.yaml:2:20: vips[0].health: expected the key \"send\" with type udp, which is missing"},
	{YAML(VIP ", health: {type: dns}}\n"),
	 "f.yaml:4:69: vips[0].health: expected the key \"name\" with type dns, which is missing"},
	{YAML(VIP ", health: {type: dns, name: a..b}}\n"),
	 "f.yaml:4:87: vips[0].health.name: expected a domain name of labels of 1 to 63 characters, got \"a..b\""},
	{YAML(VIP ", health: {type: dns, name: .a}}\n"),
	 "f.yaml:4:87: vips[0].health.name: expected a domain name of labels of 1 to 63 characters, got \".a\""},
	{YAML(VIP ", health: {type: dns, name: a\\.b}}\n"),
	 "f.yaml:4:87: vips[0].health.name: expected a domain name of labels of 1 to 63 characters, got \"a\\.b\""},
	{YAML(VIP ", health: {type: dns, name: a, rrtype: AAA}}\n"),
	 "f.yaml:4:98: vips[0].health.rrtype: expected A or AAAA or NS or CNAME or SOA or PTR or MX or TXT or SRV or NAPTR or DS or DNSKEY or SVCB or HTTPS or CAA or ANY, got \"AAA\""},
	{YAML(VIP ", health: {type: dns, name: a, expect: nxdomain}}\n"),
	 "f.yaml:4:98: vips[0].health.expect: expected the name of a DNS response code, as NXDOMAIN, got \"nxdomain\""},
	{YAML(VIP ", health: {type: icmp, port: 80}}\n"),
	 "f.yaml:4:88: vips[0].health.port: expected no such key with type icmp; it belongs to tcp, http, https, none, udp, dns"},
	{YAML(VIP ", health: {source: 10.0.0.0/24}}\n"),
	 "f.yaml:4:78: vips[0].health.source: expected an IP address, got \"10.0.0.0/24\""},
	{YAML(VIP ", health: {type: none, source: 10.0.0.1}}\n"),
	 "f.yaml:4:90: vips[0].health.source: expected no such key with type none; it belongs to tcp, http, https, udp, dns, icmp"},
	{YAML(IF "encap: {source6: \"fd00::9\"}\ndefaults: {health: {source: 10.0.0.1}}\nvips:\n- {name: a, address: 192.0.2.1, port: 80, protocol: tcp, reals: [{address: \"fd00::1\"}]}\n"),
	 "f.yaml:5:66: vips[0].health.source: expected an IPv6 address as that of real fd00::1, got 10.0.0.1"},
	{YAML(VIP ", health: {source: \"fd00::9\"}, reals: [{address: 10.1.0.1}]}\n"),
	 "f.yaml:4:78: vips[0].health.source: expected an IPv4 address as that of real 10.1.0.1, got fd00::9"},
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
	{YAML(IF "pools: []\n"),
	 "f.yaml:2:1: pools: not supported yet: named lists of reals that VIPs share"},
	{YAML(VIP ", pool: blue}\n"),
	 "f.yaml:4:61: vips[0].pool: not supported yet: the pool that serves it, instead of `reals`"},
	{YAML(IF "defaults: {encap: nat}\n"),
	 "f.yaml:2:19: defaults.encap: expected ipip or gue or l2dsr, got \"nat\""},
	{YAML(VIP ", scheduler: rr}\n"),
	 "f.yaml:4:72: vips[0].scheduler: not supported yet: rr"},
	{YAML(VIP ", slow_start: 30s}\n"),
	 "f.yaml:4:73: vips[0].slow_start: not supported yet: time in which a real that came up gets its full weight"},
	{YAML(VIP ", reals: [{address: 10.1.0.1, backup: true}]}\n"),
	 "f.yaml:4:97: vips[0].reals[0].backup: not supported yet: used only when no other real is up"},
	{YAML(VIP ", health: {type: script}}\n"),
	 "f.yaml:4:76: vips[0].health.type: not supported yet: script"},
	{YAML(VIP ", health: {sni: a}}\n"),
	 "f.yaml:4:75: vips[0].health.sni: expected no such key with type tcp; it belongs to https"},
	/* TLS */
	{YAML(VIP ", health: {type: https, sni: 10.1.0.1}}\n"),
	 "f.yaml:4:88: vips[0].health.sni: expected a host name, got \"10.1.0.1\""},
	{YAML(VIP ", health: {type: https, sni: \"a b\"}}\n"),
	 "f.yaml:4:88: vips[0].health.sni: expected a host name, got \"a b\""},
	{YAML(VIP ", health: {type: https, ca: ca.pem}}\n"),
	 "f.yaml:4:87: vips[0].health.ca: expected an absolute path of at most 255 characters, got \"ca.pem\""},
	{YAML(VIP ", health: {type: https, ca: /nonexistent/ca}}\n"),
	 "f.yaml:4:87: vips[0].health.ca: open /nonexistent/ca: No such file or directory"},
	{YAML(VIP ", health: {type: https}}\ndefaults: {health: {type: https, ca: /nonexistent/ca}}\n"),
	 "f.yaml:5:38: defaults.health.ca: open /nonexistent/ca: No such file or directory"},
	{YAML(VIP ", health: {type: https, ca: /dev/zero}}\n"),
	 "f.yaml:4:87: vips[0].health.ca: /dev/zero: expected a regular file of at most 4 MiB"},
	{YAML(VIP ", health: {type: https, ca: /etc/hostname}}\n"),
	 "f.yaml:4:87: vips[0].health.ca: /etc/hostname: expected certificates in PEM: No certificate was found."},
	{YAML(VIP ", health: {type: https, verify: maybe}}\n"),
	 "f.yaml:4:91: vips[0].health.verify: expected true or false, got \"maybe\""},
	{YAML(VIP ", health: {type: https, verify: false, ca: /etc/hostname}}\n"),
	 "f.yaml:4:102: vips[0].health.ca: expected no such key with verify false"},
	{YAML(VIP ", health: {type: https, verify: false, cert: /c}}\n"),
	 "f.yaml:4:104: vips[0].health.cert: expected the key \"key\" too, since there is a `cert`"},
	{YAML(VIP ", health: {type: https, verify: false, key: /k}}\n"),
	 "f.yaml:4:103: vips[0].health.key: expected the key \"cert\" too, since there is a `key`"},
	{YAML(VIP ", health: {type: https, verify: false, cert: /nonexistent/c, key: /nonexistent/k}}\n"),
	 "f.yaml:4:104: vips[0].health.cert: open /nonexistent/c: No such file or directory"},
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
	{YAML(VIP ", health: {path: /}}\n"),
	 "f.yaml:4:76: vips[0].health.path: expected no such key with type tcp; it belongs to http, https"},
	{YAML(IF "defaults: {health: {path: /}}\n"),
	 "f.yaml:2:27: defaults.health.path: expected no such key with type tcp; it belongs to http, https"},
	{YAML(VIP ", health: {type: none, method: GET}}\ndefaults: {health: {type: http}}\n"),
	 "f.yaml:4:90: vips[0].health.method: expected no such key with type none; it belongs to http, https"},
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
};
/* clang-format on */

/* The text is parsed from memory of its own size, so that a sanitizer sees a read past the end. */
static int parse(const struct bad_case *c, struct config **ret_config, struct err *err)
{
	char *text = malloc(c->len ? c->len : 1);
	int ret;

	assert_non_null(text);
	memcpy(text, c->yaml, c->len);
	ret = config_parse("f.yaml", text, c->len, ret_config, err);
	free(text);
	return ret;
}

static void every_mistake_is_named_with_its_place(void **state)
{
	struct config *config;
	struct err err;

	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		config = NULL;
		if (parse(&bad_cases[i], &config, &err) != -EINVAL)
			fail_msg("accepted: %s", bad_cases[i].yaml);
		assert_string_equal(err.text, bad_cases[i].error);
		assert_null(config);
	}
}

static void nobody_has_to_ask_for_the_reason(void **state)
{
	struct config *config;

	assert_int_equal(parse(&bad_cases[0], &config, NULL), -EINVAL);
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
