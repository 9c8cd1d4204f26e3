/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine in a real event loop against real servers on the loopback: pace, removal, our
 * own shortage. What an answer means: test_health_verdicts.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "health_lab.h"

/* ---- rise, fall, pace ---------------------------------------------------------------------- */

static void a_real_goes_down_after_fall_and_up_after_rise(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	static struct server server;
	struct snapshot_health h;
	struct seen seen = {};
	struct health_listener *probe;
	struct lab lab;

	spec.interval_ms = 30;
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UP, &seen);
	lab_until(&lab, reading(probe).state.successes >= 3);
	assert_int_equal(seen.changes, 0);
	server.manner = SERVER_503;
	lab_until(&lab, seen.changes == 1);
	h = reading(probe);
	assert_int_equal(seen.verdict, HEALTH_DOWN);
	assert_string_equal(seen.reason, "status 503");
	assert_int_equal(h.state.failures, 3);
	assert_int_equal(h.probe_failures, 3);
	server.manner = SERVER_OK;
	lab_until(&lab, seen.changes == 2);
	assert_int_equal(seen.verdict, HEALTH_UP);
	assert_string_equal(seen.reason, "status 200");
	assert_int_equal(reading(probe).state.successes, 2);
	lab_close(&lab);
	server_stop(&server);
}

static void the_next_probe_is_an_interval_after_the_start(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	static struct server server;
	struct snapshot_health h;
	struct seen seen = {};
	struct health_listener *probe;
	struct lab lab;
	uint64_t began;

	spec.interval_ms = 250;
	spec.jitter_percent = 0;
	spec.body = (char[]){"healthy"};
	server_start(&server, SERVER_SPLIT_BODY, AF_INET); /* takes some 50 ms */
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
	lab_until(&lab, seen.changes);
	h = reading(probe);
	assert_true(h.last_duration_ms >= 30);
	assert_in_range(h.next_at_ms - (h.last_at_ms - h.last_duration_ms), 248, 252);
	began = now_ms();
	lab_until(&lab, reading(probe).probes == 3);
	assert_true(now_ms() - began >= 400);
	lab_close(&lab);
	server_stop(&server);
}

/* A row of equal intervals is no chance: each has 100 values and more. */
static void intervals_are_moved_by_the_jitter(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_TCP);
	static struct server server;
	struct health_listener *probe;
	uint64_t shortest = UINT64_MAX, longest = 0;
	struct seen seen = {};
	struct lab lab;

	spec.interval_ms = 120;
	spec.jitter_percent = 50;
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
	for (uint64_t n = 1; n <= 12; n++) {
		struct snapshot_health h;
		uint64_t interval;

		lab_until(&lab, reading(probe).probes == n);
		h = reading(probe);
		interval = h.next_at_ms - (h.last_at_ms - h.last_duration_ms);
		shortest = interval < shortest ? interval : shortest;
		longest = interval > longest ? interval : longest;
	}
	assert_true(shortest >= 58 && longest <= 182);
	assert_true(longest - shortest > 10);
	lab_close(&lab);
	server_stop(&server);
}

/* Three failures at the interval would take 2 minutes. */
static void who_fails_is_probed_faster_until_it_is_down(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_TCP);
	static struct server server;
	struct seen seen = {};
	struct health_listener *probe;
	struct lab lab;

	spec.interval_ms = 60000;
	spec.fast_interval_ms = 30;
	server_start(&server, SERVER_REFUSE, AF_INET);
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UP, &seen);
	lab_until(&lab, seen.changes);
	assert_int_equal(seen.verdict, HEALTH_DOWN);
	assert_int_equal(reading(probe).transitions, 1);
	assert_true(reading(probe).next_at_ms > now_ms() + 50000);
	lab_close(&lab);
	server_stop(&server);
}

static void probes_of_a_real_do_not_overlap(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	static struct server server;
	struct seen seen = {};
	struct health_listener *probe;
	struct lab lab;
	uint64_t began;

	spec.interval_ms = 10;
	spec.timeout_ms = 100;
	server_start(&server, SERVER_SILENT, AF_INET);
	lab_open(&lab, &callbacks);
	began = now_ms();
	probe = add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
	lab_until(&lab, reading(probe).probes == 4);
	assert_true(now_ms() - began >= 380);
	assert_true(server.accepted <= 5);
	lab_close(&lab);
	server_stop(&server);
}

