/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: two CPUs hammer a tiny flow table while user space scans it, marks slots old, and takes
 * reals out of VIPs and their ids into other VIPs. No packet reaches a real outside its VIP, no
 * proven flow's slot is lost, no slot names an id that was freed. Both CPUs are interrupted often,
 * between any two loads of the balancer's. Half of the slots belong to connections that say
 * nothing meanwhile; about the other half the hammers' flows and what is left of them fight.
 */
#include "established.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/apply.h"

#define CPUS	  2
#define FLOWS	  128u /* of each CPU */
#define LENGTH	  12 /* packets of a flow, from SYN to reset */
#define CAPACITY  200u
#define STANDING  (CAPACITY + CAPACITY / 20) /* flows, before the hammers come */
#define STAYING	  3 /* reals of each VIP that stay */
#define QUIET_TAG 0x51ee9e55u
#define MEMBERS	  (2 * STAYING + 1) /* one id goes from VIP to VIP */

struct hammer {
	struct bed *bed;
	struct traffic *traffic[CPUS];
	struct traffic *standing;
	struct flow_scan scan;
	struct dp dp; /* the bed's, with grace periods that are over at once */
	struct dp_ops ops;
	uint32_t reused; /* times that an id went to another VIP */
	uint64_t resurrected; /* slots that named an id which was free */
	uint64_t gone; /* standing flows, at one look at the table or the other */
	double least_load; /* of the table, at any look */
};

static uint64_t grace_none(void *user)
{
	return 0;
}

static bool grace_at_once(void *user, uint64_t ticket)
{
	return true;
}

/* Reals of VIP v: 10.v.0.1 ... 3 stay; 10.v.1.n, if n, has come and will go. */
static void make_vips(struct bed_vip vips[2], char names[2][STAYING + 1][16], int with, uint32_t n)
{
	static const char *const addresses[] = {"198.18.0.0", "198.18.0.1"};

	memset(vips, 0, 2 * sizeof(*vips));
	for (int v = 0; v < 2; v++) {
		vips[v].address = addresses[v];
		vips[v].port = TRAFFIC_VIP_PORT;
		vips[v].ring = 251;
		for (int i = 0; i < STAYING; i++) {
			snprintf(names[v][i], sizeof(names[v][i]), "10.%d.0.%d", v, i + 1);
			vips[v].reals[i].address = names[v][i];
		}
		if (with != v)
			continue;
		snprintf(names[v][STAYING], sizeof(names[v][STAYING]), "10.%d.1.%u", v,
			 1 + n % 250);
		vips[v].reals[STAYING].address = names[v][STAYING];
	}
}

/* Of the real that has come: the only one whose address says so. */
static uint32_t newest_id(const struct hammer *h)
{
	for (uint32_t id = 0; id < MEMBERS; id++) {
		if (!TRAFFIC_REAL_STAYS(ntohl(h->bed->dp->members[id].real.w[3])))
			return id;
	}
	fail_msg("no real has come");
	return 0;
}

static void apply(struct hammer *h, int with, uint32_t n)
{
	struct bed_vip vips[2];
	char names[2][STAYING + 1][16];

	make_vips(vips, names, with, n);
	bed_apply(h->bed, vips, 2);
}

/* Whether the flow's slot is there and names the real that the flow was given. */
static bool is_kept(const struct hammer *h, const struct traffic *t, uint32_t flow, uint32_t real)
{
	struct flow_tuple tuple = traffic_tuple(t, flow);
	const uint64_t *slot = proof_slot(h->bed, &tuple);

	return slot && ntohl(h->bed->dp->members[SLOT_WORD_MEMBER(*slot)].real.w[3]) == real;
}

static void make_standing_flows(struct hammer *h)
{
	h->standing = traffic_new(h->bed, &(struct traffic_options){.picks = STANDING});
	h->standing->state->seed = 99;
	h->standing->state->vip_mask = 1;
	established_learn(h->standing, STANDING);
	for (uint32_t i = 0; i < STANDING; i++) {
		if (!is_kept(h, h->standing, i, h->standing->picks[i]))
			h->standing->picks[i] = 0; /* untracked: both buckets were full */
	}
	h->least_load = proof_load(h->bed);
}

static void hammer_new(struct hammer *h)
{
	struct traffic_options options = {.lives = FLOWS, .stall_us = 50, .stall_every_us = 200};

	*h = (struct hammer){};
	h->bed = bed_new(&(struct bed_options){.flows = CAPACITY, .members = MEMBERS});
	assert_int_equal(flow_scan_init(&h->scan, MEMBERS), 0);
	apply(h, -1, 0);
	make_standing_flows(h);
	for (int cpu = 0; cpu < CPUS; cpu++) {
		struct traffic *t;

		options.cpu = cpu;
		h->traffic[cpu] = t = traffic_new(h->bed, &options);
		traffic_set_kind(t, IPPROTO_TCP, 0); /* its flags go by a flow's age */
		t->state->seed = 100 + cpu;
		t->state->flows = FLOWS;
		t->state->stride = 37;
		t->state->vip_mask = 1;
		t->state->lengths = LENGTH;
		t->state->check = CHECK_LIFE;
	}
}

