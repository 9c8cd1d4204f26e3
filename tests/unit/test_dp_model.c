/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random changes, grace periods, scans and flows against plan, apply and retire; after every step
 * what must always hold is checked, and every flow slot against a memory of which life of a member
 * id it was written for.
 */
#include "lab.h"

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
	m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(m->random >> 33) % n;
}

static uint32_t unused_host(struct model *m, size_t v)
{
	for (;;) {
		uint32_t host = 1 + rnd(m, 40);
		bool is_used = false;

		for (size_t r = 0; r < m->lab->vips[v].n_reals; r++)
			is_used |= m->lab->reals[v][r].address.w[3] == lab_addr(host).w[3];
		if (!is_used)
			return host;
	}
}

static void change_vips(struct model *m)
{
	struct lab *lab = m->lab;
	uint32_t address = rnd(m, 4), port = 80 + rnd(m, 3);

	if (lab->n_vips > 2 && rnd(m, 2)) {
		lab_remove_vip(lab, rnd(m, lab->n_vips));
		return;
	}
	for (size_t v = 0; v < lab->n_vips; v++) {
		if (lab->vips[v].port == port &&
		    lab->vips[v].address.w[3] == lab_addr(0x10000 + address).w[3])
			return;
	}
	if (lab->n_vips < 8)
		lab_add_vip(lab, address, port);
}

static void change_reals(struct model *m, size_t v)
{
	struct lab *lab = m->lab;
	uint32_t n = 1 + rnd(m, 12);

	for (uint32_t i = 0; i < n; i++) {
		if (lab->vips[v].n_reals < 30 && rnd(m, 5) < 3)
			lab_add_real(lab, v, unused_host(m, v), rnd(m, 4));
		else if (lab->vips[v].n_reals)
			lab_remove_real(lab, v, rnd(m, lab->vips[v].n_reals));
	}
}

static void change_inputs(struct model *m, size_t v)
{
	static const enum health_verdict verdicts[] = {HEALTH_UP, HEALTH_DOWN, HEALTH_UNKNOWN};
	static const enum admin_state admins[] = {ADMIN_ENABLED, ADMIN_DRAIN, ADMIN_DISABLED};
	size_t r;

	if (!m->lab->vips[v].n_reals)
		return;
	r = rnd(m, m->lab->vips[v].n_reals);
	m->lab->reals[v][r].weight = rnd(m, 4) * 5;
	m->lab->inputs[v][r].health = verdicts[rnd(m, 3)];
	m->lab->inputs[v][r].admin = admins[rnd(m, 5) % 3];
}

static void change(struct model *m)
{
	static const uint32_t rings[] = {251, 509, 1021};
	size_t v;

	if (!m->lab->n_vips || rnd(m, 8) == 0) {
		change_vips(m);
		return;
	}
	v = rnd(m, m->lab->n_vips);
	switch (rnd(m, 6)) {
	case 0:
		m->lab->vips[v].ring = rings[rnd(m, 3)];
		break;
	case 1:
		m->lab->vips[v].timeouts.tcp_ms = 1000 + rnd(m, 100000);
		break;
	case 2:
	case 3:
		change_reals(m, v);
		break;
	default:
		change_inputs(m, v);
	}
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
	change(m);
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
