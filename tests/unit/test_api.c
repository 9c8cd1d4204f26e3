// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The API's routes over a controller that only takes notes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/api.h"
#include "fake_controller.h"

struct api_test {
	sd_event *event;
	struct api api;
	json_t *reply;
	uint64_t awaited; /* of the request that is asked again */
};

static int setup(void **state)
{
	struct api_test *t = calloc(1, sizeof(*t));

	memset(&fake, 0, sizeof(fake));
	fake.has_rings = fake.has_scanned = true;
	fake.n_reals = 1;
	query_key = NULL;
	assert_int_equal(sd_event_new(&t->event), 0);
	t->api.event = t->event;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct api_test *t = *state;

	json_decref(t->reply);
	sd_event_unref(t->event);
	free(t);
	return 0;
}

/* The document that a stream is the text of; NULL: it broke off. */
static json_t *read_stream(struct http_stream *stream)
{
	char *text = NULL, *piece;
	size_t len, all;
	FILE *f = open_memstream(&text, &all);
	json_t *document;
	int r;

	do {
		piece = NULL;
		r = stream->next(stream, &piece, &len);
		if (piece)
			assert_int_equal(fwrite(piece, 1, len, f), len);
		free(piece);
	} while (!r && piece);
	stream->free(stream);
	fclose(f);
	if (r) {
		free(text);
		return NULL;
	}
	assert_int_equal(text[all - 1], '\n');
	document = json_loads(text, 0, NULL);
	free(text);
	return document;
}

static unsigned int ask_again(struct api_test *t, const char *method, const char *path,
			      const char *body)
{
	struct http_request request = {
		.method = method,
		.path = path,
		.body = body,
		.body_len = strlen(body),
		.awaited = &t->awaited,
	};

	struct http_reply reply = {};
	unsigned int status;

	json_decref(t->reply);
	status = api_handle(&t->api, &request, &reply);
	t->reply = reply.stream ? read_stream(reply.stream) : reply.body;
	return status;
}

static unsigned int ask(struct api_test *t, const char *method, const char *path, const char *body)
{
	t->awaited = 0;
	return ask_again(t, method, path, body);
}

static const char *error_text(const struct api_test *t)
{
	return json_string_value(json_object_get(t->reply, "error"));
}

static void every_read_answers_with_a_document(void **state)
{
	static const char *const paths[] = {
		"/v1/status",	    "/v1/vips",
		"/v1/vips/web",	    "/v1/reals",
		"/v1/health",	    "/v1/stats",
		"/v1/flows/count",  "/v1/config",
		"/v1/openapi.json", "/v1/reals/web/2001:db8::7",
		"/v1/events",
	};
	struct api_test *t = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(ask(t, "GET", paths[i], ""), 200);
		assert_non_null(t->reply);
		assert_null(error_text(t));
	}
}

static void a_list_has_every_real_once_and_never_many_at_once(void **state)
{
	static const char *const paths[] = {"/v1/reals", "/v1/health"};
	static const size_t numbers[] = {0, 1, 31, 32, 33, 64, 1000};
	struct api_test *t = *state;
	char text[ADDR_TEXT_MAX];

	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
		fake.n_reals = numbers[n];
		for (size_t i = 0; i < 2; i++) {
			fake.most_reals = 0;
			assert_int_equal(ask(t, "GET", paths[i], ""), 200);
			assert_int_equal(json_array_size(t->reply), fake.n_reals);
			assert_true(fake.most_reals <= 32);
			for (size_t r = 0; r < fake.n_reals; r++) {
				json_t *row = json_array_get(t->reply, r);
				struct ip_addr address = real_address(r);

				assert_string_equal(
					json_string_value(json_object_get(row, "address")),
					addr_format(&address, text));
			}
		}
	}
}

/* One that ended early with a bracket would be a list of fewer reals. */
static void a_list_that_cannot_go_on_breaks_off(void **state)
{
	struct api_test *t = *state;

	fake.n_reals = 100;
	for (size_t ok = 0; ok < 5; ok++) {
		fake.fails_after = ok + 1;
		assert_int_equal(ask(t, "GET", "/v1/reals", ""), 200);
		assert_null(t->reply);
	}
	fake.fails_after = 0;
	assert_int_equal(ask(t, "GET", "/v1/reals", ""), 200);
	assert_int_equal(json_array_size(t->reply), 100);
}

static void a_list_can_be_of_one_vip_which_there_must_be(void **state)
{
	struct api_test *t = *state;

	query_key = "vip";
	query_value = "web";
	assert_int_equal(ask(t, "GET", "/v1/reals", ""), 200);
	assert_int_equal(json_array_size(t->reply), 1);
	query_value = "nix";
	assert_int_equal(ask(t, "GET", "/v1/reals", ""), 404);
	assert_string_equal(error_text(t), "no VIP named nix");
}

