/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A small balancer without packets for the tests of plan, apply, adopt and retire: wanted VIPs and
 * reals that a test changes by hand, the fake data plane they are applied to, and what must hold
 * after every step (lab_check).
 */
#pragma once

#include "fake_dp.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/addr.h"
#include "lib/apply.h"
#include "lib/desired.h"
#include "lib/flow_clock.h"
#include "lib/plan.h"
#include "lib/sizing.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define LAB_VIPS      12
#define LAB_REALS     64
#define LAB_HZ	      250
#define LAB_KEY	      0x1234
#define LAB_BLOCKS    32768

struct lab {
	struct fake *fake;
	struct applied *applied;
	struct vip_spec vips[LAB_VIPS];
	struct real_spec reals[LAB_VIPS][LAB_REALS];
	struct real_input inputs[LAB_VIPS][LAB_REALS];
	size_t n_vips;
	struct flow_clock clock;
	struct desired desired;
	struct plan plan;
	struct flow_scan scan;
	struct err err;
};

static inline struct ip_addr lab_addr(uint32_t host)
{
	struct ip_addr a = {};

	a.b[10] = a.b[11] = 0xff;
	a.w[3] = htonl(0x0a000000u + host);
	return a;
}

/* Address 10.1.0.ADDRESS, no reals yet. */
static inline size_t lab_add_vip(struct lab *lab, uint32_t address, uint16_t port)
{
	size_t v = lab->n_vips++;

	assert_true(v < LAB_VIPS);
	lab->vips[v] = (struct vip_spec){
		.name = "web",
		.address = lab_addr(0x10000 + address),
		.port = port,
		.protocol = IPPROTO_TCP,
		.ring = 251,
		.timeouts = {60000, 10000, 5000, 20000},
		.reals = lab->reals[v],
	};
	return v;
}

static inline void lab_add_real(struct lab *lab, size_t v, uint32_t host, uint32_t weight)
{
	size_t r = lab->vips[v].n_reals++;

	assert_true(r < LAB_REALS);
	lab->reals[v][r] = (struct real_spec){.address = lab_addr(host), .weight = weight};
	lab->inputs[v][r] = (struct real_input){.health = HEALTH_UP};
}

static inline void lab_add_reals(struct lab *lab, size_t v, uint32_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lab_add_real(lab, v, first + i, 10);
}

static inline void lab_remove_real(struct lab *lab, size_t v, size_t r)
{
	size_t last = --lab->vips[v].n_reals;

	memmove(&lab->reals[v][r], &lab->reals[v][r + 1], (last - r) * sizeof(lab->reals[v][r]));
	memmove(&lab->inputs[v][r], &lab->inputs[v][r + 1], (last - r) * sizeof(lab->inputs[v][r]));
}

static inline void lab_remove_vip(struct lab *lab, size_t v)
{
	size_t last = --lab->n_vips;

	lab->vips[v] = lab->vips[last];
	lab->vips[v].reals = lab->reals[v];
	memcpy(lab->reals[v], lab->reals[last], sizeof(lab->reals[v]));
	memcpy(lab->inputs[v], lab->inputs[last], sizeof(lab->inputs[v]));
}

static inline struct real_input lab_input(void *user, size_t v, size_t r)
{
	return ((struct lab *)user)->inputs[v][r];
}

static inline void lab_applied_new(struct lab *lab)
{
	assert_int_equal(applied_new(&lab->applied, &lab->fake->dp, LAB_KEY), 0);
}

static inline struct lab *lab_new_sized(uint32_t members, uint32_t vips, uint32_t ring_blocks)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->fake = fake_new(members, vips, ring_blocks, 16);
	assert_int_equal(flow_scan_init(&lab->scan, members), 0);
	lab_applied_new(lab);
	return lab;
}

static inline struct lab *lab_new(void)
{
	return lab_new_sized(256, 16, LAB_BLOCKS);
}

/* One VIP with the reals 1 to 3. */
static inline struct lab *lab_one_vip(void)
{
	struct lab *lab = lab_new();

	lab_add_reals(lab, lab_add_vip(lab, 1, 80), 1, 3);
	return lab;
}

static inline void lab_forget_plan(struct lab *lab)
{
	plan_free(&lab->plan);
	desired_free(&lab->desired);
}

static inline void lab_free(struct lab *lab)
{
	lab_forget_plan(lab);
	flow_scan_free(&lab->scan);
	applied_free(lab->applied);
	fake_free(lab->fake);
	free(lab);
}