static void hammer_free(struct hammer *h)
{
	for (int cpu = 0; cpu < CPUS; cpu++)
		traffic_free(h->traffic[cpu]);
	traffic_free(h->standing);
	flow_scan_free(&h->scan);
	bed_remove(h->bed);
}

/* What the control takes away. */
static void without_grace(struct hammer *h)
{
	h->ops = *h->bed->dp->ops;
	h->ops.grace_request = grace_none;
	h->ops.grace_done = grace_at_once;
	h->dp = *h->bed->dp;
	h->dp.ops = &h->ops;
	h->bed->applied->dp = &h->dp;
}

/*
 * A pass as the daemon does, but with a clock that is ahead, so that unproven and reset flows are
 * old; in between all ages are set back a tick, so that every packet has one to refresh.
 */
static void scan(struct hammer *h)
{
	const struct flow_clock *clock = &h->bed->knobs.clock;
	uint64_t now = bed_jiffies(h->bed);

	flow_table_restamp(h->bed->dp, clock, now - (1ULL << clock->tick_shift[FLOW_TCP]));
	flow_scan_reset(&h->scan);
	flow_scan_range(&h->scan, h->bed->dp, 0, h->bed->dp->control->flow_buckets,
			now + 11ULL * h->bed->knobs.hz);
	apply_retire(h->bed->applied, &h->scan);
}

/* Slots that name an id which is in nobody's use. */
static uint64_t count_resurrected(const struct hammer *h)
{
	const struct dp *dp = h->bed->dp;
	uint64_t n = 0;

	for (uint32_t i = 0; i < dp->control->flow_buckets * FLOW_SLOTS; i++) {
		uint64_t word = dp_load(dp->flows[i / FLOW_SLOTS].slot[i % FLOW_SLOTS]);
		uint32_t id = SLOT_WORD_MEMBER(word);

		n += SLOT_WORD_STATE(word) != FLOW_NONE &&
		     (id >= MEMBERS || dp->members[id].state == MEMBER_FREE);
	}
	return n;
}

/* Flows that were proven to the end but whose slot is not there or names another real. */
static uint64_t count_lost(const struct hammer *h)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < CPUS * FLOWS; i++) {
		const struct traffic *t = h->traffic[i / FLOWS];
		uint32_t real = t->lives[i % FLOWS].real;

		n += real && !is_kept(h, t, i % FLOWS, real);
	}
	return n;
}

static uint64_t sum(const struct hammer *h, size_t offset)
{
	uint64_t total = 0;

	for (int cpu = 0; cpu < CPUS; cpu++)
		total += __atomic_load_n(
			(uint64_t *)((char *)&h->traffic[cpu]->state->result + offset),
			__ATOMIC_RELAXED);
	return total;
}

#define SUM(h, field) sum(h, offsetof(struct traffic_result, field))

static bool has_failed(const struct hammer *h)
{
	return SUM(h, foreign) || SUM(h, lost) || h->resurrected || h->gone;
}

