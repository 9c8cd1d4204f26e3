/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VLAN tags: on what comes in, on what leaves, on answers; every byte of the frame. */
#include "expect.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define OTHER4	"203.0.113.1"
#define OTHER6	"2001:db8:e::1"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP4, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"2001:db8:1::1"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"2001:db8:1::1"}}},
};

static const struct {
	const char *what;
	struct frame_tags tags;
} stacks[] = {
	{"no tag", {{0}}},
	{"802.1Q", {{0x81000005}}},
	{"802.1Q, highest id", {{0x81000fff}}},
	{"802.1Q, drop eligible, highest priority", {{0x8100f064}}},
	{"priority only", {{0x8100a000}}},
	{"priority 0 only", {{0x81000000}}},
	{"802.1ad", {{0x88a80064}}},
	{"QinQ", {{0x88a80064, 0x81000005}}},
	{"QinQ around a priority tag", {{0x88a80064, 0x8100e000}}},
	{"802.1Q twice", {{0x81000064, 0x81000005}}},
	{"802.1ad twice", {{0x88a80064, 0x88a80005}}},
	{"802.1ad inside", {{0x81000064, 0x88a80005}}},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static struct packet packet_for(const struct bed_vip *vip)
{
	return (struct packet){
		.src = strchr(vip->address, ':') ? CLIENT6 : CLIENT4,
		.dst = vip->address,
		.sport = 40000,
		.dport = vip->port,
		.protocol = vip->protocol,
		.payload = 33,
	};
}

/* The flow label may be anything: the bytes of the first word of an outer IPv6 header. */
static void clear_flow_label(struct frame *frame, size_t l3)
{
	if (frame->bytes[l3] >> 4 != 6)
		return;
	frame->bytes[l3 + 1] &= 0xf0;
	frame->bytes[l3 + 2] = 0;
	frame->bytes[l3 + 3] = 0;
}

static size_t tags_len(const struct frame_tags *tags)
{
	size_t n = 0;

	while (n < FRAME_MAX_TAGS && tags->tag[n])
		n++;
	return 4 * n;
}

static void publish_tags(struct bed *bed, const struct frame_tags *tags)
{
	for (uint32_t row = BED_ROW_SAME; row <= BED_ROW_OTHER; row++) {
		for (size_t i = 0; i < OUT_TAGS; i++)
			bed->dp->out[row].tag[i] = htonl(tags->tag[i]);
	}
}

/* Every stack of tags in, every one out. */
static void forward_all(struct bed *bed, const struct packet *packet, const struct bed_vip *vip)
{
	const char *real = vip->reals[0].address;
	struct outer outer = {
		.src = strchr(real, ':') ? BED_SOURCE6 : BED_SOURCE4,
		.dst = real,
		.source_mac = bed->dp->out[BED_ROW_SAME].mac,
		.dest_mac = bed_gateway_mac(),
	};

	for (size_t i = 0; i < ARRAY_SIZE(stacks) * ARRAY_SIZE(stacks); i++) {
		size_t from = i / ARRAY_SIZE(stacks), to = i % ARRAY_SIZE(stacks);
		struct frame in, want;
		char what[64];
		struct run run;

		frame_build(packet, &in);
		frame_encapsulate(&in, &outer, &want);
		frame_tag(&in, &stacks[from].tags);
		frame_tag(&want, &stacks[to].tags);
		publish_tags(bed, &stacks[to].tags);
		bed_run(bed, &in, &run);
		if (run.verdict != XDP_TX)
			fail_msg("%s: %s", stacks[from].what, run_counter(&run));
		clear_flow_label(&run.out, FRAME_ETH_LEN + tags_len(&stacks[to].tags));
		snprintf(what, sizeof(what), "%s, then %s", stacks[from].what, stacks[to].what);
		expect_bytes(&run, &want, what);
		assert_int_equal(run.forwarded.bytes, in.l3_len);
	}
}

static void the_way_out_decides_the_tags_that_leave(void **state)
{
	for (size_t v = 0; v < ARRAY_SIZE(vips); v++) {
		struct packet p = packet_for(&vips[v]);

		forward_all(*state, &p, &vips[v]);
	}
}

static void a_jumbo_frame_changes_its_tags_too(void **state)
{
	struct packet p = packet_for(&vips[0]);

	p.payload = 8000;
	forward_all(*state, &p, &vips[0]);
}

static void a_redirected_frame_has_its_tags(void **state)
{
	static const struct frame_tags tags = {{0x88a80064, 0x81000005}};
	struct packet p = packet_for(&vips[0]);
	struct bed *bed = *state;
	struct run run;

	publish_tags(bed, &tags);
	bed->dp->members[bed_member_id(bed, &vips[0], "10.0.1.1")].next_hop =
		bed_next_hop(BED_ROW_OTHER);
	bed_send(bed, &p, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	assert_memory_equal(run.out.bytes + 12, "\x88\xa8\x00\x64\x81\x00\x00\x05\x08\x00", 10);
}

static void tags_do_not_count_against_the_mtu(void **state)
{
	static const struct frame_tags tags = {{0x88a80064, 0x81000005}};
	struct bed *bed = *state;

	publish_tags(bed, &tags);
	bed->dp->out[BED_ROW_SAME].mtu = 1500;
	for (size_t i = 0; i < 2; i++) {
		struct packet p = packet_for(&vips[0]);
		struct frame in;
		struct run run;

		p.payload = 1500 - 20 - 20 - 20 + i;
		frame_build(&p, &in);
		frame_tag(&in, &tags);
		bed_run(bed, &in, &run);
		assert_string_equal(run_counter(&run), i ? "reply_too_big" : "forwarded");
	}
}

static void a_foreign_tagged_frame_passes_untouched(void **state)
{
	static const struct packet packets[] = {
		{.src = CLIENT4, .dst = OTHER4, .dport = 80},
		{.src = CLIENT6, .dst = OTHER6, .dport = 80},
		{.src = CLIENT4, .dst = OTHER4, .dport = 80, .protocol = IPPROTO_UDP, .payload = 9},
	};

	for (size_t i = 0; i < ARRAY_SIZE(packets) * ARRAY_SIZE(stacks); i++) {
		struct frame in;
		struct run run;

		frame_build(&packets[i / ARRAY_SIZE(stacks)], &in);
		frame_tag(&in, &stacks[i % ARRAY_SIZE(stacks)].tags);
		bed_run(*state, &in, &run);
		assert_string_equal(run_counter(&run), "pass_no_vip");
		expect_bytes(&run, &in, stacks[i % ARRAY_SIZE(stacks)].what);
	}
}

static void what_is_not_ip_behind_its_tags_passes_untouched(void **state)
{
	static const struct {
		struct frame_tags tags;
		uint16_t type;
	} rows[] = {
		{{{0x81000005}}, 0x0806},
		{{{0x88a80064, 0x81000005}}, 0x0806},
		{{{0x81000005}}, 0x9100},
		{{{0x88a80064, 0x81000005, 0x81000006}}, 0x0800}, /* a third tag */
		{{{0x91000005}}, 0x0800}, /* a type of tag that is not looked behind */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = packet_for(&vips[0]);
		struct frame in;
		struct run run;

		frame_build(&p, &in);
		in.bytes[12] = (uint8_t)(rows[i].type >> 8);
		in.bytes[13] = (uint8_t)rows[i].type;
		frame_tag(&in, &rows[i].tags);
		bed_run(*state, &in, &run);
		assert_string_equal(run_counter(&run), "pass_not_ip");
		expect_bytes(&run, &in, "not IP");
	}
}

static void a_tagged_packet_cut_off_anywhere_is_refused_or_passes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(stacks) * ARRAY_SIZE(vips); i++) {
		const struct frame_tags *tags = &stacks[i / ARRAY_SIZE(vips)].tags;
		const struct bed_vip *vip = &vips[i % ARRAY_SIZE(vips)];
		size_t l3 = FRAME_ETH_LEN + tags_len(tags);
		struct packet p = packet_for(vip);
		struct frame in;
		size_t len;

		frame_build(&p, &in);
		frame_tag(&in, tags);
		len = in.len;
		for (in.len = FRAME_ETH_LEN; in.len < len; in.len++) {
			size_t ip_len = strchr(vip->address, ':') ? 40 : 20;
			bool is_ip = in.len >= l3 + ip_len;
			struct run run;

			bed_run(*state, &in, &run);
			assert_string_equal(run_counter(&run),
					    is_ip ? "drop_bad_length" : "pass_truncated");
			if (!is_ip)
				expect_bytes(&run, &in, "cut off");
		}
	}
}

