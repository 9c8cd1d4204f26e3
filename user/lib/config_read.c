/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only reader of YAML: pulls events one by one and walks down the schema table. So a wrong key
 * stops at once, recursion is as deep as the table, and nothing is kept that is not wanted.
 */
#include "config_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_event.h"
#include "config_value.h"

#define KEY_TEXT_MAX	64
#define LIST_FIRST_ROOM 4

static int read_value(struct reader *r, const struct schema_field *field, const yaml_event_t *event,
		      void *slot);

/* ---- Mappings ---------------------------------------------------------------------------------
 */

/* Edits (insert, delete, replace) that make a of b; for short words. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[KEY_TEXT_MAX + 1], n = strlen(b);

	if (strlen(a) > KEY_TEXT_MAX || n > KEY_TEXT_MAX)
		return KEY_TEXT_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

static const char *nearest_key(const struct schema_section *section, const char *key)
{
	size_t best = strlen(key) / 3 + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < section->n_fields; i++) {
		size_t distance = edit_distance(key, section->fields[i].key);

		/* Two letters swapped count as two edits, and are the commonest slip. */
		if (distance <= best + (nearest ? 0 : 1) && distance < strlen(key)) {
			if (!nearest || distance < best)
				nearest = section->fields[i].key;
			best = distance < best ? distance : best;
		}
	}
	return nearest;
}

static int fail_unknown_key(struct reader *r, const struct schema_section *section,
			    const yaml_event_t *event)
{
	const char *key = (const char *)event->data.scalar.value, *nearest;
	char text[QUOTE_TEXT_MAX], known[512] = "";
	size_t len;

	if (strcmp(key, "<<") == 0)
		return reader_fail(r, event->start_mark, "merge keys (<<) are not supported");
	reader_quote(key, text);
	nearest = nearest_key(section, key);
	if (nearest)
		return reader_fail(r, event->start_mark, "unknown key \"%s\"; did you mean \"%s\"?",
				   text, nearest);
	for (size_t i = 0; i < section->n_fields; i++) {
		len = strlen(known);
		if (section->fields[i].unbuilt != SCHEMA_UNBUILT)
			snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
				 section->fields[i].key);
	}
	return reader_fail(r, event->start_mark, "unknown key \"%s\"; known are %s", text, known);
}

/* Finds the row of a key and refuses what may not stand here. */
static int find_field(struct reader *r, const struct schema_section *section,
		      const struct mark *marks, const yaml_event_t *event, size_t *ret_index)
{
	const struct schema_field *field;
	char got[GOT_TEXT_MAX];
	size_t i = 0;

	if (event->type != YAML_SCALAR_EVENT)
		return reader_fail(r, event->start_mark, "expected a key, got %s",
				   reader_describe(event, got));
	while (i < section->n_fields &&
	       strcmp(section->fields[i].key, (const char *)event->data.scalar.value) != 0)
		i++;
	if (i == section->n_fields)
		return fail_unknown_key(r, section, event);
	field = &section->fields[i];
	r->path[r->depth++] = (struct path_step){.key = field->key};
	if (field->unbuilt == SCHEMA_UNBUILT)
		return reader_fail(r, event->start_mark, "not supported yet: %s", field->text);
	if (marks[i].line)
		return reader_fail(r, event->start_mark, "duplicate key, already given in line %u",
				   marks[i].line);
	*ret_index = i;
	return 0;
}

static int check_required(struct reader *r, const struct schema_section *section,
			  const struct mark *marks, yaml_mark_t at)
{
	for (size_t i = 0; i < section->n_fields; i++) {
		if (section->fields[i].is_required && !marks[i].line)
			return reader_fail(r, at, "expected the key \"%s\", which is missing",
					   section->fields[i].key);
	}
	return 0;
}

/* One "key: value"; 1 at the mapping's end. */
static int read_pair(struct reader *r, const struct schema_section *section, void *item)
{
	struct mark *marks = schema_marks(section, item);
	yaml_event_t key, value;
	size_t i = 0;
	int ret;

	ret = reader_next(r, &key);
	if (ret < 0)
		return ret;
	if (key.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&key);
		return 1;
	}
	ret = find_field(r, section, marks, &key, &i);
	yaml_event_delete(&key);
	if (ret < 0)
		return ret;
	ret = reader_next(r, &value);
	if (ret < 0)
		return ret;
	marks[i] = reader_mark(value.start_mark);
	ret = read_value(r, &section->fields[i], &value, (char *)item + section->fields[i].offset);
	yaml_event_delete(&value);
	r->depth--;
	return ret;
}

/* After the mapping's start, up to its end. */
static int read_map(struct reader *r, const struct schema_section *section, yaml_mark_t at,
		    void *item)
{
	int ret;

	*(struct mark *)item = reader_mark(at);
	do {
		ret = read_pair(r, section, item);
	} while (ret == 0);
	if (ret < 0)
		return ret;
	return check_required(r, section, schema_marks(section, item), at);
}

