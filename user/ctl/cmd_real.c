// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* real list, show, drain, undrain, enable, disable, add, del. */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "ctl.h"
#include "drain_wait.h"

const struct column real_columns[N_REAL_COLUMNS] = {
	{"vip", "VIP", cell_text},
	{"address", "ADDRESS", cell_text},
	{"weight", "WEIGHT", cell_number},
	{"state", "STATE", cell_state},
	{"active_flows", "FLOWS", cell_count},
	{"new_flows", "NEW", cell_count},
	{"packets", "PACKETS", cell_count},
	{"bytes", "BYTES", cell_bytes},
	{"next_in_ms", "PROBE", cell_next},
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

static void cell_percent(const json_t *row, const char *field, char *cell)
{
	char number[CELL_MAX];

	cell_text(row, field, number);
	snprintf(cell, CELL_MAX, "%.20s%%", number);
}

static void cell_share(const json_t *row, const char *field, char *cell)
{
	snprintf(cell, CELL_MAX, "%.1f%%", 100 * json_number_value(json_object_get(row, field)));
}

/* "no", or "level 2" */
static void cell_backup(const json_t *row, const char *field, char *cell)
{
	json_int_t level = json_integer_value(json_object_get(row, field));

	if (level)
		snprintf(cell, CELL_MAX, "level %d", (int)level);
	else
		snprintf(cell, CELL_MAX, "no");
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
		{"share", "share", cell_share},
		{"pool", "pool", cell_text},
		{"backup_level", "backup", cell_backup},
		{"state", "state", cell_state},
		{"admin", "admin", cell_text},
		{"admin_since_ms", "admin since", cell_duration},
		{"drain.left_ms", "drain ends in", cell_duration},
		{"drain.then", "then", cell_text},
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
		{"reason", "why", cell_why},
		{"health.last_result", "last result", cell_text},
		{"health.last_duration_ms", "took", cell_duration},
		{"health.last_ago_ms", "ago", cell_duration},
		{"health.probes", "probes", cell_count},
		{"health.probe_failures", "failed", cell_count},
		{"health.next_in_ms", "next probe in", cell_next},
		{"health.shared_by", "probe shared by", cell_number},
		{"health.transitions", "transitions", cell_count},
		{"health.flaps", "flaps", cell_count},
		{"health.held_down_ms", "held down for", cell_duration},
		{"lowered_percent", "lowered by", cell_percent},
		{"held_back_percent", "held back", cell_percent},
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
	const char *vip = invocation->args[0], *real = invocation->args[1];
	char *path = client_path("reals", vip, real, "drain", NULL);
	enum exit_status status;
	json_t *reply;

	if (invocation->timeout)
		path = client_path_query(path, "timeout", invocation->timeout);
	if (invocation->then)
		path = client_path_query(path, "then", invocation->then);
	if (invocation->has_disable)
		path = client_path_query(path, "disable", "1");
	if (invocation->has_remove)
		path = client_path_query(path, "remove", "1");
	if (!invocation->has_wait) {
		status = ctl_change(invocation, path, "", 0);
	} else {
		status = ctl_post(invocation, path, &reply);
		if (status == EXIT_DONE) {
			json_decref(reply);
			status = drain_wait(invocation, vip, real);
		}
	}
	free(path);
	return status;
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

enum exit_status cmd_real_add(const struct invocation *invocation)
{
	return change(invocation, "add");
}

enum exit_status cmd_real_del(const struct invocation *invocation)
{
	return change(invocation, "remove");
}