static inline int lab_plan(struct lab *lab)
{
	struct config config = {.vips = lab->vips, .n_vips = lab->n_vips};

	lab_forget_plan(lab);
	flow_clock_make(lab->vips, lab->n_vips, LAB_HZ, &lab->clock);
	lab->fake->dp.control->clock = lab->clock;
	assert_int_equal(effective(&config, lab_input, lab, &lab->desired), 0);
	return plan_make(lab->applied, &lab->desired, &lab->clock, LAB_HZ, &lab->plan, &lab->err);
}

static inline int lab_apply(struct lab *lab)
{
	assert_int_equal(lab_plan(lab), 0);
	return apply_plan(lab->applied, &lab->plan, &lab->err);
}

/* Every ring, with grace periods as needed. */
static inline void lab_rings(struct lab *lab)
{
	enum ring_progress progress;

	for (int i = 0; i < 1000; i++) {
		progress = apply_next_ring(lab->applied, &lab->err);
		if (progress == RINGS_DONE)
			return;
		if (progress == RINGS_WAIT)
			fake_grace_pass(lab->fake);
	}
	fail_msg("rings do not come to an end: %s", lab->err.text);
}

/* The whole way of a change. */
static inline void lab_settle(struct lab *lab)
{
	assert_int_equal(lab_apply(lab), 0);
	lab_rings(lab);
}

static inline void lab_scan(struct lab *lab)
{
	flow_scan_reset(&lab->scan);
	flow_scan_range(&lab->scan, &lab->fake->dp, 0, lab->fake->dp.control->flow_buckets, 0);
	apply_retire(lab->applied, &lab->scan);
}

/* Long enough for everything removed to be free again. */
static inline void lab_retire_all(struct lab *lab)
{
	for (int i = 0; i < 8; i++) {
		fake_grace_pass(lab->fake);
		lab_scan(lab);
	}
}

static inline struct applied_vip *lab_vip(const struct lab *lab, size_t v)
{
	struct vip_key key = vip_key_of(&lab->vips[v]);

	return applied_find(lab->applied, &key);
}

static inline struct applied_member *lab_member(const struct lab *lab, size_t v, uint32_t host)
{
	struct ip_addr a = lab_addr(host);

	return applied_find_member(lab_vip(lab, v), &a, 0);
}

/* A successor over the same maps. */
static inline int lab_adopt(struct lab *lab)
{
	const struct fake_maps *maps = lab->fake->maps;
	struct vip_key keys[FAKE_VIPS];
	uint32_t ids[FAKE_VIPS];

	applied_free(lab->applied);
	lab_applied_new(lab);
	for (size_t i = 0; i < maps->n_vips; i++) {
		keys[i] = maps->vips[i].key;
		ids[i] = maps->vips[i].id;
	}
	return apply_adopt(lab->applied, keys, ids, maps->n_vips, &lab->err);
}

/* ---- what packets would meet ---------------------------------------------------------------- */

/* The member id that slot i of a ring names. */
static inline uint32_t lab_ring_id(const struct dp *dp, uint64_t word, uint32_t i)
{
	uint32_t base = RING_WORD_BASE(word);
	uint32_t list = base + RING_SLOT_BLOCKS(RING_WORD_SIZE(word));
	uint32_t position = dp->rings[base + i / RING_SLOTS_PER_BLOCK].slot[i % 32];

	return dp->rings[list + position / RING_MEMBERS_PER_BLOCK].member[position % 16];
}

/* Turn i of round robin. */
static inline uint32_t lab_turn_id(const struct dp *dp, uint64_t order, uint32_t i)
{
	return dp->rings[RING_WORD_BASE(order) + i / RING_MEMBERS_PER_BLOCK].member[i % 16];
}

/* Every slot and turn of every VIP that packets can find names a member that is of this VIP. */
static inline void lab_check_packets(const struct lab *lab)
{
	const struct dp *dp = &lab->fake->dp;

	for (size_t v = 0; v < lab->fake->maps->n_vips; v++) {
		const struct fake_vip *row = &lab->fake->maps->vips[v];
		uint64_t word = dp->vip_state[row->id].ring;

		for (uint32_t i = 0; i < RING_WORD_SIZE(word); i++) {
			const struct member *m = &dp->members[lab_ring_id(dp, word, i)];

			assert_int_not_equal(m->state & MEMBER_STATE_MASK, MEMBER_FREE);
			assert_int_equal(m->vip_id, row->id);
			assert_memory_equal(&m->vip, &row->key.address, sizeof(m->vip));
			assert_int_equal(m->protocol, row->key.protocol);
		}
		word = dp->vip_state[row->id].order;
		for (uint32_t i = 0; i < RING_WORD_SIZE(word); i++) {
			const struct member *m = &dp->members[lab_turn_id(dp, word, i)];

			assert_int_not_equal(m->state & MEMBER_STATE_MASK, MEMBER_FREE);
			assert_int_equal(m->vip_id, row->id);
		}
	}
}

