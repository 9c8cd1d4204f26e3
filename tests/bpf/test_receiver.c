/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The receiver: verdict, packet out and the one counter that must rise. GUE: test_receiver_gue.c.
 */
#include "receiver_bed.h"

#include <stdio.h>
#include <string.h>

#define ECN_ROWS 4

/* ---- Decapsulation ------------------------------------------------------------------------ */

struct decap_case {
	const char *what;
	uint8_t outer_options;
	uint8_t inner_options;
	uint8_t outer_tos;
	uint8_t inner_tos;
	uint8_t padding;
};

static const struct decap_case decap_cases[] = {
	{"plain", .padding = 0},
	{"outer options", .outer_options = 3},
	{"most outer options", .outer_options = 10},
	{"inner options", .inner_options = 10},
	{"DSCP outside does not touch DSCP inside", .outer_tos = 46 << 2, .inner_tos = 10 << 2},
	{"DSCP inside", .inner_tos = 0xb8},
	{"padding behind the packet is left to the stack", .padding = 7},
};

static void tunnel_packets_for_a_vip_lose_their_outer_header(void **state)
{
	struct receiver_bed *instances = *state;
	uint8_t in[RECEIVER_FRAME_MAX], expected[RECEIVER_FRAME_MAX];
	struct receiver_run r;

	for (size_t i = 0; i < sizeof(decap_cases) / sizeof(decap_cases[0]); i++) {
		for (int combination = 0; combination < 8; combination++) {
			const struct decap_case *c = &decap_cases[i];
			struct receiver_frame f = receiver_frame_of(combination & 1 ? 6 : 4,
								    combination & 2 ? 6 : 4);
			char what[128];

			f.outer_options = c->outer_options;
			f.inner_options = c->inner_options;
			f.outer_tos = c->outer_tos;
			f.inner_tos = c->inner_tos;
			f.padding = c->padding;
			snprintf(what, sizeof(what), "IPv%d in IPv%d, %s%s", f.inner, f.outer,
				 c->what, combination & 4 ? ", listed balancer" : "");
			receiver_bed_run(combination & 4 ? instances->listed : instances->open, in,
					 receiver_frame_tunnelled(&f, in), &r);
			receiver_check_counter(what, &r, RECEIVER_decapsulated);
			assert_int_equal(r.verdict, XDP_PASS);
			receiver_check_frame(what, &r, expected,
					     receiver_frame_plain(&f, c->inner_tos, expected));
		}
	}
}

/* ---- ECN ---------------------------------------------------------------------------------- */

#define NOT_ECT 0
#define ECT1	1
#define ECT0	2
#define CE	3
#define DROP	0xff

/* RFC 6040, figure 4. Row: arriving inner; column: arriving outer; both by code point. */
static const uint8_t ecn_table[ECN_ROWS][ECN_ROWS] = {
	[NOT_ECT] = {[NOT_ECT] = NOT_ECT, [ECT0] = NOT_ECT, [ECT1] = NOT_ECT, [CE] = DROP},
	[ECT0] = {[NOT_ECT] = ECT0, [ECT0] = ECT0, [ECT1] = ECT1, [CE] = CE},
	[ECT1] = {[NOT_ECT] = ECT1, [ECT0] = ECT1, [ECT1] = ECT1, [CE] = CE},
	[CE] = {[NOT_ECT] = CE, [ECT0] = CE, [ECT1] = CE, [CE] = CE},
};

static void check_ecn(struct receiver_bpf *skel, struct receiver_frame *f, uint8_t dscp)
{
	uint8_t in[RECEIVER_FRAME_MAX], expected[RECEIVER_FRAME_MAX];
	uint8_t want = ecn_table[f->inner_tos & 3][f->outer_tos & 3];
	struct receiver_run r;
	char what[128];

	snprintf(what, sizeof(what), "IPv%d in IPv%d, ECN inner %u outer %u, DSCP %u", f->inner,
		 f->outer, f->inner_tos & 3, f->outer_tos & 3, dscp);
	receiver_bed_run(skel, in, receiver_frame_tunnelled(f, in), &r);
	if (want == DROP) {
		receiver_check_counter(what, &r, RECEIVER_drop_ecn);
		assert_int_equal(r.verdict, XDP_DROP);
		return;
	}
	receiver_check_counter(what, &r, RECEIVER_decapsulated);
	/* Built anew with the merged bits, so the IPv4 checksum is compared with a full sum. */
	receiver_check_frame(what, &r, expected,
			     receiver_frame_plain(f, (uint8_t)(dscp << 2 | want), expected));
}

