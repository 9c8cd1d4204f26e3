/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves for a real: every byte of the frame, checked against one that the test wrote. */
#include "forward.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct packet tcp4 = {
	.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 40000, .dport = 80};

static int setup(void **state)
{
	bed_setup(state);
	forward_apply(*state, ENCAP_IPIP);
	return 0;
}

static uint8_t *flow_label(struct frame *outer)
{
	return outer->bytes + FRAME_ETH_LEN + 1;
}

static void a_packet_leaves_in_an_outer_header_and_unchanged(void **state)
{
	forward_check(*state, ENCAP_IPIP);
}

static void ipv6_flow_label_is_of_the_flow(void **state)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.20", .sport = 1000, .dport = 80};
	uint8_t first[3];
	unsigned int differ = 0;
	struct run run;

	bed_send(*state, &p, &run);
	memcpy(first, flow_label(&run.out), 3);
	bed_send(*state, &p, &run);
	assert_memory_equal(first, flow_label(&run.out), 3);
	for (p.sport = 1001; p.sport < 1011; p.sport++) {
		bed_send(*state, &p, &run);
		differ += memcmp(first, flow_label(&run.out), 3) != 0;
	}
	assert_in_range(differ, 9, 10);
}

/* ---- Entropy in the outer source --------------------------------------------------------- */

static int setup_prefixes(void **state)
{
	struct bed_options options = {
		.source4 = "10.77.0.0",
		.source4_bits = 16,
		.source6 = "2001:db8:77::",
		.source6_bits = 72,
	};

	*state = bed_new(&options);
	forward_apply(*state, ENCAP_IPIP);
	return 0;
}

/* Distinct sources that `flows` flows leave with; each flow's is checked to stay its own. */
static unsigned int distinct_sources(struct bed *bed, const char *vip, size_t source_at,
				     size_t source_len, const uint8_t *prefix, size_t prefix_len)
{
	struct packet p = {.src = "198.51.100.7", .dst = vip, .sport = 0, .dport = 80};
	unsigned int changes = 0;
	uint8_t last[16] = {};

	for (p.sport = 2000; p.sport < 2064; p.sport++) {
		struct run first, again;

		bed_send(bed, &p, &first);
		bed_send(bed, &p, &again);
		assert_memory_equal(first.out.bytes, again.out.bytes, first.out.len);
		assert_memory_equal(first.out.bytes + source_at, prefix, prefix_len);
		changes += memcmp(last, first.out.bytes + source_at, source_len) != 0;
		memcpy(last, first.out.bytes + source_at, source_len);
	}
	return changes;
}

static void ipv4_source_prefix_spreads_flows_within_it(void **state)
{
	uint8_t prefix[2] = {10, 77};
	struct run run;

	assert_in_range(distinct_sources(*state, "192.0.2.10", FRAME_ETH_LEN + 12, 4, prefix, 2),
			60, 64);
	bed_send(*state, &tcp4, &run);
	assert_int_equal(frame_checksum(run.out.bytes + FRAME_ETH_LEN, 20, 0), 0);
}

static void ipv4_checksum_holds_for_every_entropy(void **state)
{
	struct packet p = tcp4;

	for (p.sport = 1; p.sport < 2000; p.sport += 2) {
		struct run run;

		bed_send(*state, &p, &run);
		assert_int_equal(frame_checksum(run.out.bytes + FRAME_ETH_LEN, 20, 0), 0);
	}
}

static void ipv6_source_prefix_spreads_flows_within_it(void **state)
{
	uint8_t prefix[9] = {0x20, 0x01, 0x0d, 0xb8, 0x00, 0x77, 0, 0, 0};

	assert_in_range(distinct_sources(*state, "192.0.2.20", FRAME_ETH_LEN + 8, 16, prefix, 9),
			60, 64);
}

/* ---- Ways out ---------------------------------------------------------------------------- */

static void set_next_hop(struct bed *bed, uint64_t word)
{
	bed->dp->members[bed_member_id(bed, &forward_vips[0], "10.0.1.1")].next_hop = word;
}

