/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See established.h. */
#include "established.h"

#include <stdlib.h>

#define TCP_SYN 0x02
#define TCP_ACK 0x10

static const struct bed_vip before[] = {
	{.address = "198.18.0.0",
	 .port = TRAFFIC_VIP_PORT,
	 .ring = 4099,
	 .reals = {{"10.0.0.1"},
		   {"10.0.0.2"},
		   {"10.0.0.3"},
		   {"10.0.0.4"},
		   {"10.0.0.5"},
		   {"10.0.0.6"},
		   {"10.0.0.7"},
		   {"10.0.0.8"},
		   {"10.0.0.9"},
		   {"10.0.0.10"}}},
	{.address = "198.18.0.0",
	 .port = TRAFFIC_VIP_PORT,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.3"}}},
};

static const struct bed_vip after[] = {
	{.address = "198.18.0.0",
	 .port = TRAFFIC_VIP_PORT,
	 .ring = 4099,
	 .reals = {{"10.0.0.1", .weight = 300},
		   {"10.0.0.2", .weight = 20},
		   {"10.0.0.3", .weight = 300},
		   {"10.0.0.4"},
		   {"10.0.0.5"},
		   {"10.0.0.6"},
		   {"10.0.0.7"},
		   {"10.0.0.8"},
		   {"10.0.0.9", .is_drained = true},
		   {"10.0.0.11"}}}, /* and .10 is removed */
	{.address = "198.18.0.0",
	 .port = TRAFFIC_VIP_PORT,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.0.1"}, {"10.0.0.3"}, {"10.0.0.4"}}},
};

void established_learn(struct traffic *traffic, uint32_t n)
{
	struct traffic_state *s = traffic->state;
	struct traffic_result result;

	traffic_set_kind(traffic, IPPROTO_TCP, TCP_SYN);
	s->kind[1] = s->kind[2] = (struct traffic_kind){IPPROTO_TCP, TCP_ACK, 0};
	s->kinds = 3;
	s->is_sequence = true;
	s->flows = n;
	s->position = 0;
	s->check = CHECK_LEARN;
	result = traffic_run(traffic, 3ULL * n);
	assert_int_equal(result.forwarded, 3ULL * n);
}

static uint32_t divisor(uint32_t a, uint32_t b)
{
	return b ? divisor(b, a % b) : a;
}

void established_resume(struct traffic *traffic, uint32_t n)
{
	struct traffic_state *s = traffic->state;

	traffic_set_kind(traffic, IPPROTO_TCP, TCP_ACK);
	s->flows = n;
	s->position = 0;
	s->check = CHECK_KEEP;
	s->stride = (uint32_t)(0.618 * n) | 1;
	while (divisor(n, s->stride) != 1)
		s->stride += 2;
}

/* Whoever found both buckets full goes by the ring, as documented. */
static void leave_out_untracked(struct established *e)
{
	for (uint32_t i = 0; i < e->n; i++) {
		struct flow_tuple t = traffic_tuple(e->keepers, i);
		const uint64_t *slot = proof_slot(e->bed, &t);

		if (slot && SLOT_WORD_STATE(*slot) == FLOW_TCP)
			e->tracked++;
		else
			e->keepers->picks[i] = 0;
	}
}

void established_new(struct established *e, uint32_t capacity, uint32_t syn_limit)
{
	*e = (struct established){};
	e->bed = bed_new(&(struct bed_options){
		.flows = capacity,
		.syn_window_shift = 4,
		.syn_window_limit = syn_limit,
	});
	/* Half of the slots are more than the capacity where a table is small: see sizing.h. */
	e->n = e->bed->dp->control->flow_buckets * FLOW_SLOTS / 2;
	e->n += e->n / 500;
	bed_apply(e->bed, before, 2);
	e->ring = proof_ring(e->bed, &before[0], &e->ring_size);
	e->keepers = traffic_new(e->bed, &(struct traffic_options){.picks = e->n, .cpu = 1});
	e->keepers->state->seed = 1;
	established_learn(e->keepers, e->n);
	leave_out_untracked(e);
	assert_in_range(e->tracked, capacity, e->n);
	e->load = proof_load(e->bed);
	assert_true(e->load >= PROOF_LOAD);
	established_resume(e->keepers, e->n);
}

void established_free(struct established *e)
{
	traffic_free(e->keepers);
	free(e->ring);
	bed_remove(e->bed);
	*e = (struct established){};
}

double established_change_ring(struct established *e)
{
	uint32_t *ring, n;
	double share;

	bed_apply(e->bed, after, 2);
	ring = proof_ring(e->bed, &after[0], &n);
	assert_int_equal(n, e->ring_size);
	share = proof_moved_share(e->ring, ring, n);
	free(ring);
	return share;
}

void established_restore_ring(struct established *e)
{
	bed_apply(e->bed, before, 2);
}

uint32_t established_off_ring(const struct established *e)
{
	uint32_t off = 0;

	for (uint32_t i = 0; i < e->n; i++) {
		struct flow_tuple t = traffic_tuple(e->keepers, i);
		uint64_t hash = flow_hash(&t, &e->bed->knobs.hash_key);

		off += e->keepers->picks[i] &&
		       e->keepers->picks[i] != proof_ring_pick(e->bed, &before[0], hash);
	}
	return off;
}
