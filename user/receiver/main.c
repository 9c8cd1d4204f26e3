/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* xdplb-receiver: makes this host a real of xdplb. Exit status: 0 done, 1 failed, 2 usage. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"

static int run(const struct options *options, struct err *err)
{
	if (!options->is_dry_run && geteuid() != 0)
		return err_set(err, EPERM, "this needs root: use sudo%s",
			       options->command == COMMAND_STATUS ? ""
								  : ", or --dry-run to look first");
	switch (options->command) {
	case COMMAND_UP:
		return command_up(options, err);
	case COMMAND_DOWN:
		return command_down(options, err);
	default:
		return command_status(options, err);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err = {};
	int r = options_parse(argc, argv, &options, &err);

	if (r) {
		fprintf(stderr, "xdplb-receiver: %s\nTry `xdplb-receiver --help`.\n", err.text);
		return 2;
	}
	if (options.wants_version || options.wants_help) {
		fputs(options.wants_version ? "xdplb-receiver " XDPLB_VERSION "\n"
					    : options_help(options.command),
		      stdout);
		options_free(&options);
		return 0;
	}
	r = run(&options, &err);
	if (r && r != -ENODATA)
		fprintf(stderr, "xdplb-receiver: %s\n", err.text);
	options_free(&options);
	if (fflush(stdout)) {
		perror("xdplb-receiver: stdout");
		return 1;
	}
	return r ? 1 : 0;
}
