/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a configuration file says of probes: mistakes, values, defaults, which are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "config_text.h"

/* clang-format off */
static const struct mistake mistakes[] = {
	{YAML(VIP ", health: {fast_intervall: 1s}}\n"),
	 "f.yaml:4:70: vips[0].health: unknown key \"fast_intervall\"; did you mean \"fast_interval\"?"},
	{YAML(VIP ", health: {start: unknown}}\n"),
	 "f.yaml:4:77: vips[0].health.start: expected down or up, got \"unknown\""},
	{YAML(VIP ", health: {hold_down: 2h}}\n"),
	 "f.yaml:4:81: vips[0].health.hold_down: expected a duration from 0s to 1h, got \"2h\""},
	{YAML(VIP ", health: {type: http, degraded_status: [429, 9]}}\n"),
	 "f.yaml:4:105: vips[0].health.degraded_status[1]: expected a status code from 100 to 599, got \"9\""},
	{YAML(VIP ", health: {type: tcp, degraded_weight: 10%}}\n"),
	 "f.yaml:4:98: vips[0].health.degraded_weight: expected no such key with type tcp; it belongs to http, https"},
	{YAML(IF "defaults: {health: {interval: 49ms}}\n"),
	 "f.yaml:2:31: defaults.health.interval: expected a duration from 50ms to 1h, got \"49ms\""},
	{YAML(IF "defaults: {health: {jitter: 51%}}\n"),
	 "f.yaml:2:29: defaults.health.jitter: expected a percentage from 0% to 50%, got \"51%\""},
	{YAML(IF "defaults: {health: {jitter: 10}}\n"),
	 "f.yaml:2:29: defaults.health.jitter: expected a percentage from 0% to 50%, got \"10\""},
	{YAML(IF "defaults: {health: {fall: 0}}\n"),
	 "f.yaml:2:27: defaults.health.fall: expected a number from 1 to 100, got \"0\""},
	{YAML(VIP ", health: {port: 70000}}\n"),
	 "f.yaml:4:76: vips[0].health.port: expected a port from 1 to 65535, got \"70000\""},
	{YAML(VIP ", health: {type: http, path: healthz}}\n"),
	 "f.yaml:4:88: vips[0].health.path: expected a path that starts with '/' and has no blanks, got \"healthz\""},
	{YAML(VIP ", health: {type: http, path: \"/a\\r\\nX: y\"}}\n"),
	 "f.yaml:4:88: vips[0].health.path: expected a path that starts with '/' and has no blanks, got \"/a??X: y\""},
	{YAML(VIP ", health: {type: http, method: get}}\n"),
	 "f.yaml:4:90: vips[0].health.method: expected an HTTP method such as GET, got \"get\""},
	{YAML(VIP ", health: {type: http, method: HEAD, body: ok}}\n"),
	 "f.yaml:4:102: vips[0].health.body: expected no such key with method HEAD: its answers have no body"},
	{YAML(SRC "defaults: {health: {type: http, degraded_body: a}}\nvips:\n- {name: a, address: 192.0.2.1, port: 80, protocol: tcp, health: {method: HEAD}, reals: []}\n"),
	 "f.yaml:5:3: vips[0].health.degraded_body: expected no such key with method HEAD: its answers have no body"},
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
	 "f.yaml:4:88: vips[0].health.port: expected no such key with type icmp; it belongs to tcp, http, https, none, udp, dns, script, agent, grpc"},
	{YAML(VIP ", health: {type: script, user: nobody}}\n"),
	 "f.yaml:4:69: vips[0].health: expected the key \"command\" with type script, which is missing"},
	{YAML(VIP ", health: {type: script, command: check me}}\n"),
	 "f.yaml:4:93: vips[0].health.command: expected a command that begins with an absolute path, got \"check me\""},
	{YAML(VIP ", health: {type: script, command: [check, me]}}\n"),
	 "f.yaml:4:94: vips[0].health.command[0]: expected a command that begins with an absolute path, got \"check\""},
	{YAML(VIP ", health: {type: script, command: \"  \"}}\n"),
	 "f.yaml:4:93: vips[0].health.command: expected a command that begins with an absolute path, got \"  \""},
	{YAML(VIP ", health: {type: script, command: /a 'b}}\n"),
	 "f.yaml:4:93: vips[0].health.command: expected quotes that are closed, got \"/a 'b\""},
	{YAML(VIP ", health: {type: script, command: /a, user: no-such-user-here}}\n"),
	 "f.yaml:4:103: vips[0].health.user: expected an existing user, got \"no-such-user-here\""},
	{YAML(VIP ", health: {type: script, command: /a, user: root}}\n"),
	 "f.yaml:4:103: vips[0].health.user: expected a user other than root, got \"root\""},
	{YAML(IF "defaults: {health: {type: script, command: /a, user: root}}\nvips:\n- {name: a, address: 192.0.2.1, port: 53, protocol: udp}\n"),
	 "f.yaml:2:54: vips[0].health.user: expected a user other than root, got \"root\""},
	{YAML(VIP ", health: {user: nobody}}\n"),
	 "f.yaml:4:76: vips[0].health.user: expected no such key with type tcp; it belongs to script"},
	{YAML(VIP ", health: {source: 10.0.0.0/24}}\n"),
	 "f.yaml:4:78: vips[0].health.source: expected an IP address, got \"10.0.0.0/24\""},
	{YAML(VIP ", health: {type: none, source: 10.0.0.1}}\n"),
	 "f.yaml:4:90: vips[0].health.source: expected no such key with type none; it belongs to tcp, http, https, udp, dns, icmp, agent, grpc"},
	{YAML(IF "encap: {source6: \"fd00::9\"}\ndefaults: {health: {source: 10.0.0.1}}\nvips:\n- {name: a, address: 192.0.2.1, port: 80, protocol: tcp, reals: [{address: \"fd00::1\"}]}\n"),
	 "f.yaml:5:66: vips[0].health.source: expected an IPv6 address as that of real fd00::1, got 10.0.0.1"},
	{YAML(VIP ", health: {source: \"fd00::9\"}, reals: [{address: 10.1.0.1}]}\n"),
	 "f.yaml:4:78: vips[0].health.source: expected an IPv4 address as that of real 10.1.0.1, got fd00::9"},
	{YAML(VIP ", health: {sni: a}}\n"),
	 "f.yaml:4:75: vips[0].health.sni: expected no such key with type tcp; it belongs to https, grpc"},
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
	{YAML(VIP ", health: {type: grpc, sni: a}}\n"),
	 "f.yaml:4:87: vips[0].health.sni: expected no such key without `tls: true`"},
	{YAML(VIP ", health: {type: grpc, tls: false, verify: false}}\n"),
	 "f.yaml:4:102: vips[0].health.verify: expected no such key without `tls: true`"},
	{YAML(VIP ", health: {type: grpc, tls: true, ca: /nonexistent/ca}}\n"),
	 "f.yaml:4:97: vips[0].health.ca: open /nonexistent/ca: No such file or directory"},
	{YAML(VIP ", health: {type: grpc, service: a b}}\n"),
	 "f.yaml:4:91: vips[0].health.service: expected a service's name of at most 255 characters without blanks, got \"a b\""},
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
	{YAML(VIP ", health: {path: /}}\n"),
	 "f.yaml:4:76: vips[0].health.path: expected no such key with type tcp; it belongs to http, https"},
	{YAML(IF "defaults: {health: {path: /}}\n"),
	 "f.yaml:2:27: defaults.health.path: expected no such key with type tcp; it belongs to http, https"},
	{YAML(VIP ", health: {type: none, method: GET}}\ndefaults: {health: {type: http}}\n"),
	 "f.yaml:4:90: vips[0].health.method: expected no such key with type none; it belongs to http, https"},
};
/* clang-format on */

