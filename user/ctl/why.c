// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Why a real is in its state, in words: the last column of real list and health list. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static void __attribute__((format(printf, 2, 3))) add(char *cell, const char *fmt, ...)
{
	size_t len = strlen(cell);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cell + len, CELL_MAX - len, fmt, ap);
	va_end(ap);
}

static json_int_t number(const json_t *row, const char *field)
{
	return json_integer_value(json_object_get(row, field));
}

/* Of the state that the row has. */
static bool is_in(const json_t *row, const char *state)
{
	const char *have = json_string_value(json_object_get(row, "state"));

	return have && strcmp(have, state) == 0;
}

/* "; slow start, 40% held back": of what its weight and state promise it gets something else. */
static void add_flows(const json_t *row, char *cell)
{
	long long level = number(row, "backup_level");

	if (!json_object_get(row, "effective_weight"))
		return; /* a row of health list */
	if ((is_in(row, "down") || is_in(row, "ejected")) && number(row, "effective_weight"))
		add(cell, "; gets new flows all the same: too few are up");
	if (!is_in(row, "up"))
		return;
	if (number(row, "held_back_percent"))
		add(cell, "; slow start, %lld%% held back",
		    (long long)number(row, "held_back_percent"));
	if (number(row, "effective_weight")) {
		if (level)
			add(cell, "; serves, a backup of level %lld", level);
		return;
	}
	if (!number(row, "weight"))
		add(cell, "; no new flows: its weight is 0");
	else if (level)
		add(cell, "; no new flows: it is a backup of level %lld", level);
	else
		add(cell, "; no new flows: its pool has none");
}

/* "; held down 12s more, 4 flaps" and the like: what the verdict alone does not say. */
static void add_notes(const json_t *row, char *cell)
{
	const char *last = json_string_value(json_object_get(row, "last_result"));
	const char *reason = json_string_value(json_object_get(row, "reason"));
	char held[CELL_MAX];

	if (json_is_true(json_object_get(row, "assumed")))
		add(cell, "; assumed up until its first result");
	if (number(row, "lowered_percent"))
		add(cell, "; weight lowered by %lld%%", (long long)number(row, "lowered_percent"));
	add_flows(row, cell);
	cell_duration(row, "held_down_ms", held);
	if (number(row, "held_down_ms"))
		add(cell, "; held down %.20s more, %lld flaps", held,
		    (long long)number(row, "flaps"));
	else if (number(row, "flaps") > 1)
		add(cell, "; %lld flaps", (long long)number(row, "flaps"));
	if (last && reason && strcmp(last, reason) != 0)
		add(cell, "; last: %.60s", last);
}

/* What made the state what it is; of the probe and what it advises. */
static void add_reason(const json_t *row, const char *field, char *cell)
{
	char reason[CELL_MAX] = "no result yet";

	if (!json_is_null(json_object_get(row, field)))
		cell_text(row, field, reason);
	add(cell, "%.100s", reason);
}

/* ", 12s" */
static void add_span(const json_t *row, const char *field, char *cell)
{
	char span[CELL_MAX];

	if (!json_is_integer(cell_value(row, field)))
		return;
	cell_duration(row, field, span);
	add(cell, ", %.20s", span);
}

/* A real may be down for longer than for the reason that was given last. */
static void add_health(const json_t *row, const char *field, char *cell)
{
	add_reason(row, field, cell);
	add_span(row, is_in(row, "down") ? "since_ms" : "reason_since_ms", cell);
	add_notes(row, cell);
}

/* ", move in 4m12s" */
static void add_deadline(const json_t *row, char *cell)
{
	char left[CELL_MAX];

	if (!json_is_integer(cell_value(row, "drain.left_ms")))
		return;
	cell_duration(row, "drain.left_ms", left);
	add(cell, ", %s in %.40s", json_string_value(cell_value(row, "drain.then")), left);
}

/* Its flows are none, and yet it is not drained. */
static void add_handshakes(const json_t *row, char *cell)
{
	const json_t *waits_for = cell_value(row, "drain.waits_for");

	if (json_is_string(waits_for) && strcmp(json_string_value(waits_for), "handshakes") == 0)
		add(cell, "; handshakes under way");
}

/*
 * "83% of its SYNs repeated, others 0%, 5.0s, ends in 25s; ", and that it is on trial afterwards.
 */
static void add_circuit(const json_t *row, char *cell)
{
	const char *state = json_string_value(cell_value(row, "circuit.state"));
	char left[CELL_MAX];

	if (!state || strcmp(state, "closed") == 0)
		return;
	if (strcmp(state, "half-open") == 0) {
		add(cell, "on trial after an ejection");
		add_span(row, "circuit.since_ms", cell);
	} else {
		add(cell, "%.0f%% of its SYNs repeated, others %.0f%%",
		    100 * json_number_value(cell_value(row, "circuit.repeated_share")),
		    100 * json_number_value(cell_value(row, "circuit.others_share")));
		add_span(row, "circuit.since_ms", cell);
		cell_duration(row, "circuit.left_ms", left);
		add(cell, ", ends in %.20s", left);
	}
	add(cell, "; ");
}

void cell_why(const json_t *row, const char *field, char *cell)
{
	const char *admin = json_string_value(json_object_get(row, "admin"));

	cell[0] = '\0';
	if (admin && strcmp(admin, "enabled") != 0) {
		add(cell, "%s by operator", admin);
		add_span(row, "admin_since_ms", cell);
		add_deadline(row, cell);
		add_handshakes(row, cell);
		/* What speaks against enabling it again. */
		if (!is_in(row, "down") && !json_is_false(json_object_get(row, "last_ok")))
			return;
		add(cell, "; ");
	} else if (json_is_true(json_object_get(row, "removed"))) {
		add(cell, "no longer in the configuration; its flows finish");
		return;
	}
	add_circuit(row, cell);
	add_health(row, field, cell);
}

void cell_reason(const json_t *row, const char *field, char *cell)
{
	cell[0] = '\0';
	add_reason(row, field, cell);
	add_notes(row, cell);
}

void cell_next(const json_t *row, const char *field, char *cell)
{
	cell_duration(row, field, cell);
	if (json_is_integer(cell_value(row, field)) && !json_integer_value(cell_value(row, field)))
		snprintf(cell, CELL_MAX, "now");
}
