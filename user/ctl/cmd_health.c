// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* health list. */
#include <stdlib.h>

#include "client.h"
#include "ctl.h"

enum exit_status cmd_health_list(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"vip", "VIP", cell_text},
		{"address", "ADDRESS", cell_text},
		{"port", "PORT", cell_number},
		{"type", "TYPE", cell_text},
		{"state", "STATE", cell_state},
		{"since_ms", "SINCE", cell_duration},
		{"last_duration_ms", "TOOK", cell_duration},
		{"last_ago_ms", "AGO", cell_duration},
		{"next_in_ms", "NEXT", cell_duration},
		{"probes", "PROBES", cell_count},
		{"probe_failures", "FAILED", cell_count},
		{"last_result", "LAST RESULT", cell_text},
	};
	char *path = client_path("health", NULL);
	enum exit_status status;

	if (invocation->n_args > 0)
		path = client_path_query(path, "vip", invocation->args[0]);
	status = ctl_show_table(invocation, path, columns, sizeof(columns) / sizeof(columns[0]));
	free(path);
	return status;
}