/* A reload that changes how a real is probed. */
static void what_an_earlier_check_advised_ends_with_the_next_result(void **state)
{
	static const enum health_type types[] = {HEALTH_TYPE_TCP, HEALTH_TYPE_NONE};

	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		struct health_standing known = {.verdict = HEALTH_UP, .advice = {ADMIN_DRAIN, 50}};
		struct health_spec spec = spec_of(types[t]);
		static struct server server;
		struct seen seen = {};
		struct ip_addr address;
		struct health_listener *probe;
		struct lab lab;

		server_start(&server, SERVER_OK, AF_INET);
		lab_open(&lab, &callbacks);
		addr_parse("127.0.0.1", &address);
		assert_int_equal(health_add(lab.health, &address, server.port, &spec, &known, &seen,
					    &probe, NULL),
				 0);
		lab_until(&lab, seen.changes);
		assert_int_equal(seen.verdict, HEALTH_UP);
		assert_int_equal(seen.advice.admin, ADMIN_ENABLED);
		assert_int_equal(seen.advice.lowered_percent, 0);
		lab_close(&lab);
		server_stop(&server);
	}
}

static void a_real_without_probes_is_up_from_the_loop(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_NONE);
	static struct server server;
	struct seen seen = {}, known = {};
	struct health_listener *probe;
	struct lab lab;

	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
	add(&lab, &server, &spec, HEALTH_UP, &known);
	assert_int_equal(seen.changes, 0);
	lab_until(&lab, seen.changes);
	lab_run_ms(&lab, 150);
	assert_int_equal(seen.changes, 1);
	assert_int_equal(seen.verdict, HEALTH_UP);
	assert_int_equal(known.changes, 0);
	assert_int_equal(reading(probe).probes, 0);
	assert_int_equal(reading(probe).state.verdict, HEALTH_UP);
	assert_int_equal(server.accepted, 0);
	lab_close(&lab);
	server_stop(&server);
}

/* ---- removal ------------------------------------------------------------------------------- */

static void a_probe_under_way_is_removed_and_another_takes_its_place(void **state)
{
	static const enum health_type types[] = {HEALTH_TYPE_TCP, HEALTH_TYPE_HTTP};

	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		struct health_spec spec = spec_of(types[t]);
		static struct server deaf, server;
		struct seen removed = {}, seen = {};
		struct health_listener *probe;
		struct lab lab;

		server_start(&deaf, SERVER_DEAF, AF_INET);
		server_start(&server, SERVER_OK, AF_INET);
		lab_open(&lab, &callbacks);
		probe = add(&lab, &deaf, &spec, HEALTH_UNKNOWN, &removed);
		lab_until(&lab, reading(probe).next_at_ms == 0); /* under way */
		lab_run_ms(&lab, 20);
		health_remove(probe);
		health_remove(NULL);
		add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
		lab_until(&lab, seen.changes);
		assert_int_equal(seen.verdict, HEALTH_UP);
		lab_run_ms(&lab, TIMEOUT_MS + 50);
		assert_int_equal(removed.changes, 0);
		lab_close(&lab);
		server_stop(&server);
		server_stop(&deaf);
	}
}

#define CROWD 10

struct crowd {
	struct health_listener *probes[CROWD];
	int calls;
	char reason[128];
};

static void remove_all(void *user, const struct health_news *news)
{
	struct crowd *crowd = user;

	crowd->calls++;
	for (size_t i = 0; i < CROWD; i++)
		health_remove(crowd->probes[i]);
	/* the reason outlives the probe */
	snprintf(crowd->reason, sizeof(crowd->reason), "%s", news->reason);
}

static void never(void *user, const struct health_news *news)
{
	fail_msg("told what it no longer listens to");
}

static const struct health_callbacks removing = {remove_all, never};

