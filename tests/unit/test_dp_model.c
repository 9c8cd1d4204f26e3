/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random changes, grace periods, scans and flows against plan, apply and retire; after every step
 * what must always hold is checked, and every flow slot against a memory of which life of a member
 * id it was written for.
 */
#include "lab_random.h"

#define STEPS 2000

struct model {
	struct lab *lab;
	uint64_t random;
	uint32_t life[256]; /* how often a member id was freed */
	uint32_t written[16 * FLOW_SLOTS]; /* the life of the id in each flow slot */
	uint64_t packets; /* counted by all members so far */
	struct vip_key vip_key[16]; /* by VIP id: whose totals these are */
	uint64_t vip_packets[16];
};

static uint32_t rnd(struct model *m, uint32_t n)
{
	return lab_random(&m->random, n);
}

/* As a packet: picks from a ring that it can find, and writes the pick down. */
static void insert_flow(struct model *m)
{
	const struct fake *f = m->lab->fake;
	uint32_t at = rnd(m, ARRAY_SIZE(m->written)), id;
	uint64_t word;

	if (!f->maps->n_vips)
		return;
	word = f->dp.vip_state[f->maps->vips[rnd(m, f->maps->n_vips)].id].ring;
	if (!word)
		return;
	id = lab_ring_id(&f->dp, word, rnd(m, RING_WORD_SIZE(word)));
	f->dp.flows[at / 8].slot[at % 8] = (uint64_t)(at + 1) << FLOW_TAG_SHIFT |
					   (uint64_t)id << FLOW_MEMBER_SHIFT |
					   (uint64_t)FLOW_TCP << FLOW_STATE_SHIFT |
					   (rnd(m, 2) ? FLOW_AGE_OLD : 0);
	m->written[at] = m->life[id];
	f->stats[id].packets++;
	m->packets++;
}

static uint64_t packets_of(const struct lab *lab, const struct applied_vip *vip)
{
	uint64_t sum = lab->fake->dp.vip_state[vip->id].freed_packets;

	for (size_t i = 0; i < vip->n_members; i++)
		sum += lab->fake->stats[vip->members[i].id].packets;
	return sum;
}

static void check_totals(struct model *m)
{
	uint64_t all = 0;

	for (size_t v = 0; v < m->lab->applied->n_vips; v++) {
		const struct applied_vip *vip = m->lab->applied->vips[v];
		uint64_t sum = packets_of(m->lab, vip);

		if (memcmp(&m->vip_key[vip->id], &vip->key, sizeof(vip->key)) == 0)
			assert_true(sum >= m->vip_packets[vip->id]);
		m->vip_key[vip->id] = vip->key;
		m->vip_packets[vip->id] = sum;
		all += sum;
	}
	for (uint32_t id = 0; id < 16; id++) {
		if (!m->lab->applied->vip_refs[id])
			m->vip_key[id] = (struct vip_key){};
	}
	assert_true(all <= m->packets);
}

static void scan(struct model *m)
{
	bool was_used[256];
	const struct id_pool *pool = &m->lab->applied->member_ids;

	for (uint32_t id = 0; id < 256; id++)
		was_used[id] = pool->used[id / 64] >> (id % 64) & 1;
	lab_scan(m->lab);
	for (uint32_t id = 0; id < 256; id++)
		m->life[id] += was_used[id] && !(pool->used[id / 64] >> (id % 64) & 1);
}

static void check_flows(const struct model *m)
{
	for (size_t at = 0; at < ARRAY_SIZE(m->written); at++) {
		uint64_t word = m->lab->fake->dp.flows[at / 8].slot[at % 8];

		if (word > FLOW_SLOT_FREED)
			assert_int_equal(m->written[at],
					 m->life[(word >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK]);
	}
}

static void apply_change(struct model *m)
{
	lab_change(m->lab, &m->random);
	if (lab_plan(m->lab))
		assert_non_null(strstr(m->lab->err.text, "capacity."));
	else
		assert_int_equal(apply_plan(m->lab->applied, &m->lab->plan, &m->lab->err), 0);
}

static void run_steps(uint64_t seed)
{
	struct model m = {.lab = lab_new(), .random = seed};

	for (int i = 0; i < STEPS; i++) {
		switch (rnd(&m, 8)) {
		case 0:
		case 1:
			apply_change(&m);
			break;
		case 2:
			fake_grace_pass(m.lab->fake);
			break;
		case 3:
			scan(&m);
			break;
		case 4:
		case 5:
			apply_next_ring(m.lab->applied, &m.lab->err);
			break;
		default:
			insert_flow(&m);
		}
		lab_check(m.lab);
		check_flows(&m);
		check_totals(&m);
	}
	while (lab_plan(m.lab))
		lab_retire_all(m.lab);
	lab_settle(m.lab);
	lab_check_settled(m.lab);
	lab_free(m.lab);
}

static void test_invariants_hold_after_every_random_step(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		run_steps(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariants_hold_after_every_random_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
