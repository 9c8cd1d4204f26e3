// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Routes: see route.h. */
#include "route.h"

#include <string.h>

bool route_match(const struct route *route, const char *path, char args[][ROUTE_ARG_MAX])
{
	const char *pattern = route->path;
	size_t n = 0;

	while (*pattern == '/' && *path == '/') {
		size_t pattern_len = strcspn(++pattern, "/");
		size_t len = strcspn(++path, "/");

		if (*pattern == '{') {
			if (len == 0 || len >= ROUTE_ARG_MAX || n == ROUTE_ARGS_MAX)
				return false;
			memcpy(args[n], path, len);
			args[n++][len] = '\0';
		} else if (len != pattern_len || memcmp(pattern, path, len) != 0) {
			return false;
		}
		pattern += pattern_len;
		path += len;
	}
	return !*pattern && !*path;
}

static json_t *parameter_to_json(const char *in, const char *name, size_t len)
{
	return json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name, len, "in", in, "required",
			 strcmp(in, "path") == 0, "schema", "type", "string");
}

static json_t *parameters_to_json(const struct route *route)
{
	json_t *array = json_array();
	const char *p;

	for (p = strchr(route->path, '{'); p; p = strchr(p, '{')) {
		p++;
		json_array_append_new(array, parameter_to_json("path", p, strcspn(p, "}")));
	}
	for (p = route->query; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		json_array_append_new(array, parameter_to_json("query", p, len));
		p += len;
	}
	return array;
}

static json_t *operation_to_json(const struct route *route)
{
	json_t *operation = json_pack("{s:s, s:o, s:{s:{s:s, s:{s:{}}}, s:{s:s}}}", "summary",
				      route->summary, "parameters", parameters_to_json(route),
				      "responses", "200", "description", "done", "content",
				      "application/json", "default", "description",
				      "not done; the body is {\"error\": \"why\"}");

	if (route->body)
		json_object_set_new(
			operation, "requestBody",
			json_pack("{s:b, s:{s:{}}}", "required", 1, "content", route->body));
	return operation;
}

json_t *routes_to_openapi(const struct route *routes, size_t n)
{
	json_t *paths = json_object();

	for (size_t i = 0; i < n; i++) {
		const char *method = strcmp(routes[i].method, "GET") == 0 ? "get" : "post";
		json_t *path = json_object_get(paths, routes[i].path);

		if (!path) {
			path = json_object();
			json_object_set_new(paths, routes[i].path, path);
		}
		json_object_set_new(path, method, operation_to_json(&routes[i]));
	}
	return json_pack("{s:s, s:{s:s, s:s}, s:o}", "openapi", "3.0.3", "info", "title", "xdplb",
			 "version", XDPLB_VERSION, "paths", paths);
}
