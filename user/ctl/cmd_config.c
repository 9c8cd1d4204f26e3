// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* config check (here, without a daemon), config show, config apply. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "ctl.h"
#include "lib/config.h"
#include "yaml_out.h"

static unsigned int count_cpus(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	return cpus > 0 ? (unsigned int)cpus : 1;
}

static enum exit_status report_bad(const struct invocation *invocation, const struct err *err)
{
	json_t *document;

	if (!invocation->wants_json)
		return ctl_fail(err);
	document = json_pack("{s:b, s:s}", "ok", 0, "error", err->text);
	ctl_print_json(document);
	json_decref(document);
	return EXIT_FAILED;
}

static enum exit_status report_good(const struct invocation *invocation, const char *file,
				    const struct config *config)
{
	uint64_t bytes = config_memory_bytes(config, count_cpus());
	json_t *document = json_pack("{s:b, s:I, s:I, s:o}", "ok", 1, "vips",
				     (json_int_t)config->n_vips, "memory_bytes", (json_int_t)bytes,
				     "warnings", text_list_to_json(&config->warnings));
	enum exit_status status = EXIT_DONE;
	char text[CELL_MAX];

	if (invocation->wants_json) {
		status = ctl_print_json(document);
	} else {
		cell_bytes(document, "memory_bytes", text);
		ctl_print_warnings(document);
		printf("%s: ok\nmemory: %s for the maps (%u CPUs)\n", file, text, count_cpus());
	}
	json_decref(document);
	return status;
}

enum exit_status cmd_config_check(const struct invocation *invocation)
{
	const char *file = invocation->args[0];
	enum exit_status status;
	struct config *config;
	struct err err = {};
	char *text;
	size_t len;
	int r;

	r = ctl_read_file(file, &text, &len, &err);
	if (r < 0)
		return report_bad(invocation, &err);
	r = config_parse(file, text, len, &config, &err);
	free(text);
	if (r < 0)
		return report_bad(invocation, &err);
	status = report_good(invocation, file, config);
	config_free(config);
	return status;
}

static int print_yaml(const struct invocation *invocation, const json_t *config)
{
	return yaml_print(stdout, config);
}

enum exit_status cmd_config_show(const struct invocation *invocation)
{
	return ctl_show(invocation, "/v1/config", print_yaml);
}

enum exit_status cmd_config_apply(const struct invocation *invocation)
{
	const char *file = invocation->args[0];
	enum exit_status status;
	struct err err = {};
	char *text, *path;
	size_t len;

	if (ctl_read_file(file, &text, &len, &err) < 0)
		return ctl_fail(&err);
	path = client_path_query(client_path("config", "apply", NULL), "name", file);
	if (invocation->has_force)
		path = client_path_query(path, "force", "1");
	status = ctl_change(invocation, path, text, len);
	free(path);
	free(text);
	return status;
}
