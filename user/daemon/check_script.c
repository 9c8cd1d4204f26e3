/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Script check: a program's exit status decides, the first line it says is the reason. Only so many
 * run at once; the others wait their turn. A script that is done with (too late, called off) is
 * killed with its group and reaped when it has ended, for which nobody waits.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "check_socket.h"
#include "lib/addr.h"
#include "script_cgroups.h"
#include "script_process.h"
#include "xdplb/probe_abi.h"

#define SCRIPTS_AT_ONCE PROBE_SCRIPTS
#define OUTPUT_MAX	(64 * 1024)
#define END_WAIT_MS	1000
#define ENV_TEXT_MAX	80
#define PATH_VARIABLE	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct script_check;

/* A process, until it is reaped. */
struct script_run {
	LIST_ENTRY(script_run) entry;
	struct check_script_pool *pool;
	struct script_check *check; /* NULL: nobody asks any more */
	struct script_process process;
	int slot; /* in the pool's cgroups; -1: in none */
	sd_event_source *exit;
	sd_event_source *output;
	char said[CHECK_TEXT_MAX]; /* the beginning of it */
	size_t said_len;
	size_t total;
};

TAILQ_HEAD(script_queue, script_check);

struct check_script_pool {
	sd_event *event;
	struct script_cgroups *cgroups; /* NULL: nobody said where */
	struct script_queue waiting;
	LIST_HEAD(, script_run) runs;
	size_t n_runs;
};

struct script_check {
	TAILQ_ENTRY(script_check) entry; /* in waiting */
	struct check_script_pool *pool;
	struct check_request request;
	struct script_run *run; /* NULL: none yet, or none any more */
	bool is_waiting;
	int begin_errno; /* its turn came and it could not begin: told from the loop */
	sd_event_source *timer;
};

/* ---- the end of a check ---------------------------------------------------------------------- */

/* Kills the process, which stays in the pool until it has ended. */
static void run_abandon(struct script_run *run)
{
	run->check = NULL;
	run->output = sd_event_source_disable_unref(run->output);
	script_kill(&run->process);
}

static void script_free(struct script_check *check)
{
	if (check->run)
		run_abandon(check->run);
	if (check->is_waiting)
		TAILQ_REMOVE(&check->pool->waiting, check, entry);
	sd_event_source_disable_unref(check->timer);
	free(check);
}

static void script_finish(struct script_check *check, enum check_outcome outcome, const char *text)
{
	const struct check_request request = check->request;

	script_free(check);
	request.done(request.user, &(struct check_result){.outcome = outcome, .text = text});
}

