/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* HTTP on a unix socket (libmicrohttpd) inside the daemon's event loop; knows no routes itself. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/err.h"

struct http_server;

struct http_request {
	const char *method;
	const char *path; /* decoded */
	const char *body; /* zero-terminated; "" without one */
	size_t body_len;
	void *connection; /* for http_request_query() */
	uint64_t *
		awaited; /* the handler's, from call to call while it says HTTP_LATER; 0 at first */
};

/* NULL if the query has no such key. */
const char *http_request_query(const struct http_request *request, const char *key);

/* The process that asked; false: it cannot be told. */
bool http_request_peer(const struct http_request *request, uid_t *ret_uid, pid_t *ret_pid);

/* In place of a status: the same request is handed in again after http_server_ask_again(). */
#define HTTP_LATER 0u

/* A body that is made piece by piece while it is sent, so that a long one keeps nobody waiting. */
struct http_stream {
	/* A piece from malloc(), NULL: the end. Negative: the client is to see that it breaks off.
	 */
	int (*next)(struct http_stream *stream, char **ret_piece, size_t *ret_len);
	void (*free)(struct http_stream *stream);
};

/* Either a document (new reference) or a stream, which the server frees. */
struct http_reply {
	json_t *body;
	struct http_stream *stream;
};

/* Fills *ret_reply and returns the HTTP status, or returns HTTP_LATER. */
typedef unsigned int (*http_handler_fn)(void *user, const struct http_request *request,
					struct http_reply *ret_reply);

/*
 * Bodies over 16 MiB are refused with 413, and with 503 while those of other requests under way
 * hold 64 MiB. A 405 whose body says {"allow": "GET"} gets that Allow header. The directory of the
 * socket is made, mode 0755; the socket has mode 0660. The file that a dead daemon left is
 * replaced; -EADDRINUSE if somebody listens on it. When the 128th client comes, the one that has
 * said nothing for longest is dropped.
 */
int http_server_new(struct http_server **ret_server, sd_event *event, const char *socket_path,
		    http_handler_fn handler, void *user, struct err *err);
/* What requests may wait for has come; they are asked from the event loop. */
void http_server_ask_again(struct http_server *server);
void http_server_free(struct http_server *server);