static bool swap(uint64_t *slot, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

/* Any newcomer may have it. */
static bool is_takeable(uint64_t word)
{
	return SLOT_WORD_STATE(word) <= FLOW_ACK || SLOT_WORD_AGE(word) == FLOW_AGE_OLD;
}

/* A proven flow of this member that has gone quiet. */
static uint64_t *plant_quiet_flow(const struct hammer *h, uint32_t id)
{
	uint32_t slots = h->bed->dp->control->flow_buckets * FLOW_SLOTS;
	uint64_t quiet = bed_slot_word(h->bed, QUIET_TAG, id, FLOW_TCP, 0);

	for (uint32_t i = 0; i < 1000 * slots; i++) {
		uint32_t at = i % slots;
		uint64_t *slot =
			(uint64_t *)&h->bed->dp->flows[at / FLOW_SLOTS].slot[at % FLOW_SLOTS];
		uint64_t word = dp_load(*slot);

		if (is_takeable(word) && swap(slot, word, quiet))
			return slot;
	}
	fail_msg("nothing but proven flows");
	return NULL;
}

static void end_quiet_flow(uint64_t *slot)
{
	uint64_t word;

	do
		word = dp_load(*slot);
	while (word >> FLOW_TAG_SHIFT == QUIET_TAG && !swap(slot, word, word | FLOW_AGE_OLD));
}

static void look_at_standing_flows(struct hammer *h)
{
	double load = proof_load(h->bed);

	h->least_load = load < h->least_load ? load : h->least_load;
	for (uint32_t i = 0; i < STANDING; i++) {
		uint32_t real = (uint32_t)h->standing->picks[i];

		h->gone += real && !is_kept(h, h->standing, i, real);
	}
}

static bool is_free(const struct hammer *h)
{
	return id_pool_free_count(&h->bed->applied->member_ids) > 0;
}

/* While one of its flows is there, though quiet, an id must not be freed, however often it is
 * asked.
 */
static void scan_with_a_quiet_flow(struct hammer *h, uint64_t *slot)
{
	for (int i = 0; i < 2 * RETIRE_SECOND_SCAN; i++) {
		scan(h);
		h->resurrected += count_resurrected(h);
		if (h->bed->applied->dp == h->bed->dp)
			bed_wait_grace(h->bed);
	}
	look_at_standing_flows(h);
	end_quiet_flow(slot);
}

/*
 * A real comes to a VIP and goes again, with a quiet flow left behind every other time; else its id
 * may have another owner very soon. At the end the id is free, if there was time.
 */
static void come_and_go(struct hammer *h, uint32_t turn, uint64_t end)
{
	uint64_t *slot = NULL;

	apply(h, (int)(turn % 2), h->reused);
	if (turn / 2 % 2 == 0) {
		for (int i = 0; i < 3; i++)
			scan(h);
		slot = plant_quiet_flow(h, newest_id(h));
	}
	apply(h, -1, 0);
	if (slot)
		scan_with_a_quiet_flow(h, slot);
	while (!is_free(h) && proof_ms() < end && !has_failed(h))
		scan(h);
	if (!is_free(h))
		return;
	h->reused++;
	h->resurrected += count_resurrected(h);
}

/* Until so many packets are through, or one went wrong. */
static void hammer(struct hammer *h, uint64_t packets, uint64_t most_ms)
{
	uint64_t end = proof_ms() + most_ms;

	for (int cpu = 0; cpu < CPUS; cpu++)
		traffic_start(h->traffic[cpu], 0);
	for (uint32_t i = 0; proof_ms() < end && !has_failed(h); i++) {
		come_and_go(h, i, end);
		if (SUM(h, packets) >= packets && h->reused >= 4)
			break;
	}
	for (int cpu = 0; cpu < CPUS; cpu++)
		traffic_stop(h->traffic[cpu]);
}

static void says(const char *what, const struct hammer *h)
{
	proof_says(what,
		   "%.1f M packets, %.2f M flows proven, %.0f %% of the slots proven at least, an "
		   "id reused %u times: outside their VIP %llu, slots lost %llu, resurrected %llu",
		   SUM(h, packets) / 1e6, SUM(h, proven) / 1e6, 100 * h->least_load, h->reused,
		   (unsigned long long)SUM(h, foreign),
		   (unsigned long long)(SUM(h, lost) + h->gone),
		   (unsigned long long)h->resurrected);
}

static void no_slot_is_lost_or_resurrected(void **state)
{
	struct hammer h;

	proof_needs_two_cpus();
	hammer_new(&h);
	hammer(&h, proof_size(1000000, 100000000), proof_size(30000, 900000));
	says("hammer", &h);
	assert_int_equal(SUM(&h, foreign), 0);
	assert_int_equal(SUM(&h, lost) + count_lost(&h) + h.gone, 0);
	assert_int_equal(h.resurrected + count_resurrected(&h), 0);
	/* None is dropped: a real that leaves serves until the ring switches. */
	assert_int_equal(SUM(&h, forwarded), SUM(&h, packets));
	assert_true(SUM(&h, packets) >= proof_size(1000000, 100000000));
	assert_true(SUM(&h, proven) > 100);
	assert_true(h.reused >= 4);
	assert_true(h.least_load >= PROOF_LOAD);
	hammer_free(&h);
}

/* Control: what protects a slot that another CPU has just changed is the compare-and-swap. */
static void with_plain_stores_slots_are_lost(void **state)
{
	struct variant *variant;
	struct hammer h;

	proof_needs_two_cpus();
	hammer_new(&h);
	variant = variant_new(h.bed, VARIANT_PLAIN_STORE);
	for (int cpu = 0; cpu < CPUS; cpu++)
		traffic_aim(h.traffic[cpu], variant_prog_fd(variant));
	hammer(&h, UINT64_MAX, 60000);
	says("hammer, control: plain stores instead of compare-and-swap", &h);
	assert_true(SUM(&h, lost) > 0);
	variant_free(variant);
	hammer_free(&h);
}

/* Control: what protects packets on their way is that an id rests before it is used again. */
static void without_grace_periods_packets_leave_their_vip(void **state)
{
	struct hammer h;

	proof_needs_two_cpus();
	hammer_new(&h);
	without_grace(&h);
	hammer(&h, UINT64_MAX, 60000);
	says("hammer, control: ids are reused without a grace period", &h);
	assert_true(SUM(&h, foreign) + h.resurrected > 0);
	hammer_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_slot_is_lost_or_resurrected),
		cmocka_unit_test(with_plain_stores_slots_are_lost),
		cmocka_unit_test(without_grace_periods_packets_leave_their_vip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
