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

/* "; held down 12s more (4 flaps)" and the like: what the verdict alone does not say. */
static void add_notes(const json_t *row, char *cell)
{
	const char *state = json_string_value(json_object_get(row, "state"));
	const char *last = json_string_value(json_object_get(row, "last_result"));
	const char *reason = json_string_value(json_object_get(row, "reason"));
	char held[CELL_MAX];

	if (json_is_true(json_object_get(row, "assumed")))
		add(cell, "; assumed up until its first result");
	if (number(row, "lowered_percent"))
		add(cell, "; weight lowered by %lld%%", (long long)number(row, "lowered_percent"));
	cell_duration(row, "held_down_ms", held);
	if (number(row, "held_down_ms"))
		add(cell, "; held down %.20s more, %lld flaps", held,
		    (long long)number(row, "flaps"));
	else if (number(row, "flaps") > 1)
		add(cell, "; %lld flaps", (long long)number(row, "flaps"));
	if (state && last && reason && strcmp(last, reason) != 0)
		add(cell, "; last: %.60s", last);
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

/* "83% of its SYNs repeated, others 0%, 25s more; ", and that it is on trial afterwards. */
static void add_circuit(const json_t *row, char *cell)
{
	const char *state = json_string_value(cell_value(row, "circuit.state"));
	char left[CELL_MAX];

	if (!state || strcmp(state, "closed") == 0)
		return;
	if (strcmp(state, "half-open") == 0) {
		add(cell, "on trial after an ejection; ");
		return;
	}
	cell_duration(row, "circuit.left_ms", left);
	add(cell, "%.0f%% of its SYNs repeated, others %.0f%%, %.20s more; ",
	    100 * json_number_value(cell_value(row, "circuit.repeated_share")),
	    100 * json_number_value(cell_value(row, "circuit.others_share")), left);
}

void cell_why(const json_t *row, const char *field, char *cell)
{
	const char *admin = json_string_value(json_object_get(row, "admin"));
	char reason[CELL_MAX], since[CELL_MAX];

	cell[0] = '\0';
	if (admin && strcmp(admin, "enabled") != 0) {
		add(cell, "%s by operator", admin);
		add_deadline(row, cell);
		return;
	}
	if (json_is_true(json_object_get(row, "removed"))) {
		add(cell, "no longer in the configuration; its flows finish");
		return;
	}
	add_circuit(row, cell);
	cell_text(row, field, reason);
	cell_duration(row, "since_ms", since);
	add(cell, "%.100s, %.40s", reason, since);
	add_notes(row, cell);
}

void cell_reason(const json_t *row, const char *field, char *cell)
{
	char reason[CELL_MAX];

	cell_text(row, field, reason);
	snprintf(cell, CELL_MAX, "%.100s", reason);
	add_notes(row, cell);
}
