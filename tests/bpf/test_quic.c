/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which real a QUIC packet goes to: the one that its connection ID names, whatever its 4-tuple. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/hex.h"
#include "lib/quic_lb.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP   "192.0.2.10"
#define VIP6  "2001:db8::10"
#define R1    "10.0.1.1"
#define R2    "10.0.1.2"
#define R3    "10.0.1.3"
#define PORTS 24 /* clients that are tried */

#define V1 0x00000001
#define V2 0x6b3343cf

/* Appendix B of the draft. */
#define DRAFT_KEY                                                                                  \
	{                                                                                          \
		0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80, 0x25, 0x69, 0x34, 0xe5, 0x0c,      \
			0x66, 0x20, 0x7f                                                           \
	}

static const struct quic_spec plain[] = {
	{.rotation = 0, .server_id_length = 2, .nonce_length = 6},
	{.rotation = 5,
	 .server_id_length = 2,
	 .nonce_length = 14,
	 .has_key = true,
	 .key = DRAFT_KEY},
};

/* Server IDs 0001, 0002, 0003. */
static const struct bed_vip usual = {
	.address = VIP,
	.port = 443,
	.protocol = IPPROTO_UDP,
	.quic = plain,
	.n_quic = ARRAY_SIZE(plain),
	.reals = {{R1, .server_id = "0001"}, {R2, .server_id = "0002"}, {R3, .server_id = "0003"}}};

static int setup(void **state)
{
	*state = bed_new(&(struct bed_options){.is_quic_on = true});
	bed_apply(*state, &usual, 1);
	return 0;
}

/* A datagram whose payload begins with these octets (hex). */
static void build(const char *vip, uint16_t sport, const char *start, struct frame *ret_frame)
{
	const struct packet p = {.src = strchr(vip, ':') ? "2001:db8:5::7" : "198.51.100.7",
				 .dst = vip,
				 .sport = sport,
				 .dport = 443,
				 .protocol = IPPROTO_UDP,
				 .payload = 64};
	uint8_t bytes[64];
	int n = hex_parse(start, bytes, sizeof(bytes));

	assert_true(n > 0);
	frame_build(&p, ret_frame);
	memcpy(ret_frame->bytes + ret_frame->l4 + 8, bytes, (size_t)n);
}

static const char *real_text(const struct run *run)
{
	static char text[ADDR_TEXT_MAX];
	struct ip_addr real = run_real(run);

	return addr_format(&real, text);
}

/* Sends it from one port; the real that got it. */
static const char *send_from(struct bed *bed, uint16_t sport, const char *start,
			     struct run *ret_run)
{
	struct frame frame;

	build(VIP, sport, start, &frame);
	bed_run(bed, &frame, ret_run);
	return real_text(ret_run);
}

/* Whichever client sends it, it goes to this real. */
static void goes_to(struct bed *bed, const char *vip, const char *start, const char *real)
{
	for (uint16_t sport = 1000; sport < 1000 + PORTS; sport++) {
		struct frame frame;
		struct run run;

		build(vip, sport, start, &frame);
		bed_run(bed, &frame, &run);
		assert_string_equal(real_text(&run), real);
		assert_int_equal(run.rise.quic_by_cid, 1);
	}
}

/* The 4-tuple decides: the reals are several, and the same as for datagrams that are no QUIC. */
static void goes_by_tuple(struct bed *bed, const char *start, unsigned int unroutable,
			  unsigned int no_server)
{
	unsigned int elsewhere = 0;

	for (uint16_t sport = 2000; sport < 2000 + PORTS; sport++) {
		struct run plain_run, run;
		char first[ADDR_TEXT_MAX];

		snprintf(first, sizeof(first), "%s", send_from(bed, sport, "ff00", &plain_run));
		assert_string_equal(send_from(bed, sport, start, &run), first);
		assert_int_equal(run.rise.quic_by_cid, 0);
		assert_int_equal(run.rise.quic_unroutable, unroutable);
		assert_int_equal(run.rise.quic_no_server, no_server);
		elsewhere += strcmp(first, R2) != 0;
	}
	assert_in_range(elsewhere, 4, PORTS - 2);
}

