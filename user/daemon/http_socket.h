/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The socket that the HTTP server listens on. */
#pragma once

#include "lib/err.h"

/*
 * The listening socket, mode 0660, or a negative errno. Makes its directory, replaces the file that
 * a dead daemon left; -EADDRINUSE if somebody listens there.
 */
int http_socket_open(const char *path, struct err *err);
