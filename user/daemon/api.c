// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The HTTP API. One table row per route makes the dispatch, the 405s and the OpenAPI document; a
 * handler checks its arguments, calls the controller and hands back rendered JSON.
 */
#include "api.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/config.h"
#include "lib/config_value.h"
#include "lib/render.h"
#include "route.h"

/* The reply is on its way before the loop ends. */
#define EXIT_DELAY_US 100000

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
	json_t *body; /* the reply: handlers set it, or fail() does */
};

static unsigned int fail(struct call *call, unsigned int status, const char *text)
{
	call->body = json_pack("{s:s}", "error", text);
	return status;
}

static unsigned int fail_errno(struct call *call, int r, const struct err *err)
{
	switch (-r) {
	case EINVAL:
	case ENODEV:
	case ENOSPC:
	case E2BIG:
	case ERANGE:
	case EOPNOTSUPP:
		return fail(call, HTTP_BAD_REQUEST, err->text);
	case ENOENT:
		return fail(call, HTTP_NOT_FOUND, err->text);
	case EBUSY:
	case EEXIST:
	case ECANCELED:
		return fail(call, HTTP_CONFLICT, err->text);
	default:
		return fail(call, HTTP_INTERNAL_ERROR, err->text);
	}
}

static unsigned int done(struct call *call, json_t *body)
{
	call->body = body;
	return HTTP_OK;
}

static bool query_is_set(const struct call *call, const char *key)
{
	const char *value = http_request_query(call->request, key);

	return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* ---- Reading ----------------------------------------------------------------------------- */

static unsigned int reply_snapshot(struct call *call, json_t *(*render)(const struct snapshot *))
{
	struct err err = {};
	struct snapshot *s;
	int r = controller_snapshot(call->api->controller, &s, &err);

	if (r < 0)
		return fail_errno(call, r, &err);
	call->body = render(s);
	snapshot_free(s);
	return HTTP_OK;
}

static unsigned int get_status(struct call *call)
{
	return reply_snapshot(call, render_status);
}

static unsigned int get_vips(struct call *call)
{
	return reply_snapshot(call, render_vips);
}

static unsigned int get_flow_count(struct call *call)
{
	struct controller *controller = call->api->controller;
	uint64_t *request = call->request->awaited;

	if (!*request)
		*request = controller_request_scan(controller);
	if (!controller_has_scanned(controller, *request))
		return HTTP_LATER;
	return reply_snapshot(call, render_flow_count);
}

static json_t *render_stats_total(const struct snapshot *s)
{
	return render_stats(s, false);
}

static json_t *render_stats_per_cpu(const struct snapshot *s)
{
	return render_stats(s, true);
}

static unsigned int get_stats(struct call *call)
{
	return reply_snapshot(call, query_is_set(call, "per_cpu") ? render_stats_per_cpu
								  : render_stats_total);
}

static unsigned int fail_no_vip(struct call *call, const char *name)
{
	struct err err;

	err_set(&err, ENOENT, "no VIP named %s", name);
	return fail(call, HTTP_NOT_FOUND, err.text);
}

static const struct snapshot_vip *find_vip(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->n_vips; i++) {
		if (strcmp(s->vips[i].spec->name, name) == 0)
			return &s->vips[i];
	}
	return NULL;
}

static const struct snapshot_real *find_real(const struct snapshot *s, const char *vip,
					     const struct ip_addr *address)
{
	for (size_t i = 0; i < s->n_reals; i++) {
		const struct snapshot_real *real = &s->reals[i];

		if (strcmp(real->vip, vip) == 0 && addr_equal(&real->address, address))
			return real;
	}
	return NULL;
}

static unsigned int render_one_vip(struct call *call, const struct snapshot *s)
{
	const struct snapshot_vip *vip = find_vip(s, call->args[0]);

	return vip ? done(call, render_vip(s, vip)) : fail_no_vip(call, call->args[0]);
}

/* An array of all VIPs' things, or of those of the VIP that the query names. */
static unsigned int render_of_vip(struct call *call, const struct snapshot *s,
				  json_t *(*render)(const struct snapshot *, const char *vip))
{
	const char *vip = http_request_query(call->request, "vip");

	if (vip && !find_vip(s, vip))
		return fail_no_vip(call, vip);
	return done(call, render(s, vip));
}

static unsigned int render_reals_of(struct call *call, const struct snapshot *s)
{
	return render_of_vip(call, s, render_reals);
}