static void ecn_follows_rfc_6040(void **state)
{
	struct receiver_bed *instances = *state;

	for (int combination = 0; combination < 4; combination++)
		for (unsigned int ecn = 0; ecn < ECN_ROWS * ECN_ROWS; ecn++)
			for (unsigned int dscp = 0; dscp < 64; dscp += 21) {
				struct receiver_frame f = receiver_frame_of(
					combination & 1 ? 6 : 4, combination & 2 ? 6 : 4);

				f.inner_tos = (uint8_t)(dscp << 2 | ecn / ECN_ROWS);
				f.outer_tos = (uint8_t)((63 - dscp) << 2 | ecn % ECN_ROWS);
				check_ecn(instances->open, &f, (uint8_t)dscp);
			}
}

/* ---- Passed and dropped ------------------------------------------------------------------- */

/* A packet that differs from a good one by addresses or by up to two bytes. */
struct refuse_case {
	const char *what;
	int outer;
	int inner;
	const char *outer_src;
	const char *outer_dst;
	const char *inner_dst;
	struct {
		uint16_t at; /* in the frame; 0: no change */
		uint8_t value;
	} patch[2];
	bool is_listed;
	enum receiver_counter counter;
};

#define OUTER(byte)    (ETH_LEN + (byte))
#define INNER_4(byte)  (ETH_LEN + 20 + (byte))
#define INNER_6(byte)  (ETH_LEN + 40 + (byte))
#define OUTER_LEN_4IN4 (20 + 20 + RECEIVER_PAYLOAD)

