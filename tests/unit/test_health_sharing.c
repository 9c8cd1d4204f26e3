/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Listeners of the health engine that share a probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "health_lab.h"

#define SHARERS 5

static void all_of_one_target_share_a_probe(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	struct health_listener *listeners[SHARERS];
	static struct server server;
	struct seen seen[SHARERS] = {};
	struct snapshot_health h;
	struct ip_addr address;
	struct lab lab;

	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	addr_parse("127.0.0.1", &address);
	for (size_t i = 0; i < SHARERS; i++) {
		/* One VIP's port and another's probes there are one target. */
		uint16_t vip_port = i % 2 ? (uint16_t)(server.port + i) : server.port;

		spec.port = i % 2 ? server.port : 0;
		assert_int_equal(health_add(lab.health, &address, vip_port, &spec,
					    &(struct health_standing){}, &seen[i], &listeners[i],
					    NULL),
				 0);
	}
	lab_until(&lab, all_seen(seen, SHARERS) && reading(listeners[0]).probes >= 3);
	h = reading(listeners[0]);
	assert_int_equal(h.shared_by, SHARERS);
	/* One more may be under way. */
	assert_in_range(server.accepted, h.probes, h.probes + 1);
	for (size_t i = 0; i < SHARERS; i++) {
		assert_int_equal(seen[i].changes, 1);
		assert_int_equal(seen[i].said, 1);
		assert_int_equal(seen[i].was, HEALTH_UNKNOWN);
		assert_int_equal(seen[i].verdict, HEALTH_UP);
		assert_int_equal(reading(listeners[i]).target, h.target);
	}
	lab_close(&lab);
	server_stop(&server);
}

/* What makes a target another one. */
static void who_is_probed_otherwise_has_a_probe_of_its_own(void **state)
{
	struct health_spec specs[6];
	struct health_listener *listeners[7];
	static struct server server;
	struct seen seen[7] = {};
	struct ip_addr other;
	struct lab lab;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		specs[i] = spec_of(HEALTH_TYPE_HTTP);
	specs[1].type = HEALTH_TYPE_TCP;
	specs[2].interval_ms++;
	specs[3].path = (char[]){"/other"};
	specs[4].fall++;
	specs[5].timeout_ms++;
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		listeners[i] = add(&lab, &server, &specs[i], HEALTH_UNKNOWN, &seen[i]);
	addr_parse("127.0.0.2", &other);
	assert_int_equal(health_add(lab.health, &other, server.port, &specs[0],
				    &(struct health_standing){}, &seen[6], &listeners[6], NULL),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
		assert_int_equal(reading(listeners[i]).shared_by, 1);
		for (size_t j = 0; j < i; j++)
			assert_true(reading(listeners[i]).target != reading(listeners[j]).target);
	}
	lab_close(&lab);
	server_stop(&server);
}

/* The news of all listeners in the order in which they came. */
struct chorus {
	char calls[2 * SHARERS + 1];
};

static void sing(void *user, const struct health_news *news)
{
	struct chorus *chorus = user;

	chorus->calls[strlen(chorus->calls)] = 'c';
}

static void speak(void *user, const struct health_news *news)
{
	struct chorus *chorus = user;

	chorus->calls[strlen(chorus->calls)] = 's';
}

static void all_have_changed_before_anything_is_said(void **state)
{
	static const struct health_callbacks singing = {sing, speak};
	struct health_spec spec = spec_of(HEALTH_TYPE_TCP);
	static struct server server;
	struct chorus chorus = {};
	struct lab lab;

	server_start(&server, SERVER_REFUSE, AF_INET);
	lab_open(&lab, &singing);
	for (size_t i = 0; i < SHARERS; i++)
		add(&lab, &server, &spec, HEALTH_UNKNOWN, (struct seen *)&chorus);
	lab_until(&lab, chorus.calls[0]);
	assert_string_equal(chorus.calls, "cccccsssss");
	lab_close(&lab);
	server_stop(&server);
}

