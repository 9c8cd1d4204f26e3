/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A datagram server in the event loop of a check's bed. */
#pragma once

#include "check_bed.h"

struct dgram_server {
	int fd;
	uint16_t port;
	sd_event_source *io;
	/* Makes the answer of what was received in place, room bytes; 0: says nothing. */
	size_t (*answer)(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room);
	const void *user;
	struct sockaddr_storage peer; /* of the last datagram */
	uint8_t received[2048]; /* the last one */
	size_t received_len;
	int received_n;
};

static int dgram_server_on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct dgram_server *server = user;
	socklen_t peer_len = sizeof(server->peer);
	uint8_t bytes[65000];
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&server->peer,
			       &peer_len);

	if (len < 0)
		return 0;
	server->received_n++;
	server->received_len = (size_t)len < sizeof(server->received) ? (size_t)len
								      : sizeof(server->received);
	memcpy(server->received, bytes, server->received_len);
	len = (ssize_t)server->answer(server, bytes, (size_t)len, sizeof(bytes));
	if (len > 0)
		assert_int_equal(sendto(fd, bytes, (size_t)len, 0, (struct sockaddr *)&server->peer,
					peer_len),
				 len);
	return 0;
}

static void dgram_server_open(struct dgram_server *server, struct bed *bed)
{
	bool is_v4 = addr_is_v4(&bed->address);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *sa = is_v4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6;
	socklen_t len = is_v4 ? sizeof(in4) : sizeof(in6);

	*server = (struct dgram_server){};
	server->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, sa, len), 0);
	assert_int_equal(getsockname(server->fd, sa, &len), 0);
	server->port = ntohs(is_v4 ? in4.sin_port : in6.sin6_port);
	assert_true(sd_event_add_io(bed->event, &server->io, server->fd, EPOLLIN,
				    dgram_server_on_io, server) >= 0);
	bed->port = server->port;
}

static void dgram_server_close(struct dgram_server *server)
{
	sd_event_source_disable_unref(server->io);
	close(server->fd);
}