static void a_short_header_names_its_real(void **state)
{
	goes_to(*state, VIP, "400800010a0b0c0d0e0f", R1);
	goes_to(*state, VIP, "400800020a0b0c0d0e0f", R2);
	goes_to(*state, VIP, "400800030a0b0c0d0e0f", R3);
}

/* The draft: a server need not write the length there; RFC 9287: nor set the fixed bit. */
static void what_else_is_in_the_first_octets_does_not_matter(void **state)
{
	goes_to(*state, VIP, "401f00020a0b0c0d0e0f", R2);
	goes_to(*state, VIP, "7f000002ffffffffffff", R2);
	goes_to(*state, VIP, "00080002ffffffffffff", R2);
}

static void a_clients_new_address_keeps_its_real(void **state)
{
	const char *cid = "400800020a0b0c0d0e0f";
	struct bed *bed = *state;
	struct frame frame;
	struct run run;

	for (uint16_t sport = 3000; sport < 3000 + PORTS; sport++) {
		/* The handshake, by the 4-tuple, is another's flow there. */
		send_from(bed, sport, "c000000001080001020304050607", &run);
		send_from(bed, sport, "c000000001080001020304050607", &run);
		assert_string_equal(send_from(bed, sport, cid, &run), R2);
		assert_string_equal(send_from(bed, sport, cid, &run), R2);
	}
	/* What has no connection ID that tells follows to where the flow has gone. */
	for (uint16_t sport = 3000; sport < 3000 + PORTS; sport++)
		assert_string_equal(send_from(bed, sport, "ff00", &run), R2);
	build(VIP, 3000, cid, &frame);
	bed_run(bed, &frame, &run);
	assert_int_equal(run.forwarded.new_flows, 0);
}

static void a_connection_on_the_same_ports_goes_to_its_own_real(void **state)
{
	struct run run;

	for (int i = 0; i < 8; i++) {
		assert_string_equal(send_from(*state, 4000, "40080002000000000000", &run), R2);
		assert_string_equal(send_from(*state, 4000, "40080003000000000000", &run), R3);
	}
}

static void a_long_header_with_a_servers_connection_id_names_its_real(void **state)
{
	goes_to(*state, VIP, "e000000001090800020a0b0c0d0e0f", R2); /* Handshake */
	goes_to(*state, VIP, "f06b3343cf090800020a0b0c0d0e0f", R2);
	goes_to(*state, VIP, "c00a0a0a0a090800020a0b0c0d0e0f", R2); /* a later one */
}