static unsigned int render_health_of(struct call *call, const struct snapshot *s)
{
	return render_of_vip(call, s, render_health);
}

static unsigned int render_one_real(struct call *call, const struct snapshot *s)
{
	const struct snapshot_real *real;
	struct ip_addr address;
	struct err err;

	if (addr_parse(call->args[1], &address) < 0) {
		err_set(&err, EINVAL, "not an IP address: %s", call->args[1]);
		return fail(call, HTTP_BAD_REQUEST, err.text);
	}
	if (!find_vip(s, call->args[0]))
		return fail_no_vip(call, call->args[0]);
	real = find_real(s, call->args[0], &address);
	if (!real) {
		err_set(&err, ENOENT, "VIP %s has no real %s", call->args[0], call->args[1]);
		return fail(call, HTTP_NOT_FOUND, err.text);
	}
	return done(call, render_real(s, real));
}

/* A reply about a part of the snapshot that the request names. */
static unsigned int reply_part(struct call *call,
			       unsigned int (*render)(struct call *, const struct snapshot *))
{
	struct err err = {};
	unsigned int status;
	struct snapshot *s;
	int r = controller_snapshot(call->api->controller, &s, &err);

	if (r < 0)
		return fail_errno(call, r, &err);
	status = render(call, s);
	snapshot_free(s);
	return status;
}

static unsigned int get_vip(struct call *call)
{
	return reply_part(call, render_one_vip);
}

static unsigned int get_reals(struct call *call)
{
	return reply_part(call, render_reals_of);
}

static unsigned int get_health(struct call *call)
{
	return reply_part(call, render_health_of);
}

static unsigned int get_real(struct call *call)
{
	return reply_part(call, render_one_real);
}

static json_t *render_config(const struct snapshot *s)
{
	return config_to_json(s->config);
}

static unsigned int get_config(struct call *call)
{
	return reply_snapshot(call, render_config);
}

#define EVENTS_DEFAULT 100

static uint64_t query_number(const struct call *call, const char *key, uint64_t initial)
{
	const char *value = http_request_query(call->request, key);

	return value && *value >= '0' && *value <= '9' ? strtoull(value, NULL, 10) : initial;
}

static unsigned int get_events(struct call *call)
{
	uint64_t after = query_number(call, "after", 0);
	uint64_t limit = query_number(call, "limit", EVENTS_DEFAULT);

	return done(call, controller_events(call->api->controller, after, limit));
}

/* ---- Changing ---------------------------------------------------------------------------- */

/* What a request changes at a real: `drain` for ADMIN_DRAIN only. */
struct admin_change {
	enum admin_state admin;
	struct drain_request drain;
};

static int change_admin(struct call *call, const struct ip_addr *address,
			const struct admin_change *change, struct err *err)
{
	struct controller *controller = call->api->controller;
	const char *vip = call->args[0];

	if (change->admin == ADMIN_DRAIN)
		return controller_drain(controller, vip, address, &change->drain, err);
	return controller_set_admin(controller, vip, address, change->admin, err);
}

static unsigned int set_admin(struct call *call, const struct admin_change *change)
{
	uint64_t *is_set = call->request->awaited;
	struct ip_addr address;
	struct err err = {};
	int r;

	if (addr_parse(call->args[1], &address) < 0) {
		err_set(&err, EINVAL, "not an IP address: %s", call->args[1]);
		return fail(call, HTTP_BAD_REQUEST, err.text);
	}
	if (!*is_set) {
		r = change_admin(call, &address, change, &err);
		if (r < 0)
			return fail_errno(call, r, &err);
		*is_set = true;
	}
	if (!controller_has_rings(call->api->controller))
		return HTTP_LATER;
	return done(call,
		    json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "vip", call->args[0], "address",
			      call->args[1], "admin", admin_state_name(change->admin)));
}

/* A key of `drain` as the configuration takes it. Whether it is given; -EINVAL. */
static int read_drain_key(struct call *call, size_t key, void *ret_value, struct err *err)
{
	const struct schema_field *field = &schema_drain.fields[key];
	const char *text = http_request_query(call->request, field->key);
	int r = text ? value_parse(field, text, ret_value, err) : 0;

	if (r < 0) {
		err_prefix(err, "%s", field->key);
		return r;
	}
	return text != NULL;
}

