/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP fragments for a VIP: all of a datagram reach the real that its first one was given, as they
 * came; one that cannot is dropped for the reason named, and none is put where it does harm. What
 * is remembered of the first: test_fragment_memory.c.
 */
#include "expect.h"
#include "fragment_bed.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define OTHER4 "203.0.113.1"
#define OTHER6 "2001:db8:e::1"
#define REAL1  0x0a000101u

/* ---- To the same real -------------------------------------------------------------------- */

static void expect_fragment_sent(struct bed *bed, const struct frame *in, const char *real,
				 size_t offset)
{
	struct run run;

	expect_sent(bed, in, real, "a fragment", &run);
	assert_int_equal(run.rise.flow_fragment, offset != 0);
}

static void every_fragment_leaves_unchanged_for_the_real_of_its_flow(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		/* Wherever the ring would send a flow, two of these are elsewhere. */
		for (uint16_t r = 0; r < 3; r++) {
			struct packet p = fragment_datagram(vip, (uint16_t)(1000 + r));
			const char *real = fragment_vips[vip].reals[r].address;

			fragment_plant(*state, &p, &fragment_vips[vip], real);
			for (size_t offset = 0; offset < PAYLOAD; offset += PIECE) {
				struct piece piece = {.id = 7 + r, .offset = offset, .len = PIECE};
				struct frame f;

				fragment_build(&p, &piece, &f);
				expect_fragment_sent(*state, &f, real, offset);
			}
		}
	}
}

static void a_fragment_follows_its_first_even_if_the_flow_has_moved_since(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		struct packet p = fragment_datagram(vip, 2000);
		struct run run;

		fragment_plant(*state, &p, &fragment_vips[vip], "10.0.1.1");
		fragment_send(*state, &p, 99, 0, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL1));
		fragment_plant(*state, &p, &fragment_vips[vip], "10.0.1.2");
		fragment_send(*state, &p, 99, PIECE, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL1));
	}
}

static int setup_prefix(void **state)
{
	struct bed_options options = {.source4 = "10.77.0.0", .source4_bits = 16};

	*state = bed_new(&options);
	bed_apply(*state, fragment_vips, FRAGMENT_VIPS);
	return 0;
}

static void fragments_have_the_entropy_of_their_flow(void **state)
{
	for (uint16_t port = 100; port < 116; port++) {
		struct packet p = fragment_datagram(DNS4, port);
		struct run first, later;

		fragment_send(*state, &p, port, 0, &first);
		fragment_send(*state, &p, port, PIECE, &later);
		assert_memory_equal(first.out.bytes + FRAME_ETH_LEN + 12,
				    later.out.bytes + FRAME_ETH_LEN + 12, 8);
	}
}

/* ---- Fragments that are not forwarded ---------------------------------------------------- */

static void data_over_the_tcp_header_is_dropped(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		struct packet p = fragment_datagram(vip, 9000);
		bool is_tcp = fragment_vips[vip].protocol != IPPROTO_UDP;

		for (size_t offset = 8; offset <= 32; offset += 8) {
			bool overlaps = is_tcp && offset < 20;

			fragment_expect(*state, &p, 5, 0, "forwarded", "the first");
			fragment_expect(*state, &p, 5, offset,
					overlaps ? "drop_fragment" : "forwarded", "overlapping");
		}
	}
}

static void a_first_fragment_has_its_whole_transport_header(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		struct packet p = fragment_datagram(vip, 9000);
		bool is_tcp = fragment_vips[vip].protocol != IPPROTO_UDP;

		p.tcp_options = is_tcp ? 3 : 0;
		for (size_t len = 8; len <= 40; len += 8) {
			struct piece tiny = {.id = 6, .len = len};
			const char *want = is_tcp && len < 32 ? "drop_truncated" : "forwarded";
			struct frame f;
			struct run run;

			fragment_build(&p, &tiny, &f);
			bed_run(*state, &f, &run);
			expect_counter(&run, want, "a tiny first fragment");
		}
	}
}

static void by_address_and_protocol(void **state)
{
	static const struct {
		const char *what;
		struct packet packet;
		const char *first;
		const char *later;
	} rows[] = {
		{"no VIP, IPv4", {.src = CLIENT4, .dst = OTHER4}, "pass_no_vip", "pass_no_vip"},
		{"no VIP, IPv6", {.src = CLIENT6, .dst = OTHER6}, "pass_no_vip", "pass_no_vip"},
		{"the host's port, IPv4",
		 {.src = CLIENT4, .dst = PASS4, .dport = 81},
		 "pass_no_port",
		 "pass_no_port"},
		{"the host's port, IPv6",
		 {.src = CLIENT6, .dst = PASS6, .dport = 81},
		 "pass_no_port",
		 "pass_no_port"},
		{"a port nobody serves, IPv4",
		 {.src = CLIENT4, .dst = VIP4, .dport = 81, .protocol = IPPROTO_UDP},
		 "reply_unreachable",
		 "drop_fragment_unknown"},
		{"a port nobody serves, IPv6",
		 {.src = CLIENT6, .dst = VIP6, .dport = 81, .protocol = IPPROTO_UDP},
		 "reply_unreachable",
		 "drop_fragment_unknown"},
		{"ICMP",
		 {.src = CLIENT4, .dst = VIP4, .protocol = IPPROTO_ICMP},
		 "drop_fragment",
		 "drop_fragment_unknown"},
		{"ICMPv6",
		 {.src = CLIENT6, .dst = VIP6, .protocol = IPPROTO_ICMPV6},
		 "drop_fragment",
		 "drop_fragment_unknown"},
		{"ESP",
		 {.src = CLIENT4, .dst = VIP4, .protocol = IPPROTO_ESP},
		 "drop_protocol",
		 "drop_fragment_unknown"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t offset = 0; offset <= PIECE; offset += PIECE) {
			struct packet p = rows[i].packet;
			struct piece piece = {.id = 66, .offset = offset, .len = PIECE};
			struct frame f;
			struct run run;

			p.sport = 40000;
			p.payload = PAYLOAD;
			fragment_build(&p, &piece, &f);
			bed_run(*state, &f, &run);
			expect_counter(&run, offset ? rows[i].later : rows[i].first, rows[i].what);
			if (run.verdict == XDP_PASS)
				expect_untouched(&run, &f, rows[i].what);
		}
	}
}

#define on_prefix(test) cmocka_unit_test_setup_teardown(test, setup_prefix, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fragment_leaves_unchanged_for_the_real_of_its_flow),
		cmocka_unit_test(a_fragment_follows_its_first_even_if_the_flow_has_moved_since),
		on_prefix(fragments_have_the_entropy_of_their_flow),
		cmocka_unit_test(data_over_the_tcp_header_is_dropped),
		cmocka_unit_test(a_first_fragment_has_its_whole_transport_header),
		cmocka_unit_test(by_address_and_protocol),
	};

	return cmocka_run_group_tests(tests, fragment_setup, bed_teardown);
}