static const struct refuse_case refuse_cases[] = {
	{"ARP", 4, 4, .patch = {{12, 0x08}, {13, 0x06}}, .counter = RECEIVER_pass_not_ip},
	{"VLAN tag", 4, 4, .patch = {{12, 0x81}, {13, 0x00}}, .counter = RECEIVER_pass_not_ip},
	{"UDP over IPv4", 4, 4, .patch = {{OUTER(9), 17}}, .counter = RECEIVER_pass_not_tunnel},
	{"TCP over IPv6", 6, 6, .patch = {{OUTER(6), 6}}, .counter = RECEIVER_pass_not_tunnel},
	{"IPv6 hop-by-hop options", 6, 4, .patch = {{OUTER(6), 0}},
	 .counter = RECEIVER_pass_not_tunnel},
	{"other host's IPv4 address", 4, 4, .outer_dst = "10.0.1.3",
	 .counter = RECEIVER_pass_not_local},
	{"other host's IPv6 address", 6, 6, .outer_dst = "2001:db8:1::3",
	 .counter = RECEIVER_pass_not_local},
	{"local IPv4 address mapped into IPv6", 6, 4, .outer_dst = "::ffff:10.0.1.2",
	 .counter = RECEIVER_pass_not_local},
	{"first fragment", 4, 4, .patch = {{OUTER(6), 0x20}}, .counter = RECEIVER_pass_fragment},
	{"later fragment", 4, 6, .patch = {{OUTER(6), 0x00}, {OUTER(7), 0x08}},
	 .counter = RECEIVER_pass_fragment},
	{"last fragment far away", 4, 4, .patch = {{OUTER(6), 0x1f}, {OUTER(7), 0}},
	 .counter = RECEIVER_pass_fragment},
	{"IPv4 for no VIP", 4, 4, .inner_dst = "192.0.2.11", .counter = RECEIVER_pass_not_vip},
	{"IPv6 for no VIP", 4, 6, .inner_dst = "2001:db8:f::11", .counter = RECEIVER_pass_not_vip},
	{"IPv4 for no VIP in IPv6", 6, 4, .inner_dst = "192.0.2.11",
	 .counter = RECEIVER_pass_not_vip},
	{"VIP mapped into IPv6", 6, 6, .inner_dst = "::ffff:192.0.2.10",
	 .counter = RECEIVER_pass_not_vip},
	{"for no VIP, from elsewhere, with a list", 4, 4, .outer_src = "10.0.8.1",
	 .inner_dst = "192.0.2.11", .is_listed = true, .counter = RECEIVER_pass_not_vip},
	{"IPv4 source outside the list", 4, 4, .outer_src = "10.0.8.255", .is_listed = true,
	 .counter = RECEIVER_drop_not_a_balancer},
	{"IPv4 source above the list", 4, 6, .outer_src = "10.0.10.0", .is_listed = true,
	 .counter = RECEIVER_drop_not_a_balancer},
	{"IPv6 source outside the list", 6, 6, .outer_src = "2001:db8:9:1::1", .is_listed = true,
	 .counter = RECEIVER_drop_not_a_balancer},
	{"listed IPv4 source mapped into IPv6", 6, 4, .outer_src = "::ffff:10.0.9.1",
	 .is_listed = true, .counter = RECEIVER_drop_not_a_balancer},
	{"outer version 5", 4, 4, .patch = {{OUTER(0), 0x55}},
	 .counter = RECEIVER_drop_outer_header},
	{"outer version 4 under the ethertype of IPv6", 6, 4, .patch = {{OUTER(0), 0x40}},
	 .counter = RECEIVER_drop_outer_header},
	{"outer ihl 4", 4, 4, .patch = {{OUTER(0), 0x44}}, .counter = RECEIVER_drop_outer_header},
	{"outer ihl 0", 4, 6, .patch = {{OUTER(0), 0x40}}, .counter = RECEIVER_drop_outer_header},
	{"outer length below its header", 4, 4, .patch = {{OUTER(2), 0}, {OUTER(3), 19}},
	 .counter = RECEIVER_drop_outer_length},
	{"outer length beyond the frame", 4, 4, .patch = {{OUTER(3), OUTER_LEN_4IN4 + 1}},
	 .counter = RECEIVER_drop_outer_length},
	{"outer payload length beyond the frame", 6, 6,
	 .patch = {{OUTER(5), 40 + RECEIVER_PAYLOAD + 1}}, .counter = RECEIVER_drop_outer_length},
	{"outer packet ends in the inner IPv4 header", 4, 4, .patch = {{OUTER(3), 39}},
	 .counter = RECEIVER_drop_inner_truncated},
	{"outer packet ends in the inner IPv6 header", 4, 6, .patch = {{OUTER(3), 59}},
	 .counter = RECEIVER_drop_inner_truncated},
	{"outer payload ends in the inner IPv4 header", 6, 4, .patch = {{OUTER(5), 19}},
	 .counter = RECEIVER_drop_inner_truncated},
	{"outer payload length zero", 6, 6, .patch = {{OUTER(5), 0}},
	 .counter = RECEIVER_drop_inner_truncated},
	{"inner version 6 where the outer says IPv4", 4, 4, .patch = {{INNER_4(0), 0x65}},
	 .counter = RECEIVER_drop_inner_header},
	{"inner version 4 where the outer says IPv6", 4, 6, .patch = {{INNER_4(0), 0x45}},
	 .counter = RECEIVER_drop_inner_header},
	{"inner ihl 4", 6, 4, .patch = {{INNER_6(0), 0x44}}, .counter = RECEIVER_drop_inner_header},
	{"inner length below its header", 4, 4, .patch = {{INNER_4(3), 19}},
	 .counter = RECEIVER_drop_inner_length},
	{"inner length beyond the outer packet", 4, 4,
	 .patch = {{INNER_4(3), 20 + RECEIVER_PAYLOAD + 1}}, .counter = RECEIVER_drop_inner_length},
	{"inner payload length beyond the outer packet", 6, 6,
	 .patch = {{INNER_6(5), RECEIVER_PAYLOAD + 1}}, .counter = RECEIVER_drop_inner_length},
	{"inner options beyond the inner length", 4, 4,
	 .patch = {{INNER_4(0), 0x4f}, {INNER_4(3), 59}}, .counter = RECEIVER_drop_inner_length},
};

