/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The health engine in a real event loop against real servers on the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "health_lab.h"

/* A check that blocks would do so for TIMEOUT_MS; less than this is the machine being busy. */
#define GAP_MAX_MS 100

/* ---- verdicts and reasons ------------------------------------------------------------------ */

#define TCP  HEALTH_TYPE_TCP
#define HTTP HEALTH_TYPE_HTTP
#define UP   HEALTH_UP
#define DOWN HEALTH_DOWN

enum row_flags {
	V6 = 1,
	WAITS = 2, /* takes the whole timeout, no longer */
	WANT_503 = 4, /* expect: 503 */
};

/* clang-format off */
static const struct {
	const char *name;
	enum health_type type;
	enum server_manner manner;
	const char *body;
	int flags;
	enum health_verdict verdict;
	const char *reason;
} rows[] = {
	{"tcp accepted", TCP, SERVER_SILENT, NULL, 0, UP, "connected"},
	{"tcp accepted v6", TCP, SERVER_SILENT, NULL, V6, UP, "connected"},
	{"tcp refused", TCP, SERVER_REFUSE, NULL, 0, DOWN, "connect: Connection refused"},
	{"tcp no answer", TCP, SERVER_DEAF, NULL, WAITS, DOWN, "connect_timeout"},
	{"ok", HTTP, SERVER_OK, NULL, 0, UP, "status 200"},
	{"ok v6", HTTP, SERVER_OK, NULL, V6, UP, "status 200"},
	{"503", HTTP, SERVER_503, NULL, 0, DOWN, "status 503"},
	{"503, body right", HTTP, SERVER_503, "healthy", 0, DOWN, "status 503"},
	{"503 expected", HTTP, SERVER_503, NULL, WANT_503, UP, "status 503"},
	{"200, 503 expected", HTTP, SERVER_OK, NULL, WANT_503, DOWN, "status 200"},
	{"redirect", HTTP, SERVER_REDIRECT, NULL, 0, DOWN, "status 302"},
	{"body right", HTTP, SERVER_OK, "healthy", 0, UP, "status 200"},
	{"body wrong", HTTP, SERVER_OK, "wealthy", 0, DOWN, "body_mismatch"},
	{"body in two", HTTP, SERVER_SPLIT_BODY, "healthy", 0, UP, "status 200"},
	{"word too late", HTTP, SERVER_LATE_WORD, "healthy", 0, DOWN, "body_mismatch"},
	{"word in time", HTTP, SERVER_LATE_WORD, "xxhea", 0, UP, "status 200"},
	{"endless body", HTTP, SERVER_ENDLESS_BODY, "healthy", 0, DOWN, "body_mismatch"},
	{"endless body, any", HTTP, SERVER_ENDLESS_BODY, NULL, 0, UP, "status 200"},
	{"endless headers", HTTP, SERVER_ENDLESS_HEADERS, NULL, 0, DOWN, "bad_reply"},
	{"endless continue", HTTP, SERVER_ENDLESS_CONTINUE, NULL, 0, DOWN, "bad_reply"},
	{"silent", HTTP, SERVER_SILENT, NULL, WAITS, DOWN, "http_timeout"},
	{"garbage", HTTP, SERVER_GARBAGE, NULL, 0, DOWN, "bad_reply"},
	{"closed", HTTP, SERVER_CLOSE, NULL, 0, DOWN, "bad_reply"},
	{"a byte a second", HTTP, SERVER_DRIP, NULL, WAITS, DOWN, "http_timeout"},
	{"a body byte a second", HTTP, SERVER_DRIP_BODY, "healthy", WAITS, DOWN, "http_timeout"},
	{"refused", HTTP, SERVER_REFUSE, NULL, 0, DOWN, "connect: Connection refused"},
	{"no answer", HTTP, SERVER_DEAF, NULL, WAITS, DOWN, "connect_timeout"},
};
/* clang-format on */

static void check_row(size_t r, const struct health_listener *probe, const struct seen *seen)
{
	struct snapshot_health h = reading(probe);

	if (seen->changes != 1 || seen->verdict != rows[r].verdict ||
	    strcmp(seen->reason, rows[r].reason) != 0)
		fail_msg("%s: %d changes, %s \"%s\"", rows[r].name, seen->changes,
			 health_verdict_name(seen->verdict), seen->reason);
	if (!h.has_result || h.state.verdict != rows[r].verdict || h.probes == 0 ||
	    h.last_ok != (rows[r].verdict == HEALTH_UP) ||
	    h.probe_failures != (h.last_ok ? 0 : h.probes) ||
	    strcmp(h.last_text, rows[r].reason) != 0)
		fail_msg("%s: reads \"%s\", %lu failures of %lu", rows[r].name, h.last_text,
			 h.probe_failures, h.probes);
	if (rows[r].flags & WAITS ? h.last_duration_ms < TIMEOUT_MS - 1 ||
					    h.last_duration_ms > TIMEOUT_MS + GAP_MAX_MS
				  : h.last_duration_ms >= TIMEOUT_MS)
		fail_msg("%s: took %u ms", rows[r].name, h.last_duration_ms);
}

