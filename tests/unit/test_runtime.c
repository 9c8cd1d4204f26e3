// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Recorded runtime changes: what is remembered comes back, from this version's file and older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../run_path.h"
#include "daemon/runtime.h"
#include "lib/addr.h"

struct dir {
	char path[64];
	char file[96];
};

static int setup(void **state)
{
	struct dir *dir = calloc(1, sizeof(*dir));

	assert_int_equal(mkdir(run_path(dir->path, sizeof(dir->path), "/tmp"), 0700), 0);
	snprintf(dir->file, sizeof(dir->file), "%s/runtime.json", dir->path);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	struct dir *dir = *state;

	unlink(dir->file);
	rmdir(dir->path);
	free(dir);
	return 0;
}

static struct runtime *open_runtime(const struct dir *dir)
{
	struct runtime *runtime;
	struct err err = {};

	if (runtime_open(&runtime, dir->path, &err))
		fail_msg("%s", err.text);
	return runtime;
}

static void write_text(const struct dir *dir, const char *text)
{
	FILE *file = fopen(dir->file, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void assert_same(const struct admin_order *a, const struct admin_order *b)
{
	assert_int_equal(a->admin, b->admin);
	assert_int_equal(a->drain.deadline_ms, b->drain.deadline_ms);
	assert_int_equal(a->drain.then, b->drain.then);
	assert_int_equal(a->drain.disables, b->drain.disables);
	assert_int_equal(a->drain.removes, b->drain.removes);
	assert_int_equal(a->since_ms, b->since_ms);
}

static void what_is_remembered_comes_back(void **state)
{
	static const struct admin_order orders[] = {
		{ADMIN_ENABLED, {}, 0},
		{ADMIN_DRAIN, {}, 1800000000001},
		{ADMIN_DRAIN, {.deadline_ms = 1800000000123}, 1800000000001},
		{ADMIN_DRAIN, {.deadline_ms = 1800000000123, .then = DRAIN_MOVE}, 1800000000001},
		{ADMIN_DRAIN,
		 {.deadline_ms = 1, .then = DRAIN_RESET, .disables = true},
		 1800000000001},
		{ADMIN_DRAIN, {.disables = true}, 1800000000001},
		{ADMIN_DRAIN, {.removes = true}, 1800000000001},
		{ADMIN_DRAIN,
		 {.deadline_ms = 7, .then = DRAIN_MOVE, .removes = true},
		 1800000000001},
		{ADMIN_REMOVED, {}, 1800000000001},
		{ADMIN_DISABLED, {}, 1800000000001},
		{ADMIN_DISABLED, {.then = DRAIN_RESET}, 1800000000001},
		{ADMIN_ENABLED, {}, 0},
	};
	struct ip_addr real = address("fd00::1"), other = address("10.0.0.1");
	struct admin_order drain = {.admin = ADMIN_DRAIN};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct runtime *runtime = open_runtime(*state);
		struct admin_order have;

		assert_int_equal(runtime_set(runtime, "web", &real, &orders[i], NULL), 0);
		assert_int_equal(runtime_set(runtime, "web", &other, &drain, NULL), 0);
		runtime_free(runtime);
		runtime = open_runtime(*state);
		have = runtime_get(runtime, "web", &real);
		assert_same(&have, &orders[i]);
		have = runtime_get(runtime, "web", &other);
		assert_same(&have, &drain);
		have = runtime_get(runtime, "dns", &real);
		assert_int_equal(have.admin, ADMIN_ENABLED);
		runtime_free(runtime);
	}
}

static void files_of_older_versions_are_read(void **state)
{
	struct ip_addr one = address("10.0.0.1"), two = address("10.0.0.2");
	struct runtime *runtime;

	write_text(*state, "{\"reals\": {\"web\": {\"10.0.0.1\": \"drain\", "
			   "\"10.0.0.2\": \"disable\"}}}");
	runtime = open_runtime(*state);
	assert_int_equal(runtime_get(runtime, "web", &one).admin, ADMIN_DRAIN);
	assert_int_equal(runtime_get(runtime, "web", &two).admin, ADMIN_DISABLED);
	runtime_free(runtime);
}

static void an_entry_that_makes_no_sense_is_as_none(void **state)
{
	static const char *const entries[] = {"7",
					      "\"x\"",
					      "[]",
					      "{}",
					      "{\"admin\": 1, \"deadline_ms\": \"x\"}",
					      "{\"then\": \"move\"}",
					      "null"};
	struct ip_addr real = address("10.0.0.1");

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct runtime *runtime;
		char text[128];

		snprintf(text, sizeof(text), "{\"reals\": {\"web\": {\"10.0.0.1\": %s}}}",
			 entries[i]);
		write_text(*state, text);
		runtime = open_runtime(*state);
		assert_int_equal(runtime_get(runtime, "web", &real).admin, ADMIN_ENABLED);
		runtime_free(runtime);
	}
}