static void a_change_names_the_process_that_asked_for_it(void **state)
{
	struct api_test *t = *state;

	ask(t, "GET", "/v1/status", "");
	assert_string_equal(fake.actor, "");
	ask(t, "POST", "/v1/reload", "");
	assert_string_equal(fake.actor, "root uid=0 pid=4711");
}

static void events_can_be_those_after_a_number(void **state)
{
	struct api_test *t = *state;
	json_t *event;

	assert_int_equal(ask(t, "GET", "/v1/events", ""), 200);
	event = json_array_get(t->reply, 0);
	assert_int_equal(json_integer_value(json_object_get(event, "after")), 0);
	assert_int_equal(json_integer_value(json_object_get(event, "limit")), 100);
	query_key = "after";
	query_value = "77";
	assert_int_equal(ask(t, "GET", "/v1/events", ""), 200);
	event = json_array_get(t->reply, 0);
	assert_int_equal(json_integer_value(json_object_get(event, "after")), 77);
}

static void only_the_flow_count_scans_the_flow_table(void **state)
{
	struct api_test *t = *state;

	ask(t, "GET", "/v1/status", "");
	assert_int_equal(fake.scan_requests, 0);
	ask(t, "GET", "/v1/flows/count", "");
	assert_int_equal(fake.scan_requests, 1);
}

static void the_flow_count_waits_for_one_scan(void **state)
{
	struct api_test *t = *state;

	fake.has_scanned = false;
	assert_int_equal(ask(t, "GET", "/v1/flows/count", ""), HTTP_LATER);
	assert_int_equal(ask_again(t, "GET", "/v1/flows/count", ""), HTTP_LATER);
	fake.has_scanned = true;
	assert_int_equal(ask_again(t, "GET", "/v1/flows/count", ""), 200);
	assert_int_equal(fake.scan_requests, 1);
}

static void an_operators_change_is_made_once_and_answered_when_the_rings_say_it(void **state)
{
	struct api_test *t = *state;

	fake.has_rings = false;
	assert_int_equal(ask(t, "POST", "/v1/reals/web/10.0.0.1/drain", ""), HTTP_LATER);
	assert_int_equal(fake.calls, 1);
	assert_int_equal(ask_again(t, "POST", "/v1/reals/web/10.0.0.1/drain", ""), HTTP_LATER);
	fake.has_rings = true;
	assert_int_equal(ask_again(t, "POST", "/v1/reals/web/10.0.0.1/drain", ""), 200);
	assert_int_equal(fake.calls, 1);
}

static void a_switch_of_pools_is_begun_once_and_answered_when_it_has_ended(void **state)
{
	struct api_test *t = *state;

	query_key = "pool";
	query_value = "green";
	fake.pools_result = -EAGAIN;
	assert_int_equal(ask(t, "POST", "/v1/vips/web/pools", ""), HTTP_LATER);
	assert_int_equal(ask_again(t, "POST", "/v1/vips/web/pools", ""), HTTP_LATER);
	assert_string_equal(fake.text, "pool green");
	assert_string_equal(fake.vip, "web");
	assert_int_equal(fake.calls, 1);
	fake.pools_result = 0;
	assert_int_equal(ask_again(t, "POST", "/v1/vips/web/pools", ""), 200);
	assert_int_equal(fake.calls, 1);
	assert_string_equal(json_string_value(json_object_get(t->reply, "vip")), "web");
	assert_string_equal(json_string_value(json_object_get(t->reply, "state")), "up");

	query_key = "pools";
	fake.pools_result = -ECANCELED;
	assert_int_equal(ask(t, "POST", "/v1/vips/web/pools", ""), 409);
	assert_string_equal(error_text(t), "none is up");
	assert_string_equal(fake.text, "pools green");
	fake.result = -ENOENT;
	assert_int_equal(ask(t, "POST", "/v1/vips/web/pools", ""), 404);
	query_key = NULL;
	assert_int_equal(ask(t, "POST", "/v1/vips/web/pools", ""), 400);
}

static void what_is_not_there_is_404(void **state)
{
	static const struct {
		const char *path;
		const char *error;
	} rows[] = {
		{"/", "no such path"},
		{"/v1", "no such path"},
		{"/v1/vips/", "no such path"},
		{"/v1/vipsx", "no such path"},
		{"/v1/status/", "no such path"},
		{"", "no such path"},
		{"/v1/vips/nope", "no VIP named nope"},
		{"/v1/reals/nope/10.0.0.1", "no VIP named nope"},
		{"/v1/reals/web/10.0.0.1", "VIP web has no real 10.0.0.1"},
	};
	struct api_test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ask(t, "GET", rows[i].path, ""), 404);
		assert_non_null(strstr(error_text(t), rows[i].error));
	}
}

