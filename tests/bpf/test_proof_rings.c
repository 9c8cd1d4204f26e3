/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: while rings are rebuilt and switched without a pause, every packet sees one ring whole:
 * the one in force when it came or one that came into force before it left. The packets are resets,
 * which the flow table does not record, so each goes by the ring; their thread is interrupted
 * often, between any two loads of the balancer's: for about as long as a switch takes, as then the
 * half that it reads is being rewritten. Rings are switched on the other CPU. Which reals are in a
 * ring's list changes with it, so a slot of one ring read by the list of another is seen, too.
 */
#include "established.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/apply.h"

#define FLOWS	 4096u
#define STANDING 4400u /* flows that take half of the flow table */
#define REALS	 8

#define TCP_RST 0x04

/* A bed whose rings follow each other in a cycle; ring n has the weights of row n % 8. */
struct cycle {
	struct bed *bed;
	struct traffic *traffic;
	struct dp dp; /* the bed's, but for the operations below */
	struct dp_ops ops;
	const struct dp *real_dp;
	double load; /* of the flow table */
	bool is_grace_at_once;
};

static struct bed_vip vip_of(uint32_t n)
{
	static const char *const reals[REALS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
						 "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"};
	struct bed_vip vip = {.address = "198.18.0.0", .port = TRAFFIC_VIP_PORT, .ring = 4099};

	for (uint32_t i = 0; i < REALS; i++) {
		vip.reals[i].address = reals[i];
		vip.reals[i].weight = (n + i) % TRAFFIC_PICKS < 2 ? 1000 : 1 + i;
	}
	return vip;
}

/* Members of ring n, of which two are not in it: those behind them stand elsewhere in its list. */
static void want_ring(struct cycle *c, uint32_t n)
{
	struct bed_vip vip = vip_of(n);
	struct applied_vip *applied;

	bed_apply_members(c->bed, &vip, 1);
	applied = c->bed->applied->vips[0];
	assert_int_equal(applied->n_members, REALS);
	for (uint32_t i = 0; i < REALS; i++) {
		if ((n + i) % TRAFFIC_PICKS == 3 || (n + i) % TRAFFIC_PICKS == 6)
			applied->members[i].ring_weight = 0;
	}
	applied->is_changed = true;
}

/* Called right after the store that switches a ring. */
static uint64_t on_switch(void *user)
{
	struct cycle *c = user;
	struct traffic_rings *r = c->traffic->rings;
	uint32_t next = r->newest + 1;

	r->word[next % TRAFFIC_PICKS] = dp_load(c->dp.vip_state[r->vip_id].ring);
	dp_store(r->newest, next);
	return c->real_dp->ops->grace_request(c->real_dp->user);
}

static bool on_asked_for_grace(void *user, uint64_t ticket)
{
	struct cycle *c = user;

	return c->is_grace_at_once || c->real_dp->ops->grace_done(c->real_dp->user, ticket);
}

/* Each ring is applied once, to know its picks. */
static void learn_rings(struct cycle *c)
{
	for (uint32_t n = 0; n < TRAFFIC_PICKS; n++) {
		struct bed_vip vip = vip_of(n);

		want_ring(c, n);
		bed_build_rings(c->bed);
		for (uint32_t i = 0; i < FLOWS; i++) {
			struct flow_tuple t = traffic_tuple(c->traffic, i);
			uint64_t hash = flow_hash(&t, &c->bed->knobs.hash_key);

			c->traffic->picks[i * TRAFFIC_PICKS + n] = proof_ring_pick(c->bed, &vip,
										   hash);
		}
	}
}

static void take_half_of_the_table(struct cycle *c)
{
	struct traffic *t = traffic_new(c->bed, &(struct traffic_options){.picks = STANDING});

	t->state->seed = 7;
	established_learn(t, STANDING);
	traffic_free(t);
	c->load = proof_load(c->bed);
	assert_true(c->load >= PROOF_LOAD);
}

