/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* libyaml's events and what is wrong with them: see config_event.h. */
#include "config_event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_value.h"

/* ---- Errors -----------------------------------------------------------------------------------
 */

static void text_append(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void text_append(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

struct mark reader_mark(yaml_mark_t at)
{
	return (struct mark){.line = (unsigned int)at.line + 1,
			     .column = (unsigned int)at.column + 1};
}

static void format_path(const struct reader *r, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; i < r->depth; i++) {
		if (r->path[i].key)
			text_append(buf, size, "%s%s", i ? "." : "", r->path[i].key);
		else
			text_append(buf, size, "[%zu]", r->path[i].index);
	}
}

int reader_fail(struct reader *r, yaml_mark_t at, const char *fmt, ...)
{
	struct mark mark = reader_mark(at);
	char path[256], reason[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	format_path(r, path, sizeof(path));
	return err_set(r->err, EINVAL, "%.255s:%u:%u: %s%s%s", r->file, mark.line, mark.column,
		       path, path[0] ? ": " : "", reason);
}

const char *reader_quote(const char *text, char *buf)
{
	size_t n = 0;

	for (size_t i = 0; text[i]; i++) {
		unsigned char c = (unsigned char)text[i];
		bool is_first_byte = (c & 0xc0) != 0x80;

		/* Room for this character (4 bytes) and "...", so none is cut in two. */
		if (is_first_byte && n + 8 > QUOTE_TEXT_MAX) {
			memcpy(buf + n, "...", 4);
			return buf;
		}
		buf[n++] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	buf[n] = '\0';
	return buf;
}

bool reader_is_nothing(const yaml_event_t *event)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
		if (strcmp((const char *)event->data.scalar.value, nulls[i]) == 0)
			return true;
	}
	return false;
}

const char *reader_describe(const yaml_event_t *event, char *buf)
{
	char text[QUOTE_TEXT_MAX];

	if (event->type == YAML_MAPPING_START_EVENT)
		return "a mapping";
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return "a list";
	if (reader_is_nothing(event))
		return "nothing";
	snprintf(buf, GOT_TEXT_MAX, "\"%s\"",
		 reader_quote((const char *)event->data.scalar.value, text));
	return buf;
}

int reader_fail_value(struct reader *r, const yaml_event_t *event, const struct err *why)
{
	char got[GOT_TEXT_MAX];

	return reader_fail(r, event->start_mark, "%s, got %s", why->text,
			   reader_describe(event, got));
}

int reader_fail_expected(struct reader *r, const struct schema_field *field,
			 const yaml_event_t *event)
{
	struct err why;

	value_expected(field, &why);
	return reader_fail_value(r, event, &why);
}

/* ---- Events -----------------------------------------------------------------------------------
 */

/* libyaml gives a byte offset for what is no text at all, and a mark for what is no YAML. */
static int fail_yaml(struct reader *r)
{
	const yaml_parser_t *yaml = &r->yaml;
	yaml_mark_t at = yaml->problem_mark;

	r->depth = 0;
	if (yaml->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (yaml->error == YAML_READER_ERROR) {
		at = (yaml_mark_t){};
		for (size_t i = 0; i < yaml->problem_offset && i < r->len; i++) {
			if (r->text[i] == '\n') {
				at.line++;
				at.column = 0;
			} else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
				at.column++;
			}
		}
		return reader_fail(r, at, "expected UTF-8 text: %s", yaml->problem);
	}
	return reader_fail(r, at, "expected YAML: %s%s%s", yaml->context ? yaml->context : "",
			   yaml->context ? ": " : "",
			   yaml->problem ? yaml->problem : "cannot be read");
}

static int refuse_extras(struct reader *r, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		anchor = event->data.alias.anchor;
		break;
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
			return reader_fail(r, event->start_mark, "expected text without NUL bytes");
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return reader_fail(r, event->start_mark, "anchors and aliases are not supported");
	if (tag)
		return reader_fail(r, event->start_mark, "tags (!...) are not supported");
	return 0;
}

/* The caller deletes *ret_event, set only on success. */
int reader_next(struct reader *r, yaml_event_t *ret_event)
{
	yaml_event_t event;
	int ret;

	if (!yaml_parser_parse(&r->yaml, &event))
		return fail_yaml(r);
	ret = refuse_extras(r, &event);
	if (ret < 0) {
		yaml_event_delete(&event);
		return ret;
	}
	*ret_event = event;
	return 0;
}
