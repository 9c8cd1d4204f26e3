/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pings of a VIP: every byte of the answer, when there is one, and who gets none. */
#include "answers.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define DOWN4	"192.0.2.11"
#define DOWN6	"2001:db8:f::11"
#define ALWAYS4 "192.0.2.12"
#define ALWAYS6 "2001:db8:f::12"
#define OFF4	"192.0.2.13"
#define OFF6	"2001:db8:f::13"
#define OTHER4	"203.0.113.1"
#define OTHER6	"2001:db8:e::1"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = DOWN4, .port = 80, .reals = {{"10.0.1.1", .is_down = true}}},
	{.address = DOWN6, .port = 80, .reals = {{"10.0.1.1", .is_down = true}}},
	{.address = ALWAYS4, .port = 80, .echo = ECHO_ALWAYS},
	{.address = ALWAYS6, .port = 80, .echo = ECHO_ALWAYS},
	{.address = OFF4, .port = 80, .echo = ECHO_OFF, .reals = {{"10.0.1.1"}}},
	{.address = OFF6, .port = 80, .echo = ECHO_OFF, .reals = {{"10.0.1.1"}}},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static bool is_v6(const char *address)
{
	return strchr(address, ':');
}

/* A ping of `dst`; the data are a packet's bytes, which is as good as any. */
static void build_ping(const char *src, const char *dst, size_t data_len, struct frame *ret_frame)
{
	struct packet filler = {.src = src, .dst = dst, .payload = data_len};
	struct frame data;
	struct icmp_message ping = {
		.src = src,
		.dst = dst,
		.type = is_v6(dst) ? 128 : 8,
		.rest = 0x12340001,
		.quoted = &data,
		.quote_len = data_len,
	};

	frame_build(&filler, &data);
	frame_build_icmp(&ping, ret_frame);
}

static const char *client_of(const char *vip)
{
	return is_v6(vip) ? CLIENT6 : CLIENT4;
}

static void put_checksum(struct frame *frame)
{
	uint8_t *icmp = frame->bytes + frame->l4, *ip = frame->bytes + FRAME_ETH_LEN;
	size_t len = frame->l3_len - (frame->l4 - FRAME_ETH_LEN);
	uint16_t check;

	put16(icmp + 2, 0);
	check = ip[0] >> 4 == 4 ? frame_checksum(icmp, len, 0)
				: frame_l4_checksum(ip, frame->l4 - FRAME_ETH_LEN, frame->l3_len);
	put16(icmp + 2, check ? check : 0xffff);
}

/* The answer to a ping whose IP header is as `plain` has it. */
static void build_answer(const struct frame *plain, struct frame *ret_frame)
{
	bool v6 = plain->bytes[FRAME_ETH_LEN] >> 4 == 6;
	size_t len = plain->l3_len - (v6 ? 40 : 20);
	uint8_t *icmp = answer_put_headers(plain, v6 ? 58 : 1, len, ret_frame);

	memcpy(icmp, plain->bytes + plain->l4, len);
	icmp[0] = v6 ? 129 : 0;
	put_checksum(ret_frame);
}

static void expect_answer(struct bed *bed, const struct frame *in, const struct frame *plain,
			  const char *what)
{
	struct frame want;

	build_answer(plain, &want);
	answer_expect(bed, in, &want, "reply_echo", what);
}

static void expect_drop(struct bed *bed, const struct frame *in, const char *what)
{
	struct run run;

	bed_run(bed, in, &run);
	if (run.verdict != XDP_DROP || strcmp(run_counter(&run), "drop_echo") != 0)
		fail_msg("%s: %s", what, run_counter(&run));
}

/* Up to what takes several buffers. */
static void a_ping_of_any_size_is_answered_with_its_data(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 56, 57, 1400, 1472, 3000, 4096, 8000, 9000};
	static const char *const addresses[] = {VIP4, VIP6};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		const char *vip = addresses[i % 2];
		struct frame in;

		build_ping(client_of(vip), vip, sizes[i / 2], &in);
		expect_answer(*state, &in, &in, vip);
	}
}

static void padding_is_left_out(void **state)
{
	static const char *const addresses[] = {VIP4, VIP6};

	for (size_t i = 0; i < 2 * 46; i++) {
		struct frame plain, in;

		build_ping(CLIENT4, VIP4, 1, &plain);
		if (i % 2)
			build_ping(CLIENT6, VIP6, 1, &plain);
		in = plain;
		memset(in.bytes + in.len, 0x55, i / 2);
		in.len += i / 2;
		expect_answer(*state, &in, &plain, addresses[i % 2]);
	}
}

static void ipv4_options_are_left_out(void **state)
{
	for (uint8_t words = 1; words <= 10; words++) {
		uint8_t options[40];
		struct frame plain, in;
		uint8_t *ip = in.bytes + FRAME_ETH_LEN;

		memset(options, 1, sizeof(options)); /* no operation */
		build_ping(CLIENT4, VIP4, 33, &plain);
		in = plain;
		frame_insert(&in, FRAME_ETH_LEN + 20, options, 4u * words);
		ip[0] = 0x45 + words;
		put16(ip + 2, (uint32_t)plain.l3_len + 4u * words);
		put16(ip + 10, 0);
		put16(ip + 10, frame_checksum(ip, 20 + 4u * words, 0));
		expect_answer(*state, &in, &plain, "options");
	}
}

