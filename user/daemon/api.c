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

#include "api_private.h"
#include "lib/config.h"
#include "lib/render.h"

/* The reply is on its way before the loop ends. */
#define EXIT_DELAY_US 100000

/* ---- Reading ----------------------------------------------------------------------------- */

static unsigned int get_status(struct call *call)
{
	struct snapshot_scope scope = {.n_vips = SIZE_MAX, .n_reals = SIZE_MAX, .has_totals = true};

	return call_reply_snapshot(call, &scope, render_status);
}

static unsigned int get_vips(struct call *call)
{
	return call_list(call, render_vips, SIZE_MAX);
}

static unsigned int get_flow_count(struct call *call)
{
	struct controller *controller = call->api->controller;
	uint64_t *request = call->request->awaited;

	if (!*request)
		*request = controller_request_scan(controller);
	if (!controller_has_scanned(controller, *request))
		return HTTP_LATER;
	return call_reply_snapshot(call, &(struct snapshot_scope){.has_totals = true},
				   render_flow_count);
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
	return call_reply_snapshot(call, &snapshot_all,
				   call_query_is_set(call, "per_cpu") ? render_stats_per_cpu
								      : render_stats_total);
}

static json_t *render_the_vip(const struct snapshot *s)
{
	return render_vip(s, &s->vips[0]);
}

static unsigned int get_vip(struct call *call)
{
	struct snapshot_scope scope = {.n_vips = 1, .n_reals = SIZE_MAX, .has_counters = true};

	scope.first_vip = controller_find_vip(call->api->controller, call->args[0]);
	if (scope.first_vip == SIZE_MAX)
		return call_fail_no_vip(call, call->args[0]);
	return call_reply_snapshot(call, &scope, render_the_vip);
}

static unsigned int get_health(struct call *call)
{
	return call_list(call, render_health, LIST_AT_ONCE);
}

static json_t *render_config(const struct snapshot *s)
{
	return config_to_json(s->config);
}

static unsigned int get_config(struct call *call)
{
	return call_reply_snapshot(call, &(struct snapshot_scope){}, render_config);
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

	return call_done(call, controller_events(call->api->controller, after, limit));
}

/* ---- Changing ---------------------------------------------------------------------------- */

static unsigned int begin_pools(struct call *call)
{
	const char *pool = http_request_query(call->request, "pool");
	const char *pools = http_request_query(call->request, "pools");
	struct err err = {};
	int r;

	if (!pool == !pools)
		return call_fail(call, HTTP_BAD_REQUEST,
				 "expected either pool or pools in the query");
	r = controller_set_pools(call->api->controller, call->args[0], pool ? pool : pools,
				 pool != NULL, call_query_is_set(call, "force"),
				 call->request->awaited, &err);
	return r < 0 ? call_fail_errno(call, r, &err) : HTTP_LATER;
}

static unsigned int reply_pools(struct call *call)
{
	struct snapshot_scope scope = {.n_vips = 1};

	scope.first_vip = controller_find_vip(call->api->controller, call->args[0]);
	if (scope.first_vip == SIZE_MAX)
		return call_fail_no_vip(call, call->args[0]);
	return call_reply_snapshot(call, &scope, render_switch);
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
		return call_fail_errno(call, r, &err);
	return reply_pools(call);
}

static json_t *report_to_json(const struct change_report *report)
{
	return json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "ok", 1, "generation",
		(json_int_t)report->generation, "vips_added", (json_int_t)report->vips_added,
		"vips_removed", (json_int_t)report->vips_removed, "vips_changed",
		(json_int_t)report->vips_changed, "reals_added", (json_int_t)report->reals_added,
		"reals_removed", (json_int_t)report->reals_removed, "reals_changed",
		(json_int_t)report->reals_changed, "warnings", text_list_to_json(report->warnings));
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
		return call_fail_errno(call, r, &err);
	call->reply.body = json_pack("{s:b, s:I, s:I, s:o}", "ok", 1, "vips",
				     (json_int_t)config->n_vips, "memory_bytes",
				     (json_int_t)config_memory_bytes(config, cpus > 0 ? cpus : 1),
				     "warnings", text_list_to_json(&config->warnings));
	config_free(config);
	return HTTP_OK;
}