/* All at once, so that one that blocks the loop spoils the others' time and the ticker. */
static void every_answer_gives_its_verdict_and_nothing_blocks(void **state)
{
	static struct server servers[ARRAY_SIZE(rows)];
	struct health_listener *probes[ARRAY_SIZE(rows)];
	struct seen seen[ARRAY_SIZE(rows)] = {};
	struct lab lab;

	lab_open(&lab, &callbacks);
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct health_spec spec = spec_of(rows[r].type);
		char body[16] = "";

		server_start(&servers[r], rows[r].manner, rows[r].flags & V6 ? AF_INET6 : AF_INET);
		if (rows[r].body) {
			snprintf(body, sizeof(body), "%s", rows[r].body);
			spec.body = body;
		}
		spec.interval_ms = 2000;
		spec.expect[0] = 503;
		spec.n_expect = rows[r].flags & WANT_503 ? 1 : 0;
		probes[r] = add(&lab, &servers[r], &spec, HEALTH_UNKNOWN, &seen[r]);
		memset(body, '!', sizeof(body)); /* the engine has a copy */
	}
	lab_until(&lab, all_seen(seen, ARRAY_SIZE(rows)));
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++)
		check_row(r, probes[r], &seen[r]);
	if (lab.gap_ms > GAP_MAX_MS)
		fail_msg("the loop stood still for %lu ms", lab.gap_ms);
	lab_close(&lab);
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++)
		server_stop(&servers[r]);
}

static void a_degraded_real_stays_up_with_less_weight(void **state)
{
	static const struct {
		enum server_manner manner;
		const char *body, *degraded_body;
		uint16_t degraded_status;
		uint32_t lowered;
		enum health_verdict verdict;
		const char *reason;
	} cases[] = {
		{SERVER_503, NULL, NULL, 503, 70, UP, "degraded: status 503"},
		{SERVER_OK, NULL, NULL, 503, 0, UP, "status 200"},
		{SERVER_OK, NULL, "healthy", 0, 70, UP, "degraded: body, status 200"},
		{SERVER_OK, NULL, "wealthy", 0, 0, UP, "status 200"},
		{SERVER_SPLIT_BODY, NULL, "healthy", 0, 70, UP, "degraded: body, status 200"},
		{SERVER_OK, "healthy", "now", 0, 70, UP, "degraded: body, status 200"},
		{SERVER_OK, "wealthy", "now", 0, 0, DOWN, "body_mismatch"},
		{SERVER_503, "healthy", NULL, 503, 70, UP, "degraded: status 503"},
		{SERVER_503, "wealthy", NULL, 503, 0, DOWN, "body_mismatch"},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
		static struct server server;
		struct seen seen = {};
		struct lab lab;

		spec.degraded_weight_percent = 30;
		spec.degraded_status[0] = cases[c].degraded_status;
		spec.n_degraded_status = cases[c].degraded_status ? 1 : 0;
		spec.body = (char *)(uintptr_t)cases[c].body;
		spec.degraded_body = (char *)(uintptr_t)cases[c].degraded_body;
		server_start(&server, cases[c].manner, AF_INET);
		lab_open(&lab, &callbacks);
		add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
		lab_until(&lab, seen.changes);
		if (seen.verdict != cases[c].verdict ||
		    seen.advice.lowered_percent != cases[c].lowered ||
		    strcmp(seen.reason, cases[c].reason) != 0)
			fail_msg("case %zu: %s, lowered by %u, \"%s\"", c,
				 health_verdict_name(seen.verdict), seen.advice.lowered_percent,
				 seen.reason);
		lab_close(&lab);
		server_stop(&server);
	}
}

static void a_failure_at_once_is_told_from_the_loop(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_TCP);
	struct server nowhere = {.family = AF_INET, .port = 80};
	struct health_standing unknown = {};
	struct seen seen = {};
	struct ip_addr address;
	struct health_listener *probe;
	struct lab lab;

	lab_open(&lab, &callbacks);
	addr_parse("255.255.255.255", &address);
	assert_int_equal(health_add(lab.health, &address, nowhere.port, &spec, &unknown, &seen,
				    &probe, NULL),
			 0);
	lab_until(&lab, seen.changes);
	assert_int_equal(seen.verdict, HEALTH_DOWN);
	assert_string_equal(seen.reason, "connect: Network is unreachable");
	lab_close(&lab);
}

static void the_request_is_what_the_operator_wrote(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TYPE_HTTP);
	char *headers[] = {(char[]){"X-Probe: 1"}, (char[]){"X-Two: b"}};
	static struct server server;
	struct seen seen = {};
	struct lab lab;

	spec.method = (char[]){"OPTIONS"};
	spec.host = (char[]){"web.example"};
	spec.path = (char[]){"/a/../b?x=1"};
	spec.headers = (struct text_list){headers, 2};
	server_start(&server, SERVER_OK, AF_INET);
	lab_open(&lab, &callbacks);
	spec.port = server.port;
	server.port = 1; /* the spec's port counts */
	add(&lab, &server, &spec, HEALTH_UNKNOWN, &seen);
	lab_until(&lab, seen.changes);
	assert_string_equal(seen.reason, "status 200");
	lab_close(&lab);
	server_stop(&server);
	assert_ptr_equal(strstr(server.request, "OPTIONS /a/../b?x=1 HTTP/1.1\r\n"),
			 server.request);
	assert_non_null(strstr(server.request, "\r\nHost: web.example\r\n"));
	assert_null(strstr(server.request, "127.0.0.1"));
	assert_non_null(strstr(server.request, "\r\nX-Probe: 1\r\n"));
	assert_non_null(strstr(server.request, "\r\nX-Two: b\r\n"));
}

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
		cmocka_unit_test(every_answer_gives_its_verdict_and_nothing_blocks),
		cmocka_unit_test(a_degraded_real_stays_up_with_less_weight),
		cmocka_unit_test(a_failure_at_once_is_told_from_the_loop),
		cmocka_unit_test(the_request_is_what_the_operator_wrote),
		cmocka_unit_test(a_real_goes_down_after_fall_and_up_after_rise),
		cmocka_unit_test(the_next_probe_is_an_interval_after_the_start),
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
