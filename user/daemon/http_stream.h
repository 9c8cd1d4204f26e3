/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A struct http_stream as a response of libmicrohttpd's. */
#pragma once

#include <microhttpd.h>

#include "http_server.h"

/* Frees the stream when it is sent or given up, or now: NULL, there is no memory. */
struct MHD_Response *http_stream_response(struct http_stream *stream);