static void the_callback_may_remove_its_own_and_other_probes(void **state)
{
	static const struct {
		enum health_type type;
		enum server_manner manner;
		const char *reason;
	} cases[] = {
		{HEALTH_TYPE_TCP, SERVER_OK, "connected"},
		{HEALTH_TYPE_TCP, SERVER_REFUSE, "connect: Connection refused"},
		{HEALTH_TYPE_HTTP, SERVER_503, "status 503"},
		{HEALTH_TYPE_HTTP, SERVER_REFUSE, "connect: Connection refused"},
		{HEALTH_TYPE_HTTP, SERVER_DEAF, "connect_timeout"},
		{HEALTH_TYPE_NONE, SERVER_OK, "not probed"},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct health_spec spec = spec_of(cases[c].type);
		static struct server server;
		struct crowd crowd = {};
		struct lab lab;

		spec.timeout_ms = 150;
		server_start(&server, cases[c].manner, AF_INET);
		lab_open(&lab, &removing);
		/* Some share a probe, some do not. */
		for (size_t i = 0; i < CROWD; i++) {
			spec.fall = 3 + i % 2;
			crowd.probes[i] = add(&lab, &server, &spec, HEALTH_UNKNOWN,
					      (struct seen *)&crowd);
		}
		lab_until(&lab, crowd.calls);
		lab_run_ms(&lab, 50);
		assert_int_equal(crowd.calls, 1);
		assert_string_equal(crowd.reason, cases[c].reason);
		lab_close(&lab);
		server_stop(&server);
	}
}

/* ---- our own shortage ---------------------------------------------------------------------- */

/* As while the kernel refuses the program that it takes. */
static void a_probe_through_a_data_path_that_is_not_there_says_nothing_of_the_real(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_TCP);
	struct health_listener *probe;
	struct server server;
	struct seen seen = {};
	struct lab lab;

	spec.via = VIA_TUNNEL;
	assert_int_equal(addr_parse("192.0.2.10", &spec.vip), 0);
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	probe = add(&lab, &server, &spec, HEALTH_UP, &seen);
	lab_until(&lab, reading(probe).has_result);
	lab_run_ms(&lab, 3 * spec.interval_ms);
	assert_string_equal(reading(probe).last_text,
			    "not probed: tunnel: Operation not supported");
	assert_int_equal(reading(probe).via, VIA_TUNNEL);
	assert_int_equal(reading(probe).probes, 0);
	assert_int_equal(seen.changes, 0);
	assert_int_equal(server.accepted, 0);
	lab_close(&lab);
	server_stop(&server);
}

static void want_of_descriptors_makes_no_real_down(void **state)
{
	struct health_spec tcp = spec_of(HEALTH_TYPE_TCP), http = spec_of(HEALTH_TYPE_HTTP);
	static struct server server;
	struct seen seen = {};
	struct rlimit limit, none;
	struct health_listener *probes[2];
	struct lab lab;

	tcp.fall = http.fall = 1;
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	lab_run_ms(&lab, 10);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	probes[0] = add(&lab, &server, &tcp, HEALTH_UP, &seen);
	probes[1] = add(&lab, &server, &http, HEALTH_UP, &seen);
	lab_until(&lab, reading(probes[0]).has_result && reading(probes[1]).has_result);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(reading(probes[i]).last_text,
				    "not probed: Too many open files");
		assert_int_equal(reading(probes[i]).probes, 0);
		assert_int_equal(reading(probes[i]).state.verdict, HEALTH_UP);
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	lab_until(&lab, reading(probes[0]).state.successes && reading(probes[1]).state.successes);
	assert_int_equal(seen.changes, 0);
	lab_close(&lab);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_goes_down_after_fall_and_up_after_rise),
		cmocka_unit_test(the_next_probe_is_an_interval_after_the_start),
		cmocka_unit_test(intervals_are_moved_by_the_jitter),
		cmocka_unit_test(who_fails_is_probed_faster_until_it_is_down),
		cmocka_unit_test(probes_of_a_real_do_not_overlap),
		cmocka_unit_test(what_an_earlier_check_advised_ends_with_the_next_result),
		cmocka_unit_test(a_real_without_probes_is_up_from_the_loop),
		cmocka_unit_test(a_probe_under_way_is_removed_and_another_takes_its_place),
		cmocka_unit_test(the_callback_may_remove_its_own_and_other_probes),
		cmocka_unit_test(
			a_probe_through_a_data_path_that_is_not_there_says_nothing_of_the_real),
		cmocka_unit_test(want_of_descriptors_makes_no_real_down),
	};

	/* No check may go by a proxy, whatever the environment says. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
