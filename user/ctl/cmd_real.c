// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* real list, show, drain, undrain, enable, disable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"

/* Why the state is what it is: "connected, 3m12s", or what the operator said. */
static void cell_why(const json_t *row, const char *field, char *cell)
{
	const char *admin = json_string_value(json_object_get(row, "admin"));
	const char *removed = json_is_true(json_object_get(row, "removed")) ? ", removed" : "";
	char reason[CELL_MAX], since[CELL_MAX];

	if (admin && strcmp(admin, "enabled") != 0) {
		snprintf(cell, CELL_MAX, "%s by operator%s", admin, removed);
		return;
	}
	cell_text(row, field, reason);
	cell_duration(row, "since_ms", since);
	snprintf(cell, CELL_MAX, "%.160s, %.60s%s", reason, since, removed);
}

const struct column real_columns[N_REAL_COLUMNS] = {
	{"vip", "VIP", cell_text},
	{"address", "ADDRESS", cell_text},
	{"weight", "WEIGHT", cell_number},
	{"state", "STATE", cell_state},
	{"active_flows", "FLOWS", cell_count},
	{"new_flows", "NEW", cell_count},
	{"packets", "PACKETS", cell_count},
	{"bytes", "BYTES", cell_bytes},
	{"reason", "WHY", cell_why},
};

enum exit_status cmd_real_list(const struct invocation *invocation)
{
	char *path = client_path("reals", NULL);
	enum exit_status status;

	if (invocation->n_args > 0)
		path = client_path_query(path, "vip", invocation->args[0]);
	status = ctl_show_table(invocation, path, real_columns, N_REAL_COLUMNS);
	free(path);
	return status;
}

enum exit_status cmd_real_show(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"vip", "vip", cell_text},
		{"address", "address", cell_text},
		{"port", "port", cell_port},
		{"protocol", "protocol", cell_text},
		{"weight", "weight", cell_text},
		{"effective_weight", "effective weight", cell_text},
		{"state", "state", cell_state},
		{"admin", "admin", cell_text},
		{"removed", "removed", cell_yes_no},
		{"member_id", "member id", cell_text},
		{"next_hop.interface", "interface", cell_text},
		{"next_hop.mac", "next hop", cell_text},
		{"active_flows", "active flows", cell_count},
		{"new_flows", "new flows", cell_count},
		{"packets", "packets", cell_count},
		{"bytes", "bytes", cell_bytes},
		{"health.type", "probe", cell_text},
		{"health.state", "health", cell_state},
		{"health.since_ms", "since", cell_duration},
		{"health.last_result", "last result", cell_text},
		{"health.last_duration_ms", "took", cell_duration},
		{"health.last_ago_ms", "ago", cell_duration},
		{"health.probes", "probes", cell_count},
		{"health.probe_failures", "failed", cell_count},
	};
	char *path = client_path("reals", invocation->args[0], invocation->args[1], NULL);
	enum exit_status status = ctl_show_record(invocation, path, columns,
						  sizeof(columns) / sizeof(columns[0]));

	free(path);
	return status;
}

static enum exit_status change(const struct invocation *invocation, const char *verb)
{
	char *path = client_path("reals", invocation->args[0], invocation->args[1], verb, NULL);
	enum exit_status status = ctl_change(invocation, path, "", 0);

	free(path);
	return status;
}

enum exit_status cmd_real_drain(const struct invocation *invocation)
{
	return change(invocation, "drain");
}

enum exit_status cmd_real_undrain(const struct invocation *invocation)
{
	return change(invocation, "undrain");
}

enum exit_status cmd_real_enable(const struct invocation *invocation)
{
	return change(invocation, "enable");
}

enum exit_status cmd_real_disable(const struct invocation *invocation)
{
	return change(invocation, "disable");
}
