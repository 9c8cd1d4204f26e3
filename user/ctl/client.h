/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests to the daemon's API over its unix socket. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"

/* "/v1/" and the segments after it, each escaped; ends with NULL. The caller frees it. */
char *client_path(const char *segment, ...) __attribute__((sentinel));

/* Appends key=value, escaped, to a path of client_path(); frees it and returns the longer one. */
char *client_path_query(char *path, const char *key, const char *value);

/*
 * One request; ret_reply is a new reference. An answer that is not a success is an error with the
 * daemon's text. path NULL is -ENOMEM, so that client_path() need not be checked.
 */
int client_get(const char *socket, const char *path, json_t **ret_reply, struct err *err);
int client_post(const char *socket, const char *path, const char *body, size_t body_len,
		json_t **ret_reply, struct err *err);