static unsigned int post_config_apply(struct call *call)
{
	struct change_report report = {};
	struct err err = {};
	int r = controller_apply_text(call->api->controller, body_name(call), call->request->body,
				      call->request->body_len, call_query_is_set(call, "force"),
				      &report, &err);

	return r < 0 ? call_fail_errno(call, r, &err) : call_done(call, report_to_json(&report));
}

static unsigned int post_reload(struct call *call)
{
	struct change_report report = {};
	struct err err = {};
	int r = controller_reload(call->api->controller, call_query_is_set(call, "force"), &report,
				  &err);

	return r < 0 ? call_fail_errno(call, r, &err) : call_done(call, report_to_json(&report));
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
		return call_fail_errno(call, r, &err);
	r = sd_event_add_time_relative(call->api->event, NULL, CLOCK_MONOTONIC, EXIT_DELAY_US, 1,
				       on_exit_timer, call->api);
	if (r < 0) {
		err_errno(&err, -r, "detached, but the daemon cannot end itself");
		return call_fail(call, HTTP_INTERNAL_ERROR, err.text);
	}
	return call_done(call, json_pack("{s:b}", "ok", 1));
}

/* ---- Routes ------------------------------------------------------------------------------ */

static unsigned int get_openapi(struct call *call);

static const struct route routes[] = {
	{"GET", "/v1/status", "", NULL, "The daemon, its interfaces and totals", get_status},
	{"GET", "/v1/vips", "", NULL, "All VIPs", get_vips},
	{"GET", "/v1/vips/{name}", "", NULL, "One VIP with its members", get_vip},
	{"POST", "/v1/vips/{name}/pools", "pool pools force", NULL,
	 "Give it one pool, or several (NAME[:WEIGHT][:backup[LEVEL]],...), or those of the file "
	 "(file)",
	 post_pools},
	{"GET", "/v1/reals", "vip", NULL, "Reals of all VIPs or of one", api_get_reals},
	{"GET", "/v1/reals/{vip}/{address}", "", NULL, "One real with its health", api_get_real},
	{"POST", "/v1/reals/{vip}/{address}/drain", "timeout then disable remove", NULL,
	 "Keep its flows, give it no new ones", api_post_drain},
	{"POST", "/v1/reals/{vip}/{address}/undrain", "", NULL, "Give it new flows again",
	 api_post_enable},
	{"POST", "/v1/reals/{vip}/{address}/disable", "", NULL, "Move its flows away at once",
	 api_post_disable},
	{"POST", "/v1/reals/{vip}/{address}/enable", "", NULL, "Use it again", api_post_enable},
	{"POST", "/v1/reals/{vip}/{address}/remove", "", NULL,
	 "Take it out of its VIP; its flows finish", api_post_remove},
	{"POST", "/v1/reals/{vip}/{address}/add", "", NULL, "Put back what was removed",
	 api_post_add},
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
	return call_done(call, routes_to_openapi(routes, N_ROUTES));
}

static unsigned int fail_method(struct call *call, const char *allow)
{
	call->reply.body = json_pack("{s:s+++, s:s}", "error", call->request->method,
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
	return call_fail(call, HTTP_NOT_FOUND, "no such path: GET /v1/openapi.json lists them");
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

unsigned int api_handle(void *user, const struct http_request *request,
			struct http_reply *ret_reply)
{
	struct call call = {.api = user, .request = request};
	unsigned int status;

	if (strcmp(request->method, "POST") == 0)
		act_as_peer(&call);
	status = dispatch(&call);
	*ret_reply = call.reply;
	return status;
}
