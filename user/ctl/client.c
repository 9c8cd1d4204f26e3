// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libcurl over a unix socket, one request a call. */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000L
/* A reload may wait for grace periods and rewrite many rings. */
#define REPLY_TIMEOUT_MS 120000L

/* An open_memstream(), so that text grows without arithmetic here. */
struct text {
	FILE *stream;
	char *data;
	size_t len;
};

static int text_open(struct text *text)
{
	text->stream = open_memstream(&text->data, &text->len);
	return text->stream ? 0 : -errno;
}

static void text_escape(FILE *stream, const char *part)
{
	char *escaped = curl_easy_escape(NULL, part, 0);

	if (escaped)
		fputs(escaped, stream);
	curl_free(escaped);
}

static char *text_close(struct text *text)
{
	if (fclose(text->stream) == 0)
		return text->data;
	free(text->data);
	return NULL;
}

char *client_path(const char *segment, ...)
{
	struct text text = {};
	va_list ap;

	if (text_open(&text) < 0)
		return NULL;
	fputs("/v1", text.stream);
	va_start(ap, segment);
	for (; segment; segment = va_arg(ap, const char *)) {
		fputc('/', text.stream);
		text_escape(text.stream, segment);
	}
	va_end(ap);
	return text_close(&text);
}

char *client_path_query(char *path, const char *key, const char *value)
{
	struct text text = {};

	if (!path || text_open(&text) < 0) {
		free(path);
		return NULL;
	}
	fprintf(text.stream, "%s%c%s=", path, strchr(path, '?') ? '&' : '?', key);
	text_escape(text.stream, value);
	free(path);
	return text_close(&text);
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct text *text = user;

	return fwrite(data, size, n, text->stream) * size;
}

static void set_options(CURL *curl, const char *socket, const char *url, struct text *reply)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REPLY_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
}

static int explain_failure(CURL *curl, CURLcode code, const char *socket, struct err *err)
{
	const char *reason = curl_easy_strerror(code);
	long os_errno = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno)
		reason = strerror((int)os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno == EACCES)
		return err_set(err, EACCES,
			       "cannot reach xdplbd at %s: %s. Run as root or as a member of the "
			       "socket's group",
			       socket, reason);
	return err_set(err, EIO,
		       "cannot reach xdplbd at %s: %s. Is it running? (systemctl status xdplbd) "
		       "Or name its socket with --socket",
		       socket, reason);
}

static int read_reply(long status, const char *text, size_t len, json_t **ret_reply,
		      struct err *err)
{
	json_t *reply = json_loadb(text, len, JSON_DECODE_ANY, NULL);
	const char *reason;

	if (status >= 200 && status < 300 && reply) {
		*ret_reply = reply;
		return 0;
	}
	reason = json_string_value(json_object_get(reply, "error"));
	if (reason)
		err_set(err, EREMOTEIO, "%s", reason);
	else
		err_set(err, EREMOTEIO, "xdplbd answered with status %ld and no reason", status);
	json_decref(reply);
	return -EREMOTEIO;
}

static int perform(CURL *curl, const char *socket, const char *url, json_t **ret_reply,
		   struct err *err)
{
	struct text reply = {};
	long status = 0;
	CURLcode code;
	char *text;
	int r;

	r = text_open(&reply);
	if (r < 0)
		return err_errno(err, -r, "request");
	set_options(curl, socket, url, &reply);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	text = text_close(&reply);
	if (code != CURLE_OK)
		r = explain_failure(curl, code, socket, err);
	else if (!text)
		r = err_errno(err, ENOMEM, "reply");
	else
		r = read_reply(status, text, reply.len, ret_reply, err);
	free(text);
	return r;
}

static int request(const char *socket, const char *path, const char *body, size_t body_len,
		   json_t **ret_reply, struct err *err)
{
	CURL *curl = curl_easy_init();
	char *url = NULL;
	int r;

	if (!curl || !path || asprintf(&url, "http://localhost%s", path) < 0) {
		curl_easy_cleanup(curl);
		return err_errno(err, ENOMEM, "request");
	}
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	r = perform(curl, socket, url, ret_reply, err);
	curl_easy_cleanup(curl);
	free(url);
	return r;
}

int client_get(const char *socket, const char *path, json_t **ret_reply, struct err *err)
{
	return request(socket, path, NULL, 0, ret_reply, err);
}

int client_post(const char *socket, const char *path, const char *body, size_t body_len,
		json_t **ret_reply, struct err *err)
{
	return request(socket, path, body, body_len, ret_reply, err);
}
