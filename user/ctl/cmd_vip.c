// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vip list, vip show. */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "ctl.h"

enum exit_status cmd_vip_list(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"name", "NAME", cell_text},	       {"address", "ADDRESS", cell_text},
		{"port", "PORT", cell_port},	       {"protocol", "PROTOCOL", cell_text},
		{"scheduler", "SCHEDULER", cell_text}, {"state", "STATE", cell_state},
		{"reals_up", "UP", cell_number},       {"reals", "REALS", cell_number},
		{"active_flows", "FLOWS", cell_count}, {"packets", "PACKETS", cell_count},
		{"bytes", "BYTES", cell_bytes},
	};

	return ctl_show_table(invocation, "/v1/vips", columns,
			      sizeof(columns) / sizeof(columns[0]));
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
		{"state", "state", cell_state},
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
