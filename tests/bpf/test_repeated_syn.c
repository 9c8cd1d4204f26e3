/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Repeated SYNs, counted at the member that has not answered the first. */
#include "harness.h"

#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP "192.0.2.10"
#define S   SEGMENT_SYN
#define A   SEGMENT_ACK
#define F   SEGMENT_FIN
#define R   SEGMENT_RST

static const struct bed_vip usual[] = {
	{.address = VIP, .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	{.address = VIP, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, usual, ARRAY_SIZE(usual));
	return 0;
}

static const struct {
	const char *what;
	uint8_t flags[5];
	uint64_t repeated;
} rows[] = {
	{"one SYN", {S}, 0},
	{"two", {S, S}, 1},
	{"three", {S, S, S}, 2},
	{"answered", {S, A, A}, 0},
	{"answered, then a SYN, forged perhaps", {S, A, S, S}, 0},
	{"repeated, then answered", {S, S, A, A}, 1},
	{"the ports used again after a RST", {S, A, R, S, A}, 0},
	{"the ports used again after a FIN", {S, A, F | A, S, A}, 0},
	{"a SYN on an unknown connection", {A, S, A}, 0},
	{"a simultaneous SYN and ACK", {S, S | A}, 0},
};

static void a_syn_on_a_flow_that_has_only_seen_one_is_a_repetition(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t repeated = 0, new_flows = 0;

		for (size_t k = 0; k < 5 && rows[i].flags[k]; k++) {
			struct packet p = {.src = "198.51.100.7",
					   .dst = VIP,
					   .sport = (uint16_t)(1000 + i),
					   .dport = 80,
					   .flags = rows[i].flags[k]};
			struct run run;

			bed_send(*state, &p, &run);
			repeated += run.forwarded.repeated_syns;
			new_flows += run.forwarded.new_flows;
		}
		if (repeated != rows[i].repeated)
			fail_msg("%s: %llu", rows[i].what, (unsigned long long)repeated);
		assert_in_range(new_flows, 1, 2);
	}
}

static void a_datagram_is_no_syn(void **state)
{
	struct packet p = {.src = "198.51.100.7",
			   .dst = VIP,
			   .protocol = IPPROTO_UDP,
			   .sport = 1000,
			   .dport = 53};

	for (int i = 0; i < 4; i++) {
		struct run run;

		bed_send(*state, &p, &run);
		assert_int_equal(run.forwarded.repeated_syns, 0);
	}
}

/* It picks anew: the other real has nothing to answer for. */
static void a_syn_that_leaves_its_real_counts_at_none(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vips[ARRAY_SIZE(usual)] = {usual[0], usual[1]};

	for (int is_down = 0; is_down < 2; is_down++) {
		vips[0].reals[0].is_down = is_down;
		vips[0].reals[0].is_drained = !is_down;
		vips[0].reals[1] = vips[0].reals[0];
		vips[0].reals[1].address = "10.0.1.2";
		for (uint16_t i = 0; i < 20; i++) {
			struct packet p = {.src = "198.51.100.8",
					   .dst = VIP,
					   .sport = (uint16_t)(2000 + i),
					   .dport = 80,
					   .flags = S};
			struct run run;

			bed_apply(bed, usual, ARRAY_SIZE(usual));
			bed_send(bed, &p, &run);
			bed_apply(bed, vips, ARRAY_SIZE(usual));
			bed_send(bed, &p, &run);
			assert_int_equal(run.forwarded.repeated_syns, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_syn_on_a_flow_that_has_only_seen_one_is_a_repetition),
		cmocka_unit_test(a_datagram_is_no_syn),
		cmocka_unit_test(a_syn_that_leaves_its_real_counts_at_none),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
