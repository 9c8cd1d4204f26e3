/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recorded runtime changes: see runtime.h. {"reals": {"<vip>": {"<address>": {"admin": "drain",
 * "since_ms": N}}}}; of a drain that ends also "deadline_ms": N, "then": "move", "disables": false,
 * "removes": false. Older daemons wrote "drain" in place of {"admin": "drain"}. Beside it {"pools":
 * {"<vip>": "<pools>"}}.
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
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	struct err why = {};
	int r;

	if (!runtime)
		return err_set(err, ENOMEM, "out of memory");
	snprintf(runtime->path, sizeof(runtime->path), "%s/runtime.json", state_dir);
	r = json_file_read(runtime->path, &runtime->root, &why);
	if (r == -ENOENT) {
		runtime->root = json_pack("{s:{}}", "reals");
		r = runtime->root ? 0 : err_set(&why, ENOMEM, "out of memory");
	}
	if (r) {
		runtime_free(runtime);
		return err_set(err, -r,
			       "%s (recorded runtime changes; remove the file to start without "
			       "them)",
			       why.text);
	}
	*ret_runtime = runtime;
	return 0;
}

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	json_decref(runtime->root);
	free(runtime);
}

static const char *const admin_texts[] = {
	[ADMIN_DRAIN] = "drain",
	[ADMIN_DISABLED] = "disable",
	[ADMIN_REMOVED] = "removed",
};

static enum admin_state admin_of(const char *text)
{
	for (int admin = ADMIN_DRAIN; text && admin <= ADMIN_REMOVED; admin++) {
		if (strcmp(text, admin_texts[admin]) == 0)
			return admin;
	}
	return ADMIN_ENABLED;
}

static enum drain_rest rest_of(const char *text)
{
	for (int rest = DRAIN_MOVE; text && rest <= DRAIN_RESET; rest++) {
		if (strcmp(text, drain_rest_name(rest)) == 0)
			return rest;
	}
	return DRAIN_KEEP;
}

static struct admin_order order_of(const json_t *entry)
{
	struct admin_order order = {.admin = admin_of(json_string_value(entry))};

	if (!json_is_object(entry))
		return order;
	order.admin = admin_of(json_string_value(json_object_get(entry, "admin")));
	order.since_ms = (uint64_t)json_integer_value(json_object_get(entry, "since_ms"));
	order.drain.deadline_ms =
		(uint64_t)json_integer_value(json_object_get(entry, "deadline_ms"));
	order.drain.then = rest_of(json_string_value(json_object_get(entry, "then")));
	order.drain.disables = json_is_true(json_object_get(entry, "disables"));
	order.drain.removes = json_is_true(json_object_get(entry, "removes"));
	return order;
}

struct admin_order runtime_get(const struct runtime *runtime, const char *vip,
			       const struct ip_addr *real)
{
	char text[ADDR_TEXT_MAX];
	const json_t *reals = json_object_get(json_object_get(runtime->root, "reals"), vip);

	return order_of(json_object_get(reals, addr_format(real, text)));
}

static json_t *order_to_json(const struct admin_order *order)
{
	const struct drain *drain = &order->drain;

	if (!drain->deadline_ms && !drain->disables && !drain->removes && drain->then == DRAIN_KEEP)
		return json_pack("{s:s, s:I}", "admin", admin_texts[order->admin], "since_ms",
				 (json_int_t)order->since_ms);
	return json_pack("{s:s, s:I, s:I, s:s, s:b, s:b}", "admin", admin_texts[order->admin],
			 "since_ms", (json_int_t)order->since_ms, "deadline_ms",
			 (json_int_t)drain->deadline_ms, "then", drain_rest_name(drain->then),
			 "disables", drain->disables, "removes", drain->removes);
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

/*
 * Writes root, a changed copy, and takes it over in place of what was remembered. NULL or r: there
 * was no memory for it.
 */
static int commit(struct runtime *runtime, json_t *root, int r, struct err *err)
{
	if (!root || r)
		r = err_set(err, ENOMEM, "out of memory");
	else
		r = json_file_write(runtime->path, root, true, err);
	if (r) {
		json_decref(root);
		return r;
	}
	json_decref(runtime->root);
	runtime->root = root;
	return 0;
}

int runtime_set(struct runtime *runtime, const char *vip, const struct ip_addr *real,
		const struct admin_order *order, struct err *err)
{
	json_t *root = json_deep_copy(runtime->root);
	char text[ADDR_TEXT_MAX];

	return commit(runtime, root, root ? put(root, vip, addr_format(real, text), order) : 0,
		      err);
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

	return commit(runtime, root, root ? put_pools(root, vip, pools) : 0, err);
}

/* ---- Removed reals --------------------------------------------------------------------------- */

static bool is_removed(const char *address, const json_t *entry, struct ip_addr *ret_real)
{
	return order_of(entry).admin == ADMIN_REMOVED && addr_parse(address, ret_real) == 0;
}

void runtime_for_each_removed(const struct runtime *runtime,
			      void (*fn)(void *user, const char *vip, const struct ip_addr *real),
			      void *user)
{
	const char *vip, *address;
	json_t *reals, *entry;
	struct ip_addr real;

	json_object_foreach (json_object_get(runtime->root, "reals"), vip, reals) {
		json_object_foreach (reals, address, entry) {
			if (is_removed(address, entry, &real))
				fn(user, vip, &real);
		}
	}
}

int runtime_forget_removed(struct runtime *runtime,
			   bool (*keeps)(void *user, const char *vip, const struct ip_addr *real),
			   void *user, struct err *err)
{
	json_t *root = json_deep_copy(runtime->root), *vips = json_object_get(root, "reals");
	const char *vip, *address;
	json_t *reals, *entry;
	void *next_vip, *next;
	struct ip_addr real;

	json_object_foreach_safe(vips, next_vip, vip, reals)
	{
		json_object_foreach_safe(reals, next, address, entry)
		{
			if (is_removed(address, entry, &real) && !keeps(user, vip, &real))
				json_object_del(reals, address);
		}
		if (!json_object_size(reals))
			json_object_del(vips, vip);
	}
	if (root && json_equal(root, runtime->root)) {
		json_decref(root);
		return 0;
	}
	return commit(runtime, root, 0, err);
}
