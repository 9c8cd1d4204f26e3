/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What holds for every scheduler: reals that are down or drain, repeated SYNs, flows that the table
 * does not know, changes of the scheduler. Whom they give how much: test_sched_shares.c.
 */
#include "sched_bed.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/sizing.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define S SEGMENT_SYN
#define A SEGMENT_ACK
#define R SEGMENT_RST

#define FLOWS 200u

static void expect_none(const uint32_t *counts, size_t real, const char *name, const char *when)
{
	if (counts[real])
		fail_msg("%s, %s: %u flows for a real that takes none", name, when, counts[real]);
}

/* ---- Reals that take no new flows ---------------------------------------------------------- */

static void check_avoids(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	/* Many: a second pick may come upon reals that take none nine times in a row. */
	struct bed_vip vip = sched_vip(scheduler, 12, NULL);
	uint32_t counts[12] = {};

	bed_apply(bed, &vip, 1);
	sched_start_flows(bed, 0, FLOWS, counts);
	for (int i = 0; i < 12; i++) {
		if (!counts[i])
			fail_msg("%s: real %d gets nothing while it is up", name, i);
	}
	memset(counts, 0, sizeof(counts));
	vip.reals[1].is_down = true;
	vip.reals[2].is_drained = true;
	bed_apply_members(bed, &vip, 1); /* rings and turns are as they were */
	sched_start_flows(bed, FLOWS, FLOWS, counts);
	expect_none(counts, 1, name, "down, before the ring");
	expect_none(counts, 2, name, "drained, before the ring");
	bed_build_rings(bed);
	sched_start_flows(bed, 2 * FLOWS, FLOWS, counts);
	expect_none(counts, 1, name, "down, after the ring");
	expect_none(counts, 2, name, "drained, after the ring");
	if (!counts[0] || !counts[3])
		fail_msg("%s: who is up gets nothing", name);
}

static void reals_that_are_down_or_drain_get_no_new_flow(void **state)
{
	sched_for_each(check_avoids);
}

static void check_all_down(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 3, NULL);
	struct packet p = sched_packet(1, S);
	struct run run;

	bed_apply(bed, &vip, 1);
	for (int i = 0; i < 3; i++)
		vip.reals[i].is_down = true;
	bed_apply_members(bed, &vip, 1);
	for (int has_ring = 0; has_ring < 2; has_ring++) {
		bed_send(bed, &p, &run);
		if (strcmp(run_counter(&run), "drop_no_real") != 0)
			fail_msg("%s: %s", name, run_counter(&run));
		bed_build_rings(bed);
	}
}

static void with_all_reals_down_a_flow_is_dropped_and_counted(void **state)
{
	sched_for_each(check_all_down);
}

/* ---- The table remembers ------------------------------------------------------------------- */

static void check_repeated_syn(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 4, NULL);
	size_t real[FLOWS];

	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++)
		real[i] = sched_send(bed, i, S);
	for (int again = 0; again < 4; again++) {
		sched_pin(again % 2);
		for (uint32_t i = 0; i < FLOWS; i++) {
			if (sched_send(bed, i, again == 3 ? A : S) != real[i])
				fail_msg("%s: flow %u leaves its real", name, i);
		}
	}
	sched_unpin();
}

static void a_repeated_syn_keeps_its_pick_on_any_cpu(void **state)
{
	sched_for_each(check_repeated_syn);
}

static void check_syn_leaves(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 4, NULL);
	size_t real[FLOWS];

	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++)
		real[i] = sched_send(bed, i, S);
	vip.reals[0].is_down = true;
	bed_apply_members(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		size_t now = sched_send(bed, i, S);

		if ((now == real[i]) != (real[i] != 0))
			fail_msg("%s: flow %u of real %zu is at %zu", name, i, real[i], now);
		if (sched_send(bed, i, A) != now)
			fail_msg("%s: flow %u's ACK goes elsewhere", name, i);
	}
}

static void a_repeated_syn_leaves_only_a_real_that_went_down(void **state)
{
	sched_for_each(check_syn_leaves);
}

/* ---- What the table does not know ---------------------------------------------------------- */

