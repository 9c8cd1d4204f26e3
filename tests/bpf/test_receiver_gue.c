/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The receiver and GUE: what test_receiver.c says of IP in IP, and what a UDP header adds. */
#include "receiver_bed.h"

#include <stdio.h>
#include <string.h>

#define UDP(f, byte) (ETH_LEN + receiver_frame_outer_len(f) - 8 + (byte))
#define INNER(f)     (ETH_LEN + receiver_frame_outer_len(f))

static struct receiver_frame gue_of(int combination, bool has_checksum)
{
	struct receiver_frame f = receiver_frame_of(combination & 1 ? 6 : 4,
						    combination & 2 ? 6 : 4);

	f.gue_port = RECEIVER_GUE_PORT;
	f.gue_has_checksum = has_checksum;
	return f;
}

static void gue_packets_for_a_vip_lose_both_outer_headers(void **state)
{
	static const struct {
		const char *what;
		uint8_t outer_options;
		uint8_t inner_options;
		uint8_t outer_tos;
		uint8_t inner_tos;
		uint8_t padding;
	} rows[] = {
		{"plain", .padding = 0},
		{"most outer options", .outer_options = 10},
		{"inner options", .inner_options = 10},
		{"DSCP", .outer_tos = 46 << 2, .inner_tos = 10 << 2},
		{"padding", .padding = 7},
	};
	struct receiver_bed *bed = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int combination = 0; combination < 16; combination++) {
			struct receiver_frame f = gue_of(combination, combination & 8);
			uint8_t in[RECEIVER_FRAME_MAX], want[RECEIVER_FRAME_MAX];
			struct receiver_run r;
			char what[128];

			f.outer_options = rows[i].outer_options;
			f.inner_options = rows[i].inner_options;
			f.outer_tos = rows[i].outer_tos;
			f.inner_tos = rows[i].inner_tos;
			f.padding = rows[i].padding;
			snprintf(what, sizeof(what), "IPv%d in IPv%d, %s%s%s", f.inner, f.outer,
				 rows[i].what, f.gue_has_checksum ? ", checksum" : "",
				 combination & 4 ? ", listed balancer" : "");
			receiver_bed_run(combination & 4 ? bed->listed : bed->open, in,
					 receiver_frame_tunnelled(&f, in), &r);
			receiver_check_counter(what, &r, RECEIVER_decapsulated);
			assert_int_equal(r.verdict, XDP_PASS);
			receiver_check_frame(what, &r, want,
					     receiver_frame_plain(&f, rows[i].inner_tos, want));
		}
	}
}

/* Of the whole figure of RFC 6040 test_receiver.c has made sure: it is the same code. */
static void congestion_marks_are_carried_over(void **state)
{
	struct receiver_bed *bed = *state;

	for (int combination = 0; combination < 8; combination++) {
		struct receiver_frame f = gue_of(combination, combination & 4);
		uint8_t in[RECEIVER_FRAME_MAX], want[RECEIVER_FRAME_MAX];
		struct receiver_run r;

		f.outer_tos = 3;
		f.inner_tos = 2;
		receiver_bed_run(bed->open, in, receiver_frame_tunnelled(&f, in), &r);
		receiver_check_counter("CE on ECT(0)", &r, RECEIVER_decapsulated);
		receiver_check_frame("CE on ECT(0)", &r, want, receiver_frame_plain(&f, 3, want));
		f.inner_tos = 0;
		receiver_bed_run(bed->open, in, receiver_frame_tunnelled(&f, in), &r);
		receiver_check_counter("CE on not ECT", &r, RECEIVER_drop_ecn);
	}
}

/* A packet that differs from a good one by up to two bytes of its UDP header or what follows. */
struct refuse_case {
	const char *what;
	struct {
		uint8_t at; /* from the UDP header; 0: no change */
		uint8_t value;
	} patch[2];
	enum receiver_counter counter;
};

static const struct refuse_case refuse_cases[] = {
	{"another port", {{2, 0x17}, {3, 0xc1}}, RECEIVER_pass_not_tunnel},
	{"length below its header", {{4, 0}, {5, 7}}, RECEIVER_drop_outer_length},
	{"length zero", {{4, 0}, {5, 0}}, RECEIVER_drop_outer_length},
	{"length beyond the IP packet", {{4, 0}, {5, 53}}, RECEIVER_drop_outer_length},
	{"nothing behind the header", {{4, 0}, {5, 8}}, RECEIVER_drop_inner_truncated},
	{"less than an IP header", {{4, 0}, {5, 27}}, RECEIVER_drop_inner_truncated},
	{"variant 0, with a header of its own", {{8, 0x04}}, RECEIVER_pass_gue_variant},
	{"variant 1, IP version 5", {{8, 0x55}}, RECEIVER_pass_gue_variant},
	{"variant 2", {{8, 0x80}}, RECEIVER_pass_gue_variant},
	{"inner ihl 4", {{8, 0x44}}, RECEIVER_drop_inner_header},
	{"for no VIP", {{8 + 16, 1}}, RECEIVER_pass_not_vip},
	{"a checksum that is wrong", {{6, 1}, {7, 1}}, RECEIVER_drop_gue_checksum},
};