static void what_is_not_ours_passes_and_what_is_broken_drops(void **state)
{
	struct receiver_bed *instances = *state;
	uint8_t in[RECEIVER_FRAME_MAX];
	struct receiver_run r;

	for (size_t i = 0; i < sizeof(refuse_cases) / sizeof(refuse_cases[0]); i++) {
		const struct refuse_case *c = &refuse_cases[i];
		struct receiver_frame f = receiver_frame_of(c->outer, c->inner);
		size_t len;

		f.outer_src = c->outer_src ? c->outer_src : f.outer_src;
		f.outer_dst = c->outer_dst ? c->outer_dst : f.outer_dst;
		f.inner_dst = c->inner_dst ? c->inner_dst : f.inner_dst;
		len = receiver_frame_tunnelled(&f, in);
		for (size_t j = 0; j < 2; j++)
			if (c->patch[j].at)
				in[c->patch[j].at] = c->patch[j].value;
		receiver_bed_run(c->is_listed ? instances->listed : instances->open, in, len, &r);
		receiver_check_counter(c->what, &r, c->counter);
		assert_int_equal(r.verdict,
				 c->counter < RECEIVER_drop_not_a_balancer ? XDP_PASS : XDP_DROP);
		receiver_check_frame(c->what, &r, in, len);
	}
}

/* What a frame cut after `len` bytes must be counted as: the outer length says more than is there.
 */
static enum receiver_counter truncated_as(const struct receiver_frame *f, size_t len, size_t whole)
{
	size_t headers = ETH_LEN + (f->outer == 4 ? 20 : 40);

	if (len < headers)
		return RECEIVER_pass_truncated;
	return len < whole ? RECEIVER_drop_outer_length : RECEIVER_decapsulated;
}

/* The kernel's test run takes no frame shorter than an Ethernet header. */
static void a_frame_cut_at_any_length_is_counted_and_not_decapsulated(void **state)
{
	struct receiver_bed *instances = *state;

	for (int combination = 0; combination < 4; combination++) {
		struct receiver_frame f = receiver_frame_of(combination & 1 ? 6 : 4,
							    combination & 2 ? 6 : 4);
		uint8_t in[RECEIVER_FRAME_MAX];
		size_t whole = receiver_frame_tunnelled(&f, in);

		for (size_t len = ETH_LEN; len <= whole; len++) {
			uint8_t cut[RECEIVER_FRAME_MAX];
			struct receiver_run r;
			char what[64];

			memcpy(cut, in, len);
			snprintf(what, sizeof(what), "IPv%d in IPv%d, %zu bytes", f.inner, f.outer,
				 len);
			receiver_bed_run(instances->open, cut, len, &r);
			receiver_check_counter(what, &r, truncated_as(&f, len, whole));
		}
	}
}

/* The outer length is right, the inner packet is cut. */
static void an_inner_packet_cut_at_any_length_is_dropped(void **state)
{
	struct receiver_bed *instances = *state;

	for (int combination = 0; combination < 4; combination++) {
		struct receiver_frame f = receiver_frame_of(combination & 1 ? 6 : 4,
							    combination & 2 ? 6 : 4);
		size_t header = f.inner == 4 ? 20 : 40, payload = header + RECEIVER_PAYLOAD;

		for (size_t len = 0; len < payload; len++) {
			uint8_t in[RECEIVER_FRAME_MAX];
			size_t outer = f.outer == 4 ? 20 : 40;
			struct receiver_run r;
			char what[64];

			receiver_frame_tunnelled(&f, in);
			in[f.outer == 4 ? OUTER(3) : OUTER(5)] =
				(uint8_t)(f.outer == 4 ? outer + len : len);
			snprintf(what, sizeof(what), "IPv%d in IPv%d, inner of %zu bytes", f.inner,
				 f.outer, len);
			receiver_bed_run(instances->open, in, ETH_LEN + outer + len, &r);
			receiver_check_counter(what, &r,
					       len < header ? RECEIVER_drop_inner_truncated
							    : RECEIVER_drop_inner_length);
			assert_int_equal(r.verdict, XDP_DROP);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnel_packets_for_a_vip_lose_their_outer_header),
		cmocka_unit_test(ecn_follows_rfc_6040),
		cmocka_unit_test(what_is_not_ours_passes_and_what_is_broken_drops),
		cmocka_unit_test(a_frame_cut_at_any_length_is_counted_and_not_decapsulated),
		cmocka_unit_test(an_inner_packet_cut_at_any_length_is_dropped),
	};

	return cmocka_run_group_tests_name("receiver", tests, receiver_bed_setup,
					   receiver_bed_teardown);
}
