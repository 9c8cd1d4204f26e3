// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Usage texts: see help.h. Commands that are not built yet are not shown. */
#include "help.h"

#include <string.h>

/* "real drain VIP ADDRESS" */
static const char *signature(const struct command *command, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s%s%s%s", command->noun, command->verb ? " " : "",
		 command->verb ? command->verb : "", *command->args ? " " : "", command->args,
		 *command->options ? " [" : "", command->options, *command->options ? "]" : "");
	return buf;
}

static void print_row(FILE *out, const struct command *command)
{
	struct command brief = *command;
	char text[128];

	if (strchr(brief.options, ' '))
		brief.options = "...";
	fprintf(out, "  %-32s %s\n", signature(&brief, text, sizeof(text)), command->summary);
}

static void print_options(FILE *out)
{
	fputs("\nOptions (anywhere on the line):\n"
	      "  -j, --json       print the daemon's JSON document\n"
	      "  --socket PATH    the daemon's socket (or XDPLB_SOCKET; default "
	      "/run/xdplb/api.sock)\n"
	      "  -h, --help       this help; also after a noun or a verb\n"
	      "  -V, --version    the version\n",
	      out);
}

void help_all(FILE *out)
{
	fputs("Usage: xdplbctl [OPTIONS] NOUN [VERB] [ARGS]\n\nCommands:\n", out);
	for (const struct command *c = commands; c->noun; c++) {
		if (c->run)
			print_row(out, c);
	}
	print_options(out);
	fputs("\nExit status: 0 done, 1 failed, 2 wrong usage.\n\n"
	      "Example:\n  xdplbctl real drain web 10.1.0.1\n",
	      out);
}

void help_noun(FILE *out, const char *noun)
{
	const struct command *first = NULL;

	fprintf(out, "Usage: xdplbctl [OPTIONS] %s VERB [ARGS]\n\nCommands:\n", noun);
	for (const struct command *c = commands; c->noun; c++) {
		if (!c->run || strcmp(c->noun, noun) != 0)
			continue;
		first = first ? first : c;
		print_row(out, c);
	}
	print_options(out);
	if (first)
		fprintf(out, "\nExample:\n  xdplbctl %s\n", first->example);
}

static void print_own_options(FILE *out, const struct command *command)
{
	static const struct {
		const char *name;
		const char *text;
	} own[] = {
		{"--force", "  --force          even if the daemon would refuse it for safety\n"},
		{"--per-cpu", "  --per-cpu        one column per CPU beside the total\n"},
		{"--timeout",
		 "  --timeout TIME   how long its flows may take to end, as 90s, 5m; 0s: "
		 "no limit\n"},
		{"--then",
		 "  --then WHAT      flows left then: keep, move to other reals, or reset\n"},
		{"--disable", "  --disable        disable it once it is drained\n"},
		{"--remove", "  --remove         take it out of its VIP once it is drained\n"},
		{"--wait",
		 "  --wait           until it is drained, and show how far it is; exit status 1 if "
		 "flows stay\n                   at the timeout (keep), or the drain is "
		 "ended by somebody\n"},
		{"--follow", "  --follow         and what comes, until it is interrupted\n"},
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strstr(command->options, own[i].name))
			fputs(own[i].text, out);
	}
}

void help_command(FILE *out, const struct command *command)
{
	char text[160];

	fprintf(out, "Usage: xdplbctl [OPTIONS] %s\n\n%s: %s.\n",
		signature(command, text, sizeof(text)),
		command->verb ? command->verb : command->noun, command->summary);
	print_options(out);
	print_own_options(out, command);
	fprintf(out, "\nExample:\n  xdplbctl %s\n", command->example);
}
