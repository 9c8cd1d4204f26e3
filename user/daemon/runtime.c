/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recorded runtime changes: see runtime.h. {"reals": {"<vip>": {"<address>": "drain"}}}, or, of a
 * drain that ends, {"admin": "drain", "deadline_ms": N, "then": "move", "disables": false} in place
 * of "drain". Beside it {"pools": {"<vip>": "<pools>"}}.
 */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_file.h"
#include "lib/addr.h"

struct runtime {
	char path[512];
	json_t *root;
};

int runtime_open(struct runtime **ret_runtime, const char *state_dir, struct err *err)
{
	struct runtime *r = calloc(1, sizeof(*r));
	json_error_t problem;

	if (!r)
		return err_set(err, ENOMEM, "out of memory");
	snprintf(r->path, sizeof(r->path), "%s/runtime.json", state_dir);
	if (access(r->path, F_OK)) {
		r->root = json_pack("{s:{}}", "reals");
	} else {
		r->root = json_load_file(r->path, JSON_REJECT_DUPLICATES, &problem);
		if (!r->root || !json_is_object(json_object_get(r->root, "reals"))) {
			err_set(err, EINVAL,
				"%s:%d:%d: %s (recorded runtime changes; remove the "
				"file to start without them)",
				r->path, r->root ? 1 : problem.line, r->root ? 1 : problem.column,
				r->root ? "expected an object \"reals\"" : problem.text);
			runtime_free(r);
			return -EINVAL;
		}
	}
	*ret_runtime = r;
	return 0;
}

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	json_decref(runtime->root);
	free(runtime);
}

static enum admin_state admin_of(const char *text)
{
	if (text && !strcmp(text, "drain"))
		return ADMIN_DRAIN;
	return text && !strcmp(text, "disable") ? ADMIN_DISABLED : ADMIN_ENABLED;
}

static const char *admin_text(enum admin_state admin)
{
	return admin == ADMIN_DRAIN ? "drain" : "disable";
}

static enum drain_rest rest_of(const char *text)
{
	for (int rest = DRAIN_MOVE; text && rest <= DRAIN_RESET; rest++) {
		if (strcmp(text, drain_rest_name(rest)) == 0)
			return rest;
	}
	return DRAIN_KEEP;
}

struct admin_order runtime_get(const struct runtime *runtime, const char *vip,
			       const struct ip_addr *real)
{
	char text[ADDR_TEXT_MAX];
	const json_t *reals = json_object_get(json_object_get(runtime->root, "reals"), vip);
	const json_t *entry = json_object_get(reals, addr_format(real, text));
	struct admin_order order = {.admin = admin_of(json_string_value(entry))};

	if (!json_is_object(entry))
		return order;
	order.admin = admin_of(json_string_value(json_object_get(entry, "admin")));
	order.drain.deadline_ms =
		(uint64_t)json_integer_value(json_object_get(entry, "deadline_ms"));
	order.drain.then = rest_of(json_string_value(json_object_get(entry, "then")));
	order.drain.disables = json_is_true(json_object_get(entry, "disables"));
	return order;
}

static json_t *order_to_json(const struct admin_order *order)
{
	const struct drain *drain = &order->drain;

	if (!drain->deadline_ms && !drain->disables && drain->then == DRAIN_KEEP)
		return json_string(admin_text(order->admin));
	return json_pack("{s:s, s:I, s:s, s:b}", "admin", admin_text(order->admin), "deadline_ms",
			 (json_int_t)drain->deadline_ms, "then", drain_rest_name(drain->then),
			 "disables", drain->disables);
}

static int put(json_t *root, const char *vip, const char *real, const struct admin_order *order)
{
	json_t *vips = json_object_get(root, "reals");
	json_t *reals = json_object_get(vips, vip);

	if (!json_is_object(reals)) {
		reals = json_object();
		if (json_object_set_new(vips, vip, reals))
			return -ENOMEM;
	}
	if (order->admin != ADMIN_ENABLED)
		return json_object_set_new(reals, real, order_to_json(order));
	json_object_del(reals, real);
	if (!json_object_size(reals))
		json_object_del(vips, vip);
	return 0;
}

int runtime_set(struct runtime *runtime, const char *vip, const struct ip_addr *real,
		const struct admin_order *order, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	json_t *root = json_deep_copy(runtime->root);
	int r;

	if (!root)
		return err_set(err, ENOMEM, "out of memory");
	r = put(root, vip, addr_format(real, text), order) ? err_set(err, ENOMEM, "out of memory")
							   : 0;
	r = r ? r : json_file_write(runtime->path, root, true, err);
	if (r) {
		json_decref(root);
		return r;
	}
	json_decref(runtime->root);
	runtime->root = root;
	return 0;
}

const char *runtime_get_pools(const struct runtime *runtime, const char *vip)
{
	return json_string_value(json_object_get(json_object_get(runtime->root, "pools"), vip));
}

static int put_pools(json_t *root, const char *vip, const char *pools)
{
	json_t *vips = json_object_get(root, "pools");

	if (!json_is_object(vips)) {
		vips = json_object();
		if (json_object_set_new(root, "pools", vips))
			return -ENOMEM;
	}
	if (pools)
		return json_object_set_new(vips, vip, json_string(pools));
	json_object_del(vips, vip);
	return 0;
}

int runtime_set_pools(struct runtime *runtime, const char *vip, const char *pools, struct err *err)
{
	json_t *root = json_deep_copy(runtime->root);
	int r = 0;

	if (!root || put_pools(root, vip, pools))
		r = err_set(err, ENOMEM, "out of memory");
	r = r ? r : json_file_write(runtime->path, root, true, err);
	if (r) {
		json_decref(root);
		return r;
	}
	json_decref(runtime->root);
	runtime->root = root;
	return 0;
}
