/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* xdplb-receiver status: what up made and whether it is still so, as one JSON value; the text is
 * written from it. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "lib/addr.h"
#include "state.h"
#include "xdplb/receiver_abi.h"

static const char *const counter_names[] = {
#define X(name, text) #name,
	RECEIVER_COUNTERS(X)
#undef X
};

static const char *const counter_texts[] = {
#define X(name, text) text,
	RECEIVER_COUNTERS(X)
#undef X
};

/* ---- Facts as JSON ------------------------------------------------------------------------ */

static void add_program(const struct receiver_state *state, json_t *out, json_t *missing)
{
	struct attach_status status = {};
	struct err err;
	int r = attach_query(state->pins, state->interface, &status, &err);
	bool is_attached = !r && status.fact == ATTACH_OURS;

	json_object_set_new(out, "attached", json_boolean(is_attached));
	json_object_set_new(out, "prog_id",
			    is_attached ? json_integer(status.prog_id) : json_null());
	if (r)
		json_array_append_new(missing, json_string(err.text));
	else if (!is_attached)
		json_array_append_new(missing, json_sprintf("the XDP program is not attached to %s",
							    state->interface));
}

static void add_changes(const struct receiver_state *state, json_t *out, json_t *missing)
{
	json_t *vips = json_array();
	char text[512], address[ADDR_TEXT_MAX];

	for (size_t i = 0; i < state->n_changes; i++) {
		const struct change *c = &state->changes[i];
		bool in_force = false;
		int r = change_check(c, &in_force, NULL, NULL);

		if (r || !in_force) {
			change_describe(c, text, sizeof(text));
			json_array_append_new(missing, json_string(text));
		}
		if (c->kind == CHANGE_VIP)
			json_array_append_new(vips, json_pack("{s:s, s:b}", "address",
							      addr_format(&c->vip, address),
							      "on_lo", (int)in_force));
	}
	json_object_set_new(out, "vips", vips);
}

static void add_locals(const struct receiver_state *state, json_t *out, json_t *missing)
{
	struct address_list now = {};
	json_t *locals = json_array();
	char text[ADDR_TEXT_MAX];
	size_t n_same = 0;

	netlink_addresses((int)if_nametoindex(state->interface), &now, NULL);
	for (size_t i = 0; i < state->n_locals; i++) {
		json_array_append_new(locals, json_string(addr_format(&state->locals[i], text)));
		for (size_t j = 0; j < now.n; j++)
			n_same += addr_equal(&state->locals[i], &now.items[j]);
	}
	if (n_same != state->n_locals || n_same != now.n)
		json_array_append_new(missing, json_sprintf("the addresses of %s have changed",
							    state->interface));
	free(now.items);
	json_object_set_new(out, "local_addresses", locals);
}

static void add_counters(const struct receiver_state *state, json_t *out, json_t *missing)
{
	struct receiver_stats stats;
	json_t *counters = json_object();
	struct err err;

	if (attach_stats(state->pins, &stats, &err))
		json_array_append_new(missing, json_string(err.text));
	else
		for (size_t i = 0; i < RECEIVER_STATS; i++)
			json_object_set_new(counters, counter_names[i],
					    json_integer((json_int_t)((__u64 *)&stats)[i]));
	json_object_set_new(out, "counters", counters);
}

static json_t *status_of(const struct receiver_state *state)
{
	json_t *out = json_object(), *missing = json_array(), *from = json_array();
	char text[PREFIX_TEXT_MAX];

	json_object_set_new(out, "interface", json_string(state->interface));
	json_object_set_new(out, "mode",
			    json_string(state->mode == ATTACH_GENERIC ? "generic" : "native"));
	json_object_set_new(out, "gue_port",
			    state->gue_port ? json_integer(state->gue_port) : json_null());
	add_program(state, out, missing);
	add_changes(state, out, missing);
	for (size_t i = 0; i < state->n_from; i++)
		json_array_append_new(from, json_string(prefix_format(&state->from[i], text)));
	json_object_set_new(out, "from", from);
	add_locals(state, out, missing);
	add_counters(state, out, missing);
	json_object_set_new(out, "missing", missing);
	return out;
}

