// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Progress of a drain: see drain_wait.h. */
#include "drain_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define ASK_EVERY_MS 250
#define BAR_WIDTH    30

struct wait {
	const struct invocation *invocation;
	const char *vip;
	const char *real;
	bool is_terminal;
	json_int_t most; /* flows seen so far: the whole bar */
	char said[2 * CELL_MAX]; /* the last line */
};

static json_int_t flows_of(const json_t *row)
{
	return json_integer_value(json_object_get(row, "active_flows"));
}

static bool state_is(const json_t *row, const char *state)
{
	return strcmp(json_string_value(json_object_get(row, "state")), state) == 0;
}

/* ", move in 4m12s", where there is a deadline. */
static void format_deadline(const json_t *row, char *text, size_t size)
{
	char left[CELL_MAX];

	text[0] = '\0';
	if (!json_is_integer(cell_value(row, "drain.left_ms")))
		return;
	cell_duration(row, "drain.left_ms", left);
	snprintf(text, size, ", %s in %.40s", json_string_value(cell_value(row, "drain.then")),
		 left);
}

static bool waits_for(const json_t *row, const char *what)
{
	json_t *value = cell_value(row, "drain.waits_for");

	return json_is_string(value) && strcmp(json_string_value(value), what) == 0;
}

/* No flow that is counted is left, and yet the drain goes on. */
static const char *handshakes(const json_t *row)
{
	return waits_for(row, "handshakes") ? ", handshakes under way" : "";
}

/* The bar is what is left of it. */
static void draw_bar(const struct wait *wait, const json_t *row)
{
	bool has_colour = !wait->invocation->has_no_colour;
	json_int_t flows = flows_of(row);
	int full = wait->most ? (int)((flows * BAR_WIDTH + wait->most - 1) / wait->most) : 0;
	char bar[BAR_WIDTH + 1] = "", deadline[CELL_MAX];

	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', full);
	format_deadline(row, deadline, sizeof(deadline));
	fprintf(stderr, "\r\033[K%s %s [%s%s%s] %lld of %lld flows left%s%s", wait->vip, wait->real,
		has_colour ? "\033[33m" : "", bar, has_colour ? "\033[0m" : "", (long long)flows,
		(long long)wait->most, handshakes(row), deadline);
}

static void say_line(struct wait *wait, const json_t *row)
{
	char line[sizeof(wait->said)];

	snprintf(line, sizeof(line), "%lld of %lld flows left%s", (long long)flows_of(row),
		 (long long)wait->most, handshakes(row));
	if (strcmp(line, wait->said) == 0)
		return;
	memcpy(wait->said, line, sizeof(line));
	fprintf(stderr, "%s %s: %s\n", wait->vip, wait->real, line);
}

static void say(struct wait *wait, const json_t *row)
{
	/* What the row has was counted before the drain. */
	if (waits_for(row, "count"))
		return;
	if (flows_of(row) > wait->most)
		wait->most = flows_of(row);
	if (wait->is_terminal)
		draw_bar(wait, row);
	else
		say_line(wait, row);
}

/* Whether the drain has ended as it was meant to. */
static bool is_done(const struct wait *wait, const json_t *row)
{
	if (wait->invocation->has_remove)
		return state_is(row, "removed");
	return state_is(row, "drained") || state_is(row, "disabled") || state_is(row, "down");
}

/* Flows may be left, or it is about to be removed. */
static bool is_under_way(const json_t *row)
{
	return state_is(row, "draining") || json_is_true(cell_value(row, "drain.removes"));
}

/* Whether the drain goes on; else how it ended, and why it failed. */
static bool goes_on(const struct wait *wait, const json_t *row, enum exit_status *ret_status,
		    struct err *err)
{
	const char *then = json_string_value(cell_value(row, "drain.then"));
	json_t *left = cell_value(row, "drain.left_ms");

	*ret_status = EXIT_DONE;
	if (is_done(wait, row))
		return false;
	*ret_status = EXIT_FAILED;
	if (!is_under_way(row)) {
		err_set(err, ECANCELED, "the drain was ended: the real is %s",
			json_string_value(json_object_get(row, "state")));
		return false;
	}
	if (json_is_integer(left) && json_integer_value(left) == 0 && strcmp(then, "keep") == 0) {
		err_set(err, ETIME, "%lld flows are left, and stay until they end",
			(long long)flows_of(row));
		return false;
	}
	return true;
}

static enum exit_status finish(const struct wait *wait, const json_t *row, enum exit_status status,
			       const struct err *err)
{
	if (wait->is_terminal)
		fputc('\n', stderr);
	if (wait->invocation->wants_json)
		ctl_print_json(row);
	else if (status == EXIT_DONE)
		printf("vip %s, address %s, state %s\n", wait->vip, wait->real,
		       json_string_value(json_object_get(row, "state")));
	return status == EXIT_DONE ? status : ctl_fail(err);
}

enum exit_status drain_wait(const struct invocation *invocation, const char *vip, const char *real)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	char *path = client_path("reals", vip, real, NULL);
	struct wait wait = {invocation, vip, real, isatty(STDERR_FILENO), 0, ""};
	enum exit_status status = EXIT_FAILED;
	struct err err = {};
	json_t *row = NULL;

	while (client_get(invocation->socket, path, &row, &err) == 0) {
		say(&wait, row);
		if (!goes_on(&wait, row, &status, &err)) {
			status = finish(&wait, row, status, &err);
			json_decref(row);
			free(path);
			return status;
		}
		json_decref(row);
		nanosleep(&pause, NULL);
	}
	free(path);
	return ctl_fail(&err);
}
