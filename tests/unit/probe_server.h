/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small TCP servers for the health engine's test, each a thread on a loopback port of its own that
 * answers one connection at a time, well or badly.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum server_manner {
	SERVER_OK, /* 200 and a short body */
	SERVER_503,
	SERVER_REDIRECT,
	SERVER_SPLIT_BODY, /* the body in two writes, cut inside the word */
	SERVER_LATE_WORD, /* the word comes after 64 KiB */
	SERVER_ENDLESS_BODY,
	SERVER_ENDLESS_HEADERS,
	SERVER_ENDLESS_CONTINUE, /* interim replies */
	SERVER_SILENT, /* reads the request, says nothing */
	SERVER_GARBAGE,
	SERVER_CLOSE, /* closes without a word */
	SERVER_DRIP, /* the status line, one byte a second */
	SERVER_DRIP_BODY, /* the header at once, the body one byte a second */
	SERVER_REFUSE, /* bound, does not listen */
	SERVER_DEAF, /* listens with a full backlog: drops SYNs */
};

#define SERVER_TICK_MS 10
#define DEAF_CLIENTS   8

struct server {
	atomic_int manner;
	atomic_bool stop;
	atomic_int accepted; /* connections */
	int fd;
	int family;
	uint16_t port;
	bool has_thread;
	pthread_t thread;
	int deaf_clients[DEAF_CLIENTS];
	char request[2048]; /* the last one; read it after server_stop() */
};

static bool server_say_len(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool server_say(int fd, const char *text)
{
	return server_say_len(fd, text, strlen(text));
}

/* Waits; false if the client has gone or the server is to stop. */
static bool server_wait(struct server *s, int fd, int ms)
{
	for (; ms > 0; ms -= SERVER_TICK_MS) {
		struct pollfd p = {.fd = fd, .events = POLLRDHUP};

		if (poll(&p, 1, SERVER_TICK_MS) != 0 || s->stop)
			return false;
	}
	return true;
}

static void server_drip(struct server *s, int fd, const char *text)
{
	for (; *text && server_say_len(fd, text, 1); text++) {
		if (!server_wait(s, fd, 1000))
			return;
	}
}

static void server_say_endless(struct server *s, int fd, const char *text)
{
	while (!s->stop && server_say(fd, text))
		;
}

static bool server_read_request(struct server *s, int fd)
{
	size_t len = 0;

	s->request[0] = '\0';
	while (len < sizeof(s->request) - 1 && !strstr(s->request, "\r\n\r\n")) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (s->stop)
			return false;
		if (poll(&p, 1, SERVER_TICK_MS) == 0)
			continue;
		n = recv(fd, s->request + len, sizeof(s->request) - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		s->request[len] = '\0';
	}
	return true;
}

static void server_say_late_word(int fd)
{
	enum { before = 64 * 1024 - 3 };
	char *text = malloc(before);

	memset(text, 'x', before);
	server_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
	server_say_len(fd, text, before);
	server_say(fd, "healthy");
	free(text);
}

static void server_answer(struct server *s, int fd)
{
	switch ((enum server_manner)atomic_load(&s->manner)) {
	case SERVER_OK:
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nI am healthy now");
		break;
	case SERVER_503:
		server_say(fd, "HTTP/1.1 503 No\r\nContent-Length: 7\r\n\r\nhealthy");
		break;
	case SERVER_REDIRECT:
		server_say(fd, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
		break;
	case SERVER_SPLIT_BODY:
		server_say(fd, "HTTP/1.1 200 OK\r\n\r\nheal");
		server_wait(s, fd, 5 * SERVER_TICK_MS);
		server_say(fd, "thy");
		break;
	case SERVER_LATE_WORD:
		server_say_late_word(fd);
		break;
	case SERVER_ENDLESS_BODY:
		server_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		server_say_endless(s, fd, "healthhealthhealthhealthhealth");
		break;
	case SERVER_ENDLESS_HEADERS:
		server_say(fd, "HTTP/1.1 200 OK\r\n");
		server_say_endless(s, fd, "X-More: yes\r\n");
		break;
	case SERVER_ENDLESS_CONTINUE:
		server_say_endless(s, fd, "HTTP/1.1 100 Continue\r\n\r\n");
		break;
	case SERVER_GARBAGE:
		server_say(fd, "\x16\x03\x01 no HTTP at all \xff\xfe\r\n\r\n");
		break;
	case SERVER_DRIP:
		server_drip(s, fd, "HTTP/1.1 200 OK\r\n\r\n");
		break;
	case SERVER_DRIP_BODY:
		server_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		server_drip(s, fd, "healthy");
		break;
	case SERVER_SILENT:
		server_wait(s, fd, 60000);
		break;
	default:
		break;
	}
}

static void *server_main(void *user)
{
	struct server *s = user;

	while (!s->stop) {
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		int fd;

		if (poll(&p, 1, SERVER_TICK_MS) <= 0)
			continue;
		fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		s->accepted++;
		if (server_read_request(s, fd))
			server_answer(s, fd);
		close(fd);
	}
	return NULL;
}

static socklen_t server_address(const struct server *s, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)s->family;
	if (s->family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = htons(s->port);
		return sizeof(*in6);
	}
	in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in4->sin_port = htons(s->port);
	return sizeof(*in4);
}

/* A backlog of 0 has room for one connection; from then on SYNs are dropped. */
static void server_fill_backlog(struct server *s)
{
	struct sockaddr_storage ss;
	socklen_t len = server_address(s, &ss);

	for (int i = 0; i < DEAF_CLIENTS; i++) {
		s->deaf_clients[i] = socket(s->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(s->deaf_clients[i], (struct sockaddr *)&ss, len) < 0 &&
		    errno != EINPROGRESS)
			abort();
	}
}

static void server_start(struct server *s, enum server_manner manner, int family)
{
	struct sockaddr_storage ss;
	socklen_t len;

	memset(s, 0, sizeof(*s));
	memset(s->deaf_clients, -1, sizeof(s->deaf_clients));
	s->manner = manner;
	s->family = family;
	len = server_address(s, &ss);
	s->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&ss, len) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&ss, &len) < 0)
		abort();
	s->port = ntohs(((struct sockaddr_in *)&ss)->sin_port); /* same place in sockaddr_in6 */
	if (manner == SERVER_REFUSE)
		return;
	if (listen(s->fd, manner == SERVER_DEAF ? 0 : 16) < 0)
		abort();
	if (manner == SERVER_DEAF) {
		server_fill_backlog(s);
		return;
	}
	if (pthread_create(&s->thread, NULL, server_main, s) != 0)
		abort();
	s->has_thread = true;
}

static void server_stop(struct server *s)
{
	s->stop = true;
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	for (int i = 0; i < DEAF_CLIENTS; i++) {
		if (s->deaf_clients[i] >= 0)
			close(s->deaf_clients[i]);
	}
	close(s->fd);
}
