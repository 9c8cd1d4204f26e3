/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which real a flow goes to when reals and rings change under it. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define FLOWS 100u
#define VIP   "192.0.2.10"

#define R1 "10.0.1.1"
#define R2 "10.0.1.2"
#define R3 "10.0.1.3"
#define R4 "2001:db8:1::4"
#define R5 "10.0.1.5"

#define S SEGMENT_SYN
#define A SEGMENT_ACK
#define F SEGMENT_FIN
#define R SEGMENT_RST

static const struct bed_vip usual = {.address = VIP, .port = 80, .reals = {{R1}, {R2}, {R3}, {R4}}};

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, &usual, 1);
	return 0;
}

static struct packet flow_packet(unsigned int flow, uint8_t flags)
{
	return (struct packet){.src = "198.51.100.7",
			       .dst = VIP,
			       .sport = (uint16_t)(10000 + flow),
			       .dport = 80,
			       .flags = flags};
}

static struct ip_addr send_one(struct bed *bed, unsigned int flow, uint8_t flags)
{
	struct packet p = flow_packet(flow, flags);

	return bed_real_of(bed, &p);
}

/* One packet of each flow; where they went is written to ret_reals. */
static void send_all(struct bed *bed, uint8_t flags, struct ip_addr *ret_reals)
{
	for (unsigned int i = 0; i < FLOWS; i++)
		ret_reals[i] = send_one(bed, i, flags);
}

static void establish_all(struct bed *bed, struct ip_addr *ret_reals)
{
	send_all(bed, S, ret_reals);
	send_all(bed, A, ret_reals);
}

static bool is_real(const struct ip_addr *have, const char *text)
{
	struct ip_addr want;

	assert_int_equal(addr_parse(text, &want), 0);
	return addr_equal(have, &want);
}

static unsigned int count_at_real(const struct ip_addr *reals, const char *text)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FLOWS; i++)
		n += is_real(&reals[i], text);
	return n;
}

static unsigned int count_moved(const struct ip_addr *before, const struct ip_addr *after)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FLOWS; i++)
		n += !addr_equal(&before[i], &after[i]);
	return n;
}

/* ---- Changes that must not move an established flow -------------------------------------- */

static const struct change {
	const char *what;
	struct bed_vip after;
	bool moves_new; /* some new flow goes elsewhere than it would have before */
} changes[] = {
	{"nothing", {.reals = {{R1}, {R2}, {R3}, {R4}}}, false},
	{"another order", {.reals = {{R4}, {R2}, {R1}, {R3}}}, false},
	{"other weights",
	 {.reals = {{.address = R1, .weight = 1}, {R2}, {R3}, {.address = R4, .weight = 900}}},
	 true},
	{"a real more", {.reals = {{R1}, {R2}, {R3}, {R4}, {R5}}}, true},
	{"a real less", {.reals = {{R1}, {R2}, {R4}}}, true},
	{"all reals others", {.reals = {{R5}}}, true},
	{"a real drained",
	 {.reals = {{R1}, {.address = R2, .is_drained = true}, {R3}, {R4}}},
	 true},
	{"all but one drained",
	 {.reals = {{.address = R1, .is_drained = true},
		    {.address = R2, .is_drained = true},
		    {.address = R3, .is_drained = true},
		    {R4}}},
	 true},
	{"a larger ring", {.ring = 2003, .reals = {{R1}, {R2}, {R3}, {R4}}}, true},
	{"a smaller ring", {.ring = 251, .reals = {{R1}, {R2}, {R3}, {R4}}}, true},
};

static struct bed_vip changed(const struct change *change)
{
	struct bed_vip vip = change->after;

	vip.address = VIP;
	vip.port = 80;
	return vip;
}

static void an_established_flow_keeps_its_real(void **state)
{
	struct bed *bed = *state;
	struct ip_addr before[FLOWS], after[FLOWS];

	establish_all(bed, before);
	/* One after the other: each also starts from what the last one left. */
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct bed_vip vip = changed(&changes[i]);

		bed_apply_members(bed, &vip, 1);
		send_all(bed, A, after);
		if (count_moved(before, after))
			fail_msg("%s, before the ring", changes[i].what);
		bed_build_rings(bed);
		send_all(bed, A, after);
		if (count_moved(before, after))
			fail_msg("%s, after the ring", changes[i].what);
		/* A SYN, forged perhaps, moves it no more than data does. */
		send_all(bed, S, after);
		if (count_moved(before, after))
			fail_msg("%s, SYN", changes[i].what);
	}
}

