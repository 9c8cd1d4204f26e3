/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The audit log's file and what is at hand of it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../run_path.h"
#include "daemon/audit.h"

struct room {
	char dir[64];
	char file[96], old[96];
};

static const struct actor health = {.name = "health"};

static int setup(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	assert_int_equal(mkdir(run_path(room->dir, sizeof(room->dir), "/tmp"), 0700), 0);
	snprintf(room->file, sizeof(room->file), "%s/audit.log", room->dir);
	snprintf(room->old, sizeof(room->old), "%s/audit.log.1", room->dir);
	*state = room;
	return 0;
}

static int teardown(void **state)
{
	struct room *room = *state;

	unlink(room->file);
	unlink(room->old);
	rmdir(room->dir);
	free(room);
	return 0;
}

static struct audit *open_audit(const struct room *room)
{
	struct audit *audit;
	struct err err;

	if (audit_open(&audit, room->dir, &err))
		fail_msg("%s", err.text);
	return audit;
}

static json_int_t number_of(const json_t *events, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(events, i), "number"));
}

static const char *text_of(const json_t *event, const char *key)
{
	return json_string_value(json_object_get(event, key));
}

static size_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static void an_event_is_a_line_that_says_who_what_and_when(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	struct actor root = {.name = "root", .has_ids = true, .uid = 0, .pid = 4711};
	char line[512] = "";
	json_t *event;
	FILE *file;

	audit_add(audit, &root, "real_drain", json_pack("{s:s}", "vip", "web"));
	audit_free(audit);
	file = fopen(room->file, "re");
	assert_non_null(fgets(line, sizeof(line), file));
	assert_null(fgets(line + 256, 256, file));
	fclose(file);
	event = json_loads(line, 0, NULL);
	assert_non_null(event);
	assert_string_equal(text_of(event, "who"), "root");
	assert_string_equal(text_of(event, "what"), "real_drain");
	assert_string_equal(text_of(event, "vip"), "web");
	assert_int_equal(json_integer_value(json_object_get(event, "pid")), 4711);
	/* 2026-01-31T12:00:00.123Z */
	assert_int_equal(strlen(text_of(event, "time")), 24);
	json_decref(event);
}

static void events_are_those_after_a_number_and_the_last_ones(void **state)
{
	static const struct {
		uint64_t after;
		size_t limit;
		size_t n;
		json_int_t first;
	} cases[] = {
		{0, 100, 5, 1}, {3, 100, 2, 4}, {5, 100, 0, 0}, {9, 100, 0, 0},
		{0, 2, 2, 4},	{4, 2, 1, 5},	{0, 0, 0, 0},
	};
	struct audit *audit = open_audit(*state);

	for (int i = 0; i < 5; i++)
		audit_add(audit, &health, "real_up", NULL);
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		json_t *events = audit_events(audit, cases[c].after, cases[c].limit);

		assert_int_equal(json_array_size(events), cases[c].n);
		assert_int_equal(number_of(events, 0), cases[c].first);
		json_decref(events);
	}
	audit_free(audit);
}

static void numbers_go_on_after_a_restart_also_behind_half_a_line(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	json_t *events;
	FILE *file;

	audit_add(audit, &health, "real_up", NULL);
	audit_add(audit, &health, "real_down", NULL);
	audit_free(audit);
	file = fopen(room->file, "ae");
	fputs("{\"number\": 3, \"ti", file); /* the disk was full */
	fclose(file);
	audit = open_audit(room);
	audit_add(audit, &health, "real_up", NULL);
	audit_free(audit);
	audit = open_audit(room);
	events = audit_events(audit, 0, 10);
	assert_int_equal(json_array_size(events), 3);
	assert_string_equal(text_of(json_array_get(events, 1), "what"), "real_down");
	assert_int_equal(number_of(events, 2), 3);
	json_decref(events);
	audit_free(audit);
}

static void what_follows_a_line_that_did_not_fit_is_whole(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	struct rlimit before, full;
	json_t *events;

	audit_add(audit, &health, "real_up", NULL);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	full = (struct rlimit){.rlim_cur = (rlim_t)size_of(room->file) + 9,
			       .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &full);
	audit_add(audit, &health, "real_down", NULL);
	setrlimit(RLIMIT_FSIZE, &before);
	audit_add(audit, &health, "real_up", NULL);
	audit_free(audit);
	audit = open_audit(room);
	events = audit_events(audit, 0, 10);
	assert_int_equal(json_array_size(events), 2);
	assert_int_equal(number_of(events, 0), 1);
	assert_int_equal(number_of(events, 1), 3);
	json_decref(events);
	audit_free(audit);
}

