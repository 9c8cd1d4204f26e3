/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rows of the API's route table: how a path matches one and what they say in OpenAPI. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ROUTE_ARGS_MAX 2
#define ROUTE_ARG_MAX  256

struct call;

/* Sets the call's reply and returns the HTTP status. */
typedef unsigned int (*route_fn)(struct call *call);

struct route {
	const char *method;
	const char *path; /* {name}: any one segment, not empty */
	const char *query; /* parameters, separated by blanks */
	const char *body; /* media type; NULL: takes none */
	const char *summary;
	route_fn handler;
};

/* Whether path is the route's; if so, fills args with the segments that stand for {...}. */
bool route_match(const struct route *route, const char *path, char args[][ROUTE_ARG_MAX]);

/* An OpenAPI 3.0 document of the routes. New reference. */
json_t *routes_to_openapi(const struct route *routes, size_t n);