static unsigned int post_drain(struct call *call)
{
	struct admin_change change = {.admin = ADMIN_DRAIN,
				      .drain.disables = query_is_set(call, "disable")};
	uint32_t timeout = 0, then = 0;
	struct err err = {};
	int has_timeout = read_drain_key(call, DRAIN_KEY_TIMEOUT, &timeout, &err);
	int has_then = has_timeout < 0 ? has_timeout
				       : read_drain_key(call, DRAIN_KEY_THEN, &then, &err);

	if (has_then < 0)
		return fail_errno(call, has_then, &err);
	change.drain.has_timeout = has_timeout;
	change.drain.timeout_ms = timeout;
	change.drain.has_then = has_then;
	change.drain.then = then;
	return set_admin(call, &change);
}

static unsigned int post_disable(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_DISABLED});
}

static unsigned int post_enable(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_ENABLED});
}

static unsigned int begin_pools(struct call *call)
{
	const char *pool = http_request_query(call->request, "pool");
	const char *pools = http_request_query(call->request, "pools");
	struct err err = {};
	int r;

	if (!pool == !pools)
		return fail(call, HTTP_BAD_REQUEST, "expected either pool or pools in the query");
	r = controller_set_pools(call->api->controller, call->args[0], pool ? pool : pools,
				 pool != NULL, query_is_set(call, "force"), call->request->awaited,
				 &err);
	return r < 0 ? fail_errno(call, r, &err) : HTTP_LATER;
}

static unsigned int post_pools(struct call *call)
{
	uint64_t *ticket = call->request->awaited;
	struct err err = {};
	unsigned int status = *ticket ? HTTP_LATER : begin_pools(call);
	int r;

	if (status != HTTP_LATER)
		return status;
	r = controller_pools_result(call->api->controller, *ticket, &err);
	if (r == -EAGAIN)
		return HTTP_LATER;
	if (r < 0)
		return fail_errno(call, r, &err);
	return done(call, json_pack("{s:b, s:s}", "ok", 1, "vip", call->args[0]));
}

static json_t *report_to_json(const struct change_report *report)
{
	return json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ok", 1, "generation",
		(json_int_t)report->generation, "vips_added", (json_int_t)report->vips_added,
		"vips_removed", (json_int_t)report->vips_removed, "vips_changed",
		(json_int_t)report->vips_changed, "reals_added", (json_int_t)report->reals_added,
		"reals_removed", (json_int_t)report->reals_removed, "reals_changed",
		(json_int_t)report->reals_changed);
}

static const char *body_name(const struct call *call)
{
	const char *name = http_request_query(call->request, "name");

	return name ? name : "request";
}

static unsigned int post_config_check(struct call *call)
{
	struct config *config;
	struct err err = {};
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int r = config_parse(body_name(call), call->request->body, call->request->body_len, &config,
			     &err);

	if (r < 0)
		return fail_errno(call, r, &err);
	call->body = json_pack("{s:b, s:I, s:I}", "ok", 1, "vips", (json_int_t)config->n_vips,
			       "memory_bytes",
			       (json_int_t)config_memory_bytes(config, cpus > 0 ? cpus : 1));
	config_free(config);
	return HTTP_OK;
}

static unsigned int post_config_apply(struct call *call)
{
	struct change_report report = {};
	struct err err = {};
	int r = controller_apply_text(call->api->controller, body_name(call), call->request->body,
				      call->request->body_len, query_is_set(call, "force"), &report,
				      &err);

	return r < 0 ? fail_errno(call, r, &err) : done(call, report_to_json(&report));
}

static unsigned int post_reload(struct call *call)
{
	struct change_report report = {};
	struct err err = {};
	int r = controller_reload(call->api->controller, query_is_set(call, "force"), &report,
				  &err);

	return r < 0 ? fail_errno(call, r, &err) : done(call, report_to_json(&report));
}

static int on_exit_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct api *api = user;

	return sd_event_exit(api->event, 0);
}

static unsigned int post_detach(struct call *call)
{
	struct err err = {};
	int r = controller_detach(call->api->controller, &err);

	if (r < 0)
		return fail_errno(call, r, &err);
	r = sd_event_add_time_relative(call->api->event, NULL, CLOCK_MONOTONIC, EXIT_DELAY_US, 1,
				       on_exit_timer, call->api);
	if (r < 0) {
		err_errno(&err, -r, "detached, but the daemon cannot end itself");
		return fail(call, HTTP_INTERNAL_ERROR, err.text);
	}
	return done(call, json_pack("{s:b}", "ok", 1));
}

