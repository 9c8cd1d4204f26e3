// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vip list, vip show, vip set. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"

enum exit_status cmd_vip_list(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"name", "NAME", cell_text},	       {"address", "ADDRESS", cell_text},
		{"port", "PORT", cell_port},	       {"protocol", "PROTOCOL", cell_text},
		{"scheduler", "SCHEDULER", cell_text}, {"state", "STATE", cell_state},
		{"since_ms", "SINCE", cell_duration},  {"reals_up", "UP", cell_number},
		{"reals", "REALS", cell_number},       {"active_flows", "FLOWS", cell_count},
		{"packets", "PACKETS", cell_count},    {"bytes", "BYTES", cell_bytes},
		{"reason", "WHY", cell_text},
	};

	return ctl_show_table(invocation, "/v1/vips", columns,
			      sizeof(columns) / sizeof(columns[0]));
}

/* "green (file says blue)" */
static void cell_pools(const json_t *row, const char *field, char *cell)
{
	const char *pools = json_string_value(json_object_get(row, field));
	const char *file = json_string_value(json_object_get(row, "file_pools"));

	if (!pools || !file || strcmp(pools, file) == 0)
		cell_text(row, field, cell);
	else
		snprintf(cell, CELL_MAX, "%.100s (file says %.100s)", pools, file);
}

/* "10.1.0.1 10.1.0.2" */
static void cell_list(const json_t *row, const char *field, char *cell)
{
	const json_t *list = json_object_get(row, field), *one;
	size_t len = 0, i;

	cell_text(row, field, cell);
	json_array_foreach (list, i, one) {
		if (len < CELL_MAX)
			len += snprintf(cell + len, CELL_MAX - len, "%s%s", i ? " " : "",
					json_string_value(one));
	}
}

static int print_vip(const struct invocation *invocation, const json_t *vip)
{
	static const struct column columns[] = {
		{"name", "name", cell_text},
		{"address", "address", cell_text},
		{"port", "port", cell_port},
		{"protocol", "protocol", cell_text},
		{"scheduler", "scheduler", cell_text},
		{"encap", "encap", cell_text},
		{"ring", "ring", cell_text},
		{"fingerprint", "fingerprint", cell_text},
		{"pools", "pools", cell_pools},
		{"removed", "removed", cell_list},
		{"state", "state", cell_state},
		{"since_ms", "since", cell_duration},
		{"on_backup", "on backup", cell_yes_no},
		{"reason", "why", cell_text},
		{"min_healthy", "min healthy", cell_text},
		{"below_min_healthy", "below it", cell_yes_no},
		{"active_flows", "active flows", cell_count},
		{"new_flows", "new flows", cell_count},
		{"packets", "packets", cell_count},
		{"bytes", "bytes", cell_bytes},
	};
	int r = record_print(stdout, vip, columns, sizeof(columns) / sizeof(columns[0]),
			     invocation->has_colour);

	if (r < 0)
		return r;
	putchar('\n');
	return table_print(stdout, json_object_get(vip, "members"), real_columns, N_REAL_COLUMNS,
			   invocation->has_colour);
}

enum exit_status cmd_vip_show(const struct invocation *invocation)
{
	char *path = client_path("vips", invocation->args[0], NULL);
	enum exit_status status = ctl_show(invocation, path, print_vip);

	free(path);
	return status;
}

enum exit_status cmd_vip_set(const struct invocation *invocation)
{
	const char *name = invocation->args[0], *setting = invocation->args[1];
	const char *value = strchr(setting, '=');
	enum exit_status status;
	struct err err;
	char key[8];
	char *path;

	snprintf(key, sizeof(key), "%.*s", value ? (int)(value - setting) : 0, setting);
	if (!value || (strcmp(key, "pool") != 0 && strcmp(key, "pools") != 0)) {
		err_set(&err, EINVAL, "expected pool=NAME or pools=NAME:WEIGHT,..., got %s",
			setting);
		ctl_fail(&err);
		return EXIT_USAGE;
	}
	path = client_path_query(client_path("vips", name, "pools", NULL), key, value + 1);
	if (invocation->has_force)
		path = client_path_query(path, "force", "1");
	status = ctl_change(invocation, path, "", 0);
	free(path);
	return status;
}
