// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* stats show: one row per counter; with --per-cpu one more column per CPU. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"
#include "xdplb/counters.h"

#define CPUS_MAX 1024

struct counter {
	const char *name;
	const char *text;
};

static const struct counter counters[] = {{"forwarded", "sent to a real"},
#define X(name, text) {#name, text},
					  XDPLB_ALL_COUNTERS(X)
#undef X
};

#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

/* One row for table_print(): {"name", "total", "cpu0", ..., "text"}. */
static json_t *row_of(const json_t *stats, const struct counter *counter)
{
	json_t *row = json_pack("{s:s, s:O, s:s}", "name", counter->name, "total",
				json_object_get(stats, counter->name), "text", counter->text);
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(stats, "per_cpu"), i, one) {
		char key[32];

		snprintf(key, sizeof(key), "cpu%zu", i);
		json_object_set(row, key, json_object_get(one, counter->name));
	}
	return row;
}

static json_t *rows_of(const json_t *stats)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < N_COUNTERS; i++) {
		if (json_object_get(stats, counters[i].name))
			json_array_append_new(rows, row_of(stats, &counters[i]));
	}
	return rows;
}

static int print_stats(const struct invocation *invocation, const json_t *stats)
{
	static char names[CPUS_MAX][16];
	static struct column columns[CPUS_MAX + 3];
	size_t cpus = json_array_size(json_object_get(stats, "per_cpu"));
	json_t *rows = rows_of(stats);
	size_t n = 0;
	int r;

	columns[n++] = (struct column){"name", "COUNTER", cell_text};
	columns[n++] = (struct column){"total", "TOTAL", cell_number};
	for (size_t i = 0; i < cpus && i < CPUS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "cpu%zu", i);
		columns[n++] = (struct column){names[i], names[i], cell_number};
	}
	columns[n++] = (struct column){"text", "MEANING", cell_text};
	r = table_print(stdout, rows, columns, n, invocation->has_colour);
	json_decref(rows);
	return r;
}

enum exit_status cmd_stats_show(const struct invocation *invocation)
{
	char *path = client_path("stats", NULL);
	enum exit_status status;

	if (invocation->has_per_cpu)
		path = client_path_query(path, "per_cpu", "1");
	status = ctl_show(invocation, path, print_stats);
	free(path);
	return status;
}
