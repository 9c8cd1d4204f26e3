/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows whose real is gone and that are to be reset (on_down: reset, a drain's then: reset): which
 * packets are answered, byte by byte; what goes to another real instead; how often.
 */
#include "answers.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define R1	"10.0.1.1"
#define R2	"10.0.1.2"

#define S SEGMENT_SYN
#define A SEGMENT_ACK
#define F SEGMENT_FIN
#define R SEGMENT_RST

/* First R1 alone, so that it has every flow; then R2 takes what is new. */
static const struct bed_vip only_r1[] = {
	{.address = VIP4, .port = 80, .reals = {{R1}}},
	{.address = VIP6, .port = 80, .reals = {{R1}}},
	{.address = VIP4, .port = 53, .protocol = IPPROTO_UDP, .reals = {{R1}}},
};

#define N_VIPS ARRAY_SIZE(only_r1)

/* How R1 is gone. */
struct gone {
	const char *what;
	struct bed_real r1;
	enum on_down on_down;
};

static const struct gone dead = {"down", {.address = R1, .is_down = true}, ON_DOWN_RESET};

static void apply_gone(struct bed *bed, const struct gone *gone)
{
	struct bed_vip vips[N_VIPS];

	memcpy(vips, only_r1, sizeof(vips));
	for (size_t i = 0; i < N_VIPS; i++) {
		vips[i].on_down = gone->on_down;
		vips[i].reals[0] = gone->r1;
		vips[i].reals[1].address = R2;
	}
	bed_apply(bed, vips, N_VIPS);
}

static int begin(void **state)
{
	bed_apply(*state, only_r1, N_VIPS);
	return 0;
}

static struct packet segment(bool is_v6, uint16_t sport, uint8_t flags)
{
	return (struct packet){.src = is_v6 ? CLIENT6 : CLIENT4,
			       .dst = is_v6 ? VIP6 : VIP4,
			       .sport = sport,
			       .dport = 80,
			       .flags = flags};
}

static void send_segment(struct bed *bed, bool is_v6, uint16_t sport, uint8_t flags)
{
	struct packet p = segment(is_v6, sport, flags);
	struct run run;

	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "forwarded");
}

static void establish(struct bed *bed, bool is_v6, uint16_t sport)
{
	send_segment(bed, is_v6, sport, S);
	send_segment(bed, is_v6, sport, A);
}

/* ---- What is answered -------------------------------------------------------------------- */

static const struct {
	const char *what;
	struct packet packet;
	struct answer_reset answer;
} segments[] = {
	{"ACK", {.flags = A, .seq = 5, .ack = 0xdeadbeef}, {0xdeadbeef, 0, R}},
	{"data", {.flags = A | SEGMENT_PSH, .ack = 77, .payload = 100}, {77, 0, R}},
	{"much data", {.flags = A, .ack = 78, .payload = 8000}, {78, 0, R}},
	{"options", {.flags = A, .ack = 79, .tcp_options = 10, .ip_options = 10}, {79, 0, R}},
	{"FIN", {.flags = F | A, .ack = 10}, {10, 0, R}},
	{"no ACK", {.flags = SEGMENT_PSH, .seq = 20, .payload = 3}, {0, 23, R | A}},
	{"the last sequence number", {.flags = A, .ack = 0xffffffff}, {0xffffffff, 0, R}},
};

static const struct gone ways[] = {
	{"down", {.address = R1, .is_down = true}, ON_DOWN_RESET},
	{"drained long enough",
	 {.address = R1, .is_drained = true, .rest = DRAIN_RESET},
	 ON_DOWN_REROUTE},
	{"drained, then down",
	 {.address = R1, .is_down = true, .is_drained = true, .rest = DRAIN_RESET},
	 ON_DOWN_REROUTE},
};