static void another_interface_is_reached_by_redirect(void **state)
{
	struct bed *bed = *state;
	struct run run;

	set_next_hop(bed, bed_next_hop(BED_ROW_OTHER));
	bed_send(bed, &tcp4, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	assert_memory_equal(run.out.bytes, bed_gateway_mac(), 6);
	assert_memory_equal(run.out.bytes + 6, bed->dp->out[BED_ROW_OTHER].mac, 6);
}

static void without_a_next_hop_the_packet_is_dropped(void **state)
{
	static const uint64_t hops[] = {
		NEXT_HOP_NONE, 7ULL << NEXT_HOP_ROW_SHIFT | 1, /* a row that is not in use */
		1000ULL << NEXT_HOP_ROW_SHIFT | 1, /* no row at all */
	};

	for (size_t i = 0; i < ARRAY_SIZE(hops); i++) {
		struct run run;

		set_next_hop(*state, hops[i]);
		bed_send(*state, &tcp4, &run);
		assert_int_equal(run.verdict, XDP_DROP);
		assert_int_equal(run.rise.drop_no_next_hop, 1);
	}
}

static void what_fits_the_mtu_leaves_and_one_byte_more_does_not(void **state)
{
	static const struct {
		const char *vip;
		size_t headers; /* outer, inner, TCP */
	} rows[] = {{"192.0.2.10", 20 + 20 + 20}, {"192.0.2.20", 40 + 20 + 20}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		forward_check_fit(*state, rows[i].vip, 1500 - rows[i].headers);
}

static void padding_does_not_count_against_the_mtu(void **state)
{
	struct packet p = {.src = "198.51.100.7",
			   .dst = "192.0.2.10",
			   .sport = 40000,
			   .dport = 80,
			   .padding = 10};
	struct bed *bed = *state;
	struct run run;

	bed->dp->out[BED_ROW_SAME].mtu = 60;
	bed_send(bed, &p, &run);
	assert_int_equal(run.verdict, XDP_TX);
}

static void a_member_counts_packets_bytes_and_new_flows(void **state)
{
	static const struct {
		struct packet packet;
		uint64_t bytes; /* IP header and payload, no padding */
		uint64_t new_flows;
	} rows[] = {
		{{.src = "198.51.100.7",
		  .dst = "192.0.2.10",
		  .sport = 1,
		  .dport = 80,
		  .flags = SEGMENT_SYN},
		 40,
		 1},
		{{.src = "198.51.100.7",
		  .dst = "192.0.2.10",
		  .sport = 1,
		  .dport = 80,
		  .payload = 100},
		 140,
		 0},
		{{.src = "198.51.100.7",
		  .dst = "192.0.2.10",
		  .sport = 1,
		  .dport = 80,
		  .payload = 100,
		  .padding = 9},
		 140,
		 0},
		{{.src = "198.51.100.7",
		  .dst = "192.0.2.10",
		  .sport = 2,
		  .dport = 80,
		  .payload = 5000},
		 5040,
		 1},
		{{.src = "2001:db8:c::7",
		  .dst = "2001:db8:f::20",
		  .sport = 3,
		  .dport = 53,
		  .protocol = 17,
		  .payload = 7},
		 55,
		 1},
		{{.src = "2001:db8:c::7",
		  .dst = "2001:db8:f::20",
		  .sport = 3,
		  .dport = 53,
		  .protocol = 17,
		  .payload = 7},
		 55,
		 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run;

		bed_send(*state, &rows[i].packet, &run);
		assert_int_equal(run.forwarded.packets, 1);
		assert_int_equal(run.forwarded.bytes, rows[i].bytes);
		assert_int_equal(run.forwarded.new_flows, rows[i].new_flows);
	}
}

/* What changes the bed has one of its own; the others share one: loading is slow. */
#define on_bed(test)	  cmocka_unit_test_setup_teardown(test, setup, bed_teardown)
#define on_prefixes(test) cmocka_unit_test_setup_teardown(test, setup_prefixes, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_leaves_in_an_outer_header_and_unchanged),
		cmocka_unit_test(ipv6_flow_label_is_of_the_flow),
		on_prefixes(ipv4_source_prefix_spreads_flows_within_it),
		on_prefixes(ipv4_checksum_holds_for_every_entropy),
		on_prefixes(ipv6_source_prefix_spreads_flows_within_it),
		on_bed(another_interface_is_reached_by_redirect),
		on_bed(without_a_next_hop_the_packet_is_dropped),
		on_bed(what_fits_the_mtu_leaves_and_one_byte_more_does_not),
		on_bed(padding_does_not_count_against_the_mtu),
		cmocka_unit_test(a_member_counts_packets_bytes_and_new_flows),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