/* The inner packet is IPv4 and has 44 bytes, so the UDP datagram has 52. */
static void what_is_not_ours_passes_and_what_is_broken_drops(void **state)
{
	struct receiver_bed *bed = *state;

	for (size_t i = 0; i < sizeof(refuse_cases) / sizeof(refuse_cases[0]); i++) {
		for (int combination = 0; combination < 2; combination++) {
			const struct refuse_case *c = &refuse_cases[i];
			struct receiver_frame f = gue_of(combination, false);
			uint8_t in[RECEIVER_FRAME_MAX];
			size_t len = receiver_frame_tunnelled(&f, in);
			struct receiver_run r;

			for (size_t j = 0; j < 2; j++) {
				if (c->patch[j].at)
					in[UDP(&f, c->patch[j].at)] = c->patch[j].value;
			}
			receiver_bed_run(bed->open, in, len, &r);
			receiver_check_counter(c->what, &r, c->counter);
			receiver_check_frame(c->what, &r, in, len);
		}
	}
}

static void any_changed_byte_makes_a_checksum_wrong(void **state)
{
	struct receiver_bed *bed = *state;

	for (int combination = 0; combination < 4; combination++) {
		struct receiver_frame f = gue_of(combination, true);
		uint8_t in[RECEIVER_FRAME_MAX];
		size_t len = receiver_frame_tunnelled(&f, in);
		struct receiver_run r;

		for (size_t at = len - RECEIVER_PAYLOAD; at < len; at++) {
			in[at] ^= 0x10;
			receiver_bed_run(bed->open, in, len, &r);
			receiver_check_counter("payload", &r, RECEIVER_drop_gue_checksum);
			in[at] ^= 0x10;
		}
		/* The outer source is part of the pseudo header. */
		in[ETH_LEN + (f.outer == 4 ? 15 : 23)] ^= 1;
		receiver_bed_run(bed->open, in, len, &r);
		receiver_check_counter("outer source", &r, RECEIVER_drop_gue_checksum);
	}
}

static void fragments_and_strangers_are_left_alone(void **state)
{
	struct receiver_bed *bed = *state;
	struct receiver_frame f = gue_of(0, false);
	uint8_t in[RECEIVER_FRAME_MAX];
	struct receiver_run r;
	size_t len = receiver_frame_tunnelled(&f, in);

	in[ETH_LEN + 6] = 0x20; /* the first one: it has the port */
	receiver_bed_run(bed->open, in, len, &r);
	receiver_check_counter("first fragment", &r, RECEIVER_pass_fragment);
	in[ETH_LEN + 6] = 0;
	in[ETH_LEN + 7] = 8; /* a later one: what looks like the port is payload */
	receiver_bed_run(bed->open, in, len, &r);
	receiver_check_counter("later fragment", &r, RECEIVER_pass_not_tunnel);

	f.outer_dst = "10.0.1.3";
	receiver_bed_run(bed->open, in, receiver_frame_tunnelled(&f, in), &r);
	receiver_check_counter("another host's address", &r, RECEIVER_pass_not_local);
	f = gue_of(0, true);
	f.outer_src = "10.0.8.1";
	receiver_bed_run(bed->listed, in, receiver_frame_tunnelled(&f, in), &r);
	receiver_check_counter("not listed", &r, RECEIVER_drop_not_a_balancer);
}

static void a_frame_cut_at_any_length_is_counted_and_not_decapsulated(void **state)
{
	struct receiver_bed *bed = *state;

	for (int combination = 0; combination < 8; combination++) {
		struct receiver_frame f = gue_of(combination, combination & 4);
		uint8_t in[RECEIVER_FRAME_MAX];
		size_t whole = receiver_frame_tunnelled(&f, in);

		for (size_t len = ETH_LEN; len < whole; len++) {
			uint8_t cut[RECEIVER_FRAME_MAX];
			enum receiver_counter want = RECEIVER_drop_outer_length;
			struct receiver_run r;
			char what[64];

			if (len < UDP(&f, 0))
				want = RECEIVER_pass_truncated;
			else if (len < INNER(&f))
				want = RECEIVER_pass_not_tunnel;
			memcpy(cut, in, len);
			snprintf(what, sizeof(what), "IPv%d in IPv%d, %zu bytes", f.inner, f.outer,
				 len);
			receiver_bed_run(bed->open, cut, len, &r);
			receiver_check_counter(what, &r, want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gue_packets_for_a_vip_lose_both_outer_headers),
		cmocka_unit_test(congestion_marks_are_carried_over),
		cmocka_unit_test(what_is_not_ours_passes_and_what_is_broken_drops),
		cmocka_unit_test(any_changed_byte_makes_a_checksum_wrong),
		cmocka_unit_test(fragments_and_strangers_are_left_alone),
		cmocka_unit_test(a_frame_cut_at_any_length_is_counted_and_not_decapsulated),
	};

	return cmocka_run_group_tests_name("receiver gue", tests, receiver_bed_setup,
					   receiver_bed_teardown);
}
