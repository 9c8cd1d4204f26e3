/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The messages of grpc.health.v1.Health/Check, in gRPC's framing over HTTP/2 (a flag of one byte, a
 * length of four, the message) and protobuf's encoding. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GRPC_SERVICE_MAX 255
#define GRPC_REQUEST_MAX (5 + 3 + GRPC_SERVICE_MAX)

/* HealthCheckResponse.ServingStatus */
enum grpc_serving {
	GRPC_UNKNOWN = 0,
	GRPC_SERVING = 1,
	GRPC_NOT_SERVING = 2,
	GRPC_SERVICE_UNKNOWN = 3,
};

/* HealthCheckRequest{service}, framed, into buf (GRPC_REQUEST_MAX). Returns its length. */
size_t grpc_health_request(const char *service, uint8_t *buf);

/* HealthCheckResponse: the one message of a body. -EPROTO: it is none. */
int grpc_health_response(const uint8_t *body, size_t len, uint32_t *ret_serving);

const char *grpc_serving_name(uint32_t serving);
/* "NOT_FOUND", ... of a grpc-status; NULL: there is none with this number. */
const char *grpc_status_name(uint32_t status);
