/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sockets of checks: an address as the kernel takes it, a socket on its way to the real. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "check.h"

#define CHECK_ACCURACY_US 1000

socklen_t check_sockaddr(struct sockaddr_storage *ret_ss, const struct ip_addr *addr,
			 uint16_t port);

/* Gives fd the local address spec->source, if there is one. -errno: it is not ours, for one. */
int check_bind_source(int fd, const struct health_spec *spec);

/*
 * Gives fd, of that type, the request's mark, if there is one. Its segments then leave room for any
 * outer header.
 */
int check_mark(int fd, const struct check_request *request, int type);

/*
 * A socket of that type (SOCK_STREAM, SOCK_DGRAM), bound to spec->source, that connects to the
 * real. -errno: not begun, for want of something of our own.
 * *ret_connect_errno: connect() failed at once with this; otherwise 0.
 */
int check_socket_open(const struct check_request *request, int type, int *ret_fd,
		      int *ret_connect_errno);

/*
 * Watches fd for events, and the time: on_io, and at the latest after timeout_us on_time. -errno;
 * what was added then is the caller's to unref as well.
 */
int check_watch(sd_event *event, int fd, uint32_t events, uint64_t timeout_us,
		sd_event_io_handler_t on_io, sd_event_time_handler_t on_time, void *user,
		sd_event_source **ret_io, sd_event_source **ret_timer);

/* A TCP connection to the real. All zero but for fd, -1: none. */
struct check_stream {
	int fd;
	int connect_errno; /* connect() failed at once with this: on_time tells it from the loop */
	sd_event_source *io;
	sd_event_source *timer;
};

/*
 * Begins to connect: on_io when that has ended (check_stream_error() says how), on_time after
 * spec->timeout_ms, or at once with connect_errno. -errno: not begun; to be closed all the same.
 */
int check_stream_open(struct check_stream *stream, sd_event *event,
		      const struct check_request *request, sd_event_io_handler_t on_io,
		      sd_event_time_handler_t on_time, void *user);
void check_stream_close(struct check_stream *stream);
/* 0: connected. */
int check_stream_error(const struct check_stream *stream);
