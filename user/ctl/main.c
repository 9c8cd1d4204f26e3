// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* xdplbctl: finds the row of the command table that the command line names and runs it. */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "help.h"
#include "suggest.h"

#define DEFAULT_SOCKET "/run/xdplb/api.sock"
#define NAMES_MAX      64

enum option_id {
	OPTION_SOCKET = 256,
	OPTION_FORCE,
	OPTION_PER_CPU,
	OPTION_FOLLOW,
	OPTION_DISABLE,
	OPTION_REMOVE,
	OPTION_WAIT,
	OPTION_TIMEOUT,
	OPTION_THEN,
};

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"per-cpu", no_argument, NULL, OPTION_PER_CPU},
	{"follow", no_argument, NULL, OPTION_FOLLOW},
	{"disable", no_argument, NULL, OPTION_DISABLE},
	{"remove", no_argument, NULL, OPTION_REMOVE},
	{"wait", no_argument, NULL, OPTION_WAIT},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"then", required_argument, NULL, OPTION_THEN},
	{},
};

#define OPTIONS_MAX (sizeof(options) / sizeof(options[0]))

struct command_line {
	struct invocation invocation;
	const char *given[OPTIONS_MAX]; /* of the commands' own options; ends with NULL */
	bool wants_help;
	bool wants_version;
	const char *const *words;
	size_t n_words;
};

static void note_given(struct command_line *line, const char *name)
{
	size_t n = 0;

	while (line->given[n] && strcmp(line->given[n], name) != 0)
		n++;
	line->given[n] = name;
}

/* Options that only some commands have. */
static void take_own_option(int option, struct invocation *invocation)
{
	switch (option) {
	case OPTION_FORCE:
		invocation->has_force = true;
		break;
	case OPTION_PER_CPU:
		invocation->has_per_cpu = true;
		break;
	case OPTION_FOLLOW:
		invocation->has_follow = true;
		break;
	case OPTION_DISABLE:
		invocation->has_disable = true;
		break;
	case OPTION_REMOVE:
		invocation->has_remove = true;
		break;
	case OPTION_WAIT:
		invocation->has_wait = true;
		break;
	case OPTION_TIMEOUT:
		invocation->timeout = optarg;
		break;
	case OPTION_THEN:
		invocation->then = optarg;
		break;
	}
}

static int parse_options(int argc, char **argv, struct command_line *ret_line)
{
	struct invocation *invocation = &ret_line->invocation;
	int option, place = 0;

	while ((option = getopt_long(argc, argv, "jhV", options, &place)) != -1) {
		switch (option) {
		case 'j':
			invocation->wants_json = true;
			break;
		case 'h':
			ret_line->wants_help = true;
			break;
		case 'V':
			ret_line->wants_version = true;
			break;
		case OPTION_SOCKET:
			invocation->socket = optarg;
			break;
		case '?':
			return -1;
		default:
			note_given(ret_line, options[place].name);
			take_own_option(option, invocation);
		}
	}
	ret_line->words = (const char *const *)argv + optind;
	ret_line->n_words = argc - optind;
	return 0;
}

/* What may stand where `word` stands: nouns, or the verbs of a noun. */
static size_t list_names(const char *noun, const char **ret_names)
{
	size_t n = 0;

	for (const struct command *c = commands; c->noun && n < NAMES_MAX; c++) {
		if (!noun && (n == 0 || strcmp(ret_names[n - 1], c->noun) != 0))
			ret_names[n++] = c->noun;
		else if (noun && c->verb && strcmp(c->noun, noun) == 0)
			ret_names[n++] = c->verb;
	}
	return n;
}

static enum exit_status unknown_word(const char *noun, const char *word)
{
	const char *names[NAMES_MAX];
	const char *nearest = suggest_nearest(word, names, list_names(noun, names));

	fprintf(stderr, "xdplbctl: unknown %s: %s", noun ? "verb" : "command", word);
	if (nearest)
		fprintf(stderr, ". Did you mean %s%s%s?", noun ? noun : "", noun ? " " : "",
			nearest);
	fprintf(stderr, "\nTry: xdplbctl %s%s--help\n", noun ? noun : "", noun ? " " : "");
	return EXIT_USAGE;
}

