/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Agent check: a program beside the service is asked over TCP and answers with one line (see
 * lib/agent.h). What it says of up and down decides at once, without rise and fall: it is said, not
 * inferred. An agent that cannot be asked is a failure like any other.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_socket.h"
#include "lib/escape.h"

#define LINE_MAX_BYTES 1024

struct agent_check {
	int fd;
	int connect_errno; /* connect() failed at once with this; told from the loop */
	bool is_connected;
	sd_event_source *io;
	sd_event_source *timer;
	struct check_request request;
	char line[LINE_MAX_BYTES + 1];
	size_t len;
};

static void agent_free(struct agent_check *check)
{
	sd_event_source_disable_unref(check->io);
	sd_event_source_disable_unref(check->timer);
	if (check->fd >= 0)
		close(check->fd);
	free(check);
}

static void finish(struct agent_check *check, const struct check_result *result)
{
	const struct check_request request = check->request;

	agent_free(check);
	request.done(request.user, result);
}

/* The agent could not be asked, or is none: what it said before of drain and weight stays. */
static void fail(struct agent_check *check, enum check_outcome outcome, const char *text)
{
	struct check_result result = {
		.outcome = outcome, .text = text, .advice = agent_advice(check->request.agent)};

	finish(check, &result);
}

static void fail_errno(struct agent_check *check, int errnum)
{
	char text[CHECK_TEXT_MAX];

	snprintf(text, sizeof(text), "%s: %s", check->is_connected ? "agent" : "connect",
		 strerror(errnum));
	fail(check, check_is_local_errno(errnum) ? CHECK_NOT_MADE : CHECK_FAILED, text);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* For people: one line of ASCII. */
static void make_printable(char *line)
{
	for (; *line; line++) {
		if (*line < ' ' || *line > '~')
			*line = *line == '\t' ? ' ' : '?';
	}
}

static void judge(struct agent_check *check)
{
	struct agent_state *state = check->request.agent;
	enum agent_answer answer = agent_take(state, check->line);
	struct check_result result = {
		.outcome = state->is_down ? CHECK_FAILED : CHECK_PASSED,
		.is_decisive = answer == AGENT_HEALTH,
		.advice = agent_advice(state),
	};
	char text[CHECK_TEXT_MAX];

	make_printable(check->line);
	snprintf(text, sizeof(text), "agent: %.80s%s", check->line,
		 state->is_down && answer == AGENT_WORDS ? " (and down, as it said before)" : "");
	if (answer == AGENT_NOTHING) {
		result.outcome = CHECK_FAILED;
		snprintf(text, sizeof(text), "agent: not understood: %.80s", check->line);
	}
	result.text = text;
	finish(check, &result);
}

/* Reads on until there is a whole line. Only with its end is it what was meant. */
static void read_line(struct agent_check *check)
{
	ssize_t n = recv(check->fd, check->line + check->len, LINE_MAX_BYTES - check->len, 0);
	size_t end;

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail_errno(check, errno);
		return;
	}
	if (n == 0) {
		fail(check, CHECK_FAILED,
		     check->len ? "agent: closed in the middle of a line"
				: "agent: closed without a word");
		return;
	}
	/* A NUL ends what is understood of a line. */
	for (size_t i = check->len; i < check->len + (size_t)n; i++)
		check->line[i] = check->line[i] ? check->line[i] : '\r';
	check->len += (size_t)n;
	check->line[check->len] = '\0';
	end = strcspn(check->line, "\r\n");
	if (end < check->len) {
		check->line[end] = '\0';
		judge(check);
	} else if (check->len == LINE_MAX_BYTES) {
		fail(check, CHECK_FAILED, "agent: line longer than 1024 bytes");
	}
}

/* ---- the way there -------------------------------------------------------------------------- */

/* A fresh connection takes a few KiB at once. */
static int say_hello(struct agent_check *check)
{
	const char *send_text = check->request.spec->send;
	uint8_t *bytes;
	ssize_t sent;
	int len;

	if (!send_text)
		return 0;
	bytes = malloc(strlen(send_text) + 1);
	len = bytes ? escape_parse(send_text, bytes) : -ENOMEM;
	sent = len < 0 ? len : send(check->fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (len >= 0 && sent != len)
		len = sent < 0 ? -errno : -ENOBUFS;
	free(bytes);
	return len < 0 ? len : 0;
}

static void take_connection(struct agent_check *check)
{
	socklen_t len = sizeof(int);
	int errnum = 0;

	if (getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	check->is_connected = !errnum;
	if (!errnum)
		errnum = -say_hello(check);
	if (!errnum)
		errnum = -sd_event_source_set_io_events(check->io, EPOLLIN);
	if (errnum > 0)
		fail_errno(check, errnum);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct agent_check *check = user;

	if (check->is_connected)
		read_line(check);
	else
		take_connection(check);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct agent_check *check = user;

	if (check->connect_errno)
		fail_errno(check, check->connect_errno);
	else
		fail(check, CHECK_FAILED,
		     check->is_connected ? "agent_timeout" : "connect_timeout");
	return 0;
}

/* A failure at once is told from the loop, too. */
static int watch(struct agent_check *check, sd_event *event)
{
	uint64_t timeout_us = (uint64_t)check->request.spec->timeout_ms * 1000;

	if (check->connect_errno)
		return sd_event_add_time_relative(event, &check->timer, CLOCK_MONOTONIC, 0,
						  CHECK_ACCURACY_US, on_time, check);
	return check_watch(event, check->fd, EPOLLOUT, timeout_us, on_io, on_time, check,
			   &check->io, &check->timer);
}

static int agent_start(const struct check_context *context, const struct check_request *request,
		       struct check **ret_check)
{
	struct agent_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->fd = -1;
	check->request = *request;
	err = check_socket_open(request, SOCK_STREAM, &check->fd, &check->connect_errno);
	if (err == 0)
		err = watch(check, context->event);
	if (err < 0) {
		agent_free(check);
		return err;
	}
	*ret_check = (struct check *)check;
	return 0;
}

static void agent_cancel(struct check *check)
{
	agent_free((struct agent_check *)check);
}

const struct check_ops check_agent_ops = {
	.start = agent_start,
	.cancel = agent_cancel,
};
