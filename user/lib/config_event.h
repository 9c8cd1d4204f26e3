/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libyaml's events one by one, and errors that name file, line, column and path. What YAML offers
 * beyond mappings, lists and scalars (anchors, tags, several documents) is refused: nobody needs it
 * here and it hides what a file says. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "config_schema.h"
#include "err.h"

#define PATH_DEPTH_MAX 16

/* Room for what a message quotes from the file, and with the quotes around it. */
#define QUOTE_TEXT_MAX 64
#define GOT_TEXT_MAX   (QUOTE_TEXT_MAX + 8)

struct path_step {
	const char *key; /* NULL: an index */
	size_t index;
};

struct reader {
	yaml_parser_t yaml;
	const char *file;
	const char *text;
	size_t len;
	struct path_step path[PATH_DEPTH_MAX];
	size_t depth;
	struct err *err;
};

struct mark reader_mark(yaml_mark_t at);

/* Sets "file:line:column: path: reason"; returns -EINVAL. */
int reader_fail(struct reader *r, yaml_mark_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same at an event: "why, got ..."; or with what the field expects. */
int reader_fail_value(struct reader *r, const yaml_event_t *event, const struct err *why);
int reader_fail_expected(struct reader *r, const struct schema_field *field,
			 const yaml_event_t *event);

/* Text from the file as it may stand in a message: printable, cut to buf (QUOTE_TEXT_MAX). */
const char *reader_quote(const char *text, char *buf);

/* What an event is, for "got ...", in buf (GOT_TEXT_MAX) or a constant. */
const char *reader_describe(const yaml_event_t *event, char *buf);

/* An empty plain scalar, or null by another name. */
bool reader_is_nothing(const yaml_event_t *event);

/* The caller deletes *ret_event, set only on success. -EINVAL, -ENOMEM. */
int reader_next(struct reader *r, yaml_event_t *ret_event);