/* ---- Lists ------------------------------------------------------------------------------------
 */

/* Room for one more, zeroed; NULL without memory. */
static void *list_add(struct doc_list *list, size_t size)
{
	void *item;

	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : LIST_FIRST_ROOM;
		void *items = reallocarray(list->items, room, size);

		if (!items)
			return NULL;
		list->items = items;
		list->room = room;
	}
	item = (char *)list->items + list->n * size;
	memset(item, 0, size);
	list->n++;
	return item;
}

static int read_item(struct reader *r, const struct schema_field *field, const yaml_event_t *event,
		     struct doc_list *list)
{
	void *item;

	if (event->type != YAML_MAPPING_START_EVENT) {
		struct err why;

		err_set(&why, EINVAL, "expected a mapping");
		return reader_fail_value(r, event, &why);
	}
	if (list->n == field->max)
		return reader_fail(r, event->start_mark, "expected at most %u items", field->max);
	item = list_add(list, field->section->size);
	if (!item)
		return -ENOMEM;
	return read_map(r, field->section, event->start_mark, item);
}

typedef int (*item_reader)(struct reader *r, const struct schema_field *field,
			   const yaml_event_t *event, struct doc_list *list);

/* After the list's start, up to its end. */
static int read_items(struct reader *r, const struct schema_field *field, struct doc_list *list,
		      item_reader read_one)
{
	yaml_event_t event;
	int ret;

	for (;;) {
		ret = reader_next(r, &event);
		if (ret < 0)
			return ret;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		r->path[r->depth++] = (struct path_step){.index = list->n};
		ret = read_one(r, field, &event, list);
		yaml_event_delete(&event);
		if (ret < 0)
			return ret;
		r->depth--;
	}
	yaml_event_delete(&event);
	return 0;
}

static int read_list(struct reader *r, const struct schema_field *field, yaml_mark_t at,
		     struct doc_list *list)
{
	int ret = read_items(r, field, list, read_item);

	if (ret == 0 && list->n < field->min)
		return reader_fail(r, at, "expected at least %u item, got an empty list",
				   field->min);
	return ret;
}

/* ---- Words: a text, or a list of texts ---------------------------------------------------------
 */

static int read_word(struct reader *r, const struct schema_field *field, const yaml_event_t *event,
		     struct doc_list *list)
{
	struct doc_word *word;

	if (event->type != YAML_SCALAR_EVENT || reader_is_nothing(event))
		return reader_fail_expected(r, field, event);
	if (list->n == field->max)
		return reader_fail(r, event->start_mark, "expected at most %u items", field->max);
	word = list_add(list, sizeof(*word));
	if (!word)
		return -ENOMEM;
	word->at = reader_mark(event->start_mark);
	word->text = strdup((const char *)event->data.scalar.value);
	return word->text ? 0 : -ENOMEM;
}

static int read_word_item(struct reader *r, const struct schema_field *field,
			  const yaml_event_t *event, struct doc_list *list)
{
	int ret = read_word(r, field, event, list);

	if (ret == 0)
		((struct doc_word *)list->items)[list->n - 1].is_item = true;
	return ret;
}

static int read_words(struct reader *r, const struct schema_field *field, yaml_mark_t at,
		      struct doc_list *list)
{
	int ret = read_items(r, field, list, read_word_item);

	if (ret == 0 && list->n == 0)
		return reader_fail(r, at, "expected at least one item, got an empty list");
	return ret;
}

/* ---- HTTP headers: a mapping of free names ----------------------------------------------------
 */

static int check_header(struct reader *r, const struct schema_field *field,
			const struct doc_list *list, const yaml_event_t *name)
{
	const char *text = (const char *)name->data.scalar.value;
	const char *expected;
	char got[GOT_TEXT_MAX];
	size_t n;

	expected = name->type == YAML_SCALAR_EVENT ? check_http_header_name(text) : "a header name";
	if (expected)
		return reader_fail(r, name->start_mark, "expected %s, got %s", expected,
				   reader_describe(name, got));
	if (list->n == field->max)
		return reader_fail(r, name->start_mark, "expected at most %u headers", field->max);
	n = strlen(text);
	for (size_t i = 0; i < list->n; i++) {
		const char *other = ((char **)list->items)[i];

		if (strncasecmp(other, text, n) == 0 && other[n] == ':')
			return reader_fail(r, name->start_mark, "duplicate header \"%s\"", text);
	}
	return 0;
}