/* The real that Maglev gives to a packet that is recorded nowhere. */
static void picks_of_the_ring(struct bed *bed, size_t *ret_reals)
{
	struct bed_vip vip = sched_vip(SCHEDULER_MAGLEV, 4, NULL);

	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++)
		ret_reals[i] = sched_send(bed, i, R);
}

static void check_unknown_segment(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 4, NULL);
	size_t ring[FLOWS];

	if (scheduler == SCHEDULER_SOURCE)
		return; /* has a pick for every packet: see test_sched_source.c */
	picks_of_the_ring(bed, ring);
	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		if (sched_send(bed, i, R) != ring[i] || sched_send(bed, i, A) != ring[i])
			fail_msg("%s: a segment of unknown flow %u is not where the ring says",
				 name, i);
	}
}

static void a_segment_of_a_connection_that_nobody_recorded_goes_by_the_ring(void **state)
{
	sched_for_each(check_unknown_segment);
}

/* Every slot of both buckets holds a flow that is established and alive. */
static void fill_table(struct bed *bed, const struct bed_vip *vip)
{
	uint32_t member = bed_member_id(bed, vip, vip->reals[0].address);

	for (uint32_t i = 0; i < 2 * FLOW_SLOTS; i++)
		bed->dp->flows[i / FLOW_SLOTS].slot[i % FLOW_SLOTS] =
			bed_slot_word(bed, 0x70000000u + i, member, FLOW_TCP, 0);
}

/* SYN, repeated SYN, ACK, data: one real, whatever the scheduler would say by itself. */
static void flows_that_cannot_be_recorded_do_not_bounce(void **state)
{
	static const uint8_t flags[] = {S, S, A, A};

	for (size_t k = 0; k < SCHEDULERS; k++) {
		struct bed *bed = bed_new(&(struct bed_options){
			.flows = 2 * SIZING_FLOWS_PER_BUCKET, .schedulers = (uint16_t)~0u});
		struct bed_vip vip = sched_vip(sched_all[k].scheduler, 4, NULL);
		size_t ring[FLOWS];

		picks_of_the_ring(bed, ring);
		bed_apply(bed, &vip, 1);
		fill_table(bed, &vip);
		for (uint32_t i = 0; i < 2 * FLOWS; i++) {
			size_t real = ring[i / 2];

			if (sched_all[k].scheduler == SCHEDULER_SOURCE)
				real = sched_send(bed, i / 2, R);
			for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
				if (sched_send(bed, i / 2, flags[f]) != real)
					fail_msg("%s: flow %u bounces", sched_all[k].name, i / 2);
			}
		}
		bed_remove(bed);
	}
}

/*
 * SYNs over the rate are recorded nowhere, so they go by the ring; but one that repeats a SYN that
 * was recorded keeps its pick, and the ACK of either goes where the SYN went.
 */
static void check_flood(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed *flooded = bed_new(&(struct bed_options){.flows = 20000,
							    .schedulers = (uint16_t)~0u,
							    .syn_window_shift = 31,
							    .syn_window_limit = FLOWS});
	struct bed_vip vip = sched_vip(scheduler, 4, NULL);
	size_t real[2 * FLOWS];

	bed_apply(flooded, &vip, 1);
	sched_pin(0);
	for (uint32_t i = 0; i < 2 * FLOWS; i++)
		real[i] = sched_send(flooded, i, S);
	for (int again = 0; again < 3; again++) {
		for (uint32_t i = 0; i < 2 * FLOWS; i++) {
			if (sched_send(flooded, i, again < 2 ? S : A) != real[i])
				fail_msg("%s: flow %u leaves its real in a flood", name, i);
		}
	}
	sched_unpin();
	bed_remove(flooded);
}

static void in_a_flood_of_syns_no_connection_is_torn(void **state)
{
	sched_for_each(check_flood);
}

/* ---- Changes ------------------------------------------------------------------------------- */

