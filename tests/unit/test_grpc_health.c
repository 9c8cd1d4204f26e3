/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages of gRPC's health service, byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/grpc_health.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define B(text)	      (text), sizeof(text) - 1

static void a_request_names_the_service(void **state)
{
	char service[GRPC_SERVICE_MAX + 2];
	uint8_t buf[GRPC_REQUEST_MAX];

	assert_int_equal(grpc_health_request("", buf), 5);
	assert_memory_equal(buf, "\0\0\0\0\0", 5);
	assert_int_equal(grpc_health_request("a.B", buf), 10);
	assert_memory_equal(buf,
			    "\0\0\0\0\x05\x0a\x03"
			    "a.B",
			    10);
	/* a length of two bytes */
	memset(service, 'x', sizeof(service));
	service[128] = '\0';
	assert_int_equal(grpc_health_request(service, buf), 5 + 3 + 128);
	assert_memory_equal(buf, "\0\0\0\0\x83\x0a\x80\x01x", 9);
	service[128] = 'x';
	service[GRPC_SERVICE_MAX + 1] = '\0'; /* one too many */
	assert_int_equal(grpc_health_request(service, buf), GRPC_REQUEST_MAX);
	assert_memory_equal(buf, "\0\0\0\x01\x02\x0a\xff\x01x", 9);
}

/* clang-format off */
static const struct {
	const char *bytes;
	size_t len;
	int ret;
	uint32_t serving;
} rows[] = {
	{B("\0\0\0\0\x02\x08\x01"), 0, GRPC_SERVING},
	{B("\0\0\0\0\x02\x08\x02"), 0, GRPC_NOT_SERVING},
	{B("\0\0\0\0\0"), 0, GRPC_UNKNOWN},
	{B("\0\0\0\0\x04\x08\x02\x08\x01"), 0, GRPC_SERVING}, /* the last one counts */
	{B("\0\0\0\0\x03\x08\x81\x00"), 0, GRPC_SERVING}, /* longer than need be */
	{B("\0\0\0\0\x06\x08\xff\xff\xff\xff\x0f"), 0, UINT32_MAX},
	{B("\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, UINT32_MAX},
	/* fields of a later version around it */
	{B("\0\0\0\0\x04\x10\x05\x08\x01"), 0, GRPC_SERVING},
	{B("\0\0\0\0\x06\x12\x02hi\x08\x01"), 0, GRPC_SERVING},
	{B("\0\0\0\0\x0b\x11" "12345678" "\x08\x01"), 0, GRPC_SERVING},
	{B("\0\0\0\0\x07\x08\x01\x15" "1234"), 0, GRPC_SERVING},
	/* broken */
	{B(""), -EPROTO, 0},
	{B("\0\0\0\0"), -EPROTO, 0},
	{B("\x01\0\0\0\x02\x08\x01"), -EPROTO, 0}, /* compressed */
	{B("\0\0\0\0\x03\x08\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x01\x08\x01"), -EPROTO, 0},
	{B("\0\xff\xff\xff\xff\x08\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x01\x08"), -EPROTO, 0},
	{B("\0\0\0\0\x02\x08\x80"), -EPROTO, 0},
	{B("\0\0\0\0\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x02\x12\x01"), -EPROTO, 0}, /* beyond the end */
	{B("\0\0\0\0\x0b\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x02\x11\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x02\x15\x01"), -EPROTO, 0},
	{B("\0\0\0\0\x02\x13\x14"), -EPROTO, 0}, /* groups are long gone */
	{B("\0\0\0\0\x02\x00\x01"), -EPROTO, 0}, /* no field 0 */
};
/* clang-format on */

/* From memory of its own size, so that a sanitizer sees a read past the end. */
static void a_response_is_read_as_protobuf_says_and_no_further(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		uint8_t *bytes = malloc(rows[r].len ? rows[r].len : 1);
		uint32_t serving = 99;
		int ret;

		memcpy(bytes, rows[r].bytes, rows[r].len);
		ret = grpc_health_response(bytes, rows[r].len, &serving);
		free(bytes);
		if (ret != rows[r].ret || serving != (ret ? 99 : rows[r].serving))
			fail_msg("row %zu: %d, %u", r, ret, serving);
	}
}

static void numbers_have_names(void **state)
{
	assert_string_equal(grpc_serving_name(GRPC_SERVICE_UNKNOWN), "SERVICE_UNKNOWN");
	assert_string_equal(grpc_serving_name(4), "bad_reply");
	assert_string_equal(grpc_status_name(5), "NOT_FOUND");
	assert_string_equal(grpc_status_name(12), "UNIMPLEMENTED");
	assert_string_equal(grpc_status_name(16), "UNAUTHENTICATED");
	assert_null(grpc_status_name(17));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_names_the_service),
		cmocka_unit_test(a_response_is_read_as_protobuf_says_and_no_further),
		cmocka_unit_test(numbers_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
