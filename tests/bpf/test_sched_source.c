/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scheduler source: what of a flow decides. */
#include "sched_bed.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define R SEGMENT_RST

#define SOURCES 100u

/* ---- What decides -------------------------------------------------------------------------- */

/* What differs between two packets, and the fewest parts of a tuple (or bits) that see it. */
static const struct {
	const char *what;
	const char *src4, *src6, *dst4, *dst6;
	uint16_t sport, dport;
	uint8_t protocol;
	uint8_t seen_by_tuple; /* with the whole source address */
	uint8_t seen_by_prefix4, seen_by_prefix6; /* the source differs; bits that see it */
} differences[] = {
	{"source port", .sport = 6000, .seen_by_tuple = 5},
	{"port", .dport = 81, .seen_by_tuple = 5},
	{"protocol", .protocol = IPPROTO_UDP, .seen_by_tuple = 3},
	{"destination", .dst4 = "192.0.2.11", .dst6 = "2001:db8:f::11", .seen_by_tuple = 2},
	{"host", ".8", "::8", .seen_by_tuple = 1, .seen_by_prefix4 = 29, .seen_by_prefix6 = 125},
	{"upper half of hosts", ".135", ":8000::7", .seen_by_tuple = 1, .seen_by_prefix4 = 25,
	 .seen_by_prefix6 = 65},
};

/* One real, whatever the address, port and protocol: a prefix, a range, and so for both protocols.
 */
static void wide_vips(uint8_t tuple, uint8_t prefix4, uint8_t prefix6, struct bed_vip *ret_vips)
{
	for (int i = 0; i < 4; i++) {
		ret_vips[i] = sched_source_vip(tuple, prefix4, prefix6);
		ret_vips[i].address = i < 2 ? "192.0.2.0" : "2001:db8:f::";
		ret_vips[i].host_bits = i < 2 ? 8 : 64;
		ret_vips[i].port = 80;
		ret_vips[i].port_last = 90;
		ret_vips[i].protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;
	}
}

/* How many of SOURCES get another real when their packet differs in this way. */
static unsigned int count_seen(struct bed *bed, size_t difference, bool is_v6)
{
	const char *tail = is_v6 ? differences[difference].src6 : differences[difference].src4;
	const char *dst = is_v6 ? differences[difference].dst6 : differences[difference].dst4;
	static uint16_t datagram_port = 10000;
	unsigned int seen = 0;

	for (unsigned int host = 0; host < SOURCES; host++) {
		struct packet p = sched_packet_from(host, is_v6),
			      q = sched_packet_from(host, is_v6);
		char src[48];

		if (tail) {
			snprintf(src, sizeof(src), is_v6 ? "2001:db8:0:%x%s" : "10.0.%u%s", host,
				 tail);
			q.src = src;
		}
		q.dst = dst ? dst : q.dst;
		q.sport = differences[difference].sport ? differences[difference].sport : q.sport;
		q.dport = differences[difference].dport ? differences[difference].dport : q.dport;
		q.protocol = differences[difference].protocol;
		q.flags = q.protocol ? 0 : R;
		if (q.protocol)
			q.sport = datagram_port++; /* or the table would know it */
		seen += sched_real_of(bed, &p) != sched_real_of(bed, &q);
	}
	return seen;
}

static void check_difference(struct bed *bed, size_t i, bool is_v6, bool is_to_be_seen)
{
	unsigned int seen = count_seen(bed, i, is_v6);

	/* One in eight is at the same real by chance. */
	if (is_to_be_seen ? seen < SOURCES / 2 : seen)
		fail_msg("another %s, IPv%d: %u of %u sources go elsewhere", differences[i].what,
			 is_v6 ? 6 : 4, seen, SOURCES);
}

