/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SYNs over the rate: by the ring, neither looked up nor recorded. */
#include "harness.h"

#include <sched.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define LIMIT	     3
#define NEVER_OVER   40 /* a window of 2^40 jiffies has no end */
#define WINDOW_SHIFT 5

static const struct bed_vip vips[] = {
	{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = "192.0.2.10",
	 .port = 80,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
};

/* Windows are counted by CPU. */
static struct bed *new_bed_with(uint32_t shift, uint32_t limit, uint16_t schedulers)
{
	struct bed_options options = {
		.syn_window_shift = shift, .syn_window_limit = limit, .schedulers = schedulers};
	struct bed *bed;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	assert_int_equal(sched_setaffinity(0, sizeof(cpu), &cpu), 0);
	bed = bed_new(&options);
	bed_apply(bed, vips, ARRAY_SIZE(vips));
	return bed;
}

static struct bed *new_bed(uint32_t shift, uint32_t limit)
{
	return new_bed_with(shift, limit, 0);
}

static int setup(void **state)
{
	*state = new_bed(NEVER_OVER, LIMIT);
	return 0;
}

static struct packet packet_of(uint16_t sport, uint8_t flags)
{
	return (struct packet){.src = "198.51.100.7",
			       .dst = "192.0.2.10",
			       .sport = sport,
			       .dport = 80,
			       .flags = flags};
}

/* Sends a packet; whether it was counted as one over the rate. */
static bool send_over(struct bed *bed, const struct packet *p)
{
	struct run run;

	bed_send(bed, p, &run);
	assert_string_equal(run_counter(&run), "forwarded");
	return run.rise.flow_syn_flood;
}

static void flood(struct bed *bed)
{
	for (uint16_t i = 0; i < LIMIT; i++) {
		struct packet p = packet_of(1 + i, SEGMENT_SYN);

		assert_false(send_over(bed, &p));
		assert_int_equal(bed_state(bed, &p), FLOW_SYN);
	}
}

static void syns_over_the_rate_are_forwarded_and_not_recorded(void **state)
{
	flood(*state);
	for (uint16_t i = 0; i < 20; i++) {
		struct packet p = packet_of(100 + i, SEGMENT_SYN);

		assert_true(send_over(*state, &p));
		assert_null(bed_slot(*state, &p));
	}
}

static void a_connection_begun_over_the_rate_goes_on_at_the_same_real(void **state)
{
	flood(*state);
	for (uint16_t i = 0; i < 20; i++) {
		struct packet p = packet_of(100 + i, SEGMENT_SYN);
		struct ip_addr real = bed_real_of(*state, &p), next;

		p.flags = SEGMENT_ACK;
		next = bed_real_of(*state, &p);
		assert_memory_equal(&next, &real, sizeof(real));
		assert_int_equal(bed_state(*state, &p), FLOW_ACK);
		p.payload = 9;
		next = bed_real_of(*state, &p);
		assert_memory_equal(&next, &real, sizeof(real));
		assert_int_equal(bed_state(*state, &p), FLOW_TCP);
	}
}

static void a_syn_over_the_rate_changes_no_flow(void **state)
{
	struct packet p = packet_of(1000, SEGMENT_ACK);
	uint64_t before;

	p.payload = 9;
	bed_real_of(*state, &p);
	bed_real_of(*state, &p);
	before = *bed_slot(*state, &p);
	flood(*state);
	p.flags = SEGMENT_SYN;
	p.payload = 0;
	assert_true(send_over(*state, &p));
	assert_int_equal(*bed_slot(*state, &p), before);
}

static void only_syns_count(void **state)
{
	for (uint16_t i = 0; i < 2 * LIMIT; i++) {
		struct packet ack = packet_of(1 + i, SEGMENT_ACK), udp = ack;

		udp.protocol = IPPROTO_UDP;
		assert_false(send_over(*state, &ack));
		assert_int_equal(bed_state(*state, &ack), FLOW_ACK);
		assert_false(send_over(*state, &udp));
		assert_int_equal(bed_state(*state, &udp), FLOW_UDP_FIRST);
	}
	for (uint16_t i = 0; i < LIMIT; i++) {
		struct packet syn = packet_of(100 + i, SEGMENT_SYN);

		assert_false(send_over(*state, &syn));
	}
}

static void the_next_window_records_again(void **state)
{
	struct bed *bed = new_bed(WINDOW_SHIFT, 1);
	uint64_t window;
	struct packet p = packet_of(1, SEGMENT_SYN);
	bool was_over = false;

	/* Both SYNs in one window, unless this process was stopped in between. */
	for (uint16_t i = 0; i < 50 && !was_over; i++) {
		p.sport = 100 + i;
		was_over = send_over(bed, &p);
	}
	assert_true(was_over);
	window = bed_jiffies(bed) >> WINDOW_SHIFT;
	while (bed_jiffies(bed) >> WINDOW_SHIFT == window)
		;
	p.sport = 1000;
	assert_false(send_over(bed, &p));
	assert_int_equal(bed_state(bed, &p), FLOW_SYN);
	bed_remove(bed);
}

static void without_a_rate_every_syn_is_recorded(void **state)
{
	struct bed *bed = new_bed(NEVER_OVER, 0);

	for (uint16_t i = 0; i < 100; i++) {
		struct packet p = packet_of(1 + i, SEGMENT_SYN);

		assert_false(send_over(bed, &p));
		assert_int_equal(bed_state(bed, &p), FLOW_SYN);
	}
	bed_remove(bed);
}

#define FLOWS 40

/* Proves FLOWS connections to the address; ret_reals: who has them. */
static void connect_all(struct bed *bed, const char *address, struct ip_addr *ret_reals)
{
	for (uint16_t i = 0; i < FLOWS; i++) {
		struct packet p = packet_of(1000 + i, SEGMENT_SYN);

		p.dst = address;
		ret_reals[i] = bed_real_of(bed, &p);
		p.flags = SEGMENT_ACK;
		p.payload = 9;
		bed_real_of(bed, &p);
		bed_real_of(bed, &p);
		assert_int_equal(bed_state(bed, &p), FLOW_TCP);
	}
}

/* Whether SYNs of those connections, over the rate, go to the reals that have them. */
static bool syns_follow(struct bed *bed, const char *address, const struct ip_addr *reals)
{
	bool do_follow = true;

	for (uint16_t i = 0; i < FLOWS; i++) {
		struct packet p = packet_of(1000 + i, SEGMENT_SYN);
		struct ip_addr real;

		p.dst = address;
		real = bed_real_of(bed, &p);
		do_follow &= !memcmp(&real, &reals[i], sizeof(real));
	}
	return do_follow;
}

/* Weights change in between, so that the ring says something else than the flow table. */
static void only_where_picks_are_not_the_rings_is_a_syn_over_the_rate_looked_up(void **state)
{
	static const struct bed_vip before[] = {
		{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
		{.address = "192.0.2.11",
		 .port = 80,
		 .scheduler = SCHEDULER_RR,
		 .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	};
	static const struct bed_vip after[] = {
		{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2", 9999}}},
		{.address = "192.0.2.11",
		 .port = 80,
		 .scheduler = SCHEDULER_RR,
		 .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	};
	struct bed *bed = new_bed_with(NEVER_OVER, 2 * FLOWS, 1u << SCHEDULER_RR);
	struct ip_addr maglev[FLOWS], rr[FLOWS];

	bed_apply(bed, before, ARRAY_SIZE(before));
	connect_all(bed, "192.0.2.10", maglev);
	connect_all(bed, "192.0.2.11", rr);
	bed_apply(bed, after, ARRAY_SIZE(after));
	assert_false(syns_follow(bed, "192.0.2.10", maglev));
	assert_true(syns_follow(bed, "192.0.2.11", rr));
	assert_int_equal(bed_stats(bed).flow_syn_flood, 2 * FLOWS);
	bed_remove(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(syns_over_the_rate_are_forwarded_and_not_recorded,
						setup, bed_teardown),
		cmocka_unit_test_setup_teardown(
			a_connection_begun_over_the_rate_goes_on_at_the_same_real, setup,
			bed_teardown),
		cmocka_unit_test_setup_teardown(a_syn_over_the_rate_changes_no_flow, setup,
						bed_teardown),
		cmocka_unit_test_setup_teardown(only_syns_count, setup, bed_teardown),
		cmocka_unit_test(the_next_window_records_again),
		cmocka_unit_test(without_a_rate_every_syn_is_recorded),
		cmocka_unit_test(
			only_where_picks_are_not_the_rings_is_a_syn_over_the_rate_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
