// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Columns over JSON, laid out by libsmartcols. */
#include "table.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdint.h>
#include <string.h>

json_t *cell_value(const json_t *row, const char *field)
{
	char name[64];
	const char *dot;

	while ((dot = strchr(field, '.'))) {
		snprintf(name, sizeof(name), "%.*s", (int)(dot - field), field);
		row = json_object_get(row, name);
		field = dot + 1;
	}
	return json_object_get(row, field);
}

void cell_text(const json_t *row, const char *field, char *cell)
{
	const json_t *value = cell_value(row, field);

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		snprintf(cell, CELL_MAX, "%s", json_string_value(value));
		return;
	case JSON_INTEGER:
		snprintf(cell, CELL_MAX, "%lld", (long long)json_integer_value(value));
		return;
	case JSON_REAL:
		snprintf(cell, CELL_MAX, "%g", json_real_value(value));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(cell, CELL_MAX, "%s", json_is_true(value) ? "true" : "false");
		return;
	default:
		snprintf(cell, CELL_MAX, "-");
	}
}

void cell_port(const json_t *row, const char *field, char *cell)
{
	const json_t *value = cell_value(row, field);

	cell_text(row, field, cell);
	if (json_is_integer(value) && !json_integer_value(value))
		snprintf(cell, CELL_MAX, "any");
}

void cell_number(const json_t *row, const char *field, char *cell)
{
	cell_text(row, field, cell);
}

void cell_state(const json_t *row, const char *field, char *cell)
{
	cell_text(row, field, cell);
}

void cell_yes_no(const json_t *row, const char *field, char *cell)
{
	const json_t *value = cell_value(row, field);

	snprintf(cell, CELL_MAX, "%s",
		 !json_is_boolean(value) ? "-"
		 : json_is_true(value)	 ? "yes"
					 : "no");
}

/* value in the largest unit that leaves at least 1 of it; whole below the first unit. */
static void format_scaled(double value, double base, const char *const *units, char *cell)
{
	size_t unit = 0;

	/* What would be written as 1000.0 of a unit is 1.0 of the next. */
	while (value >= base - (unit ? 0.05 : 0) && units[unit + 1]) {
		value /= base;
		unit++;
	}
	snprintf(cell, CELL_MAX, unit ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

void cell_count(const json_t *row, const char *field, char *cell)
{
	static const char *const units[] = {"", "k", "M", "G", "T", NULL};
	const json_t *value = cell_value(row, field);

	if (!json_is_integer(value)) {
		cell_text(row, field, cell);
		return;
	}
	format_scaled((double)json_integer_value(value), 1000, units, cell);
}

void cell_bytes(const json_t *row, const char *field, char *cell)
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", NULL};
	const json_t *value = cell_value(row, field);

	if (!json_is_integer(value)) {
		cell_text(row, field, cell);
		return;
	}
	format_scaled((double)json_integer_value(value), 1024, units, cell);
}

void cell_duration(const json_t *row, const char *field, char *cell)
{
	const json_t *value = cell_value(row, field);
	long long ms = json_integer_value(value);
	long long s = ms / 1000;

	if (!json_is_integer(value))
		cell_text(row, field, cell);
	else if (ms < 1000)
		snprintf(cell, CELL_MAX, "%lldms", ms);
	else if (s < 10)
		snprintf(cell, CELL_MAX, "%lld.%llds", s, ms % 1000 / 100);
	else if (s < 60)
		snprintf(cell, CELL_MAX, "%llds", s);
	else if (s < 3600)
		snprintf(cell, CELL_MAX, "%lldm%llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(cell, CELL_MAX, "%lldh%lldm", s / 3600, s % 3600 / 60);
	else
		snprintf(cell, CELL_MAX, "%lldd%lldh", s / 86400, s % 86400 / 3600);
}

static const char *state_colour(const char *state)
{
	if (strcmp(state, "up") == 0)
		return "green";
	if (strcmp(state, "down") == 0)
		return "red";
	return "yellow";
}

static int fill_cell(struct libscols_line *line, size_t i, const json_t *row,
		     const struct column *column)
{
	char cell[CELL_MAX];

	column->format(row, column->field, cell);
	if (column->format == cell_state)
		scols_cell_set_color(scols_line_get_cell(line, i), state_colour(cell));
	return scols_line_set_data(line, i, cell);
}

static struct libscols_table *new_table(FILE *out, bool has_colour)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_stream(table, out);
	scols_table_enable_colors(table, has_colour);
	return table;
}

static bool is_number(const struct column *column)
{
	return column->format == cell_number || column->format == cell_port ||
	       column->format == cell_count || column->format == cell_bytes;
}

static int fill_row(struct libscols_table *table, const json_t *row, const struct column *columns,
		    size_t n_columns)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int r = line ? 0 : -ENOMEM;

	for (size_t i = 0; i < n_columns && r == 0; i++)
		r = fill_cell(line, i, row, &columns[i]);
	return r;
}

int table_print(FILE *out, const json_t *rows, const struct column *columns, size_t n_columns,
		bool has_colour)
{
	struct libscols_table *table = new_table(out, has_colour);
	json_t *row;
	size_t i;
	int r = table ? 0 : -ENOMEM;

	for (i = 0; i < n_columns && r == 0; i++) {
		int flags = is_number(&columns[i]) ? SCOLS_FL_RIGHT : 0;

		if (!scols_table_new_column(table, columns[i].header, 0, flags))
			r = -ENOMEM;
	}
	json_array_foreach (rows, i, row) {
		if (r == 0)
			r = fill_row(table, row, columns, n_columns);
	}
	if (r == 0)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r;
}

static int fill_record(struct libscols_table *table, const json_t *row, const struct column *column)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int r = line ? scols_line_set_data(line, 0, column->header) : -ENOMEM;

	return r < 0 ? r : fill_cell(line, 1, row, column);
}

int record_print(FILE *out, const json_t *row, const struct column *columns, size_t n_columns,
		 bool has_colour)
{
	struct libscols_table *table = new_table(out, has_colour);
	int r = table ? 0 : -ENOMEM;

	scols_table_enable_noheadings(table, 1);
	for (size_t i = 0; i < 2 && r == 0; i++) {
		if (!scols_table_new_column(table, "", 0, 0))
			r = -ENOMEM;
	}
	for (size_t i = 0; i < n_columns && r == 0; i++)
		r = fill_record(table, row, &columns[i]);
	if (r == 0)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r;
}