static void assert_refused(const struct dir *dir, const char *expected)
{
	struct runtime *runtime;
	struct err err = {};

	alarm(15);
	assert_int_equal(runtime_open(&runtime, dir->path, &err), -EINVAL);
	alarm(0);
	if (!strstr(err.text, expected) || !strstr(err.text, dir->file) ||
	    !strstr(err.text, "remove the file to start without them"))
		fail_msg("%s", err.text);
}

/* Orders of operators are not dropped unasked. */
static void a_damaged_file_is_an_error_that_says_where_and_what_to_do(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ".json:1:1: "},
		{"{\"reals\": {\"web\": {\n\"10.0", ".json:2:5: "},
		{"[]", ".json:1:1: expected an object \"reals\""},
		{"{\"reals\": {}, \"reals\": {}}", ".json:1:21: duplicate object key"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_text(*state, cases[i].text);
		assert_refused(*state, cases[i].expected);
	}
}

static void what_is_no_file_is_an_error_and_not_waited_for(void **state)
{
	const struct dir *dir = *state;

	assert_int_equal(mkfifo(dir->file, 0600), 0);
	assert_refused(dir, "expected a regular file");
	unlink(dir->file);
	assert_int_equal(mkdir(dir->file, 0700), 0);
	assert_refused(dir, "expected a regular file");
	rmdir(dir->file);
}

/* "web 10.0.0.1, ", in the order of the file. */
static void note(void *user, const char *vip, const struct ip_addr *real)
{
	char address[ADDR_TEXT_MAX], *text = user;

	sprintf(text + strlen(text), "%s %s, ", vip, addr_format(real, address));
}

static void assert_removed(const struct runtime *runtime, const char *expected)
{
	char text[256] = "";

	runtime_for_each_removed(runtime, note, text);
	assert_string_equal(text, expected);
}

/* All but those of this VIP. */
static bool keeps_others(void *user, const char *vip, const struct ip_addr *real)
{
	return strcmp(vip, user) != 0;
}

static void removed_reals_are_found_and_forgotten_and_nothing_else(void **state)
{
	struct ip_addr one = address("10.0.0.1"), two = address("10.0.0.2");
	struct runtime *runtime;
	struct err err = {};

	write_text(*state, "{\"reals\": {\"dns\": {\"10.0.0.1\": \"removed\"}, "
			   "\"odd\": 7, \"web\": {\"10.0.0.1\": \"removed\", "
			   "\"10.0.0.2\": \"drain\", \"10.0.0.3\": {\"admin\": \"removed\"}, "
			   "\"no address\": \"removed\"}}, \"pools\": {\"web\": \"blue\"}}");
	for (int round = 0; round < 2; round++) {
		runtime = open_runtime(*state);
		assert_removed(runtime, round ? "dns 10.0.0.1, "
					      : "dns 10.0.0.1, web 10.0.0.1, web 10.0.0.3, ");
		assert_int_equal(runtime_forget_removed(runtime, keeps_others, "web", &err), 0);
		assert_removed(runtime, "dns 10.0.0.1, ");
		assert_int_equal(runtime_get(runtime, "web", &one).admin, ADMIN_ENABLED);
		assert_int_equal(runtime_get(runtime, "web", &two).admin, ADMIN_DRAIN);
		assert_string_equal(runtime_get_pools(runtime, "web"), "blue");
		runtime_free(runtime);
	}
}

static void what_forgets_nothing_writes_nothing(void **state)
{
	const struct dir *dir = *state;
	struct runtime *runtime;
	struct err err = {};

	write_text(dir, "{\"reals\": {\"web\": {\"10.0.0.1\": \"removed\"}}}");
	runtime = open_runtime(dir);
	unlink(dir->file);
	assert_int_equal(runtime_forget_removed(runtime, keeps_others, "dns", &err), 0);
	assert_int_equal(access(dir->file, F_OK), -1);
	assert_int_equal(runtime_forget_removed(runtime, keeps_others, "web", &err), 0);
	assert_int_equal(access(dir->file, F_OK), 0);
	runtime_free(runtime);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_remembered_comes_back),
		TEST(files_of_older_versions_are_read),
		TEST(an_entry_that_makes_no_sense_is_as_none),
		TEST(a_damaged_file_is_an_error_that_says_where_and_what_to_do),
		TEST(what_is_no_file_is_an_error_and_not_waited_for),
		TEST(removed_reals_are_found_and_forgotten_and_nothing_else),
		TEST(what_forgets_nothing_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
