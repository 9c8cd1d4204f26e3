// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* health list: a row a probe, with the VIPs that share it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "ctl.h"

#define VIPS_SHOWN 3

static const struct column columns[] = {
	{"vips", "VIPS", cell_text},
	{"address", "ADDRESS", cell_text},
	{"port", "PORT", cell_number},
	{"type", "TYPE", cell_text},
	{"via", "VIA", cell_text},
	{"state", "STATE", cell_state},
	{"since_ms", "SINCE", cell_duration},
	{"last_ago_ms", "AGO", cell_duration},
	{"last_duration_ms", "TOOK", cell_duration},
	{"next_in_ms", "NEXT", cell_next},
	{"probes", "PROBES", cell_count},
	{"probe_failures", "FAILED", cell_count},
	{"transitions", "TURNS", cell_count},
	{"reason", "WHY", cell_reason},
};

static int add_probe(json_t *probes, json_t *seen, const char *key, json_t *row)
{
	json_t *probe = json_copy(row);

	json_object_set_new(probe, "vips", json_incref(json_object_get(row, "vip")));
	json_object_set_new(probe, "n_vips", json_integer(1));
	if (json_object_set(seen, key, probe))
		return -ENOMEM;
	return json_array_append_new(probes, probe) ? -ENOMEM : 0;
}

/* "web, api, mail, ..." */
static void add_vip(json_t *probe, const json_t *row)
{
	json_int_t n = json_integer_value(json_object_get(probe, "n_vips")) + 1;
	const char *vips = json_string_value(json_object_get(probe, "vips"));
	const char *vip = json_string_value(json_object_get(row, "vip"));

	json_object_set_new(probe, "n_vips", json_integer(n));
	if (n <= VIPS_SHOWN)
		json_object_set_new(probe, "vips", json_sprintf("%s, %s", vips, vip));
	else if (n == VIPS_SHOWN + 1)
		json_object_set_new(probe, "vips", json_sprintf("%s, ...", vips));
}

static int group(const json_t *rows, json_t *probes, json_t *seen)
{
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row) {
		char key[32];
		json_t *probe;

		snprintf(key, sizeof(key), "%lld",
			 (long long)json_integer_value(json_object_get(row, "target")));
		probe = json_object_get(seen, key);
		if (probe)
			add_vip(probe, row);
		else if (add_probe(probes, seen, key, row))
			return -ENOMEM;
	}
	return 0;
}

static int print(const struct invocation *invocation, const json_t *rows)
{
	json_t *probes = json_array(), *seen = json_object();
	int r = probes && seen ? group(rows, probes, seen) : -ENOMEM;

	if (!r)
		r = table_print(stdout, probes, columns, sizeof(columns) / sizeof(columns[0]),
				invocation->has_colour);
	json_decref(probes);
	json_decref(seen);
	return r;
}

enum exit_status cmd_health_list(const struct invocation *invocation)
{
	char *path = client_path("health", NULL);
	enum exit_status status;

	if (invocation->n_args > 0)
		path = client_path_query(path, "vip", invocation->args[0]);
	status = ctl_show(invocation, path, print);
	free(path);
	return status;
}
