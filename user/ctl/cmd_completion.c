// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * completion bash|zsh prints a script that asks the binary itself (__complete WORDS...), so that it
 * never goes stale. Names come from the daemon; without one there are simply none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"

/* Tells the script to complete file names. */
#define FILES_MARK ":files"

static const char bash_script[] =
	"# xdplbctl completion for bash: source <(xdplbctl completion bash)\n"
	"_xdplbctl()\n"
	"{\n"
	"	local line=${COMP_LINE:0:COMP_POINT} current prefix\n"
	"	local -a words\n"
	"	read -ra words <<<\"$line\"\n"
	"	[[ $line == *[[:space:]] ]] && words+=(\"\")\n"
	"	current=${words[-1]}\n"
	"	mapfile -t COMPREPLY < <(\"$1\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"	if [[ ${COMPREPLY[0]-} == " FILES_MARK " ]]; then\n"
	"		compopt -o filenames\n"
	"		mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"	elif [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"		# bash takes what follows the last colon of an IPv6 address for the word\n"
	"		prefix=${current%\"${current##*:}\"}\n"
	"		COMPREPLY=(\"${COMPREPLY[@]#\"$prefix\"}\")\n"
	"	fi\n"
	"}\n"
	"complete -F _xdplbctl xdplbctl\n";

static const char zsh_script[] =
	"#compdef xdplbctl\n"
	"# xdplbctl completion for zsh: source <(xdplbctl completion zsh)\n"
	"_xdplbctl()\n"
	"{\n"
	"	local -a found\n"
	"	found=(\"${(@f)$($words[1] __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"	if [[ $found[1] == " FILES_MARK " ]]; then\n"
	"		_files\n"
	"	else\n"
	"		compadd -- ${found:#}\n"
	"	fi\n"
	"}\n"
	"compdef _xdplbctl xdplbctl\n";

enum exit_status cmd_completion(const struct invocation *invocation)
{
	const char *shell = invocation->args[0];

	if (strcmp(shell, "bash") == 0) {
		fputs(bash_script, stdout);
		return EXIT_DONE;
	}
	if (strcmp(shell, "zsh") == 0) {
		fputs(zsh_script, stdout);
		return EXIT_DONE;
	}
	fprintf(stderr, "xdplbctl: no completion for %s: bash or zsh\n", shell);
	return EXIT_USAGE;
}

static void offer(const char *word, const char *current)
{
	if (strncmp(word, current, strlen(current)) == 0)
		puts(word);
}

/* One field of each object that the daemon lists under path (freed here). */
static void offer_field(const char *socket, char *path, const char *field, const char *current)
{
	json_t *list, *one;
	size_t i;

	if (client_get(socket, path, &list, NULL) == 0) {
		json_array_foreach (list, i, one) {
			const char *word = json_string_value(json_object_get(one, field));

			if (word)
				offer(word, current);
		}
		json_decref(list);
	}
	free(path);
}

static void offer_vips(const char *socket, const char *current)
{
	offer_field(socket, client_path("vips", NULL), "name", current);
}

static void offer_reals(const char *socket, const char *vip, const char *current)
{
	offer_field(socket, client_path_query(client_path("reals", NULL), "vip", vip), "address",
		    current);
}

static void offer_removed(const char *socket, const char *vip, const char *current)
{
	char *path = client_path("vips", vip, NULL);
	json_t *row, *one;
	size_t i;

	if (client_get(socket, path, &row, NULL) == 0) {
		json_array_foreach (json_object_get(row, "removed"), i, one)
			offer(json_string_value(one), current);
		json_decref(row);
	}
	free(path);
}

/* "--then" of "--then keep|move". */
static void offer_own_options(const char *options, const char *current)
{
	char word[64];

	for (const char *p = options; *p; p += strspn(p, " ")) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, " "), p);
		if (word[0] == '-')
			offer(word, current);
		p += strcspn(p, " ");
	}
}

static void offer_options(const struct command *command, const char *current)
{
	offer("--help", current);
	offer("--json", current);
	offer("--socket", current);
	if (command)
		offer_own_options(command->options, current);
}

static void offer_args(const struct command *command, const char *socket, const char *const *args,
		       size_t n_args, const char *current)
{
	switch (command->completion) {
	case COMPLETE_VIP:
		if (n_args == 0)
			offer_vips(socket, current);
		return;
	case COMPLETE_VIP_REAL:
	case COMPLETE_VIP_REMOVED:
		if (n_args == 0)
			offer_vips(socket, current);
		else if (n_args == 1 && command->completion == COMPLETE_VIP_REAL)
			offer_reals(socket, args[0], current);
		else if (n_args == 1)
			offer_removed(socket, args[0], current);
		return;
	case COMPLETE_FILE:
		puts(FILES_MARK);
		return;
	case COMPLETE_SHELL:
		offer("bash", current);
		offer("zsh", current);
		return;
	case COMPLETE_NOTHING:
		return;
	}
}

/* Nouns, or the verbs of one; those that are not built are not offered. */
static void offer_names(const char *noun, const char *current)
{
	const char *last = "";

	for (const struct command *c = commands; c->noun; c++) {
		const char *name = noun ? c->verb : c->noun;

		if (!c->run || !name || (noun && strcmp(c->noun, noun) != 0))
			continue;
		if (strcmp(name, last) != 0)
			offer(name, current);
		last = name;
	}
}

static const struct command *find_command(const char *const *words, size_t n_words)
{
	for (const struct command *c = commands; c->noun; c++) {
		if (n_words < 1 || !c->run || strcmp(c->noun, words[0]) != 0)
			continue;
		if (!c->verb || (n_words > 1 && strcmp(c->verb, words[1]) == 0))
			return c;
	}
	return NULL;
}

/* Takes options out of words; returns how many words are left in ret_plain. */
static size_t strip_options(const char *const *words, size_t n_words, const char **ret_plain,
			    const char **socket)
{
	static const char socket_option[] = "--socket=";
	size_t n = 0;

	for (size_t i = 0; i < n_words; i++) {
		if (strcmp(words[i], "--socket") == 0 && i + 1 < n_words)
			*socket = words[++i];
		else if (strncmp(words[i], socket_option, strlen(socket_option)) == 0)
			*socket = words[i] + strlen(socket_option);
		else if (words[i][0] != '-')
			ret_plain[n++] = words[i];
	}
	return n;
}

enum exit_status cmd_complete(const char *socket, const char *const *words, size_t n_words)
{
	const char *current = n_words > 0 ? words[n_words - 1] : "";
	const char **plain = calloc(n_words + 1, sizeof(*plain));
	const struct command *command;
	size_t n;

	if (!plain)
		return EXIT_FAILED;
	n = strip_options(words, n_words > 0 ? n_words - 1 : 0, plain, &socket);
	command = find_command(plain, n);
	if (n_words > 1 && strcmp(words[n_words - 2], "--socket") == 0)
		puts(FILES_MARK);
	else if (current[0] == '-')
		offer_options(command, current);
	else if (command)
		offer_args(command, socket, plain + (command->verb ? 2 : 1),
			   n - (command->verb ? 2 : 1), current);
	else if (n < 2)
		offer_names(n > 0 ? plain[0] : NULL, current);
	free(plain);
	return EXIT_DONE;
}
