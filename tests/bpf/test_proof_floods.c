/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: established flows keep their real, all of them, under floods at full speed on another CPU
 * and across a ring change. They take half of the flow table's slots, as at its rated load.
 */
#include "established.h"

#include <stdio.h>
#include <unistd.h>

#define FLOWS	  100000u
#define SYN_LIMIT 1000u

#define TCP_SYN 0x02
#define TCP_ACK 0x10

static const struct flood {
	const char *name;
	uint32_t kinds;
	struct traffic_kind kind[TRAFFIC_KINDS];
} floods[] = {
	{"SYN", 1, {{IPPROTO_TCP, TCP_SYN, 0}}},
	{"ACK of unknown flows", 1, {{IPPROTO_TCP, TCP_ACK, 0}}},
	{"UDP", 1, {{IPPROTO_UDP, 0, 0}}},
	{"SYN, ACK and UDP mixed",
	 3,
	 {{IPPROTO_TCP, TCP_SYN, 0}, {IPPROTO_TCP, TCP_ACK, 0}, {IPPROTO_UDP, 0, 0}}},
};

static struct traffic *flood_new(const struct bed *bed, const struct flood *flood)
{
	struct traffic *t = traffic_new(bed, &(struct traffic_options){.cpu = 0});

	traffic_set_kind(t, IPPROTO_TCP, TCP_SYN);
	t->state->seed = 0xf100d;
	t->state->kinds = flood->kinds;
	for (uint32_t i = 0; i < flood->kinds; i++)
		t->state->kind[i] = flood->kind[i];
	return t;
}

/* For so long, and until every flow has sent a packet and the flood as many at least. */
static void let_run(const struct established *e, const struct traffic *flood, uint64_t ms)
{
	uint64_t sent = traffic_sent(e->keepers), flooded = traffic_sent(flood);
	uint64_t end = proof_ms() + ms, give_up = end + 60000;

	while (proof_ms() < end || traffic_sent(e->keepers) < sent + e->n ||
	       traffic_sent(flood) < flooded + e->n) {
		assert_true(proof_ms() < give_up);
		usleep(10000);
	}
}

static void run_flood(struct established *e, const struct flood *flood, const char *note)
{
	struct traffic *t = flood_new(e->bed, flood);
	uint64_t half_ms = proof_size(250, 15000);
	uint32_t would_move;
	double share;
	char what[96];

	e->keepers->state->result = (struct traffic_result){};
	traffic_start(t, 0);
	traffic_start(e->keepers, 0);
	let_run(e, t, half_ms);
	share = established_change_ring(e);
	would_move = established_off_ring(e);
	let_run(e, t, half_ms);
	traffic_stop(t);
	traffic_stop(e->keepers);
	established_restore_ring(e);

	snprintf(what, sizeof(what), "flood: %s%s", flood->name, note);
	proof_says(
		what,
		"%u flows in %.1f %% of the slots, %.1f M packets of theirs, %.1f M of the flood; "
		"ring change of %.0f %% of its slots would move %u flows; moved: %llu",
		e->tracked, 100 * e->load, e->keepers->state->result.packets / 1e6,
		t->state->result.packets / 1e6, 100 * share, would_move,
		(unsigned long long)e->keepers->state->result.moved);
	assert_true(share >= 0.2);
	assert_true(would_move >= FLOWS / 5);
	assert_int_equal(e->keepers->state->result.moved, 0);
	assert_int_equal(e->keepers->state->result.foreign, 0);
	assert_int_equal(e->keepers->state->result.forwarded, e->keepers->state->result.packets);
	assert_int_equal(t->state->result.forwarded, t->state->result.packets);
	assert_int_equal(t->state->result.foreign, 0);
	traffic_free(t);
}

static void established_flows_keep_their_real_in_any_flood(void **state)
{
	struct established e;

	established_new(&e, FLOWS, 0);
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++)
		run_flood(&e, &floods[i], "");
	established_free(&e);
}

static void established_flows_keep_their_real_where_not_all_syns_are_recorded(void **state)
{
	struct established e;

	established_new(&e, FLOWS, SYN_LIMIT);
	run_flood(&e, &floods[0], ", over guard.syn_rate");
	assert_true(bed_stats(e.bed).flow_syn_flood > FLOWS / 2);
	established_free(&e);
}

/* Control: what protects them is that they are proven. */
static void flows_that_are_taken_for_unproven_move(void **state)
{
	struct traffic_result result;
	struct established e;
	struct traffic *t;

	established_new(&e, FLOWS, 0);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow_tuple tuple = traffic_tuple(e.keepers, i);
		uint64_t *slot = proof_slot(e.bed, &tuple);

		if (slot)
			*slot ^= (uint64_t)(FLOW_TCP ^ FLOW_ACK) << FLOW_STATE_SHIFT;
	}
	t = flood_new(e.bed, &floods[0]);
	traffic_run(t, 1000000);
	established_change_ring(&e);
	result = traffic_run(e.keepers, e.n);
	proof_says("flood, control: the flows' slots are marked unproven", "moved: %llu of %u",
		   (unsigned long long)result.moved, e.tracked);
	assert_true(result.moved > e.n / 10);
	traffic_free(t);
	established_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(established_flows_keep_their_real_in_any_flood),
		cmocka_unit_test(established_flows_keep_their_real_where_not_all_syns_are_recorded),
		cmocka_unit_test(flows_that_are_taken_for_unproven_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
