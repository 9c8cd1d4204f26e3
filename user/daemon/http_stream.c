/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A body that is made while it is sent: see http_stream.h. One piece is held at a time. */
#include "http_stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define BLOCK (16u << 10)

struct sending {
	struct http_stream *stream;
	char *piece; /* being sent */
	size_t len, sent;
};

static ssize_t on_read(void *user, uint64_t position, char *room, size_t size)
{
	struct sending *s = user;
	size_t n;

	while (s->sent == s->len) {
		free(s->piece);
		s->piece = NULL;
		s->sent = s->len = 0;
		if (s->stream->next(s->stream, &s->piece, &s->len))
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (!s->piece)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	n = s->len - s->sent < size ? s->len - s->sent : size;
	memcpy(room, s->piece + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void on_sent(void *user)
{
	struct sending *s = user;

	s->stream->free(s->stream);
	free(s->piece);
	free(s);
}

struct MHD_Response *http_stream_response(struct http_stream *stream)
{
	struct sending *s = calloc(1, sizeof(*s));
	struct MHD_Response *response =
		s ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_read, s, on_sent)
		  : NULL;

	if (!response) {
		stream->free(stream);
		free(s);
		return NULL;
	}
	s->stream = stream;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	return response;
}