/* ---- Routes ------------------------------------------------------------------------------ */

static unsigned int get_openapi(struct call *call);

static const struct route routes[] = {
	{"GET", "/v1/status", "", NULL, "The daemon, its interfaces and totals", get_status},
	{"GET", "/v1/vips", "", NULL, "All VIPs", get_vips},
	{"GET", "/v1/vips/{name}", "", NULL, "One VIP with its members", get_vip},
	{"POST", "/v1/vips/{name}/pools", "pool pools force", NULL,
	 "Give it one pool, or several (NAME[:WEIGHT][:backup],...), or those of the file (file)",
	 post_pools},
	{"GET", "/v1/reals", "vip", NULL, "Reals of all VIPs or of one", get_reals},
	{"GET", "/v1/reals/{vip}/{address}", "", NULL, "One real with its health", get_real},
	{"POST", "/v1/reals/{vip}/{address}/drain", "timeout then disable", NULL,
	 "Keep its flows, give it no new ones", post_drain},
	{"POST", "/v1/reals/{vip}/{address}/undrain", "", NULL, "Give it new flows again",
	 post_enable},
	{"POST", "/v1/reals/{vip}/{address}/disable", "", NULL, "Move its flows away at once",
	 post_disable},
	{"POST", "/v1/reals/{vip}/{address}/enable", "", NULL, "Use it again", post_enable},
	{"GET", "/v1/health", "vip", NULL, "Probes and their last results", get_health},
	{"GET", "/v1/events", "after limit", NULL, "What changed, when and by whom", get_events},
	{"GET", "/v1/stats", "per_cpu", NULL, "Packets by verdict and reason", get_stats},
	{"GET", "/v1/flows/count", "", NULL, "Flows, counted now", get_flow_count},
	{"GET", "/v1/config", "", NULL, "The running configuration", get_config},
	{"POST", "/v1/config/check", "name", "application/yaml",
	 "Check a configuration, change nothing", post_config_check},
	{"POST", "/v1/config/apply", "name force", "application/yaml",
	 "Apply a configuration until the next reload", post_config_apply},
	{"POST", "/v1/reload", "force", NULL, "Read the configuration file again", post_reload},
	{"POST", "/v1/detach", "", NULL, "Remove program, links and pins, and end the daemon",
	 post_detach},
	{"GET", "/v1/openapi.json", "", NULL, "This document", get_openapi},
};

#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

static unsigned int get_openapi(struct call *call)
{
	return done(call, routes_to_openapi(routes, N_ROUTES));
}

static unsigned int fail_method(struct call *call, const char *allow)
{
	call->body = json_pack("{s:s+++, s:s}", "error", call->request->method,
			       " is not allowed here: use ", allow, "", "allow", allow);
	return HTTP_METHOD_NOT_ALLOWED;
}

static unsigned int dispatch(struct call *call)
{
	const char *method = call->request->method;
	const char *allow = NULL;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < N_ROUTES; i++) {
		if (!route_match(&routes[i], call->request->path, call->args))
			continue;
		allow = routes[i].method;
		if (strcmp(method, allow) != 0)
			continue;
		return routes[i].handler(call);
	}
	if (allow)
		return fail_method(call, allow);
	return fail(call, HTTP_NOT_FOUND, "no such path: GET /v1/openapi.json lists them");
}

/* From the file alone: a directory service would keep everybody waiting. */
static void name_of_uid(uid_t uid, char *name, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *user = file ? fgetpwent(file) : NULL;

	while (user && user->pw_uid != uid)
		user = fgetpwent(file);
	snprintf(name, size, "%s", user ? user->pw_name : "api");
	if (file)
		fclose(file);
}

static void act_as_peer(struct call *call)
{
	struct actor who = {.name = "api"};

	who.has_ids = http_request_peer(call->request, &who.uid, &who.pid);
	if (who.has_ids)
		name_of_uid(who.uid, who.name, sizeof(who.name));
	controller_act_as(call->api->controller, &who);
}

unsigned int api_handle(void *user, const struct http_request *request, json_t **ret_body)
{
	struct call call = {.api = user, .request = request};
	unsigned int status;

	if (strcmp(request->method, "POST") == 0)
		act_as_peer(&call);
	status = dispatch(&call);
	*ret_body = call.body;
	return status;
}
