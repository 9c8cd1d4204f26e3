/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is not forwarded: every packet that is for no VIP passes to the host as it came, whatever is
 * wrong with it; every packet for a VIP that cannot be served is dropped for the reason named.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define OTHER4	"203.0.113.1"
#define OTHER6	"2001:db8:e::1"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define EMPTY4	"192.0.2.13"

#define MAX_PATCHES 4

static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP4, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = "192.0.2.11", .port = 80, .on_no_port = ON_NO_PORT_DROP},
	{.address = "2001:db8:f::11", .port = 80, .on_no_port = ON_NO_PORT_DROP},
	{.address = "192.0.2.12", .port = 80, .on_no_port = ON_NO_PORT_PASS},
	{.address = "2001:db8:f::12", .port = 80, .on_no_port = ON_NO_PORT_PASS},
	{.address = EMPTY4, .port = 80},
	{.address = "192.0.2.14", .port = 80, .reals = {{.address = "10.0.1.1", .is_down = true}}},
};

/* The four kinds of packet that are served, 4 bytes of payload each. */
enum kind {
	TCP4,
	UDP4,
	TCP6,
	UDP6,
	KINDS,
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

/* Every bit of the VIP filter is set: what is foreign is found out later. */
static int setup_full_filter(void **state)
{
	struct bed_vip all[ARRAY_SIZE(vips) + 1] = {
		{.address = "10.0.0.0", .host_bits = 24, .port = 80}};

	bed_setup(state);
	memcpy(all + 1, vips, sizeof(vips));
	bed_apply(*state, all, ARRAY_SIZE(all));
	return 0;
}

static void build_kind(enum kind kind, bool to_vip, struct frame *ret_frame)
{
	bool is_v4 = kind == TCP4 || kind == UDP4;
	bool is_tcp = kind == TCP4 || kind == TCP6;
	struct packet p = {
		.src = is_v4 ? CLIENT4 : CLIENT6,
		.dst = is_v4 ? (to_vip ? VIP4 : OTHER4) : (to_vip ? VIP6 : OTHER6),
		.sport = 40000,
		.dport = is_tcp ? 80 : 53,
		.protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP,
		.payload = 4,
	};

	frame_build(&p, ret_frame);
}

/* ---- Every length ------------------------------------------------------------------------ */

static size_t ip_header_len(enum kind kind)
{
	return kind == TCP4 || kind == UDP4 ? 20 : 40;
}

static size_t l4_header_len(enum kind kind)
{
	return kind == TCP4 || kind == TCP6 ? 20 : 8;
}

/* The IP header says that the packet ends with the frame. */
static void shorten(struct frame *f, enum kind kind, size_t len)
{
	size_t l3_len = len - FRAME_ETH_LEN;
	bool is_v4 = ip_header_len(kind) == 20;
	size_t value = is_v4 ? l3_len : l3_len - 40;

	f->len = len;
	if (l3_len < ip_header_len(kind))
		return;
	f->bytes[is_v4 ? 16 : 18] = (uint8_t)(value >> 8);
	f->bytes[is_v4 ? 17 : 19] = (uint8_t)value;
}

/* A frame cut off at every length, its IP header saying more than there is, or just that. */
static void cut_at_every_length(struct bed *bed, bool to_vip, bool says_so)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		struct frame whole, f;
		size_t l4 = FRAME_ETH_LEN + ip_header_len(kind);

		build_kind(kind, to_vip, &whole);
		for (size_t len = FRAME_ETH_LEN; len <= whole.len; len++) {
			const char *want = "forwarded";
			char what[64];
			struct run run;

			f = whole;
			f.len = len;
			if (says_so)
				shorten(&f, kind, len);
			if (len < l4)
				want = "pass_truncated";
			else if (!to_vip)
				want = "pass_no_vip";
			else if (!says_so && len < whole.len)
				want = "drop_bad_length";
			else if (len < l4 + l4_header_len(kind))
				want = "drop_truncated";
			snprintf(what, sizeof(what), "kind %d cut to %zu bytes", kind, len);
			bed_run(bed, &f, &run);
			expect_counter(&run, want, what);
			if (!to_vip)
				expect_untouched(&run, &f, what);
		}
	}
}

