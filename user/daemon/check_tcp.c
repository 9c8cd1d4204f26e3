/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP check: a connection that the real accepts within the time. Nothing is sent, and the
 * connection is closed by a FIN.
 */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/addr.h"

#define ACCURACY_US 1000

struct tcp_check {
	int fd;
	int connect_errno; /* connect() failed at once with this; told from the loop */
	sd_event_source *io;
	sd_event_source *timer;
	struct check_request request;
};

bool check_is_local_errno(int errnum)
{
	switch (errnum) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return true;
	default:
		return false;
	}
}

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

static socklen_t fill_sockaddr(struct sockaddr_storage *ss, const struct ip_addr *addr,
			       uint16_t port)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (addr_is_v4(addr)) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		in4->sin_addr.s_addr = addr->w[3];
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, addr->b, sizeof(addr->b));
	return sizeof(*in6);
}

static int tcp_open(struct tcp_check *check)
{
	struct sockaddr_storage ss;
	socklen_t len = fill_sockaddr(&ss, &check->request.address, check->request.port);

	check->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (check->fd < 0)
		return -errno;
	if (connect(check->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		check->connect_errno = errno;
	return 0;
}

static int tcp_watch(struct tcp_check *check, sd_event *event)
{
	uint64_t timeout_us = check->connect_errno
				      ? 0
				      : (uint64_t)check->request.spec->timeout_ms * 1000;
	int err;

	err = sd_event_add_time_relative(event, &check->timer, CLOCK_MONOTONIC, timeout_us,
					 ACCURACY_US, on_time, check);
	if (err < 0 || check->connect_errno)
		return err;
	err = sd_event_add_io(event, &check->io, check->fd, EPOLLOUT, on_connected, check);
	if (err < 0)
		return err;
	/* After a pause of the whole daemon both are due: what the real answered counts. */
	return sd_event_source_set_priority(check->io, SD_EVENT_PRIORITY_NORMAL - 1);
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
	err = tcp_open(check);
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
