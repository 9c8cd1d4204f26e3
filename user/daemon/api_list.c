/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists of VIPs, reals and probes: rendered a few at a time while they are sent, since 10,000 reals
 * at once would keep probes waiting for half a second. Each row is as it is when it is rendered; a
 * configuration that comes in between may show a real twice or not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "lib/render.h"

struct list {
	struct http_stream stream;
	struct controller *controller;
	json_t *(*render)(const struct snapshot *);
	struct snapshot_scope scope; /* of the next piece; one VIP */
	char *vip; /* NULL: of all */
	bool has_begun, has_rows, is_over;
};

static struct list *list_of(struct http_stream *stream)
{
	return (struct list *)stream; /* its first member */
}

/* In one piece: json_dumpf() writes it in a thousand. */
static int write_row(FILE *text, const json_t *row)
{
	char *copy = json_dumps(row, JSON_COMPACT);

	if (!copy)
		return -ENOMEM;
	fputs(copy, text);
	free(copy);
	return 0;
}

static int write_rows(struct list *list, FILE *text, const json_t *rows)
{
	size_t i;
	json_t *row;
	int r = rows ? 0 : -ENOMEM;

	json_array_foreach (rows, i, row) {
		fputs(list->has_rows ? ",\n" : "", text);
		list->has_rows = true;
		r = r ? r : write_row(text, row);
	}
	return r;
}

/* On to the VIP's next reals or to the next VIP. */
static void move_on(struct list *list, const struct snapshot *s)
{
	if (s->n_reals && s->n_reals == list->scope.n_reals) {
		list->scope.first_real += list->scope.n_reals;
		return;
	}
	list->scope.first_vip++;
	list->scope.first_real = 0;
}

static bool is_vip_through(const struct list *list)
{
	return list->vip &&
	       list->scope.first_vip != controller_find_vip(list->controller, list->vip);
}

static int write_piece(struct list *list, FILE *text)
{
	struct snapshot *s;
	struct err err;
	json_t *rows;
	int r;

	list->is_over = is_vip_through(list);
	if (list->is_over)
		return 0;
	r = controller_snapshot(list->controller, &list->scope, &s, &err);
	if (r)
		return r;
	list->is_over = s->n_vips == 0;
	rows = list->render(s);
	r = write_rows(list, text, rows);
	json_decref(rows);
	move_on(list, s);
	snapshot_free(s);
	return r;
}

static int list_next(struct http_stream *stream, char **ret_piece, size_t *ret_len)
{
	struct list *list = list_of(stream);
	char *piece = NULL;
	size_t len;
	FILE *text;
	int r;

	if (list->is_over)
		return 0;
	text = open_memstream(&piece, &len);
	if (!text)
		return -ENOMEM;
	if (!list->has_begun)
		fputc('[', text);
	list->has_begun = true;
	r = write_piece(list, text);
	if (list->is_over)
		fputs("]\n", text);
	if (fclose(text) || r) {
		free(piece);
		return r ? r : -ENOMEM;
	}
	*ret_piece = piece;
	*ret_len = len;
	return 0;
}

static void list_free(struct http_stream *stream)
{
	free(list_of(stream)->vip);
	free(stream);
}

unsigned int call_list(struct call *call, json_t *(*render)(const struct snapshot *),
		       size_t at_once)
{
	const char *name = http_request_query(call->request, "vip");
	struct controller *controller = call->api->controller;
	size_t vip = name ? controller_find_vip(controller, name) : 0;
	struct list *list;
	char *copy;

	if (vip == SIZE_MAX)
		return call_fail_no_vip(call, name);
	list = calloc(1, sizeof(*list));
	copy = name ? strdup(name) : NULL;
	if (!list || (name && !copy)) {
		free(list);
		free(copy);
		return call_fail(call, HTTP_INTERNAL_ERROR, "out of memory");
	}
	*list = (struct list){
		.stream = {.next = list_next, .free = list_free},
		.controller = controller,
		.render = render,
		.scope = {.first_vip = vip, .n_vips = 1, .n_reals = at_once, .has_counters = true},
		.vip = copy,
	};
	call->reply.stream = &list->stream;
	return HTTP_OK;
}