static void the_file_is_bounded_and_one_old_one_is_kept(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	char filler[1024] = "";
	json_t *events;

	memset(filler, 'x', sizeof(filler) - 1);
	for (int i = 0; i < 3000; i++) {
		audit_add(audit, &health, "real_up", json_pack("{s:s}", "reason", filler));
		assert_true(size_of(room->file) <= AUDIT_FILE_MAX);
	}
	assert_true(size_of(room->old) > AUDIT_FILE_MAX - 2048);
	assert_true(size_of(room->old) <= AUDIT_FILE_MAX);
	events = audit_events(audit, 0, 5000);
	assert_int_equal(json_array_size(events), AUDIT_KEPT);
	assert_int_equal(number_of(events, AUDIT_KEPT - 1), 3000);
	json_decref(events);
	audit_free(audit);

	audit = open_audit(room);
	events = audit_events(audit, 2990, 5000);
	assert_int_equal(json_array_size(events), 10);
	json_decref(events);
	audit_free(audit);
}

static void assert_written(const struct room *room, json_int_t number)
{
	struct audit *audit = open_audit(room);
	json_t *events = audit_events(audit, 0, 1);

	assert_int_equal(number_of(events, 0), number);
	json_decref(events);
	audit_free(audit);
}

static void what_cannot_be_opened_is_tried_again_by_the_next_event(void **state)
{
	const struct room *room = *state;
	struct audit *audit;

	assert_int_equal(mkdir(room->file, 0700), 0);
	audit = open_audit(room);
	audit_add(audit, &health, "real_up", NULL);
	assert_int_equal(rmdir(room->file), 0);
	audit_add(audit, &health, "real_down", NULL);
	audit_free(audit);
	assert_written(room, 2);
}

static void nobody_is_waited_for_who_would_write_or_read_the_file(void **state)
{
	const struct room *room = *state;
	struct audit *audit;

	assert_int_equal(mkfifo(room->file, 0600), 0);
	assert_int_equal(mkfifo(room->old, 0600), 0);
	alarm(15);
	audit = open_audit(room);
	audit_add(audit, &health, "real_up", NULL);
	audit_free(audit);
	alarm(0);
}

static void a_file_that_was_moved_or_removed_is_followed_by_a_new_one(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);

	audit_add(audit, &health, "real_up", NULL);
	assert_int_equal(rename(room->file, room->old), 0);
	audit_add(audit, &health, "real_down", NULL);
	assert_written(room, 2);
	assert_int_equal(unlink(room->file), 0);
	audit_add(audit, &health, "real_up", NULL);
	audit_free(audit);
	assert_written(room, 3);
}

static void without_room_for_a_new_file_the_log_goes_on_once_there_is(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	struct rlimit before, none = {};
	char filler[1024] = "";

	memset(filler, 'x', sizeof(filler) - 1);
	while (size_of(room->file) < AUDIT_FILE_MAX - 2048)
		audit_add(audit, &health, "real_up", json_pack("{s:s}", "reason", filler));
	getrlimit(RLIMIT_NOFILE, &before);
	none.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
	for (int i = 0; i < 4; i++)
		audit_add(audit, &health, "real_up", json_pack("{s:s}", "reason", filler));
	setrlimit(RLIMIT_NOFILE, &before);
	audit_add(audit, &health, "real_down", NULL);
	audit_free(audit);
	assert_true(size_of(room->file) > 0);
	assert_true(size_of(room->file) < 2048);
}

static void of_a_huge_file_the_end_is_read(void **state)
{
	const struct room *room = *state;
	struct audit *audit = open_audit(room);
	FILE *file;

	audit_add(audit, &health, "real_up", NULL);
	audit_free(audit);
	assert_int_equal(truncate(room->file, 1LL << 36), 0);
	file = fopen(room->file, "ae");
	fputs("\n{\"number\": 7}\n", file);
	fclose(file);
	alarm(15);
	assert_written(room, 7);
	alarm(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_a_line_that_says_who_what_and_when),
		TEST(events_are_those_after_a_number_and_the_last_ones),
		TEST(numbers_go_on_after_a_restart_also_behind_half_a_line),
		TEST(what_follows_a_line_that_did_not_fit_is_whole),
		TEST(the_file_is_bounded_and_one_old_one_is_kept),
		TEST(what_cannot_be_opened_is_tried_again_by_the_next_event),
		TEST(nobody_is_waited_for_who_would_write_or_read_the_file),
		TEST(a_file_that_was_moved_or_removed_is_followed_by_a_new_one),
		TEST(without_room_for_a_new_file_the_log_goes_on_once_there_is),
		TEST(of_a_huge_file_the_end_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
