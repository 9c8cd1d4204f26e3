/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP check: a connection that the real accepts within the time. Nothing is sent, and the
 * connection is closed by a FIN.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_socket.h"

struct tcp_check {
	struct check_stream stream;
	struct check_request request;
};

static void tcp_free(struct tcp_check *check)
{
	check_stream_close(&check->stream);
	free(check);
}

static void tcp_finish(struct tcp_check *check, enum check_outcome outcome, const char *text)
{
	const struct check_request request = check->request;

	tcp_free(check);
	request.done(request.user, &(struct check_result){.outcome = outcome, .text = text});
}

static void tcp_finish_errno(struct tcp_check *check, int errnum)
{
	char text[CHECK_TEXT_MAX];

	snprintf(text, sizeof(text), "connect: %s", strerror(errnum));
	tcp_finish(check, check_is_local_errno(errnum) ? CHECK_NOT_MADE : CHECK_FAILED, text);
}

static int on_connected(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct tcp_check *check = user;
	int errnum = check_stream_error(&check->stream);

	if (errnum)
		tcp_finish_errno(check, errnum);
	else
		tcp_finish(check, CHECK_PASSED, "connected");
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct tcp_check *check = user;

	if (check->stream.connect_errno)
		tcp_finish_errno(check, check->stream.connect_errno);
	else
		tcp_finish(check, CHECK_FAILED, "connect_timeout");
	return 0;
}

static int tcp_start(const struct check_context *context, const struct check_request *request,
		     struct check **ret_check)
{
	struct tcp_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->stream.fd = -1;
	check->request = *request;
	err = check_stream_open(&check->stream, context->event, request, on_connected, on_time,
				check);
	if (err < 0) {
		tcp_free(check);
		return err;
	}
	*ret_check = (struct check *)check;
	return 0;
}

static void tcp_cancel(struct check *check)
{
	tcp_free((struct tcp_check *)check);
}

const struct check_ops check_tcp_ops = {
	.start = tcp_start,
	.cancel = tcp_cancel,
};
