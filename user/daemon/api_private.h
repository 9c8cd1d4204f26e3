/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The API's parts: api.c (routes, dispatch, most handlers), api_real.c (handlers for reals),
 * api_list.c (lists), api_call.c (what handlers share). Nobody else includes this.
 */
#pragma once

#include "api.h"
#include "route.h"

enum http_status {
	HTTP_OK = 200,
	HTTP_BAD_REQUEST = 400,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_CONFLICT = 409,
	HTTP_INTERNAL_ERROR = 500,
};

/* One request on its way through a handler. */
struct call {
	struct api *api;
	const struct http_request *request;
	char args[ROUTE_ARGS_MAX][ROUTE_ARG_MAX]; /* what stood for {...} in the path */
	struct http_reply reply; /* call_done(), call_fail() and call_list() set it */
};

/* api_call.c; these end a handler: what they return is its result. */
unsigned int call_done(struct call *call, json_t *body);
unsigned int call_fail(struct call *call, unsigned int status, const char *text);
/* r is a controller's negative errno. */
unsigned int call_fail_errno(struct call *call, int r, const struct err *err);
unsigned int call_fail_no_vip(struct call *call, const char *name);
unsigned int call_reply_snapshot(struct call *call, const struct snapshot_scope *scope,
				 json_t *(*render)(const struct snapshot *));

bool call_query_is_set(const struct call *call, const char *key);

/*
 * api_list.c: an array of what `render` makes of all VIPs, or of the VIP that the query names;
 * `at_once` reals are rendered without a break.
 */
unsigned int call_list(struct call *call, json_t *(*render)(const struct snapshot *),
		       size_t at_once);
#define LIST_AT_ONCE 32 /* one or two milliseconds */

/* api_real.c */
unsigned int api_get_reals(struct call *call);
unsigned int api_get_real(struct call *call);
unsigned int api_post_drain(struct call *call);
unsigned int api_post_disable(struct call *call);
unsigned int api_post_enable(struct call *call);
unsigned int api_post_remove(struct call *call);
unsigned int api_post_add(struct call *call);