/* The table above would prove nothing if the ring had not changed. */
static void new_flows_follow_the_change(void **state)
{
	struct ip_addr before[FLOWS], after[FLOWS];

	send_all(*state, R, before); /* recorded nowhere */
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct bed_vip vip = changed(&changes[i]);

		bed_apply(*state, &vip, 1);
		send_all(*state, R, after);
		if ((count_moved(before, after) > 0) != changes[i].moves_new)
			fail_msg("%s: %u of %u new flows go elsewhere", changes[i].what,
				 count_moved(before, after), FLOWS);
	}
}

static void after_a_ring_switch_every_new_flow_goes_to_a_real_of_the_pool(void **state)
{
	struct bed *bed = *state;

	for (size_t i = 0; i < 3 * ARRAY_SIZE(changes); i++) {
		struct bed_vip vip = changed(&changes[i % ARRAY_SIZE(changes)]);
		unsigned int in_pool = 0;
		struct ip_addr reals[FLOWS];

		bed_apply(bed, &vip, 1);
		send_all(bed, R, reals);
		for (size_t r = 0; vip.reals[r].address; r++) {
			if (!vip.reals[r].is_drained)
				in_pool += count_at_real(reals, vip.reals[r].address);
		}
		assert_int_equal(in_pool, FLOWS);
	}
}

/* ---- SYNs -------------------------------------------------------------------------------- */

static void a_syn_and_its_ack_go_to_one_real_across_a_ring_switch(void **state)
{
	struct bed_vip vip = changed(&changes[3]);
	struct ip_addr before[FLOWS], again[FLOWS], after[FLOWS];

	send_all(*state, S, before);
	bed_apply(*state, &vip, 1);
	send_all(*state, S, again);
	assert_int_equal(count_moved(before, again), 0);
	send_all(*state, A, after);
	assert_int_equal(count_moved(before, after), 0);
}

/* R1 drained or down: what had picked it, and only that, picks anew. */
static void expect_syns_leave_first_real(struct bed *bed, const struct bed_vip *vip)
{
	struct ip_addr before[FLOWS], after[FLOWS];
	unsigned int had;

	send_all(bed, S, before);
	had = count_at_real(before, R1);
	assert_in_range(had, 1, FLOWS - 1);
	bed_apply_members(bed, vip, 1);
	send_all(bed, S, after);
	assert_int_equal(count_moved(before, after), had);
	assert_int_equal(count_at_real(after, R1), 0);
	bed_build_rings(bed);
	send_all(bed, A, before);
	assert_int_equal(count_moved(before, after), 0);
}

static void a_repeated_syn_leaves_a_draining_real(void **state)
{
	struct bed_vip vip = usual;

	vip.reals[0].is_drained = true;
	expect_syns_leave_first_real(*state, &vip);
}

static void a_repeated_syn_leaves_a_real_that_is_down(void **state)
{
	struct bed_vip vip = usual;

	vip.reals[0].is_down = true;
	expect_syns_leave_first_real(*state, &vip);
}

/* All reals are replaced: who keeps the old one has kept its slot, who picks anew has R5. */
static void a_syn_picks_anew_only_where_the_old_connection_is_over(void **state)
{
	static const struct {
		const char *what;
		uint8_t before[4];
		bool is_expired;
		bool picks_anew;
	} rows[] = {
		{"established", {S, A}, false, false},
		{"established, expired", {S, A}, true, true},
		{"closed by FIN", {S, A, F | A}, false, true},
		{"closed by RST", {S, A, R}, false, true},
		{"revived after RST", {S, A, R, A}, false, false},
		{"one ACK", {A}, false, true},
		{"a SYN to a real that drains", {S}, false, true},
	};
	struct bed_vip vip = {.address = VIP, .port = 80, .reals = {{R5}}};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = flow_packet(i, S);

		for (size_t k = 0; k < 4 && rows[i].before[k]; k++)
			send_one(bed, i, rows[i].before[k]);
		if (rows[i].is_expired)
			*bed_slot(bed, &p) |= FLOW_AGE_OLD;
	}
	bed_apply(bed, &vip, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ip_addr real = send_one(bed, i, S);

		if (is_real(&real, R5) != rows[i].picks_anew)
			fail_msg("%s", rows[i].what);
	}
}