/* "what: first line"; what may come from a script is printable and cut to CHECK_TEXT_MAX. */
static void write_reason(const struct script_run *run, const char *what, char *text)
{
	size_t start = strspn(run->said, "\r\n"), len = strcspn(run->said + start, "\r\n");
	char line[CHECK_TEXT_MAX];

	memcpy(line, run->said + start, len);
	line[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	snprintf(text, CHECK_TEXT_MAX, len ? "%s: %.100s" : "%s", what, line);
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct script_check *check = user;
	char text[CHECK_TEXT_MAX];

	if (!check->run) {
		if (check->begin_errno)
			snprintf(text, sizeof(text), "%s", strerror(check->begin_errno));
		else
			snprintf(text, sizeof(text), "%d other scripts run already",
				 SCRIPTS_AT_ONCE);
		script_finish(check, CHECK_NOT_MADE, text);
		return 0;
	}
	write_reason(check->run, "script_timeout", text);
	script_finish(check, CHECK_FAILED, text);
	return 0;
}

/* ---- what it says ---------------------------------------------------------------------------- */

/* Reads what there is, a bounded piece of it; returns read()'s result. */
static ssize_t take_output(struct script_run *run)
{
	char bytes[4096];
	ssize_t n = read(run->process.output_fd, bytes, sizeof(bytes));
	size_t room = sizeof(run->said) - 1 - run->said_len;
	size_t added;

	if (n <= 0)
		return n;
	added = (size_t)n < room ? (size_t)n : room;
	memcpy(run->said + run->said_len, bytes, added);
	for (size_t i = 0; i < added; i++) {
		if (!run->said[run->said_len + i])
			run->said[run->said_len + i] = '?';
	}
	run->said_len += added;
	run->total += (size_t)n;
	return n;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct script_run *run = user;
	ssize_t n = take_output(run);
	char text[CHECK_TEXT_MAX];

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		run->output = sd_event_source_disable_unref(run->output);
	if (run->total <= OUTPUT_MAX)
		return 0;
	write_reason(run, "too much output", text);
	script_finish(run->check, CHECK_FAILED, text);
	return 0;
}

/* ---- a process from begin to end ------------------------------------------------------------- */

static void run_free(struct script_run *run)
{
	sd_event_source_disable_unref(run->exit);
	sd_event_source_disable_unref(run->output);
	script_close(&run->process);
	if (run->slot >= 0)
		script_cgroups_give_back(run->pool->cgroups, run->slot);
	LIST_REMOVE(run, entry);
	run->pool->n_runs--;
	free(run);
}

/* It is killed already; what takes longer than this hangs in the kernel. False: it does. */
static bool wait_for_end(struct script_run *run, int wait_ms)
{
	struct pollfd fd = {.fd = run->process.pidfd, .events = POLLIN};
	struct script_end end;

	return poll(&fd, 1, wait_ms) == 1 && script_reap(&run->process, &end) == 0;
}

static enum check_outcome judge(const struct script_run *run, const struct script_end *end,
				char *text)
{
	char what[CHECK_TEXT_MAX];

	if (!end->was_run) {
		snprintf(text, CHECK_TEXT_MAX, "cannot %s: %s", end->step, strerror(end->errnum));
		return CHECK_NOT_MADE;
	}
	if (run->total > OUTPUT_MAX) {
		write_reason(run, "too much output", text);
		return CHECK_FAILED;
	}
	if (end->exit_status >= 0)
		snprintf(what, sizeof(what), "exit %d", end->exit_status);
	else
		snprintf(what, sizeof(what), "killed by signal %d", end->signal);
	write_reason(run, what, text);
	return end->exit_status == 0 ? CHECK_PASSED : CHECK_FAILED;
}

static void begin_next(struct check_script_pool *pool);

static int on_exit_of(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct script_run *run = user;
	struct check_script_pool *pool = run->pool;
	struct script_check *check = run->check;
	enum check_outcome outcome;
	char text[CHECK_TEXT_MAX];
	struct script_end end;

	while (check && run->total <= OUTPUT_MAX && take_output(run) > 0)
		;
	if (script_reap(&run->process, &end) < 0)
		return 0;
	outcome = judge(run, &end, text);
	run_free(run);
	if (end.is_cgroup_lost)
		script_cgroups_forget(pool->cgroups);
	if (check) {
		check->run = NULL;
		script_finish(check, outcome, text);
	}
	begin_next(pool);
	return 0;
}

static int run_watch(struct script_run *run, sd_event *event)
{
	int err = sd_event_add_io(event, &run->exit, run->process.pidfd, EPOLLIN, on_exit_of, run);

	if (err < 0)
		return err;
	/* After a pause of the whole daemon time and exit are due: the exit counts. */
	err = sd_event_source_set_priority(run->exit, SD_EVENT_PRIORITY_NORMAL - 1);
	if (err < 0)
		return err;
	return sd_event_add_io(event, &run->output, run->process.output_fd, EPOLLIN, on_output,
			       run);
}

static void write_variable(char *buf, const char *name, const struct ip_addr *address)
{
	char text[ADDR_TEXT_MAX];

	snprintf(buf, ENV_TEXT_MAX, "%s=%s", name, addr_format(address, text));
}

static int spawn(const struct check_request *request, int cgroup_fd,
		 struct script_process *ret_process)
{
	const struct health_spec *spec = request->spec;
	char address[ENV_TEXT_MAX], port[ENV_TEXT_MAX], real[ENV_TEXT_MAX], real_port[ENV_TEXT_MAX];
	char *envp[] = {(char[]){PATH_VARIABLE}, address, port, real, real_port, NULL};
	struct script_start start = {
		.envp = envp, .uid = spec->uid, .gid = spec->gid, .cgroup_fd = cgroup_fd};
	char **argv = calloc(spec->command.n + 1, sizeof(*argv));
	int err;

	if (!argv)
		return -ENOMEM;
	for (size_t i = 0; i < spec->command.n; i++)
		argv[i] = spec->command.texts[i];
	start.argv = argv;
	write_variable(address, "XDPLB_ADDRESS", &request->address);
	snprintf(port, sizeof(port), "XDPLB_PORT=%u", request->port);
	write_variable(real, "XDPLB_REAL_ADDRESS", &request->real);
	snprintf(real_port, sizeof(real_port), "XDPLB_REAL_PORT=%u", request->port);
	err = script_spawn(&start, ret_process);
	free((void *)argv);
	return err;
}

/* In a cgroup that gives its sockets the mark, if there is one. */
static int run_spawn(struct script_run *run, const struct check_request *request)
{
	struct script_cgroups *cgroups = run->pool->cgroups;
	int cgroup_fd = -1, err = 0;

	run->slot = -1;
	if (request->mark)
		err = cgroups ? script_cgroups_take(cgroups, request->mark, &run->slot, &cgroup_fd)
			      : -EOPNOTSUPP;
	if (err == 0)
		err = spawn(request, cgroup_fd, &run->process);
	if (err < 0 && run->slot >= 0)
		script_cgroups_give_back(cgroups, run->slot);
	return err;
}

/* -errno: it is as it was. */
static int run_begin(struct script_check *check)
{
	struct check_script_pool *pool = check->pool;
	struct script_run *run = calloc(1, sizeof(*run));
	int err;

	if (!run)
		return -ENOMEM;
	run->pool = pool;
	err = run_spawn(run, &check->request);
	if (err < 0) {
		free(run);
		return err;
	}
	LIST_INSERT_HEAD(&pool->runs, run, entry);
	pool->n_runs++;
	err = run_watch(run, pool->event);
	if (err < 0) {
		run_abandon(run);
		wait_for_end(run, END_WAIT_MS);
		run_free(run);
		return err;
	}
	run->check = check;
	check->run = run;
	return 0;
}

/* Its time begins now; if it cannot begin, it has none left. Setting a timer does not fail. */
static void begin(struct script_check *check)
{
	uint64_t timeout_us = (uint64_t)check->request.spec->timeout_ms * 1000;

	TAILQ_REMOVE(&check->pool->waiting, check, entry);
	check->is_waiting = false;
	check->begin_errno = -run_begin(check);
	sd_event_source_set_time_relative(check->timer, check->begin_errno ? 0 : timeout_us);
}

/* One has ended, so one may begin; if that one cannot, it is the next one's turn. */
static void begin_next(struct check_script_pool *pool)
{
	while (pool->n_runs < SCRIPTS_AT_ONCE && !TAILQ_EMPTY(&pool->waiting))
		begin(TAILQ_FIRST(&pool->waiting));
}

/* ---- the check and the pool ------------------------------------------------------------------ */

static int script_start(const struct check_context *context, const struct check_request *request,
			struct check **ret_check)
{
	struct check_script_pool *pool = context->script;
	struct script_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->pool = pool;
	check->request = *request;
	err = sd_event_add_time_relative(context->event, &check->timer, CLOCK_MONOTONIC,
					 (uint64_t)request->spec->timeout_ms * 1000,
					 CHECK_ACCURACY_US, on_time, check);
	if (err >= 0 && pool->n_runs < SCRIPTS_AT_ONCE) {
		err = run_begin(check);
	} else if (err >= 0) {
		TAILQ_INSERT_TAIL(&pool->waiting, check, entry);
		check->is_waiting = true;
	}
	if (err < 0) {
		script_free(check);
		return err;
	}
	*ret_check = (struct check *)check;
	return 0;
}

static void script_cancel(struct check *check)
{
	script_free((struct script_check *)check);
}

static int script_prepare_mark(const struct check_context *context, struct err *err)
{
	if (!context->script->cgroups)
		return err_set(err, EOPNOTSUPP, "no cgroups for scripts");
	return script_cgroups_prepare(context->script->cgroups, err);
}

const struct check_ops check_script_ops = {
	.prepare_mark = script_prepare_mark,
	.start = script_start,
	.cancel = script_cancel,
};

int check_script_pool_new(struct check_script_pool **ret_pool, sd_event *event, struct err *err)
{
	struct check_script_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return err_errno(err, ENOMEM, "script checks");
	pool->event = sd_event_ref(event);
	TAILQ_INIT(&pool->waiting);
	LIST_INIT(&pool->runs);
	*ret_pool = pool;
	return 0;
}

int check_script_pool_use_cgroups(struct check_script_pool *pool, const char *bpffs)
{
	return script_cgroups_new(&pool->cgroups, bpffs);
}

void check_script_pool_free(struct check_script_pool *pool)
{
	int wait_ms = END_WAIT_MS;
	struct script_run *run, *next;

	if (!pool)
		return;
	for (run = LIST_FIRST(&pool->runs); run; run = next) {
		next = LIST_NEXT(run, entry);
		if (!wait_for_end(run, wait_ms))
			wait_ms = 0;
		run_free(run);
	}
	script_cgroups_free(pool->cgroups);
	sd_event_unref(pool->event);
	free(pool);
}
