/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One datagram and its answer: see check_dgram.h. */
#include "check_dgram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check_socket.h"

struct dgram_check {
	const struct dgram_kind *kind;
	struct check_request request;
	int fd;
	int send_errno; /* failed at once with this; told from the loop */
	uint16_t id;
	bool was_strange; /* something came that was no answer */
	sd_event_source *io;
	sd_event_source *timer;
};

static void dgram_free(struct dgram_check *check)
{
	sd_event_source_disable_unref(check->io);
	sd_event_source_disable_unref(check->timer);
	if (check->fd >= 0)
		close(check->fd);
	free(check);
}

static void dgram_finish(struct dgram_check *check, enum check_outcome outcome, const char *text)
{
	const struct check_request request = check->request;

	dgram_free(check);
	request.done(request.user, &(struct check_result){.outcome = outcome, .text = text});
}

/* Among others ECONNREFUSED: nobody listens, as an ICMP port unreachable said. */
static void dgram_finish_errno(struct dgram_check *check, int errnum)
{
	enum check_outcome outcome = check_is_local_errno(errnum) ? CHECK_NOT_MADE : CHECK_FAILED;

	dgram_finish(check, outcome, strerror(errnum));
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct dgram_check *check = user;
	uint8_t bytes[DGRAM_MAX];
	struct dgram_query query = {.spec = check->request.spec, .id = check->id, .bytes = bytes};
	char text[CHECK_TEXT_MAX];
	ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			dgram_finish_errno(check, errno);
		return 0;
	}
	switch (check->kind->judge(&query, (size_t)len, text)) {
	case DGRAM_PASSED:
		dgram_finish(check, CHECK_PASSED, text);
		break;
	case DGRAM_FAILED:
		dgram_finish(check, CHECK_FAILED, text);
		break;
	case DGRAM_STRANGE:
		check->was_strange = true;
		break;
	}
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct dgram_check *check = user;

	if (check->send_errno)
		dgram_finish_errno(check, check->send_errno);
	else
		dgram_finish(check, CHECK_FAILED, check->was_strange ? "bad_reply" : "no_reply");
	return 0;
}

static int dgram_send(struct dgram_check *check)
{
	uint8_t bytes[DGRAM_MAX];
	struct dgram_query query = {.spec = check->request.spec, .id = check->id, .bytes = bytes};
	int len = check->kind->make(&query);

	if (len < 0)
		return len;
	if (!check->send_errno && send(check->fd, bytes, (size_t)len, MSG_NOSIGNAL) < 0)
		check->send_errno = errno;
	return 0;
}

static int dgram_watch(struct dgram_check *check, sd_event *event)
{
	uint64_t timeout_us = (uint64_t)check->request.spec->timeout_ms * 1000;

	if (check->send_errno)
		return sd_event_add_time_relative(event, &check->timer, CLOCK_MONOTONIC, 0,
						  CHECK_ACCURACY_US, on_time, check);
	return check_watch(event, check->fd, EPOLLIN, timeout_us, on_answer, on_time, check,
			   &check->io, &check->timer);
}

int check_dgram_start(const struct dgram_kind *kind, const struct check_context *context,
		      const struct check_request *request, struct check **ret_check)
{
	struct dgram_check *check = calloc(1, sizeof(*check));
	int err = 0;

	if (!check)
		return -ENOMEM;
	check->fd = -1;
	check->kind = kind;
	check->request = *request;
	if (getrandom(&check->id, sizeof(check->id), GRND_NONBLOCK) < 0)
		err = -errno;
	if (err == 0)
		err = check_socket_open(request, SOCK_DGRAM, &check->fd, &check->send_errno);
	if (err == 0)
		err = dgram_send(check);
	if (err == 0)
		err = dgram_watch(check, context->event);
	if (err < 0) {
		dgram_free(check);
		return err;
	}
	*ret_check = (struct check *)check;
	return 0;
}

void check_dgram_cancel(struct check *check)
{
	dgram_free((struct dgram_check *)check);
}
