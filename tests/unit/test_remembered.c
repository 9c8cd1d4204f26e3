// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is known of a real, kept for the next daemon: there and back, later, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/remembered.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct moment then = {.now_ms = 5000000, .wall_ms = 1800000000000};

static const struct remembered samples[] = {
	{.health.advice = {ADMIN_DRAIN, 0}, .reason = "agent: drain # backup runs"},
	{.health.advice = {ADMIN_DISABLED, 75}},
	{.health.advice = {ADMIN_ENABLED, 100}, .reason = "\xc3\xa4 \"quoted\"\n"},
	{.health.agent = {.is_down = true}},
	{.health.is_assumed = true, .verdict = HEALTH_UP, .since_ms = 1, .reason_since_ms = 1},
	{.health.agent = {.admin = ADMIN_DRAIN, .lowered_percent = 100}},
	{.health.flaps = {.count = 1, .since_ms = 4990000}},
	{.health.flaps = {.count = 7, .since_ms = 4990000, .held_until_ms = 5030000}},
	{.circuit = {.ejections = 3, .since_ms = 4000000, .until_ms = 5100000}},
	{.circuit = {.state = CIRCUIT_OPEN,
		     .ejections = 1,
		     .since_ms = 4999000,
		     .until_ms = 5029000,
		     .permille = 661,
		     .others_permille = 3}},
	{.circuit = {.state = CIRCUIT_HALF_OPEN,
		     .ejections = 2,
		     .since_ms = 4999000,
		     .until_ms = 4999000}},
	{.health = {.advice = {ADMIN_DRAIN, 25},
		    .agent = {.admin = ADMIN_DRAIN, .lowered_percent = 25},
		    .flaps = {.count = 2, .since_ms = 4999999, .held_until_ms = 5010000}},
	 .circuit = {.state = CIRCUIT_OPEN, .ejections = 1, .since_ms = 1, .until_ms = 5000001},
	 .verdict = HEALTH_DOWN,
	 .since_ms = 4000000,
	 .reason_since_ms = 4900000,
	 .reason = "agent: drain 75%"},
};

static struct remembered there_and_back(const struct remembered *known, const struct moment *later)
{
	json_t *json = remembered_to_json(known, &then);
	char *text = json_dumps(json, 0);
	json_t *read = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct remembered back;
	struct err err = {};

	assert_non_null(read);
	if (remembered_from_json(read, later, &back, &err))
		fail_msg("%s: %s", text, err.text);
	free(text);
	json_decref(json);
	json_decref(read);
	return back;
}

static void assert_same(const struct remembered *a, const struct remembered *b)
{
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->since_ms, b->since_ms);
	assert_int_equal(a->reason_since_ms, b->reason_since_ms);
	assert_int_equal(a->health.is_assumed, b->health.is_assumed);
	assert_int_equal(a->health.advice.admin, b->health.advice.admin);
	assert_int_equal(a->health.advice.lowered_percent, b->health.advice.lowered_percent);
	assert_int_equal(a->health.agent.is_down, b->health.agent.is_down);
	assert_int_equal(a->health.agent.admin, b->health.agent.admin);
	assert_int_equal(a->health.agent.lowered_percent, b->health.agent.lowered_percent);
	assert_int_equal(a->health.flaps.count, b->health.flaps.count);
	assert_int_equal(a->health.flaps.since_ms, b->health.flaps.since_ms);
	assert_int_equal(a->health.flaps.held_until_ms, b->health.flaps.held_until_ms);
	assert_int_equal(a->circuit.state, b->circuit.state);
	assert_int_equal(a->circuit.ejections, b->circuit.ejections);
	assert_int_equal(a->circuit.since_ms, b->circuit.since_ms);
	assert_int_equal(a->circuit.until_ms, b->circuit.until_ms);
	assert_int_equal(a->circuit.permille, b->circuit.permille);
	assert_int_equal(a->circuit.others_permille, b->circuit.others_permille);
	assert_string_equal(a->reason, b->reason);
}

static void what_is_remembered_comes_back(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct remembered back = there_and_back(&samples[i], &then);

		assert_same(&samples[i], &back);
		assert_false(remembered_is_empty(&samples[i]));
	}
}

static void of_a_real_like_any_other_there_is_nothing_to_remember(void **state)
{
	struct remembered usual = {.verdict = HEALTH_UP,
				   .since_ms = 4000000,
				   .reason_since_ms = 4500000,
				   .reason = "status 200",
				   .circuit = {.since_ms = 4000000, .until_ms = 4500000}};
	struct remembered back = there_and_back(&usual, &then);

	assert_true(remembered_is_empty(&usual));
	assert_true(remembered_is_empty(&back));
}

