/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See expect.h. */
#include "expect.h"

#include <string.h>

void expect_counter(const struct run *run, const char *counter, const char *what)
{
	if (strcmp(run_counter(run), counter) != 0)
		fail_msg("%s: %s, expected %s", what, run_counter(run), counter);
}

void expect_packet(struct bed *bed, const struct packet *packet, const char *counter)
{
	struct run run;

	bed_send(bed, packet, &run);
	assert_string_equal(run_counter(&run), counter);
}

void expect_bytes(const struct run *run, const struct frame *want, const char *what)
{
	if (run->out.len != want->len)
		fail_msg("%s: %zu bytes, not %zu", what, run->out.len, want->len);
	for (size_t i = 0; i < want->len; i++) {
		if (run->out.bytes[i] != want->bytes[i])
			fail_msg("%s: byte %zu is %02x, not %02x", what, i, run->out.bytes[i],
				 want->bytes[i]);
	}
}

void expect_untouched(const struct run *run, const struct frame *in, const char *what)
{
	if (run->verdict != XDP_PASS)
		fail_msg("%s: not passed but %s", what, run_counter(run));
	expect_bytes(run, in, what);
}

void expect_sent(struct bed *bed, const struct frame *in, const char *real, const char *what,
		 struct run *ret_run)
{
	bool real_is_v4 = !strchr(real, ':');
	struct outer outer = {
		.src = real_is_v4 ? BED_SOURCE4 : BED_SOURCE6,
		.dst = real,
		.source_mac = bed->dp->out[BED_ROW_SAME].mac,
		.dest_mac = bed_gateway_mac(),
	};
	struct frame want;

	bed_run(bed, in, ret_run);
	expect_counter(ret_run, "forwarded", what);
	assert_int_equal(ret_run->forwarded.bytes, in->l3_len);
	frame_encapsulate(in, &outer, &want);
	if (!real_is_v4) /* the flow label may be anything */
		memcpy(want.bytes + 15, ret_run->out.bytes + 15, 3);
	expect_bytes(ret_run, &want, what);
}
