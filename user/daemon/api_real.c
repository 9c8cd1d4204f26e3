// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The API's routes under /v1/reals. */
#include <errno.h>

#include "api_private.h"
#include "lib/addr.h"
#include "lib/config_value.h"
#include "lib/render.h"

unsigned int api_get_reals(struct call *call)
{
	return call_list(call, render_reals, LIST_AT_ONCE);
}

static json_t *render_the_real(const struct snapshot *s)
{
	return render_real(s, &s->reals[0]);
}

unsigned int api_get_real(struct call *call)
{
	struct controller *controller = call->api->controller;
	struct snapshot_scope scope = {.n_vips = 1, .n_reals = 1, .has_counters = true};
	struct ip_addr address;
	struct err err;

	if (addr_parse(call->args[1], &address) < 0) {
		err_set(&err, EINVAL, "not an IP address: %s", call->args[1]);
		return call_fail(call, HTTP_BAD_REQUEST, err.text);
	}
	scope.first_vip = controller_find_vip(controller, call->args[0]);
	if (scope.first_vip == SIZE_MAX)
		return call_fail_no_vip(call, call->args[0]);
	scope.first_real = controller_find_real(controller, scope.first_vip, &address);
	if (scope.first_real == SIZE_MAX &&
	    controller_has_removed(controller, scope.first_vip, &address)) {
		scope.removed = &address;
	} else if (scope.first_real == SIZE_MAX) {
		err_set(&err, ENOENT, "VIP %s has no real %s", call->args[0], call->args[1]);
		return call_fail(call, HTTP_NOT_FOUND, err.text);
	}
	return call_reply_snapshot(call, &scope, render_the_real);
}

/* What a request changes at a real. */
struct admin_change {
	enum admin_state admin;
	bool is_back; /* with ADMIN_ENABLED: of a real that is removed */
	struct drain_request drain; /* with ADMIN_DRAIN */
};

static int change_admin(struct call *call, const struct ip_addr *address,
			const struct admin_change *change, struct err *err)
{
	struct controller *controller = call->api->controller;
	const char *vip = call->args[0];

	if (change->admin == ADMIN_DRAIN)
		return controller_drain(controller, vip, address, &change->drain, err);
	if (change->admin == ADMIN_REMOVED)
		return controller_remove_real(controller, vip, address, err);
	if (change->is_back)
		return controller_add_real(controller, vip, address, err);
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
		return call_fail(call, HTTP_BAD_REQUEST, err.text);
	}
	if (!*is_set) {
		r = change_admin(call, &address, change, &err);
		if (r < 0)
			return call_fail_errno(call, r, &err);
		*is_set = true;
	}
	if (!controller_has_rings(call->api->controller))
		return HTTP_LATER;
	return call_done(call,
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

unsigned int api_post_drain(struct call *call)
{
	struct admin_change change = {.admin = ADMIN_DRAIN,
				      .drain = {.disables = call_query_is_set(call, "disable"),
						.removes = call_query_is_set(call, "remove")}};
	uint32_t timeout = 0, then = 0;
	struct err err = {};
	int has_timeout = read_drain_key(call, DRAIN_KEY_TIMEOUT, &timeout, &err);
	int has_then = has_timeout < 0 ? has_timeout
				       : read_drain_key(call, DRAIN_KEY_THEN, &then, &err);

	if (has_then < 0)
		return call_fail_errno(call, has_then, &err);
	if (change.drain.disables && change.drain.removes)
		return call_fail(call, HTTP_BAD_REQUEST,
				 "disable and remove: a drained real can become only one of them");
	change.drain.has_timeout = has_timeout;
	change.drain.timeout_ms = timeout;
	change.drain.has_then = has_then;
	change.drain.then = then;
	return set_admin(call, &change);
}

unsigned int api_post_disable(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_DISABLED});
}

unsigned int api_post_enable(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_ENABLED});
}

unsigned int api_post_remove(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_REMOVED});
}

unsigned int api_post_add(struct call *call)
{
	return set_admin(call, &(struct admin_change){.admin = ADMIN_ENABLED, .is_back = true});
}
