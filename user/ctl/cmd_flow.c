// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* flow count. */
#include "ctl.h"

enum exit_status cmd_flow_count(const struct invocation *invocation)
{
	static const struct column columns[] = {
		{"flows", "active", cell_text},
		{"unproven", "unproven", cell_text},
		{"closing", "closing", cell_text},
		{"slots", "slots", cell_text},
		{"scanned_ago_ms", "scanned ago", cell_duration},
	};

	return ctl_show_record(invocation, "/v1/flows/count", columns,
			       sizeof(columns) / sizeof(columns[0]));
}
