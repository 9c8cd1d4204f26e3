/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A VIP of which no real can take a new flow (on_all_down: drop, reset, unreachable): who is told,
 * byte by byte, and who is not; the same whatever the scheduler.
 */
#include "answers.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define R1	"10.0.1.1"

static const enum all_down policies[] = {ALL_DOWN_DROP, ALL_DOWN_RESET, ALL_DOWN_UNREACHABLE,
					 ALL_DOWN_BACKUP};

#define N_POLICIES ARRAY_SIZE(policies)

/* For each policy: TCP and UDP over IPv4, then over IPv6. */
enum { TCP4, UDP4, TCP6, UDP6, KINDS };

#define N_VIPS (N_POLICIES * KINDS)

struct vips {
	char address[N_VIPS][32];
	struct bed_vip vip[N_VIPS];
};

static bool is_udp(size_t kind)
{
	return kind == UDP4 || kind == UDP6;
}

static bool is_v6(size_t kind)
{
	return kind == TCP6 || kind == UDP6;
}

static void apply(struct bed *bed, struct vips *vips, struct bed_real real,
		  enum xdplb_scheduler scheduler)
{
	for (size_t i = 0; i < N_VIPS; i++) {
		size_t kind = i % KINDS;

		snprintf(vips->address[i], sizeof(vips->address[i]),
			 is_v6(kind) ? "2001:db8:f::%zx" : "192.0.2.%zu", 10 + i / KINDS);
		vips->vip[i] = (struct bed_vip){
			.address = vips->address[i],
			.port = 80,
			.protocol = is_udp(kind) ? IPPROTO_UDP : IPPROTO_TCP,
			.on_all_down = policies[i / KINDS],
			.scheduler = scheduler,
			.reals = {real},
		};
	}
	bed_apply(bed, vips->vip, N_VIPS);
}

static struct packet packet_to(const struct vips *vips, size_t i, const struct packet *what)
{
	struct packet p = *what;

	p.src = is_v6(i % KINDS) ? CLIENT6 : CLIENT4;
	p.dst = vips->address[i];
	p.dport = 80;
	p.protocol = is_udp(i % KINDS) ? IPPROTO_UDP : IPPROTO_TCP;
	return p;
}

static void expect_dropped(struct bed *bed, const struct frame *in, const char *what)
{
	struct run run;

	bed_run(bed, in, &run);
	if (strcmp(run_counter(&run), "drop_no_real") != 0)
		fail_msg("%s: %s", what, run_counter(&run));
}

/* A new flow's first packet, at each policy. */
static void expect_told(struct bed *bed, const struct vips *vips, const struct packet *first,
			const struct answer_reset *reset)
{
	static const struct answer_error unreachable[] = {{3, 3, 0}, {1, 4, 0}};

	for (size_t i = 0; i < N_VIPS; i++) {
		enum all_down policy = policies[i / KINDS];
		struct packet p = packet_to(vips, i, first);
		const char *what = vips->address[i];
		struct frame in, want;

		frame_build(&p, &in);
		if (policy == ALL_DOWN_RESET && !is_udp(i % KINDS))
			answer_build_reset(&in, reset, &want);
		else
			answer_build_error(&in, &unreachable[is_v6(i % KINDS)], &want);
		if (policy == ALL_DOWN_RESET || policy == ALL_DOWN_UNREACHABLE)
			answer_expect(bed, &in, &want, "reply_no_real", what);
		else
			expect_dropped(bed, &in, what);
	}
}

static void who_begins_a_flow_is_told_as_the_policy_says(void **state)
{
	static const struct bed_real nobody = {}, down = {.address = R1, .is_down = true};
	static const enum xdplb_scheduler schedulers[] = {
		SCHEDULER_MAGLEV, SCHEDULER_SOURCE, SCHEDULER_RANDOM, SCHEDULER_LC, SCHEDULER_P2C};
	static const struct packet begin[] = {
		{.sport = 4000, .flags = SEGMENT_SYN, .seq = 1000},
		{.sport = 4001, .flags = SEGMENT_SYN, .seq = 7, .payload = 9},
		{.sport = 4002, .flags = SEGMENT_SYN, .seq = 7, .payload = 900},
	};
	static const struct answer_reset answers[] = {{0, 1001, SEGMENT_RST | SEGMENT_ACK},
						      {0, 17, SEGMENT_RST | SEGMENT_ACK},
						      {0, 908, SEGMENT_RST | SEGMENT_ACK}};

	for (size_t s = 0; s < ARRAY_SIZE(schedulers); s++) {
		for (size_t i = 0; i < 2 * ARRAY_SIZE(begin); i++) {
			struct vips vips;

			apply(*state, &vips, i % 2 ? down : nobody, schedulers[s]);
			answer_set_limit(*state, bed_jiffies(*state), REPLY_BURST * 1000);
			expect_told(*state, &vips, &begin[i / 2], &answers[i / 2]);
		}
	}
}

