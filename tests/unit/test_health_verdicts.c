/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the health engine makes of answers of real servers on the loopback: verdicts, reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "health_lab.h"

/* A check that blocks would do so for TIMEOUT_MS; less than this is the machine being busy. */
#define GAP_MAX_MS 300

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

/* late_ms: so long did this process wait for a CPU. */
static void check_row(size_t r, const struct health_listener *probe, const struct seen *seen,
		      uint64_t late_ms)
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
					    h.last_duration_ms > TIMEOUT_MS + GAP_MAX_MS + late_ms
				  : h.last_duration_ms >= TIMEOUT_MS)
		fail_msg("%s: took %u ms", rows[r].name, h.last_duration_ms);
}

/* All at once, so that one that blocks the loop spoils the others' time and the ticker. */
static void every_answer_gives_its_verdict_and_nothing_blocks(void **state)
{
	static struct server servers[ARRAY_SIZE(rows)];
	struct health_listener *probes[ARRAY_SIZE(rows)];
	struct seen seen[ARRAY_SIZE(rows)] = {};
	uint64_t waited = waited_ms();
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
		check_row(r, probes[r], &seen[r], waited_ms() - waited);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_gives_its_verdict_and_nothing_blocks),
		cmocka_unit_test(a_degraded_real_stays_up_with_less_weight),
		cmocka_unit_test(a_failure_at_once_is_told_from_the_loop),
		cmocka_unit_test(the_request_is_what_the_operator_wrote),
	};

	/* No check may go by a proxy, whatever the environment says. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
