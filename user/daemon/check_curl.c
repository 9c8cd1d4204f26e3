/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libcurl for checks: see check_curl.h. All checks share some multi handles that live in the event
 * loop (multi_socket interface), so none blocks.
 */
#include "check_curl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_socket.h"
#include "check_tls.h"
#include "fd_limit.h"
#include "lib/addr.h"

#define ACCURACY_US 1000
#define SHARDS	    8
#define READ_BUFFER 4096L /* a short reply, not a download: 16 KiB are slow to get and to free */
#define BATCH	    64 /* sockets in one turn of the event loop */

struct curl_shard {
	sd_event *event;
	CURLM *multi;
	int epoll_fd; /* of libcurl's sockets: many are ready at once, and the event loop takes one
		       */
	sd_event_source *io;
	sd_event_source *timer;
};

/*
 * A multi handle walks through the connections that are under way whenever a transfer ends (7.88:
 * curl_multi_remove_handle), so many of them share the checks.
 */
struct check_curl_pool {
	struct curl_shard shards[SHARDS];
	unsigned int next;
};

static struct curl_shard *next_shard(struct check_curl_pool *pool)
{
	return &pool->shards[pool->next++ % SHARDS];
}

/* ---- one check ------------------------------------------------------------------------------ */

static curl_socket_t on_socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct curl_check *check = user;
	int fd =
		fd_limit_check(socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol));
	int err;

	if (fd < 0) {
		check->local_errno = -fd;
		return CURL_SOCKET_BAD;
	}
	err = check_bind_source(fd, check->request.spec);
	if (err == 0)
		err = check_mark(fd, &check->request, addr->socktype);
	if (err == 0)
		return fd;
	check->local_errno = -err;
	close(fd);
	return CURL_SOCKET_BAD;
}

/* The address is a number, so nothing is resolved. */
static bool set_target(struct curl_check *check, const char *scheme)
{
	char host[ADDR_TEXT_MAX], url[ADDR_TEXT_MAX + 16];

	addr_format_port(&check->request.address, check->request.port, host);
	snprintf(url, sizeof(url), "%s://%s/", scheme, host);
	return curl_easy_setopt(check->easy, CURLOPT_URL, url) == CURLE_OK;
}

static void set_limits(struct curl_check *check)
{
	long timeout_ms = (long)check->request.spec->timeout_ms;
	CURL *easy = check->easy;

	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms ? timeout_ms : 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms ? timeout_ms : 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not even from the environment */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BUFFER);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "xdplb-health/" XDPLB_VERSION);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, check);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, check);
}

int curl_check_init(struct curl_check *check, const struct check_context *context,
		    const struct check_request *request, const char *scheme)
{
	check->shard = next_shard(context->curl);
	check->request = *request;
	check->easy = curl_easy_init();
	if (!check->easy || !set_target(check, scheme) ||
	    curl_easy_setopt(check->easy, CURLOPT_PROTOCOLS_STR, scheme) != CURLE_OK)
		return -ENOMEM;
	set_limits(check);
	return 0;
}

bool curl_check_add_header(struct curl_check *check, const char *header)
{
	struct curl_slist *list = curl_slist_append(check->headers, header);

	if (list)
		check->headers = list;
	return list != NULL;
}

int curl_check_begin(struct curl_check *check, struct check **ret_check)
{
	if (curl_easy_setopt(check->easy, CURLOPT_HTTPHEADER, check->headers) != CURLE_OK ||
	    curl_multi_add_handle(check->shard->multi, check->easy)) {
		check->kind->free(check);
		return -ENOMEM;
	}
	*ret_check = (struct check *)check;
	return 0;
}

long curl_check_status(const struct curl_check *check)
{
	long status = 0;

	curl_easy_getinfo(check->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

void curl_check_clear(struct curl_check *check)
{
	if (check->easy) {
		curl_multi_remove_handle(check->shard->multi, check->easy);
		curl_easy_cleanup(check->easy);
	}
	curl_slist_free_all(check->headers);
	curl_slist_free_all(check->connect_to);
}

void curl_check_cancel(struct check *check)
{
	struct curl_check *c = (struct curl_check *)check;

	c->kind->free(c);
}

/* ---- the result --------------------------------------------------------------------------- */

static enum check_outcome judge_connect(const struct curl_check *check, char *text)
{
	long errnum = 0;

	curl_easy_getinfo(check->easy, CURLINFO_OS_ERRNO, &errnum);
	snprintf(text, CHECK_TEXT_MAX, "connect: %s", errnum ? strerror((int)errnum) : "failed");
	return check_is_local_errno((int)errnum) ? CHECK_NOT_MADE : CHECK_FAILED;
}

static enum check_outcome judge_timeout(const struct curl_check *check, char *text)
{
	snprintf(text, CHECK_TEXT_MAX, "%s",
		 check->is_connected ? check->kind->timeout_text : "connect_timeout");
	return CHECK_FAILED;
}

static enum check_outcome judge(struct curl_check *check, CURLcode code, char *text,
				struct health_advice *ret_advice)
{
	enum check_outcome outcome;

	if (code == CURLE_OK || check->is_decided)
		return check->kind->judge(check, text, ret_advice);
	if (check->local_errno) {
		check_say_not_begun(check->request.spec, check->local_errno, text);
		return CHECK_NOT_MADE;
	}
	if (check_tls_judge(check, code, text, &outcome))
		return outcome;
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return judge_connect(check, text);
	case CURLE_OPERATION_TIMEDOUT:
		return judge_timeout(check, text);
	case CURLE_OUT_OF_MEMORY:
		snprintf(text, CHECK_TEXT_MAX, "out of memory");
		return CHECK_NOT_MADE;
	default:
		snprintf(text, CHECK_TEXT_MAX, "bad_reply");
		return CHECK_FAILED;
	}
}

/*
 * Hands out results. `done` may cancel other checks, which takes their messages out of the queue,
 * so every message is read anew and nothing of it is kept over the call.
 */
static void finish_done(struct curl_shard *shard)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(shard->multi, &left))) {
		struct curl_check *check = NULL;
		char text[CHECK_TEXT_MAX];
		struct check_request request;
		struct check_result result = {.text = text};

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&check);
		result.outcome = judge(check, msg->data.result, text, &result.advice);
		request = check->request;
		check->kind->free(check);
		request.done(request.user, &result);
	}
}