static const struct command *find_noun(const char *noun)
{
	for (const struct command *c = commands; c->noun; c++) {
		if (strcmp(c->noun, noun) == 0)
			return c;
	}
	return NULL;
}

static const struct command *find_verb(const char *noun, const char *verb)
{
	for (const struct command *c = commands; c->noun; c++) {
		if (strcmp(c->noun, noun) == 0 && c->verb && strcmp(c->verb, verb) == 0)
			return c;
	}
	return NULL;
}

static enum exit_status usage_error(const struct command *command, const char *text)
{
	fprintf(stderr, "xdplbctl: %s\n", text);
	help_command(stderr, command);
	return EXIT_USAGE;
}

/* Counts the words of a usage: "VIP ADDRESS" is two, "[VIP]" one that may be left out. */
static void count_args(const char *args, size_t *ret_least, size_t *ret_most)
{
	*ret_least = *ret_most = 0;
	for (const char *p = args; *p; p += strspn(p, " ")) {
		*ret_least += *p != '[';
		(*ret_most)++;
		p += strcspn(p, " ");
	}
}

/* Whether an option that was given is none of the command's; complains about it. */
static bool has_stray_option(const struct command *command, const struct command_line *line)
{
	char name[64], text[128];

	for (size_t i = 0; line->given[i]; i++) {
		snprintf(name, sizeof(name), "--%s", line->given[i]);
		if (strstr(command->options, name))
			continue;
		snprintf(text, sizeof(text), "%s means nothing here", name);
		usage_error(command, text);
		return true;
	}
	return false;
}

static enum exit_status run_command(const struct command *command, struct command_line *line)
{
	struct invocation *invocation = &line->invocation;
	size_t used = command->verb ? 2 : 1;
	size_t least, most;

	if (!command->run) {
		fprintf(stderr, "xdplbctl: %s%s%s is not supported yet\n", command->noun,
			command->verb ? " " : "", command->verb ? command->verb : "");
		return EXIT_USAGE;
	}
	if (line->wants_help) {
		help_command(stdout, command);
		return EXIT_DONE;
	}
	invocation->args = line->words + used;
	invocation->n_args = line->n_words - used;
	count_args(command->args, &least, &most);
	if (invocation->n_args < least)
		return usage_error(command, "an argument is missing");
	if (invocation->n_args > most)
		return usage_error(command, "too many arguments");
	if (has_stray_option(command, line))
		return EXIT_USAGE;
	return command->run(invocation);
}

static enum exit_status run_line(struct command_line *line)
{
	const struct command *command;

	if (line->n_words == 0) {
		help_all(line->wants_help ? stdout : stderr);
		return line->wants_help ? EXIT_DONE : EXIT_USAGE;
	}
	command = find_noun(line->words[0]);
	if (!command)
		return unknown_word(NULL, line->words[0]);
	if (!command->verb)
		return run_command(command, line);
	if (line->n_words == 1) {
		help_noun(line->wants_help ? stdout : stderr, command->noun);
		return line->wants_help ? EXIT_DONE : EXIT_USAGE;
	}
	command = find_verb(line->words[0], line->words[1]);
	if (!command)
		return unknown_word(line->words[0], line->words[1]);
	return run_command(command, line);
}

/* Data that could not be written (disk full, pipe closed) is a failure. */
static enum exit_status finish(enum exit_status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("xdplbctl: write");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("XDPLB_SOCKET");
	const char *no_colour = getenv("NO_COLOR");
	struct command_line line = {
		.invocation.socket = socket && *socket ? socket : DEFAULT_SOCKET,
		.invocation.has_no_colour = no_colour && *no_colour,
		.invocation.has_colour = !(no_colour && *no_colour) && isatty(STDOUT_FILENO),
	};

	setlocale(LC_CTYPE, "");
	if (argc > 1 && strcmp(argv[1], "__complete") == 0)
		return finish(cmd_complete(line.invocation.socket, (const char *const *)argv + 2,
					   argc - 2));
	if (parse_options(argc, argv, &line) < 0)
		return EXIT_USAGE;
	if (line.wants_version) {
		puts("xdplbctl " XDPLB_VERSION);
		return finish(EXIT_DONE);
	}
	return finish(run_line(&line));
}
