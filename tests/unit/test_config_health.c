/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a configuration file says of probes: values, what is inherited, which are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "config_text.h"

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
		VIP ", health: {type: http, port: 8080, method: HEAD, host: www.example.org,\n"
		    "  path: /h?a=b, headers: {X-A: b c, X-B: \"1\"}, expect: [200, 204],\n"
		    "  body: \"all\\nwell\", jitter: 0%}}\n");
	const struct health_spec *health = &c->vips[0].health;

	assert_int_equal(health->port, 8080);
	assert_int_equal(health->jitter_percent, 0);
	assert_string_equal(health->method, "HEAD");
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
