// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What most commands do: ask the daemon, print its document or columns over it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"

#define FILE_MAX (16u << 20)

enum exit_status ctl_fail(const struct err *err)
{
	fprintf(stderr, "xdplbctl: %s\n", err->text);
	return EXIT_FAILED;
}

enum exit_status ctl_print_json(const json_t *document)
{
	int r = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);

	putchar('\n');
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* Ends a command that printed document as text with r: 0 or a negative errno. */
static enum exit_status end_text(json_t *document, int r)
{
	struct err err;

	json_decref(document);
	if (r == 0)
		return EXIT_DONE;
	err_errno(&err, -r, "print");
	return ctl_fail(&err);
}

/* The document under path; NULL if there is no more to do: *ret_status says how it ended. */
static json_t *get(const struct invocation *invocation, const char *path,
		   enum exit_status *ret_status)
{
	struct err err = {};
	json_t *document;

	if (client_get(invocation->socket, path, &document, &err) < 0) {
		*ret_status = ctl_fail(&err);
		return NULL;
	}
	if (!invocation->wants_json)
		return document;
	*ret_status = ctl_print_json(document);
	json_decref(document);
	return NULL;
}

enum exit_status ctl_show(const struct invocation *invocation, const char *path,
			  int (*print)(const struct invocation *invocation, const json_t *document))
{
	enum exit_status status = EXIT_FAILED;
	json_t *document = get(invocation, path, &status);

	return document ? end_text(document, print(invocation, document)) : status;
}

typedef int (*print_fn)(FILE *out, const json_t *document, const struct column *columns,
			size_t n_columns, bool has_colour);

static enum exit_status show_columns(const struct invocation *invocation, const char *path,
				     const struct column *columns, size_t n_columns, print_fn print)
{
	enum exit_status status = EXIT_FAILED;
	json_t *document = get(invocation, path, &status);

	if (!document)
		return status;
	return end_text(document,
			print(stdout, document, columns, n_columns, invocation->has_colour));
}

enum exit_status ctl_show_table(const struct invocation *invocation, const char *path,
				const struct column *columns, size_t n_columns)
{
	return show_columns(invocation, path, columns, n_columns, table_print);
}

enum exit_status ctl_show_record(const struct invocation *invocation, const char *path,
				 const struct column *columns, size_t n_columns)
{
	return show_columns(invocation, path, columns, n_columns, record_print);
}

/* Every number of the reply that is not zero, in words: "generation 3, reals added 1". */
static void print_change(const json_t *reply)
{
	const char *separator = "";
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)reply, key, value) {
		if (!json_is_string(value) && json_integer_value(value) == 0)
			continue;
		fputs(separator, stdout);
		for (const char *p = key; *p; p++)
			putchar(*p == '_' ? ' ' : *p);
		if (json_is_string(value))
			printf(" %s", json_string_value(value));
		else
			printf(" %lld", (long long)json_integer_value(value));
		separator = ", ";
	}
	putchar('\n');
}

void ctl_print_warnings(const json_t *document)
{
	const json_t *warning;
	size_t i;

	json_array_foreach (json_object_get(document, "warnings"), i, warning)
		fprintf(stderr, "xdplbctl: warning: %s\n", json_string_value(warning));
}

enum exit_status ctl_post(const struct invocation *invocation, const char *path, json_t **ret_reply)
{
	struct err err = {};

	if (client_post(invocation->socket, path, "", 0, ret_reply, &err) < 0)
		return ctl_fail(&err);
	return EXIT_DONE;
}

enum exit_status ctl_change(const struct invocation *invocation, const char *path, const char *body,
			    size_t body_len)
{
	enum exit_status status = EXIT_DONE;
	struct err err = {};
	json_t *reply;

	if (client_post(invocation->socket, path, body, body_len, &reply, &err) < 0)
		return ctl_fail(&err);
	if (invocation->wants_json)
		status = ctl_print_json(reply);
	else
		print_change(reply);
	if (!invocation->wants_json)
		ctl_print_warnings(reply);
	json_decref(reply);
	return status;
}

static int read_stream(FILE *stream, char **ret_text, size_t *ret_len, struct err *err)
{
	char *text = malloc(FILE_MAX + 1);
	size_t len;

	if (!text)
		return err_errno(err, ENOMEM, "read");
	len = fread(text, 1, FILE_MAX + 1, stream);
	if (ferror(stream) || len > FILE_MAX) {
		free(text);
		return len > FILE_MAX ? err_set(err, EFBIG, "larger than 16 MiB")
				      : err_errno(err, errno, "read");
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int ctl_read_file(const char *path, char **ret_text, size_t *ret_len, struct err *err)
{
	FILE *stream;
	int r;

	if (strcmp(path, "-") == 0)
		return read_stream(stdin, ret_text, ret_len, err);
	stream = fopen(path, "re");
	if (!stream)
		return err_errno(err, errno, "open %s", path);
	r = read_stream(stream, ret_text, ret_len, err);
	if (r < 0)
		err_prefix(err, "%s", path);
	fclose(stream);
	return r;
}