static void a_vip_packet_cut_off_anywhere_is_dropped(void **state)
{
	cut_at_every_length(*state, true, false);
}

static void a_vip_packet_of_any_length_is_served_or_dropped(void **state)
{
	cut_at_every_length(*state, true, true);
}

static void a_foreign_packet_cut_off_anywhere_passes_untouched(void **state)
{
	cut_at_every_length(*state, false, false);
	cut_at_every_length(*state, false, true);
}

/* ---- Headers that lie -------------------------------------------------------------------- */

struct patch {
	uint8_t offset; /* in the frame; 0: none */
	uint8_t value;
};

struct bad_header {
	const char *what;
	enum kind kind;
	const char *counter; /* when it is for a VIP */
	struct patch patches[MAX_PATCHES];
};

static const struct bad_header bad_headers[] = {
	{"IPv4 header of 0 words", TCP4, "drop_bad_header", {{14, 0x40}}},
	{"IPv4 header of 1 word", TCP4, "drop_bad_header", {{14, 0x41}}},
	{"IPv4 header of 4 words", UDP4, "drop_bad_header", {{14, 0x44}}},
	{"version 0 in IPv4", TCP4, "drop_bad_header", {{14, 0x05}}},
	{"version 6 in IPv4", TCP4, "drop_bad_header", {{14, 0x65}}},
	{"version 4 in IPv6", TCP6, "drop_bad_header", {{14, 0x40}}},
	{"version 15 in IPv6", UDP6, "drop_bad_header", {{14, 0xf0}}},
	{"total length 0", TCP4, "drop_bad_length", {{16, 0}, {17, 0}}},
	{"total length 19", TCP4, "drop_bad_length", {{16, 0}, {17, 19}}},
	{"total length one beyond the frame", TCP4, "drop_bad_length", {{17, 45}}},
	{"total length 65535", UDP4, "drop_bad_length", {{16, 0xff}, {17, 0xff}}},
	{"header length beyond the total length", TCP4, "drop_bad_length", {{14, 0x4f}}},
	{"payload length one beyond the frame", TCP6, "drop_bad_length", {{19, 25}}},
	{"payload length 65535", UDP6, "drop_bad_length", {{18, 0xff}, {19, 0xff}}},
	{"total length without the last TCP byte", TCP4, "drop_truncated", {{17, 39}}},
	{"total length without TCP", TCP4, "drop_truncated", {{17, 20}}},
	{"total length without the last UDP byte", UDP4, "drop_truncated", {{17, 27}}},
	{"IPv4 options where TCP would fit without", TCP4, "drop_truncated", {{14, 0x47}}},
	{"payload length 0", TCP6, "drop_truncated", {{19, 0}}},
	{"payload length 19", TCP6, "drop_truncated", {{19, 19}}},
	{"payload length 7", UDP6, "drop_truncated", {{19, 7}}},
	{"TCP header of 0 words", TCP4, "drop_truncated", {{46, 0x00}}},
	{"TCP header of 4 words", TCP4, "drop_truncated", {{46, 0x40}}},
	{"TCP header of 7 words, 6 are there", TCP4, "drop_truncated", {{46, 0x70}}},
	{"TCP header of 15 words", TCP4, "drop_truncated", {{46, 0xf0}}},
	{"TCP/IPv6 header of 4 words", TCP6, "drop_truncated", {{66, 0x40}}},
	{"TCP/IPv6 header of 15 words", TCP6, "drop_truncated", {{66, 0xf0}}},
	{"first fragment", TCP4, "forwarded", {{20, 0x20}}},
	{"later fragment", TCP4, "drop_fragment", {{21, 0x01}}},
	{"last fragment, far", UDP4, "drop_fragment_unknown", {{20, 0x1f}}},
	{"ping", TCP4, "reply_echo", {{23, 1}, {34, 8}}},
	{"ping over IPv6", TCP6, "reply_echo", {{20, 58}, {54, 128}}},
	{"ICMP timestamp", TCP4, "drop_protocol", {{23, 1}, {34, 13}}},
	{"ICMPv6 echo reply", TCP6, "drop_protocol", {{20, 58}, {54, 129}}},
	{"ICMPv6 below neighbour discovery", TCP6, "drop_protocol", {{20, 58}, {54, 132}}},
	{"ICMPv6 above neighbour discovery", TCP6, "drop_protocol", {{20, 58}, {54, 138}}},
	{"ICMP error that quotes TCP options", TCP4, "drop_icmp_quote", {{23, 1}, {34, 3}}},
	{"ICMPv6 in IPv4", TCP4, "drop_protocol", {{23, 58}, {34, 135}}},
	{"ICMP in IPv6", TCP6, "drop_protocol", {{20, 1}}},
	{"SCTP", TCP4, "drop_protocol", {{23, 132}}},
	{"SCTP in IPv6", TCP6, "drop_protocol", {{20, 132}}},
	{"ESP in IPv6", TCP6, "drop_protocol", {{20, 50}}},
	{"no next header", TCP6, "drop_protocol", {{20, 59}}},
	{"IPIP to the VIP", TCP4, "drop_protocol", {{23, 4}}},
	{"router solicitation", TCP6, "pass_neighbour_discovery", {{20, 58}, {54, 133}}},
	{"neighbour solicitation", TCP6, "pass_neighbour_discovery", {{20, 58}, {54, 135}}},
	{"redirect", TCP6, "drop_icmp_ignored", {{20, 58}, {54, 137}}},
	{"don't fragment", TCP4, "forwarded", {{20, 0x40}}},
	{"reserved bit", TCP4, "forwarded", {{20, 0x80}}},
};

