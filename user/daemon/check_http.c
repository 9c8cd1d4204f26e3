/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP check: a request whose status is accepted and whose body holds a text. All checks share one
 * libcurl multi handle that lives in the event loop (multi_socket interface), so none blocks.
 * Whatever a real answers is bounded by the timeout, by BODY_MAX and by libcurl's own limits on
 * headers.
 */
#include "check.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/addr.h"

#define ACCURACY_US 1000
#define BODY_MAX    (64 * 1024)

struct check_http_pool {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer;
};

struct http_check {
	struct check_http_pool *pool;
	struct check_request request;
	CURL *easy;
	struct curl_slist *headers;
	int local_errno; /* what we were short of */
	bool is_decided; /* read enough; the transfer was stopped by us */
	bool has_body_match;
	char *body; /* BODY_MAX bytes if there is something to look for */
	size_t body_len;
};

static void http_free(struct http_check *check)
{
	if (check->easy) {
		curl_multi_remove_handle(check->pool->multi, check->easy);
		curl_easy_cleanup(check->easy);
	}
	curl_slist_free_all(check->headers);
	free(check->body);
	free(check);
}

/* ---- what the real answers ---------------------------------------------------------------- */

static bool is_expected(const struct health_spec *spec, long status)
{
	if (spec->n_expect == 0)
		return status == 200;
	for (size_t i = 0; i < spec->n_expect; i++) {
		if (spec->expect[i] == status)
			return true;
	}
	return false;
}

static long http_status(const struct http_check *check)
{
	long status = 0;

	curl_easy_getinfo(check->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Looks where the new bytes may complete a match. */
static void match_body(struct http_check *check, size_t added)
{
	const char *want = check->request.spec->body;
	size_t want_len = strlen(want);
	size_t start = check->body_len - added;

	start = start > want_len ? start - want_len : 0;
	check->has_body_match = memmem(check->body + start, check->body_len - start, want,
				       want_len) != NULL;
}

/* Stops the transfer (returns less than it was given) as soon as the result is clear. */
static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct http_check *check = user;
	const struct health_spec *spec = check->request.spec;
	size_t len = size * count;
	size_t room = BODY_MAX - check->body_len;
	size_t added = len < room ? len : room;

	if (!spec->body || !is_expected(spec, http_status(check))) {
		check->is_decided = true;
		return 0;
	}
	memcpy(check->body + check->body_len, data, added);
	check->body_len += added;
	match_body(check, added);
	if (check->has_body_match || check->body_len == BODY_MAX) {
		check->is_decided = true;
		return 0;
	}
	return len;
}

static curl_socket_t on_socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct http_check *check = user;
	int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);

	if (fd < 0) {
		check->local_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

/* ---- the result --------------------------------------------------------------------------- */

static enum check_outcome judge_reply(const struct http_check *check, char *text)
{
	const struct health_spec *spec = check->request.spec;
	long status = http_status(check);

	snprintf(text, CHECK_TEXT_MAX, "status %ld", status);
	if (!is_expected(spec, status))
		return CHECK_FAILED;
	if (spec->body && !check->has_body_match) {
		snprintf(text, CHECK_TEXT_MAX, "body_mismatch");
		return CHECK_FAILED;
	}
	return CHECK_PASSED;
}

static enum check_outcome judge_connect(const struct http_check *check, char *text)
{
	long errnum = 0;

	curl_easy_getinfo(check->easy, CURLINFO_OS_ERRNO, &errnum);
	snprintf(text, CHECK_TEXT_MAX, "connect: %s", errnum ? strerror((int)errnum) : "failed");
	return check_is_local_errno((int)errnum) ? CHECK_NOT_MADE : CHECK_FAILED;
}

static enum check_outcome judge(const struct http_check *check, CURLcode code, char *text)
{
	curl_off_t connect_us = 0;

	if (code == CURLE_OK || check->is_decided)
		return judge_reply(check, text);
	if (check->local_errno) {
		snprintf(text, CHECK_TEXT_MAX, "not probed: %s", strerror(check->local_errno));
		return CHECK_NOT_MADE;
	}
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return judge_connect(check, text);
	case CURLE_OPERATION_TIMEDOUT:
		curl_easy_getinfo(check->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
		snprintf(text, CHECK_TEXT_MAX, connect_us ? "http_timeout" : "connect_timeout");
		return CHECK_FAILED;
	case CURLE_OUT_OF_MEMORY:
		snprintf(text, CHECK_TEXT_MAX, "not probed: out of memory");
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
static void finish_done(struct check_http_pool *pool)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(pool->multi, &left))) {
		struct http_check *check = NULL;
		char text[CHECK_TEXT_MAX];
		struct check_request request;
		struct check_result result = {.text = text};

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&check);
		result.outcome = judge(check, msg->data.result, text);
		request = check->request;
		http_free(check);
		request.done(request.user, &result);
	}
}

/* ---- libcurl in the event loop ------------------------------------------------------------- */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct check_http_pool *pool = user;
	int flags = 0, running;

	if (revents & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (revents & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(pool->multi, fd, flags, &running);
	finish_done(pool);
	return 0;
}

static int on_pool_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct check_http_pool *pool = user;
	int running;

	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_done(pool);
	return 0;
}