static void a_syn_on_a_live_flow_leaves_its_slot_as_it_is(void **state)
{
	struct bed *bed = *state;
	struct packet p = flow_packet(0, S);
	uint64_t word;

	send_one(bed, 0, S);
	send_one(bed, 0, A);
	word = *bed_slot(bed, &p);
	send_one(bed, 0, S);
	assert_int_equal(*bed_slot(bed, &p) >> FLOW_AGE_BITS, word >> FLOW_AGE_BITS);
}

static void a_flow_idle_too_long_on_a_draining_real_picks_anew(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = usual;
	struct ip_addr before[FLOWS], live[FLOWS], idle[FLOWS];

	establish_all(bed, before);
	vip.reals[0].is_drained = true;
	bed_apply(bed, &vip, 1);
	send_all(bed, A, live);
	assert_int_equal(count_moved(before, live), 0);
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct packet p = flow_packet(i, A);

		*bed_slot(bed, &p) |= FLOW_AGE_OLD;
	}
	send_all(bed, A, idle);
	assert_int_equal(count_at_real(idle, R1), 0);
	assert_int_equal(count_moved(before, idle), count_at_real(before, R1));
}

/* ---- Reals that are down ----------------------------------------------------------------- */

static void flows_leave_a_real_that_is_down_at_once_and_for_good(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = usual;
	struct ip_addr before[FLOWS], after[FLOWS], later[FLOWS];

	establish_all(bed, before);
	vip.reals[0].is_down = true;
	bed_apply_members(bed, &vip, 1); /* one store; the ring is as it was */
	send_all(bed, A, after);
	assert_int_equal(count_at_real(after, R1), 0);
	assert_int_equal(count_moved(before, after), count_at_real(before, R1));
	bed_build_rings(bed);
	send_all(bed, A, later);
	assert_int_equal(count_moved(after, later), 0);
	bed_apply(bed, &usual, 1); /* up again */
	send_all(bed, A, later);
	assert_int_equal(count_moved(after, later), 0);
}

static void a_flow_that_moves_is_counted_and_its_slot_rewritten(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = usual;
	struct ip_addr before[FLOWS];
	unsigned int moved = 0;

	establish_all(bed, before);
	vip.reals[1].is_down = true;
	bed_apply_members(bed, &vip, 1);
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct packet p = flow_packet(i, A);
		bool had = is_real(&before[i], R2);
		struct ip_addr real;
		struct run run;

		bed_send(bed, &p, &run);
		real = run_real(&run);
		assert_int_equal(run.rise.flow_moved, had);
		assert_memory_equal(&bed->dp->members[SLOT_WORD_MEMBER(*bed_slot(bed, &p))].real,
				    &real, sizeof(real));
		moved += had;
		bed_send(bed, &p, &run);
		assert_int_equal(run.rise.flow_moved, 0);
		assert_int_equal(bed_state(bed, &p), FLOW_TCP);
	}
	assert_in_range(moved, 1, FLOWS - 1);
}

static void until_the_ring_follows_new_flows_find_a_real_though_most_drain(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = {
		.address = VIP, .port = 80, .reals = {{R1, .weight = 1000}, {R2, .weight = 1}}};
	struct ip_addr reals[FLOWS];

	bed_apply(bed, &vip, 1);
	vip.reals[0].is_drained = true;
	bed_apply_members(bed, &vip, 1); /* the ring is as it was */
	send_all(bed, S, reals); /* fails if one is dropped */
	bed_build_rings(bed);
	for (unsigned int i = 0; i < FLOWS; i++)
		reals[i] = send_one(bed, FLOWS + i, S);
	assert_int_equal(count_at_real(reals, R2), FLOWS);
}

static void with_all_reals_down_packets_are_dropped(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = usual;
	struct ip_addr before[FLOWS];

	establish_all(bed, before);
	for (size_t i = 0; i < 4; i++)
		vip.reals[i].is_down = true;
	for (int has_rings = 0; has_rings < 2; has_rings++) {
		bed_apply_members(bed, &vip, 1);
		if (has_rings)
			bed_build_rings(bed);
		for (unsigned int i = 0; i < 2 * FLOWS; i++) {
			struct packet p = flow_packet(i, i % 3 ? A : S);
			struct run run;

			bed_send(bed, &p, &run);
			assert_string_equal(run_counter(&run), "drop_no_real");
		}
	}
}