/* ---- libcurl in the event loop ------------------------------------------------------------- */

static void act(struct curl_shard *shard, const struct epoll_event *event)
{
	int flags = 0, running;

	if (event->events & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (event->events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (event->events & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(shard->multi, event->data.fd, flags, &running);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct curl_shard *shard = user;
	struct epoll_event events[BATCH];
	int n = epoll_wait(fd, events, BATCH, 0);

	for (int i = 0; i < n; i++)
		act(shard, &events[i]);
	finish_done(shard);
	return 0;
}

static int on_shard_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct curl_shard *shard = user;
	int running;

	curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_done(shard);
	return 0;
}

/*
 * libcurl wants `what` watched on fd. Returns 0 always: anything else would end every transfer of
 * the pool; one that is not watched ends by its timeout.
 */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct curl_shard *shard = user;
	struct epoll_event event = {.data.fd = fd};
	bool is_watched = socket_user != NULL;
	struct curl_check *check = NULL;

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&check);
	/* Until the connection is there, libcurl waits to write only. */
	check->is_connected |= what & CURL_POLL_IN;
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(shard->epoll_fd, is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
		check->local_errno = errno;
	else
		curl_multi_assign(shard->multi, fd, shard);
	return 0;
}

/*
 * libcurl wants to be called after timeout_ms. Only arms the timer: called from inside libcurl.
 * Setting a timer that exists does not fail.
 */
static int on_timeout_change(CURLM *multi, long timeout_ms, void *user)
{
	struct curl_shard *shard = user;

	if (timeout_ms >= 0)
		sd_event_source_set_time_relative(shard->timer, (uint64_t)timeout_ms * 1000);
	sd_event_source_set_enabled(shard->timer,
				    timeout_ms >= 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static int shard_init(struct curl_shard *shard, sd_event *event, struct err *err)
{
	int errnum;

	shard->event = sd_event_ref(event);
	shard->multi = curl_multi_init();
	if (!shard->multi)
		return err_set(err, ENOMEM, "cannot start libcurl");
	shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (shard->epoll_fd < 0)
		return err_errno(err, errno, "checks by libcurl");
	errnum = sd_event_add_io(event, &shard->io, shard->epoll_fd, EPOLLIN, on_io, shard);
	if (errnum >= 0)
		errnum = sd_event_add_time(event, &shard->timer, CLOCK_MONOTONIC, 0, ACCURACY_US,
					   on_shard_time, shard);
	if (errnum < 0)
		return err_errno(err, -errnum, "checks by libcurl");
	/* An answer that is here came in time, also if nobody looked. */
	sd_event_source_set_priority(shard->timer, SD_EVENT_PRIORITY_NORMAL + 1);
	sd_event_source_set_enabled(shard->timer, SD_EVENT_OFF);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
	return 0;
}

int check_curl_pool_new(struct check_curl_pool **ret_pool, sd_event *event, struct err *err)
{
	struct check_curl_pool *pool;
	int ret = 0;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ENOMEM, "cannot start libcurl");
	pool = calloc(1, sizeof(*pool));
	if (!pool) {
		curl_global_cleanup();
		return err_errno(err, ENOMEM, "checks by libcurl");
	}
	for (size_t i = 0; i < SHARDS; i++)
		pool->shards[i].epoll_fd = -1;
	for (size_t i = 0; i < SHARDS && !ret; i++)
		ret = shard_init(&pool->shards[i], event, err);
	if (ret < 0) {
		check_curl_pool_free(pool);
		return ret;
	}
	*ret_pool = pool;
	return 0;
}

static void shard_clear(struct curl_shard *shard)
{
	if (shard->multi)
		curl_multi_cleanup(shard->multi);
	sd_event_source_disable_unref(shard->io);
	if (shard->epoll_fd >= 0)
		close(shard->epoll_fd);
	sd_event_source_disable_unref(shard->timer);
	sd_event_unref(shard->event);
}

void check_curl_pool_free(struct check_curl_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		shard_clear(&pool->shards[i]);
	free(pool);
	curl_global_cleanup();
}