/* Another daemon's clock, maybe since another boot: only the wall's goes on. */
static void what_is_left_of_a_time_is_what_the_wall_clock_says(void **state)
{
	static const struct {
		const char *name;
		struct moment later;
		uint64_t since_ms, until_ms; /* were 10 s before, 30 s after `then` */
	} cases[] = {
		{"at once", {5000000, 1800000000000}, 4990000, 5030000},
		{"20 s later", {5020000, 1800000020000}, 4990000, 5030000},
		{"a minute later", {5060000, 1800000060000}, 4990000, 5030000},
		{"20 s later, rebooted 5 s ago", {5000, 1800000020000}, 0, 15000},
		{"a day later, rebooted 5 s ago", {5000, 1800086400000}, 0, 0},
		{"the wall clock was set back an hour", {5020000, 1799996400000}, 8610000, 8650000},
		{"there is no wall clock yet", {5000, 1000}, 1799999994000, 1800000034000},
	};
	const struct remembered known = {
		.health.flaps = {.count = 2, .since_ms = 4990000, .held_until_ms = 5030000},
		.circuit = {.state = CIRCUIT_OPEN, .since_ms = 4990000, .until_ms = 5030000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct remembered back = there_and_back(&known, &cases[i].later);

		if (back.circuit.since_ms != cases[i].since_ms ||
		    back.circuit.until_ms != cases[i].until_ms ||
		    back.health.flaps.since_ms != cases[i].since_ms ||
		    back.health.flaps.held_until_ms != cases[i].until_ms)
			fail_msg("%s: %llu %llu", cases[i].name,
				 (unsigned long long)back.circuit.since_ms,
				 (unsigned long long)back.circuit.until_ms);
	}
}

static void a_hold_down_that_has_ended_is_none(void **state)
{
	struct remembered known = {
		.health.flaps = {.count = 2, .since_ms = 4000000, .held_until_ms = 4999000}};

	known = there_and_back(&known, &then);
	assert_int_equal(known.health.flaps.count, 2);
	assert_int_equal(known.health.flaps.held_until_ms, 0);
}

static void a_reason_that_is_no_text_is_left_out(void **state)
{
	struct remembered known = {.health.advice = {ADMIN_DRAIN, 0}, .reason = "\xff\xfe"};

	known = there_and_back(&known, &then);
	assert_int_equal(known.health.advice.admin, ADMIN_DRAIN);
	assert_string_equal(known.reason, "");
}

static void what_makes_no_sense_is_refused_and_says_where(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"[7]", "expected an object"},
		{"[\"drain\"]", "expected an object"},
		{"[{\"verdict\": {\"state\": \"unknown\"}}]",
		 "verdict: state: expected up or down"},
		{"[{\"verdict\": {\"state\": \"up\", \"since_ms\": \"x\"}}]",
		 "verdict: since_ms: expected a number from 0 to 9223372036854775807"},
		{"[{\"advice\": []}]", "advice: expected an object"},
		{"[{\"advice\": {\"admin\": \"gone\"}}]",
		 "advice: admin: expected enabled, drain or disabled"},
		{"[{\"advice\": {\"admin\": 1}}]",
		 "advice: admin: expected enabled, drain or disabled"},
		{"[{\"advice\": {\"lowered_percent\": 101}}]",
		 "advice: lowered_percent: expected a number from 0 to 100"},
		{"[{\"agent\": {\"lowered_percent\": \"75\"}}]",
		 "agent: lowered_percent: expected a number from 0 to 100"},
		{"[{\"flaps\": {\"count\": -1}}]",
		 "flaps: count: expected a number from 0 to 1000000"},
		{"[{\"flaps\": {\"count\": 4294967296}}]",
		 "flaps: count: expected a number from 0 to 1000000"},
		{"[{\"flaps\": {\"count\": 2, \"since_ms\": 1.5}}]",
		 "flaps: since_ms: expected a number from 0 to 9223372036854775807"},
		{"[{\"circuit\": {\"state\": \"ajar\"}}]",
		 "circuit: state: expected closed, open or half-open"},
		{"[{\"circuit\": {\"state\": \"open\", \"until_ms\": null}}]",
		 "circuit: until_ms: expected a number from 0 to 9223372036854775807"},
		{"[{\"circuit\": {\"others_permille\": 1001}}]",
		 "circuit: others_permille: expected a number from 0 to 1000"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = json_loads(cases[i].text, 0, NULL);
		struct remembered known = {.reason = "as it was"};
		struct err err = {};

		assert_true(remembered_from_json(json_array_get(json, 0), &then, &known, &err) < 0);
		assert_string_equal(err.text, cases[i].said);
		assert_string_equal(known.reason, "as it was");
		json_decref(json);
	}
}

static void a_time_beyond_all_times_overflows_nothing(void **state)
{
	json_t *json = json_loads("{\"circuit\": {\"state\": \"open\", \"ejections\": 1, "
				  "\"until_ms\": 9223372036854775807}}",
				  0, NULL);
	struct ejection_spec spec = {.is_on = true, .time_ms = 30000, .max_time_ms = 60000};
	struct remembered known;

	assert_int_equal(remembered_from_json(json, &then, &known, NULL), 0);
	ejection_recall(&spec, &known.circuit, then.now_ms);
	assert_int_equal(known.circuit.until_ms, then.now_ms + 60000);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_remembered_comes_back),
		cmocka_unit_test(of_a_real_like_any_other_there_is_nothing_to_remember),
		cmocka_unit_test(what_is_left_of_a_time_is_what_the_wall_clock_says),
		cmocka_unit_test(a_hold_down_that_has_ended_is_none),
		cmocka_unit_test(a_reason_that_is_no_text_is_left_out),
		cmocka_unit_test(what_makes_no_sense_is_refused_and_says_where),
		cmocka_unit_test(a_time_beyond_all_times_overflows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