static void build_bad(const struct bad_header *bad, bool to_vip, struct frame *ret_frame)
{
	build_kind(bad->kind, to_vip, ret_frame);
	for (size_t i = 0; i < MAX_PATCHES && bad->patches[i].offset; i++)
		ret_frame->bytes[bad->patches[i].offset] = bad->patches[i].value;
}

static void a_vip_packet_with_a_bad_header_has_its_own_counter(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_headers); i++) {
		struct frame f;
		struct run run;

		build_bad(&bad_headers[i], true, &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, bad_headers[i].counter, bad_headers[i].what);
		if (run.verdict == XDP_PASS)
			expect_untouched(&run, &f, bad_headers[i].what);
	}
}

static void a_foreign_packet_with_a_bad_header_passes_untouched(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_headers); i++) {
		struct frame f;
		struct run run;

		build_bad(&bad_headers[i], false, &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, "pass_no_vip", bad_headers[i].what);
		expect_untouched(&run, &f, bad_headers[i].what);
	}
}

static void what_is_not_ip_passes_untouched(void **state)
{
	static const uint16_t types[] = {0x0806, 0x88cc, 0x8847, 0x9100, 0x0000, 0x0100};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct frame f;
		struct run run;

		build_kind(TCP4, true, &f);
		f.bytes[12] = (uint8_t)(types[i] >> 8);
		f.bytes[13] = (uint8_t)types[i];
		bed_run(*state, &f, &run);
		expect_counter(&run, "pass_not_ip", "other type");
		expect_untouched(&run, &f, "other type");
	}
}

/* ---- Addresses and ports ----------------------------------------------------------------- */