static void
who_comes_later_learns_what_is_proven_and_a_probe_outlives_its_first_listener(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	struct seen first = {}, same = {}, other = {};
	struct health_listener *listeners[3];
	struct health_standing known;
	static struct server server;
	struct ip_addr address;
	struct lab lab;

	spec.interval_ms = 60000;
	addr_parse("127.0.0.1", &address);
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	listeners[0] = add(&lab, &server, &spec, HEALTH_UNKNOWN, &first);
	assert_false(health_known(lab.health, &address, server.port, &spec, &known));
	lab_until(&lab, first.changes);
	assert_true(health_known(lab.health, &address, server.port, &spec, &known));
	assert_int_equal(known.verdict, HEALTH_UP);

	listeners[1] = add(&lab, &server, &spec, HEALTH_UP, &same);
	health_remove(listeners[0]);
	listeners[2] = add(&lab, &server, &spec, HEALTH_DOWN, &other);
	assert_int_equal(other.changes, 0);
	lab_until(&lab, other.changes);
	assert_int_equal(other.verdict, HEALTH_UP);
	assert_int_equal(other.was, HEALTH_DOWN);
	assert_string_equal(other.reason, "status 200");
	assert_int_equal(same.changes, 0);
	assert_int_equal(reading(listeners[1]).probes, 1);
	assert_int_equal(reading(listeners[1]).shared_by, 2);
	assert_int_equal(server.accepted, 1);

	health_remove(listeners[1]);
	health_remove(listeners[2]);
	assert_false(health_known(lab.health, &address, server.port, &spec, &known));
	lab_close(&lab);
	server_stop(&server);
}

/* What the daemon before knew: see health_recall(). */
static void a_target_goes_on_with_what_was_known_of_it(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	struct health_memory before = {
		.advice = {ADMIN_DRAIN, 25},
		.agent = {.admin = ADMIN_DRAIN, .lowered_percent = 25},
		.flaps = {.count = 2, .since_ms = now_ms(), .held_until_ms = now_ms() + 3000},
	};
	uint64_t until_ms = before.flaps.held_until_ms;
	struct health_listener *listener;
	static struct server server;
	struct health_memory known;
	struct seen seen = {};
	struct lab lab;

	spec.hold_down_ms = 5000;
	spec.hold_down_max_ms = 5000;
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	listener = add(&lab, &server, &spec, HEALTH_DOWN, &seen);
	health_recall(listener, &before);
	known = health_remember(listener);
	assert_true(health_advice_equal(&known.advice, &before.advice));
	assert_int_equal(known.agent.admin, ADMIN_DRAIN);
	assert_int_equal(known.flaps.count, 2);
	assert_int_equal(known.flaps.held_until_ms, until_ms);
	/* Its first answer takes back what was advised; it is up when it may be. */
	lab_until(&lab, reading(listener).state.successes > 2);
	assert_true(now_ms() < until_ms);
	assert_int_equal(reading(listener).state.verdict, HEALTH_DOWN);
	known = health_remember(listener);
	assert_int_equal(known.advice.admin, ADMIN_ENABLED);
	lab_until(&lab, seen.verdict == HEALTH_UP);
	assert_true(now_ms() >= until_ms);
	/* Who has spoken is not put right by what was. */
	health_recall(listener, &before);
	known = health_remember(listener);
	assert_int_equal(known.advice.admin, ADMIN_ENABLED);
	assert_int_equal(known.flaps.count, 2);
	assert_int_equal(known.flaps.held_until_ms, 0);
	lab_close(&lab);
	server_stop(&server);
}

/* As a daemon that is told at once about all of its VIPs. */
static void ten_thousand_targets_are_found_again_in_no_time(void **state)
{
	enum { n = 10000 };
	struct health_listener **listeners = calloc(2 * n, sizeof(struct health_listener *));
	struct health_spec spec = spec_of(HEALTH_TYPE_NONE);
	struct health_standing up = {.verdict = HEALTH_UP};
	struct ip_addr address;
	struct seen seen = {};
	struct lab lab;
	clock_t began;

	lab_open(&lab, &callbacks);
	began = clock();
	for (size_t i = 0; i < 2 * n; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.%zu.%zu.1", i % n / 250, i % n % 250);
		addr_parse(text, &address);
		assert_int_equal(health_add(lab.health, &address, 80, &spec, &up, &seen,
					    &listeners[i], NULL),
				 0);
	}
	/* 0.02 s; 1 s and more if every one is compared with all others. */
	assert_true(clock() - began < CLOCKS_PER_SEC / 2);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(reading(listeners[i]).shared_by, 2);
		assert_int_equal(reading(listeners[i]).target, reading(listeners[n + i]).target);
	}
	lab_close(&lab);
	free(listeners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_one_target_share_a_probe),
		cmocka_unit_test(who_is_probed_otherwise_has_a_probe_of_its_own),
		cmocka_unit_test(all_have_changed_before_anything_is_said),
		cmocka_unit_test(
			who_comes_later_learns_what_is_proven_and_a_probe_outlives_its_first_listener),
		cmocka_unit_test(a_target_goes_on_with_what_was_known_of_it),
		cmocka_unit_test(ten_thousand_targets_are_found_again_in_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