/*
 * libcurl wants `what` watched on fd. Returns 0 always: anything else would end every transfer of
 * the pool; one that is not watched ends by its timeout.
 */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct check_http_pool *pool = user;
	sd_event_source *io = socket_user;
	struct http_check *check = NULL;
	uint32_t events = 0;
	int err;

	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(pool->multi, fd, NULL);
		sd_event_source_disable_unref(io);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (io) {
		err = sd_event_source_set_io_events(io, events);
	} else {
		err = sd_event_add_io(pool->event, &io, fd, events, on_io, pool);
		if (err >= 0)
			curl_multi_assign(pool->multi, fd, io);
	}
	if (err < 0) {
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&check);
		check->local_errno = -err;
	}
	return 0;
}

/*
 * libcurl wants to be called after timeout_ms. Only arms the timer: called from inside libcurl.
 * Setting a timer that exists does not fail.
 */
static int on_timeout_change(CURLM *multi, long timeout_ms, void *user)
{
	struct check_http_pool *pool = user;

	if (timeout_ms >= 0)
		sd_event_source_set_time_relative(pool->timer, (uint64_t)timeout_ms * 1000);
	sd_event_source_set_enabled(pool->timer, timeout_ms >= 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static int pool_init(struct check_http_pool *pool, sd_event *event, struct err *err)
{
	int errnum;

	pool->event = sd_event_ref(event);
	pool->multi = curl_multi_init();
	if (!pool->multi)
		return err_set(err, ENOMEM, "cannot start libcurl");
	errnum = sd_event_add_time(event, &pool->timer, CLOCK_MONOTONIC, 0, ACCURACY_US,
				   on_pool_time, pool);
	if (errnum < 0)
		return err_errno(err, -errnum, "cannot add a timer");
	sd_event_source_set_enabled(pool->timer, SD_EVENT_OFF);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	return 0;
}

int check_http_pool_new(struct check_http_pool **ret_pool, sd_event *event, struct err *err)
{
	struct check_http_pool *pool;
	int ret;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ENOMEM, "cannot start libcurl");
	pool = calloc(1, sizeof(*pool));
	if (!pool) {
		curl_global_cleanup();
		return err_errno(err, ENOMEM, "HTTP checks");
	}
	ret = pool_init(pool, event, err);
	if (ret < 0) {
		check_http_pool_free(pool);
		return ret;
	}
	*ret_pool = pool;
	return 0;
}

void check_http_pool_free(struct check_http_pool *pool)
{
	if (!pool)
		return;
	if (pool->multi)
		curl_multi_cleanup(pool->multi);
	sd_event_source_disable_unref(pool->timer);
	sd_event_unref(pool->event);
	free(pool);
	curl_global_cleanup();
}

/* ---- the request --------------------------------------------------------------------------- */

static bool add_header(struct http_check *check, const char *header)
{
	struct curl_slist *list = curl_slist_append(check->headers, header);

	if (list)
		check->headers = list;
	return list != NULL;
}

static bool add_host(struct http_check *check)
{
	char *header;
	bool ok;

	if (!check->request.spec->host)
		return true;
	if (asprintf(&header, "Host: %s", check->request.spec->host) < 0)
		return false;
	ok = add_header(check, header);
	free(header);
	return ok;
}

static bool add_headers(struct http_check *check)
{
	const struct health_spec *spec = check->request.spec;
	bool ok = add_host(check) && add_header(check, "Connection: close");

	for (size_t i = 0; ok && i < spec->n_headers; i++)
		ok = add_header(check, spec->headers[i]);
	return ok && curl_easy_setopt(check->easy, CURLOPT_HTTPHEADER, check->headers) == CURLE_OK;
}

/* The address is a number, so nothing is resolved; the path goes out as it was written. */
static bool set_target(struct http_check *check)
{
	const struct health_spec *spec = check->request.spec;
	char host[ADDR_TEXT_MAX], url[ADDR_TEXT_MAX + 16];
	CURL *easy = check->easy;

	addr_format_port(&check->request.address, check->request.port, host);
	snprintf(url, sizeof(url), "http://%s/", host);
	if (spec->method && strcmp(spec->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (spec->method &&
		 curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method) != CURLE_OK)
		return false;
	return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       (!spec->path ||
		curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, spec->path) == CURLE_OK);
}

static void set_limits(struct http_check *check)
{
	long timeout_ms = (long)check->request.spec->timeout_ms;
	CURL *easy = check->easy;

	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms ? timeout_ms : 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms ? timeout_ms : 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not even from the environment */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "xdplb-health/" XDPLB_VERSION);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, check);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, check);
}

static int http_start(const struct check_context *context, const struct check_request *request,
		      struct check **ret_check)
{
	struct http_check *check = calloc(1, sizeof(*check));

	if (!check)
		return -ENOMEM;
	check->pool = context->http;
	check->request = *request;
	check->easy = curl_easy_init();
	if (request->spec->body)
		check->body = malloc(BODY_MAX);
	if (!check->easy || (request->spec->body && !check->body) || !set_target(check) ||
	    !add_headers(check)) {
		http_free(check);
		return -ENOMEM;
	}
	set_limits(check);
	if (curl_multi_add_handle(context->http->multi, check->easy)) {
		http_free(check);
		return -ENOMEM;
	}
	*ret_check = (struct check *)check;
	return 0;
}

static void http_cancel(struct check *check)
{
	http_free((struct http_check *)check);
}

const struct check_ops check_http_ops = {
	.start = http_start,
	.cancel = http_cancel,
};