static void a_change_of_scheduler_moves_no_flow(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = sched_vip(SCHEDULER_RANDOM, 6, NULL);
	size_t real[FLOWS];

	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		real[i] = sched_send(bed, i, S);
		sched_send(bed, i, A);
	}
	for (size_t k = 0; k < 2 * SCHEDULERS; k++) {
		enum xdplb_scheduler scheduler = sched_all[k * 5 % SCHEDULERS].scheduler;

		vip = sched_vip(scheduler, 6, NULL);
		bed_apply_members(bed, &vip, 1);
		for (int has_ring = 0; has_ring < 2; has_ring++) {
			for (uint32_t i = 0; i < FLOWS; i++)
				assert_int_equal(sched_send(bed, i, A), real[i]);
			bed_build_rings(bed);
		}
	}
}

/* Or the test above would prove nothing: a new flow goes by the new scheduler at once. */
static void a_change_of_scheduler_is_in_force_for_new_flows(void **state)
{
	struct bed_vip vip = sched_vip(SCHEDULER_MAGLEV, 4, NULL);
	uint32_t counts[4] = {};

	bed_apply(*state, &vip, 1);
	sched_start_flows(*state, 0, 40, counts);
	vip = sched_vip(SCHEDULER_RR, 4, NULL);
	bed_apply(*state, &vip, 1);
	memset(counts, 0, sizeof(counts));
	sched_pin(0);
	sched_start_flows(*state, 1000, 40, counts);
	sched_unpin();
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i], 10);
}

static void vips_have_their_own_schedulers(void **state)
{
	struct bed_vip vips[] = {
		sched_vip(SCHEDULER_RR, 4, NULL),
		sched_vip(SCHEDULER_MAGLEV, 4, NULL),
	};
	struct packet p;
	uint32_t counts[4] = {};
	size_t by_ring = 0;

	vips[1].address = "192.0.2.11";
	bed_apply(*state, vips, 2);
	sched_pin(0);
	for (uint32_t i = 0; i < 8; i++) {
		sched_start_flows(*state, 100 + i, 1, counts);
		p = sched_packet(7, R); /* recorded nowhere */
		p.dst = vips[1].address;
		by_ring = i ? by_ring : sched_real_of(*state, &p);
		assert_int_equal(sched_real_of(*state, &p), by_ring);
	}
	sched_unpin();
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i], 2);
}

/* A datagram starts a flow, and the next one follows it. */
static void check_udp(struct bed *bed, enum xdplb_scheduler scheduler, const char *name)
{
	struct bed_vip vip = sched_vip(scheduler, 4, NULL);
	uint32_t counts[4] = {};

	vip.protocol = IPPROTO_UDP;
	bed_apply(bed, &vip, 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct packet p = sched_packet(i, 0);
		size_t real;

		p.protocol = IPPROTO_UDP;
		real = sched_real_of(bed, &p);
		counts[real]++;
		for (int again = 0; again < 3; again++) {
			if (sched_real_of(bed, &p) != real)
				fail_msg("%s: a datagram leaves its flow", name);
		}
	}
	for (int i = 0; i < 4; i++) {
		if (!counts[i])
			fail_msg("%s: real %d gets nothing", name, i);
	}
}

static void datagrams_of_a_flow_go_to_one_real(void **state)
{
	sched_for_each(check_udp);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, sched_bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reals_that_are_down_or_drain_get_no_new_flow),
		cmocka_unit_test(with_all_reals_down_a_flow_is_dropped_and_counted),
		cmocka_unit_test(a_repeated_syn_keeps_its_pick_on_any_cpu),
		cmocka_unit_test(a_repeated_syn_leaves_only_a_real_that_went_down),
		cmocka_unit_test(a_segment_of_a_connection_that_nobody_recorded_goes_by_the_ring),
		cmocka_unit_test(flows_that_cannot_be_recorded_do_not_bounce),
		cmocka_unit_test(in_a_flood_of_syns_no_connection_is_torn),
		BED_TEST(a_change_of_scheduler_moves_no_flow),
		BED_TEST(a_change_of_scheduler_is_in_force_for_new_flows),
		BED_TEST(vips_have_their_own_schedulers),
		cmocka_unit_test(datagrams_of_a_flow_go_to_one_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
