// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* status, reload, detach: the daemon as a whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"

/* An interface that is down, or whose cable is out. */
static bool has_no_link(const json_t *interface)
{
	return json_is_true(json_object_get(interface, "present")) &&
	       json_is_false(json_object_get(interface, "link"));
}

/* "eth0 native attached, eth1 native attached (no link)" */
static void cell_interfaces(const json_t *row, const char *field, char *cell)
{
	const json_t *interfaces = json_object_get(row, field);
	size_t used = 0, i;
	json_t *one;

	cell[0] = '\0';
	json_array_foreach (interfaces, i, one) {
		const char *how = json_is_true(json_object_get(one, "attached"))  ? "attached"
				  : json_is_true(json_object_get(one, "present")) ? "not attached"
										  : "absent";

		used += snprintf(cell + used, CELL_MAX - used, "%s%s %s %s%s", i ? ", " : "",
				 json_string_value(json_object_get(one, "name")),
				 json_string_value(json_object_get(one, "mode")), how,
				 has_no_link(one) ? " (no link)" : "");
		if (used >= CELL_MAX)
			return;
	}
}

/* "2 of 3 up" */
static void cell_up_of(const json_t *row, const char *field, char *cell)
{
	char up[64];

	snprintf(up, sizeof(up), "%s_up", field);
	snprintf(cell, CELL_MAX, "%lld of %lld up",
		 (long long)json_integer_value(json_object_get(row, up)),
		 (long long)json_integer_value(json_object_get(row, field)));
}

/* "2 of 3 up, 1 degraded": of those that are up. */
static void cell_vips(const json_t *row, const char *field, char *cell)
{
	long long degraded = json_integer_value(json_object_get(row, "vips_degraded"));
	long long panic = json_integer_value(json_object_get(row, "vips_panic"));
	size_t len;

	cell_up_of(row, field, cell);
	len = strlen(cell);
	if (degraded)
		len += snprintf(cell + len, CELL_MAX - len, ", %lld degraded", degraded);
	if (panic)
		snprintf(cell + len, CELL_MAX - len, ", %lld in panic", panic);
}

/* "12 of 1.0M" */
static void cell_flows(const json_t *row, const char *field, char *cell)
{
	char flows[CELL_MAX], capacity[CELL_MAX];

	cell_count(row, field, flows);
	cell_count(row, "capacity.flows", capacity);
	snprintf(cell, CELL_MAX, "%.100s of %.100s", flows, capacity);
}

enum exit_status cmd_status(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"version", "version", cell_text},
		{"pid", "pid", cell_text},
		{"config", "config", cell_text},
		{"generation", "generation", cell_text},
		{"uptime_ms", "uptime", cell_duration},
		{"adopted", "adopted", cell_yes_no},
		{"interfaces", "interfaces", cell_interfaces},
		{"vips", "vips", cell_vips},
		{"reals", "reals", cell_up_of},
		{"flows", "flows", cell_flows},
		{"map_bytes", "maps", cell_bytes},
		{"bpffs", "bpffs", cell_text},
	};

	return ctl_show_record(invocation, "/v1/status", columns,
			       sizeof(columns) / sizeof(columns[0]));
}

enum exit_status cmd_reload(const struct invocation *invocation)
{
	char *path = client_path("reload", NULL);
	enum exit_status status;

	if (invocation->has_force)
		path = client_path_query(path, "force", "1");
	status = ctl_change(invocation, path, "", 0);
	free(path);
	return status;
}

enum exit_status cmd_detach(const struct invocation *invocation)
{
	struct err err = {};
	enum exit_status status = EXIT_DONE;
	json_t *reply;

	if (client_post(invocation->socket, "/v1/detach", "", 0, &reply, &err) < 0)
		return ctl_fail(&err);
	if (invocation->wants_json)
		status = ctl_print_json(reply);
	else
		puts("detached: program, links and pins are gone, xdplbd ends");
	json_decref(reply);
	return status;
}
