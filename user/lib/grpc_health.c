/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* gRPC's health service: see grpc_health.h. */
#include "grpc_health.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FRAME_HEADER 5
#define FIELD_ONE    1
#define VARINT_MAX   10

/* protobuf's wire types */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* What is left of a message. */
struct cursor {
	const uint8_t *at;
	size_t left;
};

size_t grpc_health_request(const char *service, uint8_t *buf)
{
	size_t service_len = strnlen(service, GRPC_SERVICE_MAX);
	size_t len = 0;
	uint8_t *message = buf + FRAME_HEADER;

	if (service_len) {
		message[len++] = FIELD_ONE << 3 | WIRE_BYTES;
		message[len++] = (uint8_t)(service_len & 0x7f) | (service_len > 0x7f ? 0x80 : 0);
		if (service_len > 0x7f)
			message[len++] = (uint8_t)(service_len >> 7);
		memcpy(message + len, service, service_len);
		len += service_len;
	}
	memset(buf, 0, FRAME_HEADER);
	buf[3] = (uint8_t)(len >> 8);
	buf[4] = (uint8_t)len;
	return FRAME_HEADER + len;
}

static bool take(struct cursor *c, uint64_t n)
{
	if (n > c->left)
		return false;
	c->at += n;
	c->left -= (size_t)n;
	return true;
}

static bool take_varint(struct cursor *c, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (int i = 0; i < VARINT_MAX && c->left; i++) {
		uint8_t byte = *c->at;

		take(c, 1);
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

/* A field that says nothing to us: of a later version. */
static bool skip(struct cursor *c, uint64_t wire_type)
{
	uint64_t value;

	switch (wire_type) {
	case WIRE_VARINT:
		return take_varint(c, &value);
	case WIRE_FIXED64:
		return take(c, 8);
	case WIRE_BYTES:
		return take_varint(c, &value) && take(c, value);
	case WIRE_FIXED32:
		return take(c, 4);
	default:
		return false;
	}
}

int grpc_health_response(const uint8_t *body, size_t len, uint32_t *ret_serving)
{
	struct cursor c = {.at = body, .left = len};
	uint64_t serving = GRPC_UNKNOWN, tag;

	/* Compressed is what we have not asked for. */
	if (len < FRAME_HEADER || body[0] != 0 ||
	    ((uint64_t)body[1] << 24 | body[2] << 16 | body[3] << 8 | body[4]) !=
		    len - FRAME_HEADER)
		return -EPROTO;
	take(&c, FRAME_HEADER);
	while (c.left) {
		bool ok = take_varint(&c, &tag);

		if (ok && tag == (FIELD_ONE << 3 | WIRE_VARINT))
			ok = take_varint(&c, &serving);
		else if (ok)
			ok = tag >> 3 && skip(&c, tag & 7);
		if (!ok)
			return -EPROTO;
	}
	*ret_serving = serving < UINT32_MAX ? (uint32_t)serving : UINT32_MAX;
	return 0;
}

const char *grpc_serving_name(uint32_t serving)
{
	static const char *const names[] = {
		[GRPC_UNKNOWN] = "UNKNOWN",
		[GRPC_SERVING] = "SERVING",
		[GRPC_NOT_SERVING] = "NOT_SERVING",
		[GRPC_SERVICE_UNKNOWN] = "SERVICE_UNKNOWN",
	};

	return serving < sizeof(names) / sizeof(names[0]) ? names[serving] : "bad_reply";
}

const char *grpc_status_name(uint32_t status)
{
	/* gRPC's statuscodes.md, by number */
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : NULL;
}