static int add_header(struct reader *r, struct doc_list *list, const yaml_event_t *name,
		      const yaml_event_t *value)
{
	const char *expected = "a header value of one line";
	char got[GOT_TEXT_MAX];
	char **slot;

	if (value->type == YAML_SCALAR_EVENT && !reader_is_nothing(value))
		expected = check_http_header_value((const char *)value->data.scalar.value);
	if (expected)
		return reader_fail(r, value->start_mark, "expected %s, got %s", expected,
				   reader_describe(value, got));
	slot = list_add(list, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	if (asprintf(slot, "%s: %s", (const char *)name->data.scalar.value,
		     (const char *)value->data.scalar.value) < 0) {
		*slot = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* One "Name: value"; 1 at the mapping's end. */
static int read_header(struct reader *r, const struct schema_field *field, struct doc_list *list)
{
	yaml_event_t name, value;
	int ret;

	ret = reader_next(r, &name);
	if (ret < 0)
		return ret;
	if (name.type == YAML_MAPPING_END_EVENT)
		ret = 1;
	else
		ret = check_header(r, field, list, &name);
	if (ret == 0)
		ret = reader_next(r, &value);
	if (ret == 0) {
		ret = add_header(r, list, &name, &value);
		yaml_event_delete(&value);
	}
	yaml_event_delete(&name);
	return ret;
}

static int read_headers(struct reader *r, const struct schema_field *field, struct doc_list *list)
{
	int ret;

	do {
		ret = read_header(r, field, list);
	} while (ret == 0);
	return ret < 0 ? ret : 0;
}

/* ---- Values -----------------------------------------------------------------------------------
 */

static int read_scalar(struct reader *r, const struct schema_field *field,
		       const yaml_event_t *event, void *slot)
{
	struct err why;
	int ret;

	if (reader_is_nothing(event))
		return reader_fail_expected(r, field, event);
	ret = value_parse(field, (const char *)event->data.scalar.value, slot, &why);
	if (ret == -EOPNOTSUPP)
		return reader_fail(r, event->start_mark, "not supported yet: %s", why.text);
	if (ret == -EINVAL && field->is_secret)
		return reader_fail(r, event->start_mark, "%s", why.text);
	if (ret == -EINVAL)
		return reader_fail_value(r, event, &why);
	return ret;
}

/* The value whose first event is there, to its end. */
static int read_value(struct reader *r, const struct schema_field *field, const yaml_event_t *event,
		      void *slot)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		if (field->type == SCHEMA_WORDS)
			return read_word(r, field, event, slot);
		return read_scalar(r, field, event, slot);
	case YAML_MAPPING_START_EVENT:
		if (field->type == SCHEMA_MAP)
			return read_map(r, field->section, event->start_mark, slot);
		if (field->type == SCHEMA_HEADERS)
			return read_headers(r, field, slot);
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (field->type == SCHEMA_LIST)
			return read_list(r, field, event->start_mark, slot);
		if (field->type == SCHEMA_WORDS)
			return read_words(r, field, event->start_mark, slot);
		break;
	default:
		break;
	}
	return reader_fail_expected(r, field, event);
}

/* ---- The document -----------------------------------------------------------------------------
 */

static int skip_event(struct reader *r, yaml_event_type_t *ret_type)
{
	yaml_event_t event;
	int ret = reader_next(r, &event);

	if (ret < 0)
		return ret;
	*ret_type = event.type;
	yaml_event_delete(&event);
	return 0;
}

static int read_root(struct reader *r, struct doc_file *doc)
{
	static const struct schema_field root = {.type = SCHEMA_MAP, .section = &schema_file};
	yaml_event_t event;
	int ret;

	ret = reader_next(r, &event);
	if (ret < 0)
		return ret;
	ret = read_value(r, &root, &event, doc);
	yaml_event_delete(&event);
	return ret;
}

static int read_document(struct reader *r, struct doc_file *doc)
{
	yaml_event_type_t type;
	yaml_event_t event;
	int ret;

	ret = skip_event(r, &type); /* stream start */
	if (ret < 0)
		return ret;
	ret = skip_event(r, &type); /* document start; an empty stream has none */
	if (ret < 0)
		return ret;
	if (type == YAML_STREAM_END_EVENT)
		return reader_fail(r, (yaml_mark_t){}, "expected a mapping, got an empty file");
	ret = read_root(r, doc);
	if (ret < 0)
		return ret;
	ret = skip_event(r, &type); /* document end */
	if (ret < 0)
		return ret;
	ret = reader_next(r, &event);
	if (ret < 0)
		return ret;
	if (event.type != YAML_STREAM_END_EVENT)
		ret = reader_fail(r, event.start_mark, "expected one YAML document, got another");
	yaml_event_delete(&event);
	return ret;
}

int config_read(const char *file, const char *text, size_t len, struct doc_file *doc,
		struct err *err)
{
	struct reader r = {.file = file, .text = text, .len = len, .err = err};
	int ret;

	if (!yaml_parser_initialize(&r.yaml))
		return -ENOMEM;
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
	ret = read_document(&r, doc);
	yaml_parser_delete(&r.yaml);
	if (ret == -ENOMEM)
		err_set(err, ENOMEM, "%.255s: out of memory", file);
	return ret;
}
