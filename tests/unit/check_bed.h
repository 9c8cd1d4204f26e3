/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One check at a time in a real event loop, without the engine; and a datagram server beside it. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/check.h"
#include "lib/addr.h"

#define BED_TIMEOUT_MS	800
#define BED_DEADLINE_MS 5000

struct bed {
	sd_event *event;
	struct check_context context;
	struct health_spec spec;
	struct ip_addr address;
	uint16_t port;
	int results;
	enum check_outcome outcome;
	char text[CHECK_TEXT_MAX];
	uint64_t took_ms;
};

static uint64_t bed_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void bed_open(struct bed *bed, const char *address)
{
	*bed = (struct bed){.spec = {.timeout_ms = BED_TIMEOUT_MS}};
	assert_true(sd_event_new(&bed->event) >= 0);
	bed->context.event = bed->event;
	addr_parse(address, &bed->address);
}

static void bed_close(struct bed *bed)
{
	sd_event_unref(bed->event);
}

static void bed_turn(struct bed *bed)
{
	assert_true(sd_event_run(bed->event, 10000) >= 0);
}

/* Runs the loop until cond holds; fails after the deadline. */
#define bed_until(bed, cond)                                                                       \
	do {                                                                                       \
		uint64_t end = bed_now_ms() + BED_DEADLINE_MS;                                     \
		while (!(cond)) {                                                                  \
			if (bed_now_ms() > end)                                                    \
				fail_msg("never: %s", #cond);                                      \
			bed_turn(bed);                                                             \
		}                                                                                  \
	} while (0)

static void bed_on_done(void *user, const struct check_result *result)
{
	struct bed *bed = user;

	bed->results++;
	bed->outcome = result->outcome;
	snprintf(bed->text, sizeof(bed->text), "%s", result->text);
}

static int bed_start(struct bed *bed, const struct check_ops *ops, struct check **ret_check)
{
	struct check_request request = {.address = bed->address,
					.port = bed->port,
					.spec = &bed->spec,
					.done = bed_on_done,
					.user = bed};

	bed->results = 0;
	return ops->start(&bed->context, &request, ret_check);
}

/* One whole check. */
static void bed_check(struct bed *bed, const struct check_ops *ops)
{
	uint64_t began = bed_now_ms();
	struct check *check = NULL;

	assert_int_equal(bed_start(bed, ops, &check), 0);
	assert_int_equal(bed->results, 0); /* never from inside start */
	bed_until(bed, bed->results);
	bed->took_ms = bed_now_ms() - began;
	assert_int_equal(bed->results, 1);
}

#define bed_expect(bed, wanted_outcome, wanted_text, what)                                         \
	do {                                                                                       \
		if ((bed)->outcome != (wanted_outcome) || strcmp((bed)->text, wanted_text) != 0)   \
			fail_msg("%s: outcome %d, \"%s\"", what, (bed)->outcome, (bed)->text);     \
	} while (0)

/* ---- a datagram server in the same loop ------------------------------------------------------ */

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
