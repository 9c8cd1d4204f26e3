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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check_socket.h"

struct tcp_check {
	int fd;
	int connect_errno; /* connect() failed at once with this; told from the loop */
	sd_event_source *io;
	sd_event_source *timer;
	struct check_request request;
};

static void tcp_free(struct tcp_check *check)
{
	sd_event_source_disable_unref(check->io);
	sd_event_source_disable_unref(check->timer);
	if (check->fd >= 0)
		close(check->fd);
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
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	if (errnum)
		tcp_finish_errno(check, errnum);
	else
		tcp_finish(check, CHECK_PASSED, "connected");
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct tcp_check *check = user;

	if (check->connect_errno)
		tcp_finish_errno(check, check->connect_errno);
	else
		tcp_finish(check, CHECK_FAILED, "connect_timeout");
	return 0;
}

/* A failure at once is told from the loop, too. */
static int tcp_watch(struct tcp_check *check, sd_event *event)
{
	uint64_t timeout_us = (uint64_t)check->request.spec->timeout_ms * 1000;

	if (check->connect_errno)
		return sd_event_add_time_relative(event, &check->timer, CLOCK_MONOTONIC, 0,
						  CHECK_ACCURACY_US, on_time, check);
	return check_watch(event, check->fd, EPOLLOUT, timeout_us, on_connected, on_time, check,
			   &check->io, &check->timer);
}

static int tcp_start(const struct check_context *context, const struct check_request *request,
		     struct check **ret_check)
{
	struct tcp_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->fd = -1;
	check->request = *request;
	err = check_socket_open(request, SOCK_STREAM, &check->fd, &check->connect_errno);
	if (err == 0)
		err = tcp_watch(check, context->event);
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
