/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balancer's own answers (on_no_port: reply), byte by byte: RST as RFC 9293 section 3.10.7.1
 * has it, ICMP and ICMPv6 port unreachable; whom it never answers; how often it answers at most.
 */
#include "answers.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}}},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

/* ---- TCP --------------------------------------------------------------------------------- */

struct reset {
	const char *what;
	struct packet packet;
	struct answer_reset answer;
};

static const struct reset resets[] = {
	{"SYN", {.flags = SEGMENT_SYN, .seq = 1000}, {0, 1001, SEGMENT_RST | SEGMENT_ACK}},
	{"SYN with options",
	 {.flags = SEGMENT_SYN, .seq = 7, .tcp_options = 10},
	 {0, 8, SEGMENT_RST | SEGMENT_ACK}},
	{"SYN with data (fast open)",
	 {.flags = SEGMENT_SYN, .seq = 1000, .payload = 9},
	 {0, 1010, SEGMENT_RST | SEGMENT_ACK}},
	{"SYN at the end of the sequence space",
	 {.flags = SEGMENT_SYN, .seq = 0xffffffff},
	 {0, 0, SEGMENT_RST | SEGMENT_ACK}},
	{"ACK", {.flags = SEGMENT_ACK, .seq = 5, .ack = 0xdeadbeef}, {0xdeadbeef, 0, SEGMENT_RST}},
	{"data",
	 {.flags = SEGMENT_ACK | SEGMENT_PSH, .ack = 77, .payload = 100},
	 {77, 0, SEGMENT_RST}},
	{"jumbo data", {.flags = SEGMENT_ACK, .ack = 78, .payload = 8000}, {78, 0, SEGMENT_RST}},
	{"SYN ACK", {.flags = SEGMENT_SYN | SEGMENT_ACK, .ack = 9}, {9, 0, SEGMENT_RST}},
	{"FIN ACK", {.flags = SEGMENT_FIN | SEGMENT_ACK, .ack = 10}, {10, 0, SEGMENT_RST}},
	{"FIN without ACK",
	 {.flags = SEGMENT_FIN, .seq = 20, .payload = 3},
	 {0, 24, SEGMENT_RST | SEGMENT_ACK}},
	{"data without ACK",
	 {.flags = SEGMENT_PSH, .seq = 20, .payload = 3},
	 {0, 23, SEGMENT_RST | SEGMENT_ACK}},
	{"padded",
	 {.flags = SEGMENT_SYN, .seq = 1, .padding = 40},
	 {0, 2, SEGMENT_RST | SEGMENT_ACK}},
	{"IPv4 options",
	 {.flags = SEGMENT_SYN, .seq = 1, .ip_options = 10},
	 {0, 2, SEGMENT_RST | SEGMENT_ACK}},
	{"DSCP and ECN", {.flags = SEGMENT_ACK, .ack = 3, .tos = 0xff}, {3, 0, SEGMENT_RST}},
};

static struct packet addressed(const struct packet *packet, bool is_v6)
{
	struct packet p = *packet;

	p.src = is_v6 ? CLIENT6 : CLIENT4;
	p.dst = is_v6 ? VIP6 : VIP4;
	p.sport = 40001;
	p.dport = 81;
	return p;
}

static void a_segment_to_a_port_without_a_vip_is_reset(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(resets); i++) {
		const struct reset *r = &resets[i / 2];
		struct packet p = addressed(&r->packet, i % 2);
		struct frame in, want;

		frame_build(&p, &in);
		answer_build_reset(&in, &r->answer, &want);
		answer_expect(*state, &in, &want, "reply_reset", r->what);
	}
}

/* ---- UDP --------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	struct packet packet;
} datagrams[] = {
	{"empty", {.payload = 0}},
	{"one byte", {.payload = 1}},
	{"some bytes", {.payload = 100}},
	{"as long as the quote over IPv4", {.payload = 520}},
	{"longer by one byte", {.payload = 521}},
	{"as long as the quote over IPv6", {.payload = 1184}},
	{"longer than that by one byte", {.payload = 1185}},
	{"jumbo", {.payload = 8000}},
	{"padded", {.padding = 18}},
	{"IPv4 options", {.ip_options = 3, .payload = 8}},
	{"all IPv4 options", {.ip_options = 10, .payload = 8}},
	{"DSCP and ECN", {.tos = 0xff, .payload = 8}},
};

static void a_datagram_to_a_port_without_a_vip_is_unreachable(void **state)
{
	static const struct answer_error unreachable[] = {{3, 3, 0}, {1, 4, 0}};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(datagrams); i++) {
		struct packet p = addressed(&datagrams[i / 2].packet, i % 2);
		struct frame in, want;

		p.protocol = IPPROTO_UDP;
		frame_build(&p, &in);
		answer_build_error(&in, &unreachable[i % 2], &want);
		answer_expect(*state, &in, &want, "reply_unreachable", datagrams[i / 2].what);
	}
}

/* ---- Who gets none ----------------------------------------------------------------------- */