static void the_flows_of_a_down_real_spread_over_the_others(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = usual;
	struct ip_addr before[FLOWS], after[FLOWS];
	unsigned int had;

	vip.ring = 251;
	bed_apply(bed, &vip, 1);
	send_all(bed, R, before);
	had = count_at_real(before, R3);
	vip.reals[2].is_down = true;
	bed_apply_members(bed, &vip, 1);
	send_all(bed, R, after);
	assert_in_range(had, 10, 40);
	assert_in_range(count_at_real(after, R1) - count_at_real(before, R1), 1, had - 2);
	assert_in_range(count_at_real(after, R2) - count_at_real(before, R2), 1, had - 2);
	assert_in_range(count_at_real(after, R4) - count_at_real(before, R4), 1, had - 2);
}

/* ---- Two balancers ----------------------------------------------------------------------- */

/* Picks and, R1 being down before the ring knows it, second picks, of a balancer of its own. */
static void picks_of(void **state, uint64_t key_seed, const struct bed_vip *vip, size_t down,
		     struct ip_addr *ret_picks, struct ip_addr *ret_second)
{
	struct bed *bed = bed_new(&(struct bed_options){.key_seed = key_seed});
	struct bed_vip without = *vip;

	*state = bed;
	bed_apply(bed, vip, 1);
	send_all(bed, R, ret_picks);
	without.reals[down].is_down = true;
	bed_apply_members(bed, &without, 1);
	send_all(bed, R, ret_second);
	bed_teardown(state);
}

static void balancers_with_one_key_pick_equally_in_any_order_of_reals(void **state)
{
	static const struct bed_vip reversed = {
		.address = VIP, .port = 80, .reals = {{R4}, {R3}, {R2}, {R1}}};
	struct ip_addr one[2][FLOWS], other[2][FLOWS];

	picks_of(state, 1, &usual, 0, one[0], one[1]);
	picks_of(state, 1, &reversed, 3, other[0], other[1]);
	assert_int_equal(count_moved(one[0], other[0]), 0);
	assert_int_equal(count_moved(one[1], other[1]), 0);
	assert_int_equal(count_at_real(one[1], R1), 0);
	assert_in_range(count_moved(one[0], one[1]), 1, FLOWS - 1);
}

static void balancers_with_other_keys_pick_otherwise(void **state)
{
	struct ip_addr one[2][FLOWS], other[2][FLOWS];

	picks_of(state, 1, &usual, 0, one[0], one[1]);
	picks_of(state, 2, &usual, 0, other[0], other[1]);
	assert_in_range(count_moved(one[0], other[0]), FLOWS / 2, FLOWS);
	assert_in_range(count_moved(one[1], other[1]), FLOWS / 2, FLOWS);
}

#define on_bed(test)  cmocka_unit_test_setup_teardown(test, setup, bed_teardown)
#define own_bed(test) cmocka_unit_test_setup_teardown(test, NULL, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bed(an_established_flow_keeps_its_real),
		on_bed(new_flows_follow_the_change),
		on_bed(after_a_ring_switch_every_new_flow_goes_to_a_real_of_the_pool),
		on_bed(a_syn_and_its_ack_go_to_one_real_across_a_ring_switch),
		on_bed(a_repeated_syn_leaves_a_draining_real),
		on_bed(a_repeated_syn_leaves_a_real_that_is_down),
		on_bed(a_syn_picks_anew_only_where_the_old_connection_is_over),
		on_bed(a_syn_on_a_live_flow_leaves_its_slot_as_it_is),
		on_bed(a_flow_idle_too_long_on_a_draining_real_picks_anew),
		on_bed(flows_leave_a_real_that_is_down_at_once_and_for_good),
		on_bed(a_flow_that_moves_is_counted_and_its_slot_rewritten),
		on_bed(until_the_ring_follows_new_flows_find_a_real_though_most_drain),
		on_bed(with_all_reals_down_packets_are_dropped),
		on_bed(the_flows_of_a_down_real_spread_over_the_others),
		own_bed(balancers_with_one_key_pick_equally_in_any_order_of_reals),
		own_bed(balancers_with_other_keys_pick_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
