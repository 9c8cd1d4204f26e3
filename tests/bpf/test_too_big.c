/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the client hears of a packet that does not fit the way out: every byte of the answer, the
 * MTU that it names for every encapsulation, and who hears nothing.
 */
#include "answers.h"
#include "forward.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

static bool is_v6(const char *address)
{
	return strchr(address, ':');
}

static const struct {
	const char *what;
	enum xdplb_encap encap;
	uint32_t outer4; /* bytes of header around the client's packet */
	uint32_t outer6;
} kinds[] = {
	{"IPIP", ENCAP_IPIP, 20, 40},
	{"GUE", ENCAP_GUE, 28, 48},
	{"L2 DSR", ENCAP_L2DSR, 0, 0},
};

static uint32_t outer_len(size_t kind, const struct bed_vip *vip)
{
	return is_v6(vip->reals[0].address) ? kinds[kind].outer6 : kinds[kind].outer4;
}

/* With an IP packet of this length. */
static struct packet packet_of(const struct bed_vip *vip, size_t l3_len)
{
	size_t headers = (is_v6(vip->address) ? 40 : 20) + (vip->protocol ? 8 : 20);

	return (struct packet){
		.src = is_v6(vip->address) ? CLIENT6 : CLIENT4,
		.dst = vip->address,
		.sport = 40000,
		.dport = vip->port,
		.protocol = vip->protocol,
		.payload = l3_len - headers,
	};
}

static void set_mtu(struct bed *bed, uint16_t mtu)
{
	bed->dp->out[BED_ROW_SAME].mtu = mtu;
}

/* Fragmentation needed, packet too big. */
static struct answer_error too_big(const struct bed_vip *vip, uint32_t mtu)
{
	return is_v6(vip->address) ? (struct answer_error){2, 0, mtu}
				   : (struct answer_error){3, 4, mtu};
}

static void expect_mtu(struct bed *bed, const struct bed_vip *vip, const struct frame *in,
		       uint32_t mtu, const char *what)
{
	struct answer_error error = too_big(vip, mtu);
	struct frame want;

	answer_build_error(in, &error, &want);
	answer_expect(bed, in, &want, "reply_too_big", what);
}

static void expect_drop(struct bed *bed, const struct frame *in, const char *what)
{
	struct run run;

	bed_run(bed, in, &run);
	if (strcmp(run_counter(&run), "drop_too_big") != 0)
		fail_msg("%s: %s", what, run_counter(&run));
}

/* One byte too long, then of the length that the answer said. */
static void check_kind(struct bed *bed, size_t kind)
{
	forward_apply(bed, kinds[kind].encap);
	for (size_t v = 0; v < FORWARD_VIPS; v++) {
		const struct bed_vip *vip = &forward_vips[v];
		uint32_t mtu = 1500 - outer_len(kind, vip);
		struct packet p = packet_of(vip, mtu + 1);
		struct frame in;
		struct run run;

		frame_build(&p, &in);
		expect_mtu(bed, vip, &in, mtu, kinds[kind].what);
		p = packet_of(vip, mtu);
		bed_send(bed, &p, &run);
		assert_string_equal(run_counter(&run), "forwarded");
	}
}

static void the_answer_names_the_longest_packet_that_fits(void **state)
{
	set_mtu(*state, 1500);
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		check_kind(*state, kind);
}

static void a_flow_that_is_proven_is_answered_too(void **state)
{
	struct bed *bed = *state;

	forward_apply(bed, ENCAP_IPIP);
	for (size_t v = 0; v < FORWARD_VIPS; v++) {
		const struct bed_vip *vip = &forward_vips[v];
		struct packet small = packet_of(vip, 100), large = packet_of(vip, 1500);
		struct frame in;
		struct run run;

		set_mtu(bed, 1500);
		for (size_t i = 0; i < 3; i++)
			bed_send(bed, &small, &run);
		assert_string_equal(run_counter(&run), "forwarded");
		frame_build(&large, &in);
		expect_mtu(bed, vip, &in, 1500 - outer_len(0, vip), "proven");
	}
}

static const struct {
	const char *what;
	struct packet packet;
} shapes[] = {
	{"a full segment", {.payload = 1460}},
	{"jumbo", {.payload = 8000}},
	{"padded", {.payload = 1460, .padding = 20}},
	{"IPv4 options", {.payload = 1460, .ip_options = 10}},
	{"DSCP and ECN", {.payload = 1460, .tos = 0xff}},
	{"a SYN with data", {.payload = 1460, .flags = SEGMENT_SYN}},
	{"a FIN", {.payload = 1460, .flags = SEGMENT_FIN | SEGMENT_ACK}},
};