static void nobody_is_answered_who_must_not_be(void **state)
{
	static const struct packet packets[] = {
		{.src = CLIENT4, .dst = VIP4, .flags = SEGMENT_RST},
		{.src = CLIENT4, .dst = VIP4, .flags = SEGMENT_RST | SEGMENT_ACK, .payload = 4},
		{.src = CLIENT6, .dst = VIP6, .flags = SEGMENT_RST},
		{.src = "0.0.0.0", .dst = VIP4},
		{.src = "0.1.2.3", .dst = VIP4, .protocol = 17},
		{.src = "127.0.0.1", .dst = VIP4},
		{.src = "224.0.0.1", .dst = VIP4},
		{.src = "239.255.255.250", .dst = VIP4, .protocol = 17},
		{.src = "240.0.0.1", .dst = VIP4},
		{.src = "255.255.255.255", .dst = VIP4, .protocol = 17},
		{.src = "::", .dst = VIP6},
		{.src = "::1", .dst = VIP6, .protocol = 17},
		{.src = "ff02::1", .dst = VIP6},
		{.src = "ff0e::1", .dst = VIP6, .protocol = 17},
	};

	for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
		struct packet p = packets[i];
		struct run run;

		p.sport = 1000;
		p.dport = 81;
		bed_send(*state, &p, &run);
		if (!run.rise.drop_no_port)
			fail_msg("source %s: %s", p.src, run_counter(&run));
	}
}

static void a_frame_to_many_stations_is_not_answered(void **state)
{
	static const uint8_t first_octets[] = {0x01, 0x33, 0xff};
	struct packet p = {.src = CLIENT4, .dst = VIP4, .sport = 1, .dport = 81};

	for (size_t i = 0; i < ARRAY_SIZE(first_octets); i++) {
		struct frame f;
		struct run run;

		frame_build(&p, &f);
		f.bytes[0] = first_octets[i];
		bed_run(*state, &f, &run);
		assert_string_equal(run_counter(&run), "drop_no_port");
	}
}

/* ---- How often --------------------------------------------------------------------------- */

static void an_idle_bucket_is_full_and_no_fuller(void **state)
{
	static const uint64_t idle_s[] = {2, 100, 1000000};
	struct packet p = {.src = CLIENT4, .dst = VIP4, .sport = 1, .dport = 81};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(idle_s); i++) {
		struct run run;

		answer_set_limit(bed, bed_jiffies(bed) - idle_s[i] * bed->knobs.hz, 5000);
		bed_send(bed, &p, &run);
		assert_string_equal(run_counter(&run), "reply_reset");
		assert_int_equal(answer_tokens_left(bed), (REPLY_BURST - 1) * 1000);
	}
}

static void a_bucket_fills_at_the_rate(void **state)
{
	struct packet p = {.src = CLIENT4, .dst = VIP4, .sport = 1, .dport = 81};
	struct bed *bed = *state;
	uint64_t tenth = bed->knobs.hz / 10;
	uint64_t from, least, most;
	struct run run;

	from = bed_jiffies(bed) - tenth;
	answer_set_limit(bed, from, 0);
	bed_send(bed, &p, &run);
	least = tenth * REPLY_RATE_PPS * 1000 / bed->knobs.hz - 1000;
	most = (bed_jiffies(bed) - from) * REPLY_RATE_PPS * 1000 / bed->knobs.hz - 1000;
	assert_in_range(answer_tokens_left(bed), least, most > 999000 ? 999000 : most);
}

static void an_empty_bucket_answers_no_more(void **state)
{
	struct bed *bed = *state;

	/* A jiffy that passes in between is worth some replies: try until none did. */
	for (int i = 0; i < 200; i++) {
		struct packet p = {.src = CLIENT6, .dst = VIP6, .sport = 1, .dport = 81};
		struct run run;

		p.protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;
		answer_set_limit(bed, bed_jiffies(bed), 999);
		bed_send(bed, &p, &run);
		if (run.rise.drop_reply_limit) {
			assert_int_equal(run.verdict, XDP_DROP);
			return;
		}
	}
	fail_msg("200 replies from an empty bucket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_to_a_port_without_a_vip_is_reset),
		cmocka_unit_test(a_datagram_to_a_port_without_a_vip_is_unreachable),
		cmocka_unit_test(nobody_is_answered_who_must_not_be),
		cmocka_unit_test(a_frame_to_many_stations_is_not_answered),
		cmocka_unit_test(an_idle_bucket_is_full_and_no_fuller),
		cmocka_unit_test(a_bucket_fills_at_the_rate),
		cmocka_unit_test(an_empty_bucket_answers_no_more),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