static void a_segment_of_a_flow_that_lost_its_real_is_reset(void **state)
{
	struct bed *bed = *state;
	uint16_t sport = 2000;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		for (size_t i = 0; i < 2 * ARRAY_SIZE(segments); i++, sport++) {
			struct packet p = segments[i / 2].packet;
			struct packet to = segment(i % 2, sport, p.flags);
			struct frame in, want;

			bed_apply(bed, only_r1, N_VIPS);
			establish(bed, i % 2, sport);
			apply_gone(bed, &ways[w]);
			p.src = to.src;
			p.dst = to.dst;
			p.sport = to.sport;
			p.dport = to.dport;
			frame_build(&p, &in);
			answer_build_reset(&in, &segments[i / 2].answer, &want);
			answer_expect(bed, &in, &want, "reply_flow_reset", segments[i / 2].what);
			assert_int_equal(bed_state(bed, &to), FLOW_RST);
		}
	}
}

/* ---- What goes to another real ------------------------------------------------------------ */

static const struct {
	const char *what;
	uint8_t before[3];
	uint8_t flags;
	bool is_expired;
} elsewhere[] = {
	{"a SYN on an established flow", {S, A}, S, false},
	{"a repeated SYN", {S}, S, false},
	{"a client's RST", {S, A}, R, false},
	{"a client's RST with ACK", {S, A}, R | A, false},
	{"data after the idle timeout", {S, A}, A, true},
	{"data of a flow that nobody knows", {}, A, false},
};

static void what_begins_ends_or_is_unknown_goes_to_another_real(void **state)
{
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		struct packet p = segment(false, (uint16_t)(3000 + i), elsewhere[i].flags);
		struct ip_addr real, want;

		bed_apply(bed, only_r1, N_VIPS);
		for (size_t k = 0; k < 3 && elsewhere[i].before[k]; k++)
			send_segment(bed, false, p.sport, elsewhere[i].before[k]);
		if (elsewhere[i].is_expired)
			*bed_slot(bed, &p) |= FLOW_AGE_OLD;
		apply_gone(bed, &dead);
		real = bed_real_of(bed, &p);
		p.sport = 60000; /* R2 is the only real that it can be */
		p.flags = S;
		want = bed_real_of(bed, &p);
		if (memcmp(&real, &want, sizeof(real)) != 0)
			fail_msg("%s", elsewhere[i].what);
	}
}

static void a_udp_flow_leaves_a_real_that_is_gone_at_once(void **state)
{
	struct bed *bed = *state;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		struct packet p = {.src = CLIENT4,
				   .dst = VIP4,
				   .protocol = IPPROTO_UDP,
				   .sport = (uint16_t)(4000 + w),
				   .dport = 53};
		struct ip_addr before, after;

		bed_apply(bed, only_r1, N_VIPS);
		before = bed_real_of(bed, &p);
		bed_real_of(bed, &p);
		apply_gone(bed, &ways[w]);
		after = bed_real_of(bed, &p);
		if (memcmp(&before, &after, sizeof(after)) == 0)
			fail_msg("%s", ways[w].what);
	}
}

static void flows_that_are_not_to_be_reset_move_or_stay(void **state)
{
	static const struct {
		struct gone gone;
		bool moves;
	} rows[] = {
		{{"down", {.address = R1, .is_down = true}, ON_DOWN_REROUTE}, true},
		{{"drained", {.address = R1, .is_drained = true}, ON_DOWN_RESET}, false},
		{{"drained long enough, moved",
		  {.address = R1, .is_drained = true, .rest = DRAIN_MOVE},
		  ON_DOWN_RESET},
		 true},
		{{"drained long enough, kept",
		  {.address = R1, .is_drained = true, .rest = DRAIN_KEEP},
		  ON_DOWN_RESET},
		 false},
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = segment(i % 2, (uint16_t)(5000 + i), A);
		struct run run;

		bed_apply(bed, only_r1, N_VIPS);
		establish(bed, i % 2, p.sport);
		apply_gone(bed, &rows[i].gone);
		bed_send(bed, &p, &run);
		if (strcmp(run_counter(&run), "forwarded") != 0 ||
		    run.rise.flow_moved != rows[i].moves)
			fail_msg("%s: %s", rows[i].gone.what, run_counter(&run));
	}
}