static void every_mistake_is_named_with_its_place(void **state)
{
	check_mistakes(mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void an_http_probe_has_defaults_of_its_own(void **state)
{
	struct config *c = parse_config(
		IF "vips:\n"
		   "- {name: a, address: 192.0.2.1, port: 80, protocol: tcp}\n"
		   "- {name: b, address: \"2001:db8::1\", port: 80, protocol: tcp}\n"
		   "defaults: {health: {type: http}}\n");
	const struct health_spec *health = &c->vips[0].health;

	assert_string_equal(health->method, "GET");
	assert_string_equal(health->path, "/");
	/* The real's address, so that VIPs share its probe. */
	assert_null(health->host);
	assert_true(health_spec_equal(health, &c->vips[1].health));
	assert_int_equal(health->degraded_weight_percent, 50);
	assert_int_equal(health->n_degraded_status, 0);
	assert_int_equal(health->n_expect, 1);
	assert_int_equal(health->expect[0], 200);
	assert_int_equal(health->headers.n, 0);
	assert_null(health->body);
	config_free(c);
}

static void a_probe_is_paced_and_damped_as_the_file_says(void **state)
{
	struct config *c = parse_config(
		IF "defaults: {health: {type: http, interval: 4s, hold_down: 2s, start: up,\n"
		   "  degraded_status: [429, 203], degraded_body: tired, degraded_weight: 20%}}\n"
		   "vips:\n"
		   "- {name: a, address: 192.0.2.1, port: 80, protocol: tcp}\n"
		   "- {name: b, address: 192.0.2.2, port: 80, protocol: tcp,\n"
		   "   health: {fast_interval: 250ms, hold_down_max: 1m, start: down}}\n"
		   "- {name: c, address: 192.0.2.3, port: 80, protocol: tcp,\n"
		   "   health: {fast_interval: 10s, degraded_status: 500}}\n");
	const struct health_spec *a = &c->vips[0].health, *b = &c->vips[1].health;

	assert_int_equal(a->fast_interval_ms, 4000);
	assert_int_equal(b->fast_interval_ms, 250);
	assert_int_equal(c->vips[2].health.fast_interval_ms, 4000);
	assert_true(a->starts_up);
	assert_false(b->starts_up);
	assert_int_equal(a->hold_down_ms, 2000);
	assert_int_equal(a->hold_down_max_ms, 300000);
	assert_int_equal(b->hold_down_max_ms, 60000);
	assert_int_equal(a->n_degraded_status, 2);
	assert_int_equal(a->degraded_status[1], 203);
	assert_int_equal(c->vips[2].health.n_degraded_status, 1);
	assert_int_equal(c->vips[2].health.degraded_status[0], 500);
	assert_string_equal(a->degraded_body, "tired");
	assert_int_equal(a->degraded_weight_percent, 20);
	config_free(c);
}

static void a_vip_of_another_probe_type_does_not_inherit_its_keys(void **state)
{
	struct config *c = parse_config("defaults: {health: {type: http, path: /up, fall: 5}}\n" VIP
					", health: {type: tcp}}\n");

	assert_int_equal(c->vips[0].health.type, HEALTH_TYPE_TCP);
	assert_int_equal(c->vips[0].health.fall, 5);
	assert_null(c->vips[0].health.path);
	config_free(c);
}

static void a_probe_sends_and_expects_what_the_file_says(void **state)
{
	struct config *c = parse_config(
		VIP ", health: {type: http, port: 8080, method: PUT, host: www.example.org,\n"
		    "  path: /h?a=b, headers: {X-A: b c, X-B: \"1\"}, expect: [200, 204],\n"
		    "  body: \"all\\nwell\", jitter: 0%}}\n");
	const struct health_spec *health = &c->vips[0].health;

	assert_int_equal(health->port, 8080);
	assert_int_equal(health->jitter_percent, 0);
	assert_string_equal(health->method, "PUT");
	assert_string_equal(health->host, "www.example.org");
	assert_string_equal(health->path, "/h?a=b");
	assert_int_equal(health->headers.n, 2);
	assert_string_equal(health->headers.texts[0], "X-A: b c");
	assert_string_equal(health->headers.texts[1], "X-B: 1");
	assert_int_equal(health->n_expect, 2);
	assert_int_equal(health->expect[1], 204);
	assert_string_equal(health->body, "all\nwell");
	config_free(c);
}

static void expect_is_inherited_only_where_it_means_the_same(void **state)
{
	struct config *c = parse_config(
		IF "defaults: {health: {expect: [200, 204], type: http}}\nvips:\n"
		   "- {name: a, address: 192.0.2.1, port: 80, protocol: tcp}\n"
		   "- {name: b, address: 192.0.2.1, port: 53, protocol: udp,\n"
		   "   health: {send: a, type: udp}}\n"
		   "- {name: c, address: 192.0.2.1, port: 54, protocol: udp,\n"
		   "   health: {expect: \"204\", type: udp, send: a}}\n");

	assert_int_equal(c->vips[0].health.n_expect, 2);
	assert_null(c->vips[0].health.expect_text);
	assert_int_equal(c->vips[1].health.n_expect, 0);
	assert_null(c->vips[1].health.expect_text);
	assert_int_equal(c->vips[2].health.n_expect, 0);
	assert_string_equal(c->vips[2].health.expect_text, "204");
	config_free(c);
}

static void a_command_is_split_as_a_shell_would(void **state)
{
	static const struct {
		const char *command;
		const char *words[4];
	} commands[] = {
		{"/a", {"/a"}},
		{"\"  /a   b\\tc \"", {"/a", "b", "c"}},
		{"/a 'b  c' \"d e\"f", {"/a", "b  c", "d ef"}},
		{"/a '' b", {"/a", "", "b"}},
		{"/a 'it\"s' \"it's\"", {"/a", "it\"s", "it's"}},
		{"/a\\ b \"c\\\"d\" 'e\\f'", {"/a b", "c\"d", "e\\f"}},
		{"/a $HOME *.c;", {"/a", "$HOME", "*.c;"}},
		{"[/a, b  c, \"\", 'd \"e\"']", {"/a", "b  c", "", "d \"e\""}},
		{"[\"/a b\"]", {"/a b"}},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char text[512];
		const struct text_list *words;
		struct config *c;
		size_t n = 0;

		snprintf(text, sizeof(text), VIP ",\n  health: {type: script, command: %s}}\n",
			 commands[i].command);
		c = parse_config(text);
		words = &c->vips[0].health.command;
		for (; n < 4 && commands[i].words[n]; n++) {
			assert_true(n < words->n);
			assert_string_equal(words->texts[n], commands[i].words[n]);
		}
		assert_int_equal(words->n, n);
		assert_string_equal(c->vips[0].health.user, "nobody");
		assert_int_equal(c->vips[0].health.uid, 65534);
		config_free(c);
	}
}

static void probes_differ_when_any_key_does(void **state)
{
	static const char *const keys[] = {
		"type: tcp",
		"type: none",
		"port: 81",
		"interval: 2s",
		"timeout: 1s",
		"fall: 4",
		"rise: 4",
		"jitter: 5%",
		"fast_interval: 100ms",
		"start: up",
		"hold_down: 1s",
		"hold_down_max: 1m",
		"type: http, degraded_status: 429",
		"type: http, degraded_status: 430",
		"type: http, degraded_body: a",
		"type: http, degraded_weight: 49%",
		"type: http",
		"type: http, method: HEAD",
		"type: http, host: a",
		"type: http, path: /a",
		"type: http, headers: {a: b}",
		"type: http, headers: {a: c}",
		"type: http, expect: 204",
		"type: http, expect: [200, 204]",
		"type: http, body: a",
		"source: 10.0.0.1",
		"via: tunnel",
		"type: icmp, via: tunnel",
		"type: script, command: /a, via: tunnel",
		"type: udp, send: a",
		"type: udp, send: b",
		"type: udp, send: a, expect: a",
		"type: udp, send: a, expect: b",
		"type: icmp",
		"type: script, command: /a",
		"type: script, command: /a b",
		"type: script, command: [/a b]",
		"type: script, command: /a, user: daemon",
		"type: dns, name: a",
		"type: dns, name: b",
		"type: dns, name: a, rrtype: NS",
		"type: dns, name: a, expect: NOERROR",
	};
	struct config *configs[sizeof(keys) / sizeof(keys[0])];
	const size_t n = sizeof(keys) / sizeof(keys[0]);
	char text[512];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), VIP ", health: {%s}}\n", keys[i]);
		configs[i] = parse_config(text);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++)
			assert_int_equal(health_spec_equal(&configs[i]->vips[0].health,
							   &configs[j]->vips[0].health),
					 i == j);
	}
	for (size_t i = 0; i < n; i++)
		config_free(configs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named_with_its_place),
		cmocka_unit_test(an_http_probe_has_defaults_of_its_own),
		cmocka_unit_test(a_probe_is_paced_and_damped_as_the_file_says),
		cmocka_unit_test(a_vip_of_another_probe_type_does_not_inherit_its_keys),
		cmocka_unit_test(a_probe_sends_and_expects_what_the_file_says),
		cmocka_unit_test(expect_is_inherited_only_where_it_means_the_same),
		cmocka_unit_test(a_command_is_split_as_a_shell_would),
		cmocka_unit_test(probes_differ_when_any_key_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