static void a_flow_goes_by_the_parts_that_are_said_and_no_others(void **state)
{
	static const uint8_t tuples[] = {1, 2, 3, 5};
	struct bed_vip vips[4];

	for (size_t t = 0; t < ARRAY_SIZE(tuples); t++) {
		wide_vips(tuples[t], 32, 128, vips);
		bed_apply(*state, vips, 4);
		for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
			bool seen = tuples[t] >= differences[i].seen_by_tuple;

			check_difference(*state, i, false, seen);
			check_difference(*state, i, true, seen);
		}
	}
}

static void of_the_source_address_only_the_prefix_counts(void **state)
{
	static const struct {
		uint8_t prefix4, prefix6;
	} rows[] = {{32, 128}, {29, 125}, {28, 124}, {25, 65}, {24, 64}, {1, 1}};
	struct bed_vip vips[4];

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		wide_vips(1, rows[r].prefix4, rows[r].prefix6, vips);
		bed_apply(*state, vips, 4);
		for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
			if (!differences[i].seen_by_prefix4)
				continue;
			check_difference(*state, i, false,
					 rows[r].prefix4 >= differences[i].seen_by_prefix4);
			check_difference(*state, i, true,
					 rows[r].prefix6 >= differences[i].seen_by_prefix6);
		}
	}
}

/* Or 10.0.0.0/8 would be one real. */
static void sources_of_different_prefixes_are_spread(void **state)
{
	struct bed_vip vip = sched_source_vip(1, 24, 128);
	uint32_t counts[SCHED_REALS] = {};

	bed_apply(*state, &vip, 1);
	for (unsigned int host = 0; host < 256; host++) {
		struct packet p = sched_packet_from(host, false);

		counts[sched_real_of(*state, &p)]++;
	}
	assert_true(sched_chi_deviations(counts, NULL, SCHED_REALS) < 4);
}

static void balancers_with_one_key_agree(void **state)
{
	struct bed_options options = {.key_seed = 7, .schedulers = 1u << SCHEDULER_SOURCE};
	struct bed_vip vip = sched_source_vip(1, 24, 56);
	size_t real[3][SOURCES];
	unsigned int differ = 0;

	for (int i = 0; i < 3; i++) {
		struct bed *bed;

		options.key_seed = i < 2 ? 7 : 8;
		bed = bed_new(&options);
		bed_apply(bed, &vip, 1);
		for (unsigned int host = 0; host < SOURCES; host++) {
			struct packet p = sched_packet_from(host, false);

			real[i][host] = sched_real_of(bed, &p);
		}
		bed_remove(bed);
	}
	assert_memory_equal(real[0], real[1], sizeof(real[0]));
	for (unsigned int host = 0; host < SOURCES; host++)
		differ += real[0][host] != real[2][host];
	assert_true(differ > SOURCES / 2); /* as it must be where chance decides */
}

/* What clients see of a path: too big, from a router on the way, about a flow nobody recorded. */
static void an_icmp_error_follows_the_source(void **state)
{
	struct bed_vip vip = sched_source_vip(1, 24, 128);

	bed_apply(*state, &vip, 1);
	for (unsigned int host = 0; host < SOURCES; host++) {
		struct packet p = sched_packet_from(host, false);
		struct packet reply = {.src = p.dst, .dst = p.src, .sport = 80, .dport = p.sport};
		size_t real = sched_real_of(*state, &p);
		struct frame quoted, error;
		struct ip_addr got;
		struct run run;

		frame_build(&reply, &quoted);
		frame_build_icmp(&(struct icmp_message){.src = "203.0.113.1",
							.dst = SCHED_VIP,
							.type = 3,
							.code = 4,
							.quoted = &quoted,
							.quote_len = 28},
				 &error);
		bed_run(*state, &error, &run);
		got = run_real(&run);
		assert_int_equal(got.b[15] - 1, real);
	}
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, sched_bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(a_flow_goes_by_the_parts_that_are_said_and_no_others),
		BED_TEST(of_the_source_address_only_the_prefix_counts),
		BED_TEST(sources_of_different_prefixes_are_spread),
		cmocka_unit_test(balancers_with_one_key_agree),
		BED_TEST(an_icmp_error_follows_the_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
