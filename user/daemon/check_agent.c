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

#include "check_socket.h"
#include "lib/escape.h"

#define LINE_MAX_BYTES 1024

struct agent_check {
	struct check_stream stream;
	bool is_connected;
	struct check_request request;
	char line[LINE_MAX_BYTES + 1];
	size_t len;
};

static void agent_free(struct agent_check *check)
{
	check_stream_close(&check->stream);
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
		snprintf(text, sizeof(text),
			 check->line[0] ? "agent: not understood: %.80s" : "agent: an empty line%s",
			 check->line);
	}
	result.text = text;
	finish(check, &result);
}

/* Reads on until there is a whole line. Only with its end is it what was meant. */
static void read_line(struct agent_check *check)
{
	ssize_t n = recv(check->stream.fd, check->line + check->len, LINE_MAX_BYTES - check->len,
			 0);
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
	sent = len < 0 ? len
		       : send(check->stream.fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (len >= 0 && sent != len)
		len = sent < 0 ? -errno : -ENOBUFS;
	free(bytes);
	return len < 0 ? len : 0;
}

static void take_connection(struct agent_check *check)
{
	int errnum = check_stream_error(&check->stream);

	check->is_connected = !errnum;
	if (!errnum)
		errnum = -say_hello(check);
	if (!errnum)
		errnum = -sd_event_source_set_io_events(check->stream.io, EPOLLIN);
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

	if (check->stream.connect_errno)
		fail_errno(check, check->stream.connect_errno);
	else
		fail(check, CHECK_FAILED,
		     check->is_connected ? "agent_timeout" : "connect_timeout");
	return 0;
}

static int agent_start(const struct check_context *context, const struct check_request *request,
		       struct check **ret_check)
{
	struct agent_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->stream.fd = -1;
	check->request = *request;
	err = check_stream_open(&check->stream, context->event, request, on_io, on_time, check);
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