static void after_the_reset_a_new_connection_with_the_same_ports_goes_on_elsewhere(void **state)
{
	struct bed *bed = *state;
	struct packet p = segment(false, 6000, A);
	struct run run;

	establish(bed, false, p.sport);
	apply_gone(bed, &dead);
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "reply_flow_reset");
	establish(bed, false, p.sport);
	assert_int_equal(bed_state(bed, &p), FLOW_TCP);
}

/* ---- How often, and whom not -------------------------------------------------------------- */

/* With an empty bucket, but for jiffies that pass meanwhile. */
static const char *send_without_tokens(struct bed *bed, const struct packet *p)
{
	struct run run;

	answer_set_limit(bed, bed_jiffies(bed), 0);
	bed_send(bed, p, &run);
	return run_counter(&run);
}

#define TRIES 200 /* until no jiffy has passed */

static void every_flow_is_answered_once_whatever_the_rate_and_again_within_it(void **state)
{
	struct bed *bed = *state;
	struct packet p = segment(true, 7000, A);
	struct run run;
	int tries = 0;

	for (uint16_t i = 0; i < TRIES; i++)
		establish(bed, i % 2, 7000 + i);
	apply_gone(bed, &dead);
	for (uint16_t i = 0; i < TRIES; i++) {
		p = segment(i % 2, 7000 + i, A);
		assert_string_equal(send_without_tokens(bed, &p), "reply_flow_reset");
	}
	while (strcmp(send_without_tokens(bed, &p), "drop_reply_limit") != 0)
		assert_int_not_equal(++tries, TRIES);
	answer_set_limit(bed, bed_jiffies(bed), 1000000);
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "reply_flow_reset");
}

/* Anybody can make the table hold such a flow with one packet. */
static void an_unproven_flow_is_answered_within_the_rate_only(void **state)
{
	struct bed *bed = *state;
	uint16_t i = 0;
	struct packet p;

	for (uint16_t k = 0; k < TRIES; k++)
		send_segment(bed, false, 8000 + k, A);
	apply_gone(bed, &dead);
	do {
		assert_int_not_equal(i, TRIES);
		p = segment(false, 8000 + i++, A);
	} while (strcmp(send_without_tokens(bed, &p), "drop_reply_limit") != 0);
}

static void a_frame_to_many_stations_is_dropped(void **state)
{
	struct bed *bed = *state;
	struct packet p = segment(true, 9000, A);
	struct frame f;
	struct run run;

	establish(bed, true, p.sport);
	apply_gone(bed, &dead);
	frame_build(&p, &f);
	f.bytes[0] = 0x33;
	bed_run(bed, &f, &run);
	assert_string_equal(run_counter(&run), "drop_no_real");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_segment_of_a_flow_that_lost_its_real_is_reset, begin),
		cmocka_unit_test_setup(what_begins_ends_or_is_unknown_goes_to_another_real, begin),
		cmocka_unit_test_setup(a_udp_flow_leaves_a_real_that_is_gone_at_once, begin),
		cmocka_unit_test_setup(flows_that_are_not_to_be_reset_move_or_stay, begin),
		cmocka_unit_test_setup(
			after_the_reset_a_new_connection_with_the_same_ports_goes_on_elsewhere,
			begin),
		cmocka_unit_test_setup(
			every_flow_is_answered_once_whatever_the_rate_and_again_within_it, begin),
		cmocka_unit_test_setup(an_unproven_flow_is_answered_within_the_rate_only, begin),
		cmocka_unit_test_setup(a_frame_to_many_stations_is_dropped, begin),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