static void any_packet_is_quoted_as_it_came(void **state)
{
	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < FORWARD_VIPS * ARRAY_SIZE(shapes); i++) {
		const struct bed_vip *vip = &forward_vips[i / ARRAY_SIZE(shapes)];
		struct packet p = packet_of(vip, 100);
		struct packet shape = shapes[i % ARRAY_SIZE(shapes)].packet;
		struct frame in;

		shape.src = p.src;
		shape.dst = p.dst;
		shape.sport = p.sport;
		shape.dport = p.dport;
		shape.protocol = p.protocol;
		frame_build(&shape, &in);
		expect_mtu(*state, vip, &in, 1500 - outer_len(0, vip),
			   shapes[i % ARRAY_SIZE(shapes)].what);
	}
}

static void df_clear_is_answered_like_df_set(void **state)
{
	const struct bed_vip *vip = &forward_vips[0];
	struct packet p = packet_of(vip, 1500);
	struct frame in;
	uint8_t *ip = in.bytes + FRAME_ETH_LEN;

	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	frame_build(&p, &in);
	for (size_t i = 0; i < 2; i++) {
		ip[6] = i ? 0x40 : 0;
		put16(ip + 10, 0);
		put16(ip + 10, frame_checksum(ip, 20, 0));
		expect_mtu(*state, vip, &in, 1480, i ? "DF" : "no DF");
	}
}

/* In IPv4 no less than 68, in IPv6 no less than 1,280: what is no longer is not answered. */
static void no_mtu_is_named_below_the_least_there_is(void **state)
{
	static const struct {
		size_t vip;
		uint16_t mtu;
		size_t len;
		uint32_t named; /* 0: no answer */
	} rows[] = {
		{0, 89, 70, 69},       {0, 88, 69, 68},	      {0, 87, 69, 68},
		{0, 87, 68, 0},	       {0, 19, 69, 68},	      {0, 0, 69, 68},
		{6, 1321, 1282, 1281}, {6, 1320, 1281, 1280}, {6, 1319, 1281, 1280},
		{6, 1319, 1280, 0},    {6, 0, 1280, 0},	      {6, 0, 1500, 1280},
		{4, 1299, 1280, 0},    {4, 1299, 1281, 1280}, {2, 1300, 1261, 1260},
	};

	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct bed_vip *vip = &forward_vips[rows[i].vip];
		struct packet p = packet_of(vip, rows[i].len);
		struct frame in;

		frame_build(&p, &in);
		set_mtu(*state, rows[i].mtu);
		if (rows[i].named)
			expect_mtu(*state, vip, &in, rows[i].named, vip->address);
		else
			expect_drop(*state, &in, vip->address);
	}
}

static void the_answer_has_the_tags_that_the_packet_had(void **state)
{
	static const struct frame_tags tags[] = {{{0x81000005}}, {{0x88a80064, 0x8100e005}}};

	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < FORWARD_VIPS * ARRAY_SIZE(tags); i++) {
		const struct bed_vip *vip = &forward_vips[i / ARRAY_SIZE(tags)];
		struct answer_error error = too_big(vip, 1500 - outer_len(0, vip));
		struct packet p = packet_of(vip, 1500);
		struct frame in, want;

		frame_build(&p, &in);
		answer_build_error(&in, &error, &want);
		frame_tag(&in, &tags[i % ARRAY_SIZE(tags)]);
		frame_tag(&want, &tags[i % ARRAY_SIZE(tags)]);
		answer_expect(*state, &in, &want, "reply_too_big", "tagged");
	}
}

static void nobody_is_answered_who_must_not_be(void **state)
{
	static const char *const sources4[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1",
					       "255.255.255.255"};
	static const char *const sources6[] = {"::", "::1", "ff02::1"};
	struct packet p = packet_of(&forward_vips[0], 1500);
	struct frame in;

	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < ARRAY_SIZE(sources4); i++) {
		p.src = sources4[i];
		frame_build(&p, &in);
		expect_drop(*state, &in, p.src);
	}
	p = packet_of(&forward_vips[0], 1500);
	frame_build(&p, &in);
	in.bytes[0] |= 1;
	expect_drop(*state, &in, "a frame to many stations");
	p = packet_of(&forward_vips[4], 1500);
	for (size_t i = 0; i < ARRAY_SIZE(sources6); i++) {
		p.src = sources6[i];
		frame_build(&p, &in);
		expect_drop(*state, &in, p.src);
	}
}