/* The newest ring is number TRAFFIC_PICKS - 1 from here on. */
static void watch_switches(struct cycle *c)
{
	struct bed_vip vip = vip_of(0);
	struct traffic_rings *r = c->traffic->rings;
	uint32_t id = bed_member_id(c->bed, &vip, vip.reals[0].address);

	c->real_dp = c->bed->dp;
	c->ops = *c->real_dp->ops;
	c->ops.grace_request = on_switch;
	c->ops.grace_done = on_asked_for_grace;
	c->dp = *c->real_dp;
	c->dp.ops = &c->ops;
	c->dp.user = c;
	c->bed->applied->dp = &c->dp;
	r->vip_id = c->bed->dp->members[id].vip_id;
	r->newest = TRAFFIC_PICKS - 1;
	r->word[r->newest % TRAFFIC_PICKS] = c->bed->dp->vip_state[r->vip_id].ring;
}

static void cycle_new(struct cycle *c)
{
	struct traffic_options options = {
		.cpu = 1, .picks = FLOWS * TRAFFIC_PICKS, .stall_us = 100, .stall_every_us = 250};

	proof_pin_to_cpu(0);
	*c = (struct cycle){.bed = bed_new(&(struct bed_options){})};
	c->traffic = traffic_new(c->bed, &options);
	traffic_set_kind(c->traffic, IPPROTO_TCP, TCP_RST);
	c->traffic->state->seed = 6;
	c->traffic->state->flows = FLOWS;
	c->traffic->state->check = CHECK_RING;
	learn_rings(c);
	take_half_of_the_table(c);
	watch_switches(c);
}

static void cycle_free(struct cycle *c)
{
	traffic_free(c->traffic);
	bed_remove(c->bed);
}

static uint64_t moved_so_far(const struct cycle *c)
{
	return __atomic_load_n(&c->traffic->state->result.moved, __ATOMIC_RELAXED);
}

/* Switches rings for so long, or until a packet saw what it must not. */
static struct traffic_result run(struct cycle *c, bool is_in_place, uint64_t ms)
{
	uint64_t end = proof_ms() + ms;
	struct err err = {};

	traffic_start(c->traffic, 0);
	while (proof_ms() < end && !moved_so_far(c)) {
		want_ring(c, c->traffic->rings->newest + 1);
		if (is_in_place)
			c->bed->applied->vips[0]->live ^= 1;
		while (apply_next_ring(c->bed->applied, &err) != RINGS_DONE)
			usleep(c->is_grace_at_once ? 0 : 500);
	}
	traffic_stop(c->traffic);
	return c->traffic->state->result;
}

/* Unjudged: so many rings passed the packet by that nothing could be said. */
static void says(const char *what, const struct cycle *c, const struct traffic_result *r)
{
	proof_says(what,
		   "%.1f M packets (%llu unjudged), %.0f %% of the table's slots taken, %u "
		   "switches; saw neither the old nor the new ring: %llu",
		   r->packets / 1e6, (unsigned long long)r->unjudged, 100 * c->load,
		   c->traffic->rings->newest - TRAFFIC_PICKS + 1, (unsigned long long)r->moved);
}

static void every_packet_sees_one_whole_ring(void **state)
{
	struct traffic_result r;
	struct cycle c;

	cycle_new(&c);
	r = run(&c, false, proof_size(2000, 60000));
	says("ring switch", &c, &r);
	assert_int_equal(r.moved, 0);
	assert_int_equal(r.foreign, 0);
	assert_int_equal(r.forwarded, r.packets);
	assert_true(r.unjudged < r.packets / 100);
	assert_true(c.traffic->rings->newest > TRAFFIC_PICKS + 20);
	cycle_free(&c);
}

/* Control: what protects an interrupted packet is that a half rests for a grace period. */
static void without_a_grace_period_some_see_a_mix(void **state)
{
	struct traffic_result r;
	struct cycle c;

	proof_needs_two_cpus();
	cycle_new(&c);
	c.is_grace_at_once = true;
	r = run(&c, false, 60000);
	says("ring switch, control: no grace period before a half is rewritten", &c, &r);
	assert_true(r.moved > 0);
	cycle_free(&c);
}

/* Control: what protects every packet is that the ring in use is not written. */
static void a_ring_rewritten_in_place_is_seen_half_written(void **state)
{
	struct traffic_result r;
	struct cycle c;

	cycle_new(&c);
	c.is_grace_at_once = true;
	r = run(&c, true, 60000);
	says("ring switch, control: the half in use is rewritten", &c, &r);
	assert_true(r.moved > 0);
	cycle_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_sees_one_whole_ring),
		cmocka_unit_test(without_a_grace_period_some_see_a_mix),
		cmocka_unit_test(a_ring_rewritten_in_place_is_seen_half_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
