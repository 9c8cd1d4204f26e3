/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gRPC check: grpc.health.v1.Health/Check over HTTP/2, in plaintext (prior knowledge) or over TLS.
 * Only SERVING is up; the reason is the service's own word. Whatever a real answers is bounded by
 * the timeout, by BODY_MAX and by libcurl's own limits on headers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check_curl.h"
#include "check_tls.h"
#include "lib/grpc_health.h"

#define BODY_MAX  1024
#define NO_STATUS UINT32_MAX
#define METHOD	  "/grpc.health.v1.Health/Check"

struct grpc_check {
	struct curl_check base;
	uint8_t request[GRPC_REQUEST_MAX];
	uint8_t body[BODY_MAX];
	size_t body_len;
	uint32_t status; /* grpc-status; NO_STATUS: it was not said */
};

/* ---- what the real answers ---------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct grpc_check *check = user;
	size_t len = size * count;

	if (len > BODY_MAX - check->body_len)
		return 0; /* no health service answers that much: a bad reply */
	memcpy(check->body + check->body_len, data, len);
	check->body_len += len;
	return len;
}

/* One line of the header or, as a rule, of the trailers. */
static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	static const char name[] = "grpc-status:";
	struct grpc_check *check = user;
	size_t len = size * count;
	char text[16] = "";

	if (len <= sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
		return len;
	snprintf(text, sizeof(text), "%.*s", (int)(len - sizeof(name) + 1),
		 data + sizeof(name) - 1);
	check->status = NO_STATUS;
	if (strspn(text + strspn(text, " "), "0123456789") > 0)
		check->status = (uint32_t)strtoul(text, NULL, 10);
	return len;
}

static enum check_outcome judge_message(const struct grpc_check *check, char *text)
{
	uint32_t serving;

	if (grpc_health_response(check->body, check->body_len, &serving) < 0) {
		snprintf(text, CHECK_TEXT_MAX, "bad_reply");
		return CHECK_FAILED;
	}
	snprintf(text, CHECK_TEXT_MAX, "%s", grpc_serving_name(serving));
	return serving == GRPC_SERVING ? CHECK_PASSED : CHECK_FAILED;
}

static enum check_outcome grpc_judge(struct curl_check *base, char *text,
				     struct health_advice *ret_advice)
{
	const struct grpc_check *check = (const struct grpc_check *)base;
	long version = 0, status = curl_check_status(base);

	curl_easy_getinfo(base->easy, CURLINFO_HTTP_VERSION, &version);
	if (version != CURL_HTTP_VERSION_2_0)
		snprintf(text, CHECK_TEXT_MAX, "the real does not speak HTTP/2");
	else if (status != 200)
		snprintf(text, CHECK_TEXT_MAX, "status %ld", status);
	else if (check->status == 0)
		return judge_message(check, text);
	else
		snprintf(text, CHECK_TEXT_MAX, "%s",
			 grpc_status_name(check->status) ? grpc_status_name(check->status)
							 : "bad_reply");
	return CHECK_FAILED;
}

static void grpc_free(struct curl_check *base)
{
	curl_check_clear(base);
	free(base);
}

static const struct curl_kind grpc_kind = {
	.timeout_text = "grpc_timeout",
	.judge = grpc_judge,
	.free = grpc_free,
};

/* ---- the request --------------------------------------------------------------------------- */

static bool set_request(struct grpc_check *check)
{
	const struct health_spec *spec = check->base.request.spec;
	CURL *easy = check->base.easy;
	size_t len = grpc_health_request(spec->service ? spec->service : "", check->request);

	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 spec->is_tls ? (long)CURL_HTTP_VERSION_2TLS
				      : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, check->request);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)len);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, check);
	return curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, METHOD) == CURLE_OK &&
	       curl_check_add_header(&check->base, "Content-Type: application/grpc") &&
	       curl_check_add_header(&check->base, "TE: trailers") &&
	       curl_check_add_header(&check->base, "Expect:");
}

static int grpc_start(const struct check_context *context, const struct check_request *request,
		      struct check **ret_check)
{
	struct grpc_check *check = calloc(1, sizeof(*check));

	if (!check)
		return -ENOMEM;
	check->base.kind = &grpc_kind;
	check->status = NO_STATUS;
	if (curl_check_init(&check->base, context, request, "http") < 0 ||
	    (request->spec->is_tls && !check_tls_setup(&check->base)) || !set_request(check)) {
		grpc_free(&check->base);
		return -ENOMEM;
	}
	return curl_check_begin(&check->base, ret_check);
}

const struct check_ops check_grpc_ops = {
	.start = grpc_start,
	.cancel = curl_check_cancel,
};