static inline void lab_mark_blocks(const struct lab *lab, uint8_t *owner, struct extent e)
{
	for (uint32_t b = e.base; b < e.base + e.blocks; b++) {
		assert_true(b < lab->fake->dp.control->ring_blocks);
		assert_int_equal(owner[b], 0);
		owner[b] = 1;
	}
}

static inline void lab_check_extents(const struct lab *lab)
{
	const struct applied *a = lab->applied;
	uint32_t blocks = a->dp->control->ring_blocks, n_used = 0, n_owned = 0;
	uint8_t *owner = calloc(blocks, 1);

	assert_non_null(owner);
	for (size_t v = 0; v < a->n_vips; v++) {
		for (int half = 0; half < 2; half++) {
			lab_mark_blocks(lab, owner, a->vips[v]->half[half]);
			lab_mark_blocks(lab, owner, a->vips[v]->wider[half]);
		}
		lab_mark_blocks(lab, owner, a->vips[v]->stray);
	}
	for (size_t i = 0; i < a->n_pending; i++) {
		lab_mark_blocks(lab, owner, a->pending[i].extents[0]);
		lab_mark_blocks(lab, owner, a->pending[i].extents[1]);
	}
	for (size_t i = 0; i < a->ring_space.n_used; i++)
		n_used += a->ring_space.used[i].blocks;
	for (uint32_t b = 0; b < blocks; b++)
		n_owned += owner[b];
	assert_int_equal(n_owned, n_used);
	free(owner);
}

static inline void lab_mark_id(uint8_t *owned, uint32_t id)
{
	assert_int_equal(owned[id], 0);
	owned[id] = 1;
}

static inline void lab_check_ids(const struct lab *lab)
{
	const struct applied *a = lab->applied;
	uint8_t *member = calloc(a->member_ids.n, 1), *vip = calloc(a->vip_ids.n, 1);
	uint32_t n_members = 0;

	assert_true(member && vip);
	for (size_t v = 0; v < a->n_vips; v++) {
		const struct applied_vip *have = a->vips[v];

		lab_mark_id(vip, have->id);
		for (size_t i = 0; i < have->n_members; i++, n_members++) {
			const struct member *m = &a->dp->members[have->members[i].id];

			lab_mark_id(member, have->members[i].id);
			assert_int_equal(m->vip_id, have->id);
			assert_int_equal(m->port, have->key.port);
			if (have->key.port_last || !have->key.host_bits)
				assert_int_equal(m->port_last, have->key.port_last);
			else
				assert_int_equal(m->port_last, m->port);
			assert_int_equal(m->vip_host_bits, have->key.host_bits);
			assert_int_equal(m->state, have->members[i].state);
			assert_memory_equal(&m->real, &have->members[i].real, sizeof(m->real));
		}
	}
	for (size_t i = 0; i < a->n_orphans; i++, n_members++) {
		lab_mark_id(member, a->orphans[i].id);
		assert_true(a->vip_refs[a->orphans[i].vip_id] > 0);
	}
	assert_int_equal(n_members, a->member_ids.n_used);
	free(member);
	free(vip);
}

/* What the daemon believes of "vips" is what is there. */
static inline void lab_check_published(const struct lab *lab)
{
	size_t n = 0;

	for (size_t v = 0; v < lab->applied->n_vips; v++) {
		const struct applied_vip *vip = lab->applied->vips[v];
		const struct fake_vip *row = fake_find_vip(lab->fake, &vip->key);

		assert_int_equal(vip->is_published, row != NULL);
		n += row != NULL;
		n += vip->has_left_key && fake_find_vip(lab->fake, &vip->left_key);
		if (row)
			assert_int_equal(row->id, vip->id);
	}
	assert_int_equal(n, lab->fake->maps->n_vips);
}

static inline void lab_check(const struct lab *lab)
{
	lab_check_packets(lab);
	lab_check_extents(lab);
	lab_check_ids(lab);
	lab_check_published(lab);
}

