/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every command of xdplbctl gets: the words and options of its command line. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "table.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

struct invocation {
	const char *socket; /* path of the daemon's API */
	bool wants_json;
	bool has_force;
	bool has_per_cpu;
	bool has_follow;
	bool has_disable;
	bool has_remove;
	bool has_wait;
	const char *timeout; /* NULL: not given */
	const char *then;
	bool has_colour;
	bool has_no_colour; /* NO_COLOR: neither where a terminal is elsewhere */
	const char *const *args; /* what follows the verb */
	size_t n_args;
};

/* What the shell offers for a command's arguments. */
enum completion {
	COMPLETE_NOTHING = 0,
	COMPLETE_VIP,
	COMPLETE_VIP_REAL, /* first a VIP, then one of its reals */
	COMPLETE_VIP_REMOVED, /* or one that was removed from it */
	COMPLETE_FILE,
	COMPLETE_SHELL, /* bash, zsh */
};

/* One row of the command table; run NULL: named in the interface, not built yet. */
struct command {
	const char *noun;
	const char *verb; /* NULL: the noun is the command */
	const char *args; /* as shown in the usage; [X]: optional */
	const char *options; /* of its own: "--force", "--then keep|move" */
	const char *summary;
	const char *example; /* what follows "xdplbctl " */
	enum exit_status (*run)(const struct invocation *invocation);
	enum completion completion;
};

/* Ends with a row of all NULL. */
extern const struct command commands[];

/* Message to stderr; returns EXIT_FAILED. */
enum exit_status ctl_fail(const struct err *err);

/* Prints document as it is, for -j. */
enum exit_status ctl_print_json(const json_t *document);

/* GETs path (not owned) and prints the document, or as a table or record of columns. */
enum exit_status ctl_show_table(const struct invocation *invocation, const char *path,
				const struct column *columns, size_t n_columns);
enum exit_status ctl_show_record(const struct invocation *invocation, const char *path,
				 const struct column *columns, size_t n_columns);

/* GETs path and prints the document, or what print makes of it. */
enum exit_status ctl_show(const struct invocation *invocation, const char *path,
			  int (*print)(const struct invocation *invocation,
				       const json_t *document));

/* The `warnings` of an answer, on stderr. */
void ctl_print_warnings(const json_t *document);

/* POSTs to path; prints the reply, in words what it did. */
enum exit_status ctl_change(const struct invocation *invocation, const char *path, const char *body,
			    size_t body_len);

/* The file's text ("-": standard input), at most 16 MiB, zero-terminated; the caller frees it. */
int ctl_read_file(const char *path, char **ret_text, size_t *ret_len, struct err *err);

/* POSTs to path; the reply is the caller's. */
enum exit_status ctl_post(const struct invocation *invocation, const char *path,
			  json_t **ret_reply);

enum exit_status cmd_status(const struct invocation *invocation);
enum exit_status cmd_vip_list(const struct invocation *invocation);
enum exit_status cmd_vip_show(const struct invocation *invocation);
enum exit_status cmd_vip_set(const struct invocation *invocation);
enum exit_status cmd_real_list(const struct invocation *invocation);
enum exit_status cmd_real_show(const struct invocation *invocation);
enum exit_status cmd_real_drain(const struct invocation *invocation);
enum exit_status cmd_real_undrain(const struct invocation *invocation);
enum exit_status cmd_real_enable(const struct invocation *invocation);
enum exit_status cmd_real_disable(const struct invocation *invocation);
enum exit_status cmd_real_add(const struct invocation *invocation);
enum exit_status cmd_real_del(const struct invocation *invocation);
enum exit_status cmd_flow_count(const struct invocation *invocation);
enum exit_status cmd_health_list(const struct invocation *invocation);
enum exit_status cmd_stats_show(const struct invocation *invocation);
enum exit_status cmd_config_check(const struct invocation *invocation);
enum exit_status cmd_config_show(const struct invocation *invocation);
enum exit_status cmd_config_apply(const struct invocation *invocation);
enum exit_status cmd_events(const struct invocation *invocation);
enum exit_status cmd_reload(const struct invocation *invocation);
enum exit_status cmd_detach(const struct invocation *invocation);
enum exit_status cmd_quic_encode(const struct invocation *invocation);
enum exit_status cmd_quic_decode(const struct invocation *invocation);
enum exit_status cmd_completion(const struct invocation *invocation);

/* Why the state is what it is: "connected, 3m12s", or what the operator said, and notes. */
void cell_why(const json_t *row, const char *field, char *cell);
/* Of a probe: the same without the time, which has a column of its own, and the operator. */
void cell_reason(const json_t *row, const char *field, char *cell);
/* When the next probe begins: "182ms", or "now" while one is under way. */
void cell_next(const json_t *row, const char *field, char *cell);

/* Reals as a table: real list and vip show. */
#define N_REAL_COLUMNS 10
extern const struct column real_columns[N_REAL_COLUMNS];

/* The hidden verb behind the shells' completion: words after xdplbctl, the last one unfinished. */
enum exit_status cmd_complete(const char *socket, const char *const *words, size_t n_words);