/* It may go on when its real is back. */
static void a_connection_is_not_told(void **state)
{
	static const struct packet segments[] = {
		{.flags = SEGMENT_ACK, .ack = 1},
		{.flags = SEGMENT_ACK | SEGMENT_PSH, .payload = 100},
		{.flags = SEGMENT_FIN | SEGMENT_ACK},
		{.flags = SEGMENT_RST},
		{.flags = SEGMENT_SYN | SEGMENT_ACK},
		{.flags = SEGMENT_SYN | SEGMENT_RST},
	};
	struct bed_real real = {.address = R1};
	struct vips vips;

	apply(*state, &vips, real, SCHEDULER_MAGLEV);
	for (size_t v = 0; v < N_VIPS; v += 2) {
		struct packet syn = {.sport = 5000, .flags = SEGMENT_SYN};
		struct packet ack = {.sport = 5000, .flags = SEGMENT_ACK};

		syn = packet_to(&vips, v, &syn);
		ack = packet_to(&vips, v, &ack);
		bed_real_of(*state, &syn);
		bed_real_of(*state, &ack);
	}
	real.is_down = true;
	apply(*state, &vips, real, SCHEDULER_MAGLEV);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(segments) * N_VIPS / 2; i++) {
		struct packet p = segments[i / N_VIPS];
		struct frame in;

		p.sport = i % N_VIPS / (N_VIPS / 2) ? 5001
						    : 5000; /* a flow that nobody knows, too */
		p = packet_to(&vips, i % (N_VIPS / 2) * 2, &p);
		frame_build(&p, &in);
		expect_dropped(*state, &in, p.dst);
	}
}

static void nobody_is_told_who_must_not_be_answered(void **state)
{
	struct vips vips;
	struct bed_real nobody = {};

	apply(*state, &vips, nobody, SCHEDULER_MAGLEV);
	for (size_t v = 0; v < N_VIPS; v++) {
		struct packet p = {.sport = 6000, .flags = SEGMENT_SYN};
		struct frame in;

		p = packet_to(&vips, v, &p);
		frame_build(&p, &in);
		in.bytes[0] = 0x33;
		expect_dropped(*state, &in, p.dst);
		p.src = is_v6(v % KINDS) ? "::1" : "127.0.0.1";
		frame_build(&p, &in);
		expect_dropped(*state, &in, p.src);
	}
}

static void all_answers_have_one_limit(void **state)
{
	struct bed *bed = *state;
	struct bed_real nobody = {};
	struct vips vips;

	apply(bed, &vips, nobody, SCHEDULER_MAGLEV);
	/* A jiffy that passes in between is worth some replies: try until none did. */
	for (int i = 0; i < 200; i++) {
		struct packet p = {.sport = 7000, .flags = SEGMENT_SYN};
		struct run run;

		p = packet_to(&vips, KINDS + i % (2 * KINDS), &p);
		answer_set_limit(bed, bed_jiffies(bed), 999);
		bed_send(bed, &p, &run);
		if (run.rise.drop_reply_limit)
			return;
	}
	fail_msg("200 replies from an empty bucket");
}

/* The word is live: no packet program is loaded anew for it. */
static void the_policy_may_change_while_packets_come(void **state)
{
	struct packet syn = {.src = CLIENT4,
			     .dst = "192.0.2.10",
			     .sport = 8000,
			     .dport = 80,
			     .flags = SEGMENT_SYN};
	static const struct {
		enum all_down policy;
		const char *counter;
	} turns[] = {{ALL_DOWN_DROP, "drop_no_real"},
		     {ALL_DOWN_RESET, "reply_no_real"},
		     {ALL_DOWN_DROP, "drop_no_real"},
		     {ALL_DOWN_UNREACHABLE, "reply_no_real"},
		     {ALL_DOWN_BACKUP, "drop_no_real"}};

	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		struct bed_vip vip = {.address = "192.0.2.10",
				      .port = 80,
				      .on_all_down = turns[i].policy,
				      .scheduler = SCHEDULER_RR,
				      .reals = {{.address = R1, .is_down = true}}};
		struct run run;

		bed_apply(*state, &vip, 1);
		answer_set_limit(*state, bed_jiffies(*state), REPLY_BURST * 1000);
		bed_send(*state, &syn, &run);
		assert_string_equal(run_counter(&run), turns[i].counter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_begins_a_flow_is_told_as_the_policy_says),
		cmocka_unit_test(a_connection_is_not_told),
		cmocka_unit_test(nobody_is_told_who_must_not_be_answered),
		cmocka_unit_test(all_answers_have_one_limit),
		cmocka_unit_test(the_policy_may_change_while_packets_come),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