/* Whether a VIP with this one's address has a ring that packets see. */
static inline bool lab_address_is_up(const struct lab *lab, size_t v)
{
	bool is_up = false;

	for (size_t i = 0; i < lab->n_vips; i++) {
		if (addr_equal(&lab->vips[i].address, &lab->vips[v].address) &&
		    lab->vips[i].host_bits == lab->vips[v].host_bits)
			is_up |= lab->fake->dp.vip_state[lab_vip(lab, i)->id].ring != 0;
	}
	return is_up;
}

static inline bool lab_answers_echo(const struct lab *lab, size_t v)
{
	struct vip_addr_key key = {lab->vips[v].address, FAMILY_V4, lab->vips[v].host_bits};

	return fake_find_addr(lab->fake, &key)->value.answers_echo;
}

/* The addresses that packets are looked up by are those of the VIPs. */
static inline void lab_check_addresses(const struct lab *lab)
{
	size_t n = 0;

	for (size_t v = 0; v < lab->n_vips; v++) {
		struct vip_addr_key key = {lab->vips[v].address, FAMILY_V4, lab->vips[v].host_bits};
		bool is_first = true;

		for (size_t other = 0; other < v; other++)
			is_first &= !addr_equal(&lab->vips[other].address, &key.address) ||
				    lab->vips[other].host_bits != key.host_bits;
		n += is_first;
		assert_non_null(fake_find_addr(lab->fake, &key));
		assert_int_equal(fake_find_addr(lab->fake, &key)->value.on_no_port,
				 lab->vips[v].on_no_port);
		if (lab->vips[v].echo == ECHO_WHILE_UP)
			assert_int_equal(lab_answers_echo(lab, v), lab_address_is_up(lab, v));
	}
	assert_int_equal(n, lab->fake->maps->n_addrs);
}

/* Who has turns is in the ring, and a VIP of another scheduler has none. */
static inline void lab_check_turns(const struct lab *lab, size_t v)
{
	const struct dp *dp = &lab->fake->dp;
	const struct vip_state *state = &dp->vip_state[lab_vip(lab, v)->id];
	bool has_turns[256] = {}, has_slots[256] = {};

	assert_int_equal(state->schedule, vip_schedule(&lab->vips[v]));
	assert_int_equal(state->affinity_s, lab->vips[v].source.affinity_ms / 1000);
	assert_int_equal(state->on_empty, vip_on_empty(&lab->vips[v]));
	assert_int_equal(state->order != 0, state->ring && lab->vips[v].scheduler == SCHEDULER_RR);
	if (!state->order)
		return;
	for (uint32_t i = 0; i < RING_WORD_SIZE(state->order); i++)
		has_turns[lab_turn_id(dp, state->order, i)] = true;
	for (uint32_t i = 0; i < RING_WORD_SIZE(state->ring); i++)
		has_slots[lab_ring_id(dp, state->ring, i)] = true;
	assert_memory_equal(has_turns, has_slots, sizeof(has_turns));
}

/* After lab_settle(): the rings name the reals that are up, all of them, and nobody else. */
static inline void lab_check_settled(struct lab *lab)
{
	const struct dp *dp = &lab->fake->dp;

	lab_check(lab);
	lab_check_addresses(lab);
	assert_int_equal(lab->fake->maps->n_vips, lab->n_vips);
	for (size_t v = 0; v < lab->n_vips; v++) {
		const struct applied_vip *have = lab_vip(lab, v);
		uint64_t word = dp->vip_state[have->id].ring;
		bool is_named[LAB_REALS] = {};

		lab_check_turns(lab, v);

		for (uint32_t i = 0; i < RING_WORD_SIZE(word); i++) {
			struct ip_addr real = dp->members[lab_ring_id(dp, word, i)].real;
			size_t r = 0;

			while (r < lab->vips[v].n_reals &&
			       !addr_equal(&lab->reals[v][r].address, &real))
				r++;
			assert_true(r < lab->vips[v].n_reals);
			is_named[r] = true;
		}
		for (size_t r = 0; r < lab->vips[v].n_reals; r++) {
			struct desired_member want = effective_member(&lab->reals[v][r],
								      lab->inputs[v][r]);

			assert_int_equal(is_named[r], want.ring_weight > 0);
			assert_int_equal(
				lab_member(lab, v, ntohl(want.real.w[3]) - 0x0a000000u)->state,
				want.state);
		}
		if (word)
			assert_int_equal(RING_WORD_SIZE(word), lab->vips[v].ring);
	}
}