static void by_address_and_port(void **state)
{
	static const struct {
		const char *what;
		struct packet packet;
		const char *counter;
	} rows[] = {
		{"IPv4-mapped IPv6 is not the IPv4 VIP",
		 {.src = CLIENT6, .dst = "::ffff:192.0.2.10", .dport = 80},
		 "pass_no_vip"},
		{"the address next to a VIP",
		 {.src = CLIENT4, .dst = "192.0.2.9", .dport = 80},
		 "pass_no_vip"},
		{"a VIP without reals",
		 {.src = CLIENT4, .dst = EMPTY4, .dport = 80},
		 "drop_no_real"},
		{"a VIP whose reals are all down",
		 {.src = CLIENT4, .dst = "192.0.2.14", .dport = 80},
		 "drop_no_real"},
		{"policy drop, other port",
		 {.src = CLIENT4, .dst = "192.0.2.11", .dport = 81},
		 "drop_no_port"},
		{"policy drop, other protocol",
		 {.src = CLIENT4, .dst = "192.0.2.11", .dport = 80, .protocol = 17},
		 "drop_no_port"},
		{"policy drop over IPv6",
		 {.src = CLIENT6, .dst = "2001:db8:f::11", .dport = 81},
		 "drop_no_port"},
		{"policy pass, other port",
		 {.src = CLIENT4, .dst = "192.0.2.12", .dport = 81},
		 "pass_no_port"},
		{"policy pass, other protocol",
		 {.src = CLIENT4, .dst = "192.0.2.12", .dport = 80, .protocol = 17},
		 "pass_no_port"},
		{"policy pass over IPv6",
		 {.src = CLIENT6, .dst = "2001:db8:f::12", .dport = 81},
		 "pass_no_port"},
		{"policy reply, TCP on the UDP port",
		 {.src = CLIENT4, .dst = VIP4, .dport = 53},
		 "reply_reset"},
		{"policy reply, UDP on the TCP port",
		 {.src = CLIENT6, .dst = VIP6, .dport = 80, .protocol = 17},
		 "reply_unreachable"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame f;
		struct run run;

		frame_build(&rows[i].packet, &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, rows[i].counter, rows[i].what);
		if (run.verdict == XDP_PASS)
			expect_untouched(&run, &f, rows[i].what);
	}
}

static void a_removed_vip_passes_and_its_address_stays_while_another_has_it(void **state)
{
	struct bed *bed = *state;
	struct frame tcp, udp;
	struct run run;

	build_kind(TCP4, true, &tcp);
	build_kind(UDP4, true, &udp);
	bed_run(bed, &tcp, &run);
	expect_counter(&run, "forwarded", "before");
	bed_apply(bed, &vips[1], 1);
	bed_run(bed, &tcp, &run);
	expect_counter(&run, "reply_reset", "the UDP VIP is left");
	bed_run(bed, &udp, &run);
	expect_counter(&run, "forwarded", "the UDP VIP is left");
	bed_apply(bed, NULL, 0);
	bed_run(bed, &tcp, &run);
	expect_untouched(&run, &tcp, "no VIP is left");
	bed_run(bed, &udp, &run);
	expect_untouched(&run, &udp, "no VIP is left");
}

static void a_policy_can_be_changed(void **state)
{
	static const char *const counters[] = {
		[ON_NO_PORT_REPLY] = "reply_reset",
		[ON_NO_PORT_DROP] = "drop_no_port",
		[ON_NO_PORT_PASS] = "pass_no_port",
	};
	struct packet p = {.src = CLIENT4, .dst = VIP4, .dport = 81};
	struct bed_vip vip = vips[0];

	for (size_t i = 0; i < 2 * ARRAY_SIZE(counters); i++) {
		struct run run;

		vip.on_no_port = i % ARRAY_SIZE(counters);
		bed_apply(*state, &vip, 1);
		bed_send(*state, &p, &run);
		expect_counter(&run, counters[vip.on_no_port], "changed policy");
	}
}

/* What changes the bed has one of its own; the others share one: loading is slow. */
#define on_bed(test)	     cmocka_unit_test_setup_teardown(test, setup, bed_teardown)
#define on_full_filter(test) cmocka_unit_test_setup_teardown(test, setup_full_filter, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vip_packet_cut_off_anywhere_is_dropped),
		cmocka_unit_test(a_vip_packet_of_any_length_is_served_or_dropped),
		cmocka_unit_test(a_foreign_packet_cut_off_anywhere_passes_untouched),
		cmocka_unit_test(a_vip_packet_with_a_bad_header_has_its_own_counter),
		cmocka_unit_test(a_foreign_packet_with_a_bad_header_passes_untouched),
		cmocka_unit_test(what_is_not_ip_passes_untouched),
		cmocka_unit_test(by_address_and_port),
		on_full_filter(a_foreign_packet_cut_off_anywhere_passes_untouched),
		on_full_filter(a_foreign_packet_with_a_bad_header_passes_untouched),
		on_bed(a_removed_vip_passes_and_its_address_stays_while_another_has_it),
		on_bed(a_policy_can_be_changed),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
