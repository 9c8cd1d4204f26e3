/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text output: a list of columns over the daemon's JSON. An array of objects becomes a table, one
 * object a record of one line per column.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Room for one cell. */
#define CELL_MAX 256

/* Writes what row says under field into the cell; field may name a child: "next_hop.mac". */
typedef void (*cell_fn)(const json_t *row, const char *field, char *cell);

struct column {
	const char *field;
	const char *header;
	cell_fn format;
};

/* Absent and null are "-"; numbers and truth values as they are. */
void cell_text(const json_t *row, const char *field, char *cell);
/* A VIP's port: 0 reads "any". To the right. */
void cell_port(const json_t *row, const char *field, char *cell);
/* As cell_text(), to the right. */
void cell_number(const json_t *row, const char *field, char *cell);
/* 999, 12.3k, 4.5M */
void cell_count(const json_t *row, const char *field, char *cell);
/* 999 B, 12.3 KiB */
void cell_bytes(const json_t *row, const char *field, char *cell);
/* Milliseconds as 350ms, 1.5s, 3m12s, 2d4h */
void cell_duration(const json_t *row, const char *field, char *cell);
/* As cell_text(), coloured on a terminal: up green, down red, others yellow. */
void cell_state(const json_t *row, const char *field, char *cell);
/* true is "yes", false "no". */
void cell_yes_no(const json_t *row, const char *field, char *cell);

/* The value under field, "a.b" being b of a; NULL if there is none. Borrowed. */
json_t *cell_value(const json_t *row, const char *field);

/* Both return 0 or a negative errno. */
int table_print(FILE *out, const json_t *rows, const struct column *columns, size_t n_columns,
		bool has_colour);
int record_print(FILE *out, const json_t *row, const struct column *columns, size_t n_columns,
		 bool has_colour);