/* What an untagged question is answered with is in test_reply.c. */
static void an_answer_has_the_tags_of_its_question(void **state)
{
	static const struct frame_tags way_out = {{0x81000777}};

	publish_tags(*state, &way_out);
	for (size_t i = 0; i < ARRAY_SIZE(stacks) * ARRAY_SIZE(vips); i++) {
		const struct frame_tags *tags = &stacks[i / ARRAY_SIZE(vips)].tags;
		struct packet p = packet_for(&vips[i % ARRAY_SIZE(vips)]);
		struct frame in;
		struct run run, want;

		p.dport = 81;
		frame_build(&p, &in);
		bed_run(*state, &in, &want);
		assert_int_equal(want.verdict, XDP_TX);
		frame_tag(&want.out, tags);
		frame_tag(&in, tags);
		bed_run(*state, &in, &run);
		assert_int_equal(run.verdict, XDP_TX);
		expect_bytes(&run, &want.out, stacks[i / ARRAY_SIZE(vips)].what);
	}
}

static void a_flow_is_one_with_any_tags(void **state)
{
	struct packet p = packet_for(&vips[0]);
	struct frame in;
	struct run run;

	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		frame_build(&p, &in);
		frame_tag(&in, &stacks[i].tags);
		bed_run(*state, &in, &run);
		assert_int_equal(run.forwarded.new_flows, i == 0);
	}
	assert_int_equal(bed_state(*state, &p), FLOW_TCP);
}

/* What changes the bed has one of its own; the others share one: loading is slow. */
#define on_bed(test) cmocka_unit_test_setup_teardown(test, setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bed(the_way_out_decides_the_tags_that_leave),
		on_bed(a_jumbo_frame_changes_its_tags_too),
		on_bed(a_redirected_frame_has_its_tags),
		on_bed(tags_do_not_count_against_the_mtu),
		cmocka_unit_test(a_foreign_tagged_frame_passes_untouched),
		cmocka_unit_test(what_is_not_ip_behind_its_tags_passes_untouched),
		cmocka_unit_test(a_tagged_packet_cut_off_anywhere_is_refused_or_passes),
		on_bed(an_answer_has_the_tags_of_its_question),
		on_bed(a_flow_is_one_with_any_tags),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
