/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Headers between the IP header and the transport header: IPv6 extension headers and, in both
 * families, the Authentication Header. What is within the bounds is served and leaves as it came.
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

#define MAX_HEADERS 10

static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP4, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
};

enum type {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION = 60,
};

/* By their length in bytes, and what else is of interest. */
#define HOP(n)                                                                                     \
	{                                                                                          \
		.type = HOP_BY_HOP, .len = (n)                                                     \
	}
#define DEST(n)                                                                                    \
	{                                                                                          \
		.type = DESTINATION, .len = (n)                                                    \
	}
#define AUTH(n)                                                                                    \
	{                                                                                          \
		.type = AUTHENTICATION, .len = (n)                                                 \
	}
#define ROUTE(n, word_)                                                                            \
	{                                                                                          \
		.type = ROUTING, .len = (n), .word = (word_)                                       \
	}
#define FRAG(word_)                                                                                \
	{                                                                                          \
		.type = FRAGMENT, .len = 8, .word = (word_)                                        \
	}
#define LIE(type_, n, says_)                                                                       \
	{                                                                                          \
		.type = (type_), .len = (n), .word = 0x0200, .says = (says_)                       \
	}

struct header {
	uint8_t type;
	uint16_t len; /* bytes that are there; 0: the end of the chain */
	uint16_t word; /* bytes 2 and 3: routing type, segments left; fragment offset, more */
	uint16_t says; /* its length field; 0: the right value */
};

struct chain {
	const char *what;
	struct header headers[MAX_HEADERS + 1];
	uint8_t last; /* what the last header says comes next; 0: the truth */
	const char *counter; /* NULL: forwarded */
};

static const struct chain chains6[] = {
	{"hop-by-hop options", .headers = {HOP(8)}},
	{"the longest options that fit", .headers = {HOP(256)}},
	{"destination options", .headers = {DEST(24)}},
	{"destination options twice", .headers = {DEST(8), DEST(16)}},
	{"a source route that ends here", .headers = {ROUTE(24, 0x0200)}},
	{"a segment route that ends here", .headers = {ROUTE(56, 0x0400)}},
	{"authentication", .headers = {AUTH(24)}},
	{"the shortest authentication", .headers = {AUTH(12)}},
	{"authentication of 4 bytes more", .headers = {AUTH(28)}},
	{"an atomic fragment", .headers = {FRAG(0)}},
	{"an atomic fragment, reserved bits set", .headers = {FRAG(0x0006)}},
	{"one of each in the order of RFC 8200",
	 .headers = {HOP(8), DEST(8), ROUTE(24, 0x0200), FRAG(0), AUTH(24), DEST(16)}},
	{"any order", .headers = {AUTH(16), DEST(8), FRAG(0), ROUTE(8, 0), AUTH(12)}},
	{"as many as may be",
	 .headers = {HOP(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8)}},
	{"as many and as long as may be", .headers = {HOP(32), DEST(32), DEST(32), DEST(32),
						      DEST(32), DEST(32), DEST(32), DEST(32)}},
	{"one too many",
	 .headers = {HOP(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8), DEST(8),
		     DEST(8)},
	 .counter = "drop_extension"},
	{"8 bytes too long", .headers = {HOP(264)}, .counter = "drop_extension"},
	{"8 bytes too long together", .headers = {HOP(248), DEST(16)}, .counter = "drop_extension"},
	{"4 bytes too long together", .headers = {AUTH(12), DEST(248)},
	 .counter = "drop_extension"},
	{"the longest options there are", .headers = {HOP(2048)}, .counter = "drop_extension"},
	{"the longest authentication there is", .headers = {AUTH(1028)},
	 .counter = "drop_extension"},
	{"hop-by-hop options twice", .headers = {HOP(8), HOP(8)}, .counter = "drop_extension"},
	{"hop-by-hop options later", .headers = {DEST(8), HOP(8)}, .counter = "drop_extension"},
	{"a source route that goes on", .headers = {ROUTE(24, 0x0201)},
	 .counter = "drop_extension"},
	{"a source route of type 0", .headers = {ROUTE(24, 0x0001)}, .counter = "drop_extension"},
	{"a route that goes on after others", .headers = {HOP(8), DEST(8), ROUTE(24, 0x04ff)},
	 .counter = "drop_extension"},
	{"a first fragment", .headers = {FRAG(0x0001)}},
	{"a later fragment", .headers = {FRAG(0x0019)}, .counter = "drop_fragment_unknown"},
	{"the last fragment", .headers = {FRAG(0x0018)}, .counter = "drop_fragment_unknown"},
	{"the last fragment there may be", .headers = {FRAG(0xfff8)},
	 .counter = "drop_fragment_unknown"},
	{"a fragment after options", .headers = {HOP(8), DEST(8), FRAG(0x0020)},
	 .counter = "drop_fragment_unknown"},
	{"a first fragment with options behind", .headers = {FRAG(0x0001), DEST(8)}},
	{"a first fragment after options", .headers = {HOP(8), DEST(8), FRAG(0x0001)}},
	{"a first fragment with odd options behind",
	 .headers = {FRAG(0x0001),
		     {.type = DESTINATION, .len = 8, .word = 0xffff},
		     LIE(DESTINATION, 8, 200)},
	 .counter = "drop_bad_length"},
	{"a later fragment whose data looks like a header",
	 .headers = {FRAG(0x0009), LIE(DESTINATION, 8, 200)}, .counter = "drop_fragment_unknown"},
	{"a fragment of a fragment", .headers = {FRAG(0x0001), FRAG(0x0001)},
	 .counter = "drop_extension"},
	{"authentication that is too short for one", .headers = {AUTH(8)},
	 .counter = "drop_bad_header"},
	{"authentication said to be 8 bytes", .headers = {LIE(AUTHENTICATION, 24, 0xff00)},
	 .counter = "drop_bad_header"},
	{"options that end beyond the packet", .headers = {LIE(HOP_BY_HOP, 8, 8)},
	 .counter = "drop_bad_length"},
	{"the second ends beyond the packet", .headers = {HOP(8), LIE(DESTINATION, 8, 255)},
	 .counter = "drop_bad_length"},
	{"authentication that ends beyond the packet", .headers = {LIE(AUTHENTICATION, 12, 40)},
	 .counter = "drop_bad_length"},
	{"a route that ends beyond the packet", .headers = {LIE(ROUTING, 8, 9)},
	 .counter = "drop_bad_length"},
	{"no next header", .headers = {HOP(8)}, .last = 59, .counter = "drop_protocol"},
	{"no next header after authentication", .headers = {AUTH(12)}, .last = 59,
	 .counter = "drop_protocol"},
	{"encrypted", .headers = {DEST(8)}, .last = 50, .counter = "drop_protocol"},
	{"a protocol for experiments", .headers = {DEST(8)}, .last = 253,
	 .counter = "drop_protocol"},
	{"IPv4 in IPv6", .headers = {DEST(8)}, .last = 4, .counter = "drop_protocol"},
	{"ICMP of IPv4", .headers = {DEST(8)}, .last = 1, .counter = "drop_protocol"},
};

