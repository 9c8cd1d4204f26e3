/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets of checks: see check_socket.h. */
#include "check_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "fd_limit.h"
#include "lib/addr.h"
#include "xdplb/probe_abi.h"

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

/* Ports, of which there may be no more, are chosen later, by connect(). */
void check_say_not_begun(const struct health_spec *spec, int errnum, char *text)
{
	char source[ADDR_TEXT_MAX];

	if (errnum == EADDRNOTAVAIL && !addr_is_zero(&spec->source))
		snprintf(text, CHECK_TEXT_MAX, "source: %s is no address of this host",
			 addr_format(&spec->source, source));
	else
		snprintf(text, CHECK_TEXT_MAX, "%s", strerror(errnum));
}

socklen_t check_sockaddr(struct sockaddr_storage *ret_ss, const struct ip_addr *addr, uint16_t port)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ret_ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_ss;

	memset(ret_ss, 0, sizeof(*ret_ss));
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

/* The port is chosen with the connection: two checks of other reals may then have the same one. */
int check_bind_source(int fd, const struct health_spec *spec)
{
	struct sockaddr_storage ss;
	socklen_t len = check_sockaddr(&ss, &spec->source, 0);
	int on = 1;

	if (addr_is_zero(&spec->source))
		return 0;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return 0;
}

int check_mark(int fd, const struct check_request *request, int type)
{
	int mss = PROBE_MSS;

	if (!request->mark)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &request->mark, sizeof(request->mark)) < 0 ||
	    (type == SOCK_STREAM && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) < 0))
		return -errno;
	return 0;
}

int check_socket_open(const struct check_request *request, int type, int *ret_fd,
		      int *ret_connect_errno)
{
	struct sockaddr_storage ss;
	socklen_t len = check_sockaddr(&ss, &request->address, request->port);
	int fd = fd_limit_check(socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	int err;

	if (fd < 0)
		return fd;
	err = check_bind_source(fd, request->spec);
	if (err == 0)
		err = check_mark(fd, request, type);
	if (err < 0) {
		close(fd);
		return err;
	}
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		*ret_connect_errno = errno;
	else
		*ret_connect_errno = 0;
	*ret_fd = fd;
	return 0;
}

int check_watch(sd_event *event, int fd, uint32_t events, uint64_t timeout_us,
		sd_event_io_handler_t on_io, sd_event_time_handler_t on_time, void *user,
		sd_event_source **ret_io, sd_event_source **ret_timer)
{
	int err = sd_event_add_time_relative(event, ret_timer, CLOCK_MONOTONIC, timeout_us,
					     CHECK_ACCURACY_US, on_time, user);

	if (err < 0)
		return err;
	err = sd_event_add_io(event, ret_io, fd, events, on_io, user);
	if (err < 0)
		return err;
	/* After a pause of the whole daemon both are due: what the real answered counts. */
	return sd_event_source_set_priority(*ret_io, SD_EVENT_PRIORITY_NORMAL - 1);
}

int check_stream_open(struct check_stream *stream, sd_event *event,
		      const struct check_request *request, sd_event_io_handler_t on_io,
		      sd_event_time_handler_t on_time, void *user)
{
	uint64_t timeout_us = (uint64_t)request->spec->timeout_ms * 1000;
	int err = check_socket_open(request, SOCK_STREAM, &stream->fd, &stream->connect_errno);

	if (err < 0)
		return err;
	if (stream->connect_errno)
		return sd_event_add_time_relative(event, &stream->timer, CLOCK_MONOTONIC, 0,
						  CHECK_ACCURACY_US, on_time, user);
	return check_watch(event, stream->fd, EPOLLOUT, timeout_us, on_io, on_time, user,
			   &stream->io, &stream->timer);
}

void check_stream_close(struct check_stream *stream)
{
	stream->io = sd_event_source_disable_unref(stream->io);
	stream->timer = sd_event_source_disable_unref(stream->timer);
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

int check_stream_error(const struct check_stream *stream)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		return errno;
	return errnum;
}
