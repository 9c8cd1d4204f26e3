/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a flow's slot says after each packet. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_STEPS 6

static const struct bed_vip vips[] = {
	{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	{.address = "192.0.2.10",
	 .port = 80,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	{.address = "2001:db8:f::10", .port = 80, .reals = {{"10.0.1.1"}, {"2001:db8:1::2"}}},
};

#define S SEGMENT_SYN
#define A SEGMENT_ACK
#define F SEGMENT_FIN
#define R SEGMENT_RST

/* One packet and what the flow's slot then says. */
struct step {
	uint8_t flags; /* 0 ends a row */
	size_t payload;
	enum flow_state after;
};

static const struct {
	const char *what;
	struct step steps[MAX_STEPS];
} connections[] = {
	{"a SYN is recorded, unproven", {{S, 0, FLOW_SYN}}},
	{"a repeated SYN stays unproven", {{S, 0, FLOW_SYN}, {S, 0, FLOW_SYN}}},
	{"the ACK proves it", {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}}},
	{"data proves it", {{S, 0, FLOW_SYN}, {A, 9, FLOW_TCP}}},
	{"fast open", {{S, 9, FLOW_SYN}, {A, 9, FLOW_TCP}}},
	{"an ACK of an unknown flow is unproven", {{A, 0, FLOW_ACK}}},
	{"data of an unknown flow is unproven", {{A, 9, FLOW_ACK}}},
	{"its second segment proves it", {{A, 9, FLOW_ACK}, {A, 0, FLOW_TCP}}},
	{"a SYN restarts what one ACK began", {{A, 0, FLOW_ACK}, {S, 0, FLOW_SYN}}},
	{"a FIN of an unknown flow is not recorded", {{F | A, 0, FLOW_NONE}}},
	{"a RST of an unknown flow is not recorded", {{R, 0, FLOW_NONE}}},
	{"a RST and ACK of an unknown flow neither", {{R | A, 0, FLOW_NONE}}},
	{"a RST proves nothing", {{S, 0, FLOW_SYN}, {R, 0, FLOW_SYN}}},
	{"a RST proves no ACK", {{A, 0, FLOW_ACK}, {R, 0, FLOW_ACK}}},
	{"a SYN with FIN is no SYN", {{S | F, 0, FLOW_NONE}}},
	{"a SYN on a live flow changes nothing",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {S, 0, FLOW_TCP}, {A, 0, FLOW_TCP}}},
	{"FIN closes", {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {F | A, 0, FLOW_FIN}}},
	{"a pure ACK after FIN stays closing",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {F | A, 0, FLOW_FIN}, {A, 0, FLOW_FIN}}},
	{"data after FIN revives",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {F | A, 0, FLOW_FIN}, {A, 1, FLOW_TCP}}},
	{"a SYN after FIN starts anew",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {F | A, 0, FLOW_FIN}, {S, 0, FLOW_SYN}}},
	{"RST closes", {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {R, 0, FLOW_RST}}},
	{"a second RST stays closing",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {R, 0, FLOW_RST}, {R, 0, FLOW_RST}}},
	{"data after RST revives",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {R, 0, FLOW_RST}, {A, 9, FLOW_TCP}}},
	{"a pure ACK after RST revives",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {R, 0, FLOW_RST}, {A, 0, FLOW_TCP}}},
	{"a SYN after RST starts anew",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {R, 0, FLOW_RST}, {S, 0, FLOW_SYN}}},
	{"RST after FIN",
	 {{S, 0, FLOW_SYN}, {A, 0, FLOW_TCP}, {F | A, 0, FLOW_FIN}, {R, 0, FLOW_RST}}},
};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static void run_connection(struct bed *bed, const char *what, const struct step *steps,
			   struct packet *p)
{
	for (size_t i = 0; i < MAX_STEPS && steps[i].flags; i++) {
		p->flags = steps[i].flags;
		p->payload = steps[i].payload;
		bed_real_of(bed, p);
		if (bed_state(bed, p) != steps[i].after)
			fail_msg("%s: state %d after packet %zu, not %d", what, bed_state(bed, p),
				 i + 1, steps[i].after);
	}
}

static void tcp_packets_lead_to_states(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(connections); i++) {
		struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10"};

		if (i % 2) {
			p.src = "2001:db8:c::7";
			p.dst = "2001:db8:f::10";
		}
		p.sport = (uint16_t)(5000 + i);
		p.dport = 80;
		run_connection(*state, connections[i / 2].what, connections[i / 2].steps, &p);
	}
}

static void the_second_datagram_proves_a_flow(void **state)
{
	static const enum flow_state after[] = {FLOW_UDP_FIRST, FLOW_UDP, FLOW_UDP};
	struct packet p = {.src = "198.51.100.7",
			   .dst = "192.0.2.10",
			   .sport = 7,
			   .dport = 80,
			   .protocol = IPPROTO_UDP};

	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		bed_real_of(*state, &p);
		assert_int_equal(bed_state(*state, &p), after[i]);
	}
}

static void only_a_newcomer_counts_as_a_new_flow(void **state)
{
	static const struct {
		uint8_t flags;
		uint64_t new_flows;
		uint64_t inserted;
	} rows[] = {{R, 0, 0}, {S, 1, 1},     {S, 0, 0}, {A, 0, 0},
		    {S, 0, 0}, {F | A, 0, 0}, {S, 1, 1}};
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 8, .dport = 80};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run;

		p.flags = rows[i].flags;
		bed_send(*state, &p, &run);
		assert_int_equal(run.forwarded.new_flows, rows[i].new_flows);
		assert_int_equal(run.rise.flow_inserted, rows[i].inserted);
		assert_int_equal(run.rise.flow_evicted_unproven, 0);
		assert_int_equal(run.rise.flow_lost_race, 0);
	}
}

/* A line that is written for every packet would bounce between CPUs. */
static void a_packet_within_the_same_tick_leaves_the_slot_as_it_is(void **state)
{
	struct bed *bed = *state;
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 9, .dport = 80};

	bed_real_of(bed, &p);
	/* A tick may begin in between, but not every time. */
	for (int i = 0; i < 3; i++) {
		uint64_t word;

		bed_real_of(bed, &p);
		word = *bed_slot(bed, &p);
		bed_real_of(bed, &p);
		if (*bed_slot(bed, &p) == word)
			return;
	}
	fail_msg("every packet writes the slot");
}

static void a_packet_makes_its_slot_young_again(void **state)
{
	static const enum flow_state states[] = {FLOW_TCP, FLOW_FIN};
	struct bed *bed = *state;
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 10, .dport = 80};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		uint64_t *slot, young;

		bed_real_of(bed, &p);
		slot = bed_slot(bed, &p);
		*slot = bed_slot_word(bed, *slot >> FLOW_TAG_SHIFT, SLOT_WORD_MEMBER(*slot),
				      states[i], 10);
		bed_real_of(bed, &p);
		young = bed_slot_word(bed, *slot >> FLOW_TAG_SHIFT, SLOT_WORD_MEMBER(*slot),
				      states[i], 0);
		assert_int_equal(SLOT_WORD_STATE(*slot), states[i]);
		assert_in_range((young - *slot) & FLOW_AGE_MASK, 0, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_packets_lead_to_states),
		cmocka_unit_test(the_second_datagram_proves_a_flow),
		cmocka_unit_test(only_a_newcomer_counts_as_a_new_flow),
		cmocka_unit_test(a_packet_within_the_same_tick_leaves_the_slot_as_it_is),
		cmocka_unit_test(a_packet_makes_its_slot_young_again),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
