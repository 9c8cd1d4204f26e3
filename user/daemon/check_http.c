/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP and HTTPS check: a request whose status is accepted and whose body holds a text. Whatever a
 * real answers is bounded by the timeout, by BODY_MAX and by libcurl's own limits on headers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_curl.h"
#include "check_tls.h"

#define BODY_MAX (64 * 1024)

struct http_check {
	struct curl_check base;
	bool has_body; /* what must be in the reply was found */
	bool has_degraded_body;
	char *body; /* BODY_MAX bytes if there is something to look for */
	size_t body_len;
};

/* ---- what the real answers ---------------------------------------------------------------- */

static bool is_one_of(const uint16_t *codes, size_t n, long status)
{
	for (size_t i = 0; i < n; i++) {
		if (codes[i] == status)
			return true;
	}
	return false;
}

static bool is_degraded_status(const struct health_spec *spec, long status)
{
	return is_one_of(spec->degraded_status, spec->n_degraded_status, status);
}

static bool is_expected(const struct health_spec *spec, long status)
{
	if (is_degraded_status(spec, status))
		return true;
	return spec->n_expect ? is_one_of(spec->expect, spec->n_expect, status) : status == 200;
}

/* Looks where the new bytes may complete a match; want NULL: nothing is looked for. */
static bool match_body(const struct http_check *check, size_t added, const char *want)
{
	size_t want_len = want ? strlen(want) : 0;
	size_t start = check->body_len - added;

	start = start > want_len ? start - want_len : 0;
	return want && memmem(check->body + start, check->body_len - start, want, want_len);
}

/* Whether the rest of the body could not change the result. */
static bool is_body_decided(const struct http_check *check)
{
	const struct health_spec *spec = check->base.request.spec;

	return check->body_len == BODY_MAX || ((check->has_body || !spec->body) &&
					       (check->has_degraded_body || !spec->degraded_body));
}

/* Stops the transfer (returns less than it was given) as soon as the result is clear. */
static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct http_check *check = user;
	const struct health_spec *spec = check->base.request.spec;
	size_t len = size * count;
	size_t room = BODY_MAX - check->body_len;
	size_t added = len < room ? len : room;

	if (!check->body || !is_expected(spec, curl_check_status(&check->base))) {
		check->base.is_decided = true;
		return 0;
	}
	memcpy(check->body + check->body_len, data, added);
	check->body_len += added;
	check->has_body |= match_body(check, added, spec->body);
	check->has_degraded_body |= match_body(check, added, spec->degraded_body);
	check->base.is_decided = is_body_decided(check);
	return check->base.is_decided ? 0 : len;
}

static enum check_outcome http_judge(struct curl_check *base, char *text,
				     struct health_advice *ret_advice)
{
	const struct http_check *check = (const struct http_check *)base;
	const struct health_spec *spec = base->request.spec;
	long status = curl_check_status(base);

	snprintf(text, CHECK_TEXT_MAX, "status %ld", status);
	if (!is_expected(spec, status))
		return CHECK_FAILED;
	if (spec->body && !check->has_body) {
		snprintf(text, CHECK_TEXT_MAX, "body_mismatch");
		return CHECK_FAILED;
	}
	if (is_degraded_status(spec, status) || check->has_degraded_body) {
		snprintf(text, CHECK_TEXT_MAX, "degraded: %s%ld",
			 check->has_degraded_body ? "body, status " : "status ", status);
		ret_advice->lowered_percent = 100 - spec->degraded_weight_percent;
	}
	return CHECK_PASSED;
}

static void http_free(struct curl_check *base)
{
	struct http_check *check = (struct http_check *)base;

	curl_check_clear(base);
	free(check->body);
	free(check);
}

static const struct curl_kind http_kind = {
	.timeout_text = "http_timeout",
	.judge = http_judge,
	.free = http_free,
};

/* ---- the request --------------------------------------------------------------------------- */

static bool add_host(struct curl_check *check)
{
	char *header;
	bool ok;

	if (!check->request.spec->host)
		return true;
	if (asprintf(&header, "Host: %s", check->request.spec->host) < 0)
		return false;
	ok = curl_check_add_header(check, header);
	free(header);
	return ok;
}

static bool add_headers(struct curl_check *check)
{
	const struct health_spec *spec = check->request.spec;
	bool ok = add_host(check) && curl_check_add_header(check, "Connection: close");

	for (size_t i = 0; ok && i < spec->headers.n; i++)
		ok = curl_check_add_header(check, spec->headers.texts[i]);
	return ok;
}

/* The path goes out as it was written. */
static bool set_request(struct curl_check *check)
{
	const struct health_spec *spec = check->request.spec;
	CURL *easy = check->easy;

	if (spec->method && strcmp(spec->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (spec->method &&
		 curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method) != CURLE_OK)
		return false;
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	return !spec->path ||
	       curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, spec->path) == CURLE_OK;
}

static int http_start(const struct check_context *context, const struct check_request *request,
		      struct check **ret_check)
{
	struct http_check *check = calloc(1, sizeof(*check));
	bool wants_body = request->spec->body || request->spec->degraded_body;

	if (!check)
		return -ENOMEM;
	check->base.kind = &http_kind;
	if (wants_body)
		check->body = malloc(BODY_MAX);
	if (curl_check_init(&check->base, context, request, "http") < 0 ||
	    (wants_body && !check->body) || !set_request(&check->base) ||
	    (request->spec->is_tls && !check_tls_setup(&check->base)) ||
	    !add_headers(&check->base)) {
		http_free(&check->base);
		return -ENOMEM;
	}
	return curl_check_begin(&check->base, ret_check);
}

const struct check_ops check_http_ops = {
	.start = http_start,
	.cancel = curl_check_cancel,
};