static const struct chain chains4[] = {
	{"authentication", .headers = {AUTH(24)}},
	{"authentication twice", .headers = {AUTH(12), AUTH(28)}},
	{"too many", .headers = {AUTH(12), AUTH(252)}, .counter = "drop_extension"},
	{"too short", .headers = {AUTH(8)}, .counter = "drop_bad_header"},
	{"beyond the packet", .headers = {LIE(AUTHENTICATION, 12, 40)},
	 .counter = "drop_bad_length"},
	{"encrypted", .headers = {AUTH(12)}, .last = 50, .counter = "drop_protocol"},
	{"IPv6 options behind", .headers = {AUTH(12), DEST(8)}, .counter = "drop_protocol"},
	{"IPv6 options", .headers = {DEST(8)}, .counter = "drop_protocol"},
	{"IPv6 hop-by-hop options", .headers = {HOP(8)}, .counter = "drop_protocol"},
	{"IPv6 route", .headers = {ROUTE(8, 0)}, .counter = "drop_protocol"},
	{"IPv6 fragment", .headers = {FRAG(0)}, .counter = "drop_protocol"},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static bool is_v4(const char *text)
{
	return !strchr(text, ':');
}

static uint8_t length_field(const struct header *h)
{
	if (h->says)
		return (uint8_t)h->says; /* 0xff00: 0 */
	if (h->type == FRAGMENT)
		return 0;
	return (uint8_t)(h->type == AUTHENTICATION ? h->len / 4 - 2 : h->len / 8 - 1);
}

static void add_to_length(uint8_t *ip, size_t len)
{
	uint8_t *field = ip + (ip[0] >> 4 == 4 ? 2 : 4);
	size_t value = ((size_t)field[0] << 8 | field[1]) + len;

	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}

/* Hangs the chain in between; all else is right, but for IPv4's checksum, which nobody reads. */
static void insert_chain(struct frame *f, const struct chain *chain)
{
	uint8_t *ip = f->bytes + FRAME_ETH_LEN;
	uint8_t *next = ip + (ip[0] >> 4 == 4 ? 9 : 6);
	uint8_t last = chain->last ? chain->last : *next;
	size_t at = f->l4;

	for (const struct header *h = chain->headers; h->len; h++) {
		uint8_t bytes[2048];

		for (size_t i = 0; i < h->len; i++)
			bytes[i] = (uint8_t)(i * 11 + 5);
		bytes[1] = length_field(h);
		bytes[2] = (uint8_t)(h->word >> 8);
		bytes[3] = (uint8_t)h->word;
		if (h->type == FRAGMENT)
			bytes[7] = (uint8_t)h->word; /* each is of another datagram */
		frame_insert(f, at, bytes, h->len);
		f->l3_len += h->len;
		add_to_length(ip, h->len);
		*next = h->type;
		next = f->bytes + at;
		at += h->len;
	}
	*next = last;
}

static void build(const char *dst, uint16_t dport, const struct chain *chain,
		  struct frame *ret_frame)
{
	struct packet p = {
		.src = is_v4(dst) ? CLIENT4 : CLIENT6,
		.dst = dst,
		.sport = 40000,
		.dport = dport,
		.protocol = dport == 53 ? IPPROTO_UDP : IPPROTO_TCP,
		.payload = 21,
	};

	frame_build(&p, ret_frame);
	insert_chain(ret_frame, chain);
}

static struct outer outer_of(const struct bed *bed)
{
	return (struct outer){
		.src = BED_SOURCE4,
		.dst = "10.0.1.1",
		.source_mac = bed->dp->out[BED_ROW_SAME].mac,
		.dest_mac = bed_gateway_mac(),
	};
}

static void run_chain(struct bed *bed, const struct bed_vip *vip, const struct chain *chain)
{
	struct outer outer = outer_of(bed);
	struct frame in, want;
	struct run run;

	build(vip->address, vip->port, chain, &in);
	bed_run(bed, &in, &run);
	expect_counter(&run, chain->counter ? chain->counter : "forwarded", chain->what);
	if (chain->counter)
		return;
	frame_encapsulate(&in, &outer, &want);
	expect_bytes(&run, &want, chain->what);
}

static void a_chain_within_bounds_is_served_and_any_other_has_its_counter(void **state)
{
	for (size_t v = 0; v < ARRAY_SIZE(vips); v++) {
		bool is_4 = is_v4(vips[v].address);
		const struct chain *chains = is_4 ? chains4 : chains6;
		size_t n = is_4 ? ARRAY_SIZE(chains4) : ARRAY_SIZE(chains6);

		for (size_t i = 0; i < n; i++)
			run_chain(*state, &vips[v], &chains[i]);
	}
}

static void a_foreign_packet_passes_with_any_chain(void **state)
{
	static const char *const destinations[] = {OTHER4, OTHER6};

	for (size_t d = 0; d < ARRAY_SIZE(destinations); d++) {
		const struct chain *chains = d ? chains6 : chains4;
		size_t n = d ? ARRAY_SIZE(chains6) : ARRAY_SIZE(chains4);

		for (size_t i = 0; i < n; i++) {
			struct frame in;
			struct run run;

			build(destinations[d], 80, &chains[i], &in);
			bed_run(*state, &in, &run);
			expect_counter(&run, "pass_no_vip", chains[i].what);
			expect_bytes(&run, &in, chains[i].what);
		}
	}
}

/* ---- Every length ------------------------------------------------------------------------ */

/*
 * The same chain cut off at every byte, the IP header saying that the packet ends there: a cut in
 * the chain is one counter, a cut in the transport header another.
 */
static void cut_everywhere(struct bed *bed, const struct bed_vip *vip, const struct chain *chain)
{
	size_t l3 = FRAME_ETH_LEN + (is_v4(vip->address) ? 20 : 40);
	size_t l4_len = vip->protocol == IPPROTO_UDP ? 8 : 20;
	struct frame whole;

	build(vip->address, vip->port, chain, &whole);
	for (size_t len = l3; len <= whole.len; len++) {
		struct frame f = whole;
		const char *want = "forwarded";
		struct run run;
		char what[64];

		f.len = len;
		add_to_length(f.bytes + FRAME_ETH_LEN, len - whole.len);
		if (len < whole.l4)
			want = "drop_bad_length";
		else if (len < whole.l4 + l4_len)
			want = "drop_truncated";
		snprintf(what, sizeof(what), "%s cut to %zu bytes", chain->what, len);
		bed_run(bed, &f, &run);
		expect_counter(&run, want, what);
		f.len = len - 1; /* and one byte less than it says */
		bed_run(bed, &f, &run);
		expect_counter(&run, len > l3 ? "drop_bad_length" : "pass_truncated", what);
	}
}

static void a_chain_cut_off_anywhere_is_refused(void **state)
{
	static const struct chain long6 = {
		"one of each",
		.headers = {HOP(8), DEST(8), ROUTE(24, 0x0200), FRAG(0), AUTH(28), DEST(16)}};
	static const struct chain long4 = {"authentication", .headers = {AUTH(12), AUTH(24)}};

	for (size_t v = 0; v < ARRAY_SIZE(vips); v++)
		cut_everywhere(*state, &vips[v], is_v4(vips[v].address) ? &long4 : &long6);
}

static void a_jumbogram_is_refused(void **state)
{
	struct frame f;
	struct run run;

	/* RFC 2675: payload length 0, the true one in a hop-by-hop option. */
	build(VIP6, 80, &(struct chain){"jumbo", .headers = {HOP(8)}}, &f);
	memcpy(f.bytes + f.l4 - 6, "\xc2\x04\x00\x00\x00\x31", 6);
	memset(f.bytes + FRAME_ETH_LEN + 4, 0, 2);
	bed_run(*state, &f, &run);
	expect_counter(&run, "drop_bad_length", "jumbogram");
}

/* ---- Together with the rest -------------------------------------------------------------- */

static void a_flow_is_one_with_and_without_a_chain(void **state)
{
	struct packet p = {.src = CLIENT6, .dst = VIP6, .sport = 40000, .dport = 80};
	struct run run;

	for (size_t i = 0; !chains6[i].counter; i++) {
		struct frame in;

		build(VIP6, 80, &chains6[i], &in);
		bed_run(*state, &in, &run);
		assert_int_equal(run.forwarded.new_flows, i == 0);
	}
	bed_send(*state, &p, &run);
	assert_int_equal(run.forwarded.new_flows, 0);
	assert_int_equal(bed_state(*state, &p), FLOW_TCP);
}

static void tags_ipv4_options_and_a_chain_go_together(void **state)
{
	struct bed *bed = *state;
	struct outer outer = outer_of(bed);
	struct packet p = {.src = CLIENT4,
			   .dst = VIP4,
			   .sport = 1,
			   .dport = 80,
			   .ip_options = 10,
			   .payload = 5};
	struct frame in, want;
	struct run run;

	frame_build(&p, &in);
	insert_chain(&in, &(struct chain){"", .headers = {AUTH(24)}});
	frame_encapsulate(&in, &outer, &want);
	frame_tag(&in, &(struct frame_tags){{0x88a80064, 0x81000005}});
	bed_run(bed, &in, &run);
	expect_bytes(&run, &want, "tags, options, authentication");
}

static void a_later_ipv4_fragment_is_not_searched(void **state)
{
	struct frame f;
	struct run run;

	build(VIP4, 80, &(struct chain){"", .headers = {LIE(AUTHENTICATION, 12, 200)}}, &f);
	f.bytes[FRAME_ETH_LEN + 7] = 1;
	bed_run(*state, &f, &run);
	expect_counter(&run, "drop_fragment_unknown", "later fragment");
}

static void neighbour_discovery_passes_behind_a_chain(void **state)
{
	struct frame f;
	struct run run;

	build(VIP6, 80, &(struct chain){"", .headers = {HOP(8)}, .last = 58}, &f);
	f.bytes[f.l4] = 135;
	bed_run(*state, &f, &run);
	expect_counter(&run, "pass_neighbour_discovery", "neighbour solicitation");
	expect_bytes(&run, &f, "neighbour solicitation");
}

/* What a packet without a chain is answered with is in test_reply.c. */
static void a_reset_answers_the_segment_behind_a_chain(void **state)
{
	static const struct chain none = {"", .headers = {{0}}};
	struct frame f;
	struct run want, run;

	build(VIP6, 81, &none, &f);
	bed_run(*state, &f, &want);
	expect_counter(&want, "reply_reset", "no chain");
	for (size_t i = 0; !chains6[i].counter; i++) {
		build(VIP6, 81, &chains6[i], &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, "reply_reset", chains6[i].what);
		expect_bytes(&run, &want.out, chains6[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_within_bounds_is_served_and_any_other_has_its_counter),
		cmocka_unit_test(a_foreign_packet_passes_with_any_chain),
		cmocka_unit_test(a_chain_cut_off_anywhere_is_refused),
		cmocka_unit_test(a_jumbogram_is_refused),
		cmocka_unit_test_setup_teardown(a_flow_is_one_with_and_without_a_chain, setup,
						bed_teardown),
		cmocka_unit_test(tags_ipv4_options_and_a_chain_go_together),
		cmocka_unit_test(a_later_ipv4_fragment_is_not_searched),
		cmocka_unit_test(neighbour_discovery_passes_behind_a_chain),
		cmocka_unit_test(a_reset_answers_the_segment_behind_a_chain),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