static void a_filter_for_an_unknown_vip_is_404(void **state)
{
	struct api_test *t = *state;

	query_key = "vip";
	query_value = "nope";
	assert_int_equal(ask(t, "GET", "/v1/reals", ""), 404);
	assert_int_equal(ask(t, "GET", "/v1/health", ""), 404);
	query_value = "web";
	assert_int_equal(ask(t, "GET", "/v1/reals", ""), 200);
	assert_int_equal(json_array_size(t->reply), 1);
}

static void a_segment_longer_than_any_name_is_404(void **state)
{
	char path[1200] = "/v1/vips/";

	memset(path + 9, 'x', 1000);
	assert_int_equal(ask(*state, "GET", path, ""), 404);
}

static void the_wrong_method_is_405_and_names_the_right_one(void **state)
{
	struct api_test *t = *state;

	assert_int_equal(ask(t, "GET", "/v1/detach", ""), 405);
	assert_string_equal(json_string_value(json_object_get(t->reply, "allow")), "POST");
	assert_int_equal(ask(t, "DELETE", "/v1/vips/web", ""), 405);
	assert_string_equal(json_string_value(json_object_get(t->reply, "allow")), "GET");
	assert_null(fake.called);
}

static void each_verb_sets_its_admin_state(void **state)
{
	static const struct {
		const char *path, *called, *admin;
	} rows[] = {
		{"/v1/reals/web/10.0.0.1/drain", "set_admin", "drain"},
		{"/v1/reals/web/10.0.0.1/undrain", "set_admin", "enabled"},
		{"/v1/reals/web/10.0.0.1/disable", "set_admin", "disabled"},
		{"/v1/reals/web/10.0.0.1/enable", "set_admin", "enabled"},
		{"/v1/reals/web/10.0.0.1/remove", "remove", "removed"},
		{"/v1/reals/web/10.0.0.1/add", "add", "enabled"},
	};
	struct api_test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake.called = NULL;
		fake.admin = 99;
		assert_int_equal(ask(t, "POST", rows[i].path, ""), 200);
		assert_string_equal(fake.called, rows[i].called);
		if (strcmp(fake.called, "set_admin") == 0)
			assert_string_equal(admin_state_name(fake.admin), rows[i].admin);
		assert_string_equal(fake.vip, "web");
		assert_true(json_is_true(json_object_get(t->reply, "ok")));
		assert_string_equal(json_string_value(json_object_get(t->reply, "admin")),
				    rows[i].admin);
	}
}

static void a_drain_says_what_the_query_says_and_nothing_else(void **state)
{
	static const struct {
		const char *key, *value;
		unsigned int status;
		struct drain_request want;
	} rows[] = {
		{"other", "1", 200, {}},
		{"timeout", "90s", 200, {.has_timeout = true, .timeout_ms = 90000}},
		{"timeout", "0s", 200, {.has_timeout = true}},
		{"then", "keep", 200, {.has_then = true}},
		{"then", "reset", 200, {.has_then = true, .then = DRAIN_RESET}},
		{"disable", "1", 200, {.disables = true}},
		{"disable", "0", 200, {}},
		{"remove", "1", 200, {.removes = true}},
		{"timeout", "90", 400, {}},
		{"timeout", "-1s", 400, {}},
		{"timeout", "25h", 400, {}},
		{"then", "", 400, {}},
		{"then", "drop", 400, {}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct drain_request none = {};

		fake.drain = none;
		query_key = rows[i].key;
		query_value = rows[i].value;
		if (ask(*state, "POST", "/v1/reals/web/10.0.0.1/drain", "") != rows[i].status)
			fail_msg("%s=%s", rows[i].key, rows[i].value);
		assert_int_equal(fake.drain.has_timeout, rows[i].want.has_timeout);
		assert_int_equal(fake.drain.timeout_ms, rows[i].want.timeout_ms);
		assert_int_equal(fake.drain.has_then, rows[i].want.has_then);
		assert_int_equal(fake.drain.then, rows[i].want.then);
		assert_int_equal(fake.drain.disables, rows[i].want.disables);
		assert_int_equal(fake.drain.removes, rows[i].want.removes);
	}
}

static void an_address_that_is_none_is_400(void **state)
{
	assert_int_equal(ask(*state, "POST", "/v1/reals/web/10.0.0.300/drain", ""), 400);
	assert_int_equal(ask(*state, "GET", "/v1/reals/web/x", ""), 400);
	assert_null(fake.called);
}

static void a_failure_keeps_its_reason_and_kind(void **state)
{
	static const struct {
		int result;
		unsigned int status;
	} rows[] = {
		{-EINVAL, 400}, {-ENOENT, 404}, {-ECANCELED, 409}, {-EBUSY, 409}, {-EIO, 500},
	};
	struct api_test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake.result = rows[i].result;
		assert_int_equal(ask(t, "POST", "/v1/reload", ""), rows[i].status);
		assert_string_equal(error_text(t), "no, because");
	}
}