static void extension_headers_are_left_out(void **state)
{
	static const uint8_t kinds[] = {0, 60, 43}; /* hop-by-hop, destination, routing */

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint8_t header[24] = {58, 2};
		struct frame plain, in;

		build_ping(CLIENT6, VIP6, 33, &plain);
		in = plain;
		in.bytes[FRAME_ETH_LEN + 6] = kinds[i];
		put16(in.bytes + FRAME_ETH_LEN + 4, (uint32_t)plain.l3_len - 40 + sizeof(header));
		frame_insert(&in, FRAME_ETH_LEN + 40, header, sizeof(header));
		expect_answer(*state, &in, &plain, "extension header");
	}
}

static void the_answer_has_the_tags_that_the_ping_had(void **state)
{
	static const struct frame_tags tags[] = {{{0x81000005}}, {{0x88a80064, 0x8100e005}}};
	static const char *const addresses[] = {VIP4, VIP6};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(tags); i++) {
		const char *vip = addresses[i % 2];
		struct frame in, want;

		build_ping(client_of(vip), vip, 56, &in);
		build_answer(&in, &want);
		frame_tag(&in, &tags[i / 2]);
		frame_tag(&want, &tags[i / 2]);
		answer_expect(*state, &in, &want, "reply_echo", "tagged");
	}
}

/* Every sum that the rest of a message can have, where ones' complement has two zeros. */
static void the_checksum_is_right_next_to_zero(void **state)
{
	struct frame plain;

	build_ping(CLIENT4, VIP4, 2, &plain);
	for (uint32_t id = 0; id < 0x10000; id += id < 0xf700 || id > 0xf900 ? 0x101 : 1) {
		uint8_t *icmp = plain.bytes + plain.l4;

		memset(icmp + 4, 0, 6);
		put16(icmp + 4, id);
		put_checksum(&plain);
		expect_answer(*state, &plain, &plain, "id");
	}
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	struct frame in, want;

	build_ping(CLIENT4, VIP4, 56, &in);
	in.bytes[in.l4 + 3] ^= 1;
	build_answer(&in, &want);
	want.bytes[want.l4 + 3] ^= 1;
	answer_expect(*state, &in, &want, "reply_echo", "wrong checksum");
}

static void the_setting_of_the_address_decides(void **state)
{
	static const struct {
		const char *vip;
		bool is_answered;
	} rows[] = {{VIP4, true},    {VIP6, true},    {DOWN4, false}, {DOWN6, false},
		    {ALWAYS4, true}, {ALWAYS6, true}, {OFF4, false},  {OFF6, false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame in;

		build_ping(client_of(rows[i].vip), rows[i].vip, 56, &in);
		if (rows[i].is_answered)
			expect_answer(*state, &in, &in, rows[i].vip);
		else
			expect_drop(*state, &in, rows[i].vip);
	}
}

static void a_ping_of_another_address_passes_untouched(void **state)
{
	static const char *const addresses[] = {OTHER4, OTHER6};

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct frame in;
		struct run run;

		build_ping(client_of(addresses[i]), addresses[i], 56, &in);
		bed_run(*state, &in, &run);
		assert_string_equal(run_counter(&run), "pass_no_vip");
		assert_int_equal(run.out.len, in.len);
		assert_memory_equal(run.out.bytes, in.bytes, in.len);
	}
}

static void nobody_is_answered_who_must_not_be(void **state)
{
	static const char *const sources[] = {
		"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"};
	struct frame in;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		build_ping(sources[i], is_v6(sources[i]) ? VIP6 : VIP4, 56, &in);
		expect_drop(*state, &in, sources[i]);
	}
	build_ping(CLIENT4, VIP4, 56, &in);
	in.bytes[0] |= 1;
	expect_drop(*state, &in, "a frame to many stations");
}

static void answers_are_limited_in_rate(void **state)
{
	struct bed *bed = *state;
	struct frame in;
	struct run run;

	build_ping(CLIENT6, VIP6, 56, &in);
	answer_set_limit(bed, bed_jiffies(bed) - 100ULL * bed->knobs.hz, 0);
	bed_run(bed, &in, &run);
	assert_string_equal(run_counter(&run), "reply_echo");
	assert_int_equal(answer_tokens_left(bed), (REPLY_BURST - 1) * 1000);
	/* A jiffy that passes in between is worth some replies: try until none did. */
	for (int i = 0; i < 200 && !run.rise.drop_reply_limit; i++) {
		answer_set_limit(bed, bed_jiffies(bed), 999);
		bed_run(bed, &in, &run);
	}
	assert_string_equal(run_counter(&run), "drop_reply_limit");
	assert_int_equal(run.verdict, XDP_DROP);
}

static int refill(void **state)
{
	struct bed *bed = *state;

	answer_set_limit(bed, bed_jiffies(bed) - 100ULL * bed->knobs.hz, 0);
	return 0;
}

#define with_tokens(test) cmocka_unit_test_setup(test, refill)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_tokens(a_ping_of_any_size_is_answered_with_its_data),
		with_tokens(padding_is_left_out),
		with_tokens(ipv4_options_are_left_out),
		with_tokens(extension_headers_are_left_out),
		with_tokens(the_answer_has_the_tags_that_the_ping_had),
		with_tokens(the_checksum_is_right_next_to_zero),
		with_tokens(a_wrong_checksum_stays_wrong),
		with_tokens(the_setting_of_the_address_decides),
		with_tokens(a_ping_of_another_address_passes_untouched),
		with_tokens(nobody_is_answered_who_must_not_be),
		with_tokens(answers_are_limited_in_rate),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