static void a_connection_id_that_the_client_may_have_made_up_names_nobody(void **state)
{
	static const char *const starts[] = {
		"c000000001090800020a0b0c0d0e0f", /* Initial */
		"d000000001090800020a0b0c0d0e0f", /* 0-RTT */
		"d06b3343cf090800020a0b0c0d0e0f",
		"e06b3343cf090800020a0b0c0d0e0f",
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		goes_by_tuple(*state, starts[i], 0, 0);
}

static void what_cannot_be_read_is_counted_and_goes_by_its_tuple(void **state)
{
	static const char *const starts[] = {
		"40e800020a0b0c0d0e0f", /* rotation 7: unroutable */
		"402800020a0b0c0d0e0f", /* rotation 1 is not configured */
		"e000000001080800020a0b0c0d0e", /* an octet too short */
		"e000000001000800020a0b0c0d0e0f", /* none at all */
		"e000000001ff0800020a0b0c0d0e0f", /* longer than the datagram */
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		goes_by_tuple(*state, starts[i], 1, 0);
}

static void an_unknown_server_is_left_to_the_tuple(void **state)
{
	goes_by_tuple(*state, "400800040a0b0c0d0e0f", 0, 1);
}

static void a_datagram_that_ends_early_is_not_read_beyond_its_end(void **state)
{
	struct bed *bed = *state;
	struct frame frame;
	struct run run;

	for (size_t payload = 0; payload < 12; payload++) {
		const struct packet p = {.src = "198.51.100.7",
					 .dst = VIP,
					 .sport = (uint16_t)(5000 + payload),
					 .dport = 443,
					 .protocol = IPPROTO_UDP,
					 .payload = payload};
		uint8_t bytes[12] = {0x40, 8, 0, 2};

		frame_build(&p, &frame);
		memcpy(frame.bytes + frame.l4 + 8, bytes, payload);
		bed_run(bed, &frame, &run);
		assert_int_equal(run.verdict, XDP_TX);
		assert_int_equal(run.rise.quic_by_cid, payload >= 10);
	}
}

static void a_vip_without_quic_is_not_asked(void **state)
{
	struct bed_vip vips[] = {usual, usual};
	struct run run;

	vips[1].address = "192.0.2.11";
	vips[0].n_quic = 0;
	for (size_t i = 0; i < 3; i++)
		vips[0].reals[i].server_id = NULL;
	bed_apply(*state, vips, 2);
	goes_to(*state, "192.0.2.11", "400800020a0b0c0d0e0f", R2);
	goes_by_tuple(*state, "400800020a0b0c0d0e0f", 0, 0);
	send_from(*state, 5000, "40080002000000000000", &run);
	assert_int_equal(run.rise.quic_unroutable, 0);
}

/* With the express lane and without: the lane knows the flow's VIP, not the packet's. */
static void a_flow_stays_with_a_vip_without_quic_that_had_it_first(void **state)
{
	const struct bed_vip any = {.address = VIP,
				    .port_last = 65535,
				    .protocol = IPPROTO_UDP,
				    .reals = {{"10.0.1.9"}}};
	const struct bed_vip vips[] = {usual, any};
	struct run run;

	bed_apply(*state, &any, 1);
	for (int i = 0; i < 3; i++)
		assert_string_equal(send_from(*state, 5000, "40080002000000000000", &run),
				    "10.0.1.9");
	bed_apply(*state, vips, 2);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(send_from(*state, 5000, "40080002000000000000", &run),
				    "10.0.1.9");
		assert_int_equal(run.rise.quic_by_cid, 0);
	}
	assert_string_equal(send_from(*state, 5001, "40080002000000000000", &run), R2);
}

static void tcp_is_not_read(void **state)
{
	struct bed_vip vips[] = {usual, usual};
	struct run run;

	vips[1].protocol = IPPROTO_TCP;
	vips[1].n_quic = 0;
	for (size_t i = 0; i < 3; i++)
		vips[1].reals[i].server_id = NULL;
	bed_apply(*state, vips, 2);
	bed_send(*state,
		 &(struct packet){.src = "198.51.100.7", .dst = VIP, .dport = 443, .payload = 64},
		 &run);
	assert_int_equal(run.verdict, XDP_TX);
	assert_int_equal(run.rise.quic_by_cid + run.rise.quic_unroutable, 0);
}

static void both_families_are_read(void **state)
{
	struct bed_vip v6 = usual;

	v6.address = VIP6;
	bed_apply(*state, &v6, 1);
	goes_to(*state, VIP6, "400800030a0b0c0d0e0f", R3);
}

/* ---- Reals that come and go ------------------------------------------------------------------ */

static void a_draining_real_keeps_its_connections(void **state)
{
	struct bed_vip vip = usual;

	vip.reals[1].is_drained = true;
	bed_apply(*state, &vip, 1);
	goes_to(*state, VIP, "400800020a0b0c0d0e0f", R2);
}

static void a_real_that_is_down_gets_nothing(void **state)
{
	struct bed_vip vip = usual;
	struct run run;

	vip.reals[1].is_down = true;
	bed_apply(*state, &vip, 1);
	for (uint16_t sport = 6000; sport < 6000 + PORTS; sport++) {
		assert_string_not_equal(send_from(*state, sport, "40080002000000000000", &run), R2);
		assert_int_equal(run.rise.quic_no_server, 1);
	}
	bed_apply(*state, &usual, 1);
	goes_to(*state, VIP, "40080002000000000000", R2);
}

static void reals_that_change_their_server_ids_are_known_by_the_new_ones(void **state)
{
	struct bed_vip vip = usual;

	vip.reals[0].server_id = "0002";
	vip.reals[1].server_id = "0001";
	vip.reals[2].server_id = "0009";
	bed_apply(*state, &vip, 1);
	goes_to(*state, VIP, "40080001000000000000", R2);
	goes_to(*state, VIP, "40080002000000000000", R1);
	goes_to(*state, VIP, "40080009000000000000", R3);
	goes_by_tuple(*state, "40080003000000000000", 0, 1);
}

static void a_removed_real_keeps_its_connections_until_no_flow_names_it(void **state)
{
	struct bed_vip vip = usual;
	struct bed *bed = *state;
	struct run run;

	vip.reals[1] = (struct bed_real){R3, .server_id = "0003"};
	vip.reals[2] = (struct bed_real){};
	bed_apply(bed, &vip, 1);
	assert_string_equal(send_from(bed, 7000, "40080002000000000000", &run), R2);
	for (int i = 0; i < 8; i++) {
		bed_wait_grace(bed);
		bed_scan(bed);
		assert_string_equal(send_from(bed, 7001 + i, "40080002000000000000", &run), R2);
	}
	memset(bed->dp->flows, 0, bed->dp->control->flow_buckets * sizeof(struct flow_bucket));
	for (int i = 0; i < 8; i++) {
		bed_wait_grace(bed);
		bed_scan(bed);
	}
	send_from(bed, 7000, "40080002000000000000", &run);
	assert_int_equal(run.rise.quic_no_server, 1);
}

static void a_server_id_may_pass_to_another_real_and_back(void **state)
{
	struct bed_vip vip = usual;

	vip.reals[1] = (struct bed_real){"10.0.1.9", .server_id = "0002"};
	bed_apply(*state, &vip, 1);
	goes_to(*state, VIP, "40080002000000000000", "10.0.1.9");
	bed_apply(*state, &usual, 1);
	goes_to(*state, VIP, "40080002000000000000", R2);
}

static void a_new_rotation_is_read_beside_the_old_one(void **state)
{
	struct bed_vip vip = usual;
	const struct quic_spec other = {.rotation = 3, .server_id_length = 2, .nonce_length = 8};

	vip.quic = &other;
	vip.n_quic = 1;
	goes_to(*state, VIP, "400800020a0b0c0d0e0f", R2);
	bed_apply(*state, &vip, 1);
	goes_to(*state, VIP, "406a00020a0b0c0d0e0f0102", R2);
	goes_by_tuple(*state, "400800020a0b0c0d0e0f", 1, 0);
}

/* ---- What the draft says, and every length --------------------------------------------------- */

static void check_read(struct bed *bed, const struct quic_spec *spec, const char *server_id,
		       const char *cid)
{
	struct bed_vip vip = usual;
	char start[2 * QUIC_CID_MAX + 3];
	char other[2 * QUIC_SERVER_ID_MAX + 1];

	snprintf(other, sizeof(other), "%s", server_id);
	other[0] = other[0] == '0' ? '1' : '0';
	vip.quic = spec;
	vip.n_quic = 1;
	vip.reals[0].server_id = other;
	vip.reals[1].server_id = server_id;
	vip.reals[2] = (struct bed_real){};
	bed_apply(bed, &vip, 1);
	snprintf(start, sizeof(start), "40%s", cid);
	goes_to(bed, VIP, start, R2);
}

#define LENGTHS(bits, id, rest)                                                                    \
	{                                                                                          \
		.rotation = (bits), .server_id_length = (id), .nonce_length = (rest)               \
	}
#define KEYED(bits, id, rest)                                                                      \
	{                                                                                          \
		.rotation = (bits), .server_id_length = (id), .nonce_length = (rest),              \
		.has_key = true, .key = DRAFT_KEY                                                  \
	}

/*
 * Two of them have slips: the second plaintext one has a nonce of nine digits, of which nothing can
 * be made, and the last begins with 12, which is rotation 0 and not 3 as it says.
 */
static void the_drafts_connection_ids_are_read(void **state)
{
	static const struct {
		struct quic_spec spec;
		const char *server_id;
		const char *cid;
	} vectors[] = {
		{LENGTHS(0, 3, 4), "c4605e", "07c4605e4504cc4f"},
		{KEYED(0, 3, 4), "ed793a", "0720b1d07b359d3c"},
		{KEYED(1, 10, 5), "ed793a51d49b8f5fab65", "2fcc381bc74cb4fbad2823a3d1f8fed2"},
		{KEYED(2, 8, 8), "ed793a51d49b8f5f", "504dd2d05a7b0de9b2b9907afb5ecf8cc3"},
		{KEYED(3, 9, 9), "ed793a51d49b8f5fab", "725779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check_read(*state, &vectors[i].spec, vectors[i].server_id, vectors[i].cid);
}

static void fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)rand();
}

/* What user space encodes with a library's AES, the packet path reads with its own. */
static void every_length_is_read(void **state)
{
	uint8_t server_id[QUIC_SERVER_ID_MAX], nonce[QUIC_ID_MAX];
	char id_text[2 * QUIC_SERVER_ID_MAX + 1], cid_text[2 * QUIC_CID_MAX + 1];

	srand(1);
	for (uint8_t id = 1; id <= QUIC_SERVER_ID_MAX; id++) {
		for (uint8_t n = QUIC_NONCE_MIN; id + n <= QUIC_ID_MAX; n++) {
			struct quic_spec spec = LENGTHS((uint8_t)(n % 7), id, n);
			struct quic_cid cid;

			spec.has_key = n % 3 != 0;
			fill(spec.key, sizeof(spec.key));
			fill(server_id, sizeof(server_id));
			fill(nonce, sizeof(nonce));
			quic_lb_encode(&spec, server_id, nonce, &cid);
			check_read(*state, &spec, hex_format(server_id, id, id_text),
				   hex_format(cid.bytes, cid.length, cid_text));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, bed_teardown)
		TEST(a_short_header_names_its_real),
		TEST(what_else_is_in_the_first_octets_does_not_matter),
		TEST(a_clients_new_address_keeps_its_real),
		TEST(a_connection_on_the_same_ports_goes_to_its_own_real),
		TEST(a_long_header_with_a_servers_connection_id_names_its_real),
		TEST(a_connection_id_that_the_client_may_have_made_up_names_nobody),
		TEST(what_cannot_be_read_is_counted_and_goes_by_its_tuple),
		TEST(an_unknown_server_is_left_to_the_tuple),
		TEST(a_datagram_that_ends_early_is_not_read_beyond_its_end),
		TEST(a_vip_without_quic_is_not_asked),
		TEST(a_flow_stays_with_a_vip_without_quic_that_had_it_first),
		TEST(tcp_is_not_read),
		TEST(both_families_are_read),
		TEST(a_draining_real_keeps_its_connections),
		TEST(a_real_that_is_down_gets_nothing),
		TEST(reals_that_change_their_server_ids_are_known_by_the_new_ones),
		TEST(a_removed_real_keeps_its_connections_until_no_flow_names_it),
		TEST(a_server_id_may_pass_to_another_real_and_back),
		TEST(a_new_rotation_is_read_beside_the_old_one),
		TEST(the_drafts_connection_ids_are_read),
		TEST(every_length_is_read),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