static void a_reload_reports_what_it_did(void **state)
{
	struct api_test *t = *state;

	query_key = "force";
	query_value = "1";
	assert_int_equal(ask(t, "POST", "/v1/reload", ""), 200);
	assert_true(fake.is_forced);
	assert_int_equal(json_integer_value(json_object_get(t->reply, "generation")), 5);
	assert_int_equal(json_integer_value(json_object_get(t->reply, "reals_added")), 3);
}

static void force_zero_is_no_force(void **state)
{
	query_key = "force";
	query_value = "0";
	assert_int_equal(ask(*state, "POST", "/v1/reload", ""), 200);
	assert_false(fake.is_forced);
}

static void apply_hands_the_text_on_under_its_name(void **state)
{
	query_key = "name";
	query_value = "new.yaml";
	assert_int_equal(ask(*state, "POST", "/v1/config/apply", "vips: []"), 200);
	assert_string_equal(fake.name, "new.yaml");
	assert_string_equal(fake.text, "vips: []");
	assert_false(fake.is_forced);
}

static void a_check_changes_nothing_and_names_the_place(void **state)
{
	struct api_test *t = *state;

	query_key = "name";
	query_value = "new.yaml";
	assert_int_equal(ask(t, "POST", "/v1/config/check", "vipz: []"), 400);
	assert_non_null(strstr(error_text(t), "new.yaml:1:1: "));
	assert_null(fake.called);
}

static void detach_replies_first_and_then_ends_the_loop(void **state)
{
	struct api_test *t = *state;
	time_t deadline = time(NULL) + 20;

	assert_int_equal(ask(t, "POST", "/v1/detach", ""), 200);
	assert_string_equal(fake.called, "detach");
	assert_int_equal(sd_event_run(t->event, 0), 0);
	assert_int_equal(sd_event_get_state(t->event), SD_EVENT_INITIAL);
	while (sd_event_get_state(t->event) != SD_EVENT_FINISHED) {
		assert_true(time(NULL) < deadline);
		sd_event_run(t->event, 100000);
	}
}

static void a_detach_that_failed_does_not_end_the_loop(void **state)
{
	struct api_test *t = *state;

	fake.result = -EBUSY;
	assert_int_equal(ask(t, "POST", "/v1/detach", ""), 409);
	assert_int_equal(sd_event_run(t->event, 200000), 0);
	assert_int_equal(sd_event_get_state(t->event), SD_EVENT_INITIAL);
}

static void the_openapi_document_names_every_path_and_parameter(void **state)
{
	struct api_test *t = *state;
	json_t *paths, *drain, *apply;

	assert_int_equal(ask(t, "GET", "/v1/openapi.json", ""), 200);
	paths = json_object_get(t->reply, "paths");
	assert_int_equal(json_object_size(paths), 22);
	drain = json_object_get(json_object_get(paths, "/v1/reals/{vip}/{address}/drain"), "post");
	assert_int_equal(json_array_size(json_object_get(drain, "parameters")), 6);
	apply = json_object_get(json_object_get(paths, "/v1/config/apply"), "post");
	assert_non_null(json_object_get(apply, "requestBody"));
	assert_non_null(json_object_get(apply, "responses"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_read_answers_with_a_document),
		TEST(a_list_has_every_real_once_and_never_many_at_once),
		TEST(a_list_that_cannot_go_on_breaks_off),
		TEST(a_list_can_be_of_one_vip_which_there_must_be),
		TEST(a_change_names_the_process_that_asked_for_it),
		TEST(events_can_be_those_after_a_number),
		TEST(only_the_flow_count_scans_the_flow_table),
		TEST(the_flow_count_waits_for_one_scan),
		TEST(an_operators_change_is_made_once_and_answered_when_the_rings_say_it),
		TEST(a_switch_of_pools_is_begun_once_and_answered_when_it_has_ended),
		TEST(what_is_not_there_is_404),
		TEST(a_filter_for_an_unknown_vip_is_404),
		TEST(a_segment_longer_than_any_name_is_404),
		TEST(the_wrong_method_is_405_and_names_the_right_one),
		TEST(each_verb_sets_its_admin_state),
		TEST(a_drain_says_what_the_query_says_and_nothing_else),
		TEST(an_address_that_is_none_is_400),
		TEST(a_failure_keeps_its_reason_and_kind),
		TEST(a_reload_reports_what_it_did),
		TEST(force_zero_is_no_force),
		TEST(apply_hands_the_text_on_under_its_name),
		TEST(a_check_changes_nothing_and_names_the_place),
		TEST(detach_replies_first_and_then_ends_the_loop),
		TEST(a_detach_that_failed_does_not_end_the_loop),
		TEST(the_openapi_document_names_every_path_and_parameter),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
