// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* events: what changed, when and by whom; a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "ctl.h"

#define FOLLOW_MS 500

static const char *text_of(const json_t *event, const char *field)
{
	const char *text = json_string_value(json_object_get(event, field));

	return text ? text : "-";
}

/* "2026-01-31T12:00:00.123Z root real_drain vip=web real=10.1.0.1 was=enabled" */
static void print_event(const json_t *event)
{
	const char *key;
	json_t *value;

	printf("%s %s %s", text_of(event, "time"), text_of(event, "who"), text_of(event, "what"));
	json_object_foreach ((json_t *)event, key, value) {
		if (!strcmp(key, "number") || !strcmp(key, "time") || !strcmp(key, "who") ||
		    !strcmp(key, "what"))
			continue;
		if (!json_is_string(value))
			printf(" %s=%lld", key, (long long)json_integer_value(value));
		else if (strpbrk(json_string_value(value), " \""))
			printf(" %s=\"%s\"", key, json_string_value(value));
		else
			printf(" %s=%s", key, json_string_value(value));
	}
	putchar('\n');
}

static int print_events(const struct invocation *invocation, const json_t *events)
{
	size_t i;
	json_t *event;

	json_array_foreach (events, i, event) {
		if (!invocation->wants_json)
			print_event(event);
		else if (json_dumpf(event, stdout, JSON_COMPACT) == 0)
			putchar('\n');
	}
	return fflush(stdout);
}

/* What comes after event number `after`; moves it on. */
static enum exit_status follow_once(const struct invocation *invocation, json_int_t *after)
{
	char number[24];
	struct err err = {};
	json_t *events, *last;
	char *path;
	int r;

	snprintf(number, sizeof(number), "%lld", (long long)*after);
	path = client_path_query(client_path("events", NULL), "after", number);
	r = client_get(invocation->socket, path, &events, &err);
	free(path);
	if (r < 0)
		return ctl_fail(&err);
	last = json_array_get(events, json_array_size(events) - 1);
	if (last)
		*after = json_integer_value(json_object_get(last, "number"));
	r = print_events(invocation, events);
	json_decref(events);
	return r ? EXIT_FAILED : EXIT_DONE;
}

/* Until it is interrupted, or the daemon ends. */
static enum exit_status follow(const struct invocation *invocation)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
	json_int_t after = 0;
	enum exit_status status;

	while ((status = follow_once(invocation, &after)) == EXIT_DONE)
		nanosleep(&pause, NULL);
	return status;
}

enum exit_status cmd_events(const struct invocation *invocation)
{
	enum exit_status status;
	char *path;

	if (invocation->has_follow)
		return follow(invocation);
	path = client_path("events", NULL);
	status = ctl_show(invocation, path, print_events);
	free(path);
	return status;
}