/* ---- As text ------------------------------------------------------------------------------ */

static void print_list(const char *name, const json_t *array, const char *if_empty)
{
	if (!json_array_size(array))
		printf("%-10s %s\n", name, if_empty);
	for (size_t i = 0; i < json_array_size(array); i++)
		printf("%-10s %s\n", i ? "" : name, json_string_value(json_array_get(array, i)));
}

static void print_vips(const json_t *vips)
{
	for (size_t i = 0; i < json_array_size(vips); i++) {
		const json_t *vip = json_array_get(vips, i);

		printf("%-10s %s, %s\n", i ? "" : "vips",
		       json_string_value(json_object_get(vip, "address")),
		       json_is_true(json_object_get(vip, "on_lo")) ? "on lo" : "NOT on lo");
	}
}

static void print_status(const json_t *status)
{
	const json_t *counters = json_object_get(status, "counters");

	printf("%-10s %s\n", "interface", json_string_value(json_object_get(status, "interface")));
	if (json_is_true(json_object_get(status, "attached")))
		printf("%-10s attached, id %lld, %s\n", "program",
		       (long long)json_integer_value(json_object_get(status, "prog_id")),
		       json_string_value(json_object_get(status, "mode")));
	else
		printf("%-10s NOT attached\n", "program");
	if (json_is_integer(json_object_get(status, "gue_port")))
		printf("%-10s UDP port %lld\n", "GUE",
		       (long long)json_integer_value(json_object_get(status, "gue_port")));
	else
		printf("%-10s off\n", "GUE");
	print_vips(json_object_get(status, "vips"));
	print_list("from", json_object_get(status, "from"), "any source");
	print_list("addresses", json_object_get(status, "local_addresses"), "none");
	for (size_t i = 0; i < RECEIVER_STATS && json_object_size(counters); i++)
		printf("%-22s %12lld  %s\n", counter_names[i],
		       (long long)json_integer_value(json_object_get(counters, counter_names[i])),
		       counter_texts[i]);
}

/* Says on stderr what is missing; true if nothing is. */
static bool check_complete(const json_t *status)
{
	const json_t *missing = json_object_get(status, "missing");

	for (size_t i = 0; i < json_array_size(missing); i++)
		fprintf(stderr, "xdplb-receiver: missing on %s: %s\n",
			json_string_value(json_object_get(status, "interface")),
			json_string_value(json_array_get(missing, i)));
	if (json_array_size(missing))
		fprintf(stderr, "xdplb-receiver: run `up` again to mend it\n");
	return json_array_size(missing) == 0;
}

int command_status(const struct options *options, struct err *err)
{
	json_t *names = options->interface ? json_pack("[s]", options->interface)
					   : state_interfaces(options->state_dir);
	json_t *all = json_array();
	bool is_complete = true;
	int r = 0;

	if (!json_array_size(names))
		r = err_set(err, ENOENT, "xdplb-receiver is up on no interface (%s is empty)",
			    options->state_dir);
	for (size_t i = 0; i < json_array_size(names) && !r; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct receiver_state state = {};

		r = state_load(options->state_dir, name, &state, err);
		if (r == -ENOENT)
			err_set(err, ENOENT, "xdplb-receiver is not up on %s: no state in %s", name,
				options->state_dir);
		if (!r)
			json_array_append_new(all, status_of(&state));
		state_free(&state);
	}
	for (size_t i = 0; i < json_array_size(all) && !r; i++) {
		if (!options->is_json)
			print_status(json_array_get(all, i));
		is_complete &= check_complete(json_array_get(all, i));
	}
	if (options->is_json && !r) {
		json_t *out = json_pack("{s:O}", "interfaces", all);

		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(out);
	}
	json_decref(names);
	json_decref(all);
	return r || is_complete ? r : -ENODATA;
}
