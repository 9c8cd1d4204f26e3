/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP check: a datagram, and a reply in which a text occurs. The first datagram that comes back
 * decides. A port on which nobody listens fails at once, if the real says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "check_dgram.h"
#include "lib/escape.h"

static int udp_make(const struct dgram_query *query)
{
	const char *text = query->spec->send ? query->spec->send : "";

	return strlen(text) > DGRAM_MAX ? -E2BIG : escape_parse(text, query->bytes);
}

static enum dgram_answer udp_judge(const struct dgram_query *query, size_t len, char *text)
{
	const char *expect = query->spec->expect_text ? query->spec->expect_text : "";
	uint8_t *want = malloc(strlen(expect) + 1);
	int want_len = want ? escape_parse(expect, want) : -ENOMEM;
	bool is_there = want_len >= 0 && memmem(query->bytes, len, want, (size_t)want_len);

	free(want);
	snprintf(text, CHECK_TEXT_MAX, is_there ? "replied" : "reply_mismatch");
	return is_there ? DGRAM_PASSED : DGRAM_FAILED;
}

static const struct dgram_kind udp_kind = {.make = udp_make, .judge = udp_judge};

static int udp_start(const struct check_context *context, const struct check_request *request,
		     struct check **ret_check)
{
	return check_dgram_start(&udp_kind, context, request, ret_check);
}

const struct check_ops check_udp_ops = {
	.start = udp_start,
	.cancel = check_dgram_cancel,
};