/* An error about a packet of the VIP's that is itself too long. */
static void an_icmp_error_is_not_answered(void **state)
{
	static const size_t places[] = {1, 3, 5, 7}; /* UDP */

	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct bed_vip *vip = &forward_vips[places[i]];
		struct packet there = packet_of(vip, 1500), back = there;
		struct frame quoted, in;
		struct icmp_message error = {.src = there.src,
					     .dst = there.dst,
					     .type = is_v6(vip->address) ? 1 : 3,
					     .code = 1,
					     .quoted = &quoted};

		back.src = there.dst;
		back.dst = there.src;
		back.sport = there.dport;
		back.dport = there.sport;
		frame_build(&back, &quoted);
		error.quote_len = quoted.l3_len;
		frame_build_icmp(&error, &in);
		expect_drop(*state, &in, vip->address);
	}
}

/* Makes a packet a fragment: data from `offset` on, others follow. */
static void make_fragment(struct frame *frame, uint32_t offset)
{
	uint8_t *ip = frame->bytes + FRAME_ETH_LEN;
	uint8_t header[8] = {ip[6]};

	if (ip[0] >> 4 == 4) {
		put16(ip + 6, 0x2000 | offset / 8);
		put16(ip + 10, 0);
		put16(ip + 10, frame_checksum(ip, 20, 0));
		return;
	}
	put16(header + 2, offset | 1);
	ip[6] = 44;
	put16(ip + 4, (uint32_t)(frame->l3_len - 40 + 8));
	frame_insert(frame, FRAME_ETH_LEN + 40, header, sizeof(header));
	frame->l3_len += 8;
}

static void of_an_ipv4_datagrams_fragments_only_the_first_is_answered(void **state)
{
	static const size_t places[] = {1, 3, 5, 7}; /* UDP */

	set_mtu(*state, 1500);
	forward_apply(*state, ENCAP_IPIP);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct bed_vip *vip = &forward_vips[places[i]];
		struct packet p = packet_of(vip, 1488);
		struct frame first, later;

		frame_build(&p, &first);
		frame_build(&p, &later);
		make_fragment(&first, 0);
		make_fragment(&later, 1448);
		expect_mtu(*state, vip, &first, 1500 - outer_len(0, vip), "first fragment");
		if (strchr(vip->address, ':'))
			expect_mtu(*state, vip, &later, 1500 - outer_len(0, vip), "later fragment");
		else
			expect_drop(*state, &later, "later fragment");
	}
}

static void answers_are_limited_in_rate(void **state)
{
	struct packet p = packet_of(&forward_vips[0], 1500);
	struct bed *bed = *state;
	struct run run;

	set_mtu(bed, 1500);
	forward_apply(bed, ENCAP_IPIP);
	answer_set_limit(bed, bed_jiffies(bed) - 100ULL * bed->knobs.hz, 0);
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "reply_too_big");
	assert_int_equal(answer_tokens_left(bed), (REPLY_BURST - 1) * 1000);
	/* A jiffy that passes in between is worth some replies: try until none did. */
	for (int i = 0; i < 200 && !run.rise.drop_reply_limit; i++) {
		answer_set_limit(bed, bed_jiffies(bed), 999);
		bed_send(bed, &p, &run);
	}
	assert_string_equal(run_counter(&run), "drop_reply_limit");
	assert_int_equal(run.verdict, XDP_DROP);
}

#define on_bed(test) cmocka_unit_test_setup_teardown(test, bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bed(the_answer_names_the_longest_packet_that_fits),
		on_bed(a_flow_that_is_proven_is_answered_too),
		on_bed(any_packet_is_quoted_as_it_came),
		on_bed(df_clear_is_answered_like_df_set),
		on_bed(no_mtu_is_named_below_the_least_there_is),
		on_bed(the_answer_has_the_tags_that_the_packet_had),
		on_bed(nobody_is_answered_who_must_not_be),
		on_bed(an_icmp_error_is_not_answered),
		on_bed(of_an_ipv4_datagrams_fragments_only_the_first_is_answered),
		on_bed(answers_are_limited_in_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
