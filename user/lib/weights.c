/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shares to integers: see weights.h. A share is the exact fraction pool weight * weight / weights
 * of the pool's reals, with 32 binary digits after the point; for a ring all are shifted to the
 * right alike. A ring is the same for weights that are all twice as large (maglev.c counts in
 * powers of two), so the shift itself moves no flow.
 */
#include "weights.h"

#define POINT		32
#define RING_WEIGHT_MAX 65535

/* Over the members in the ring, but for of_pool. */
struct sums {
	uint64_t of_pool[VIP_POOLS_MAX]; /* weights among which its share is divided */
	uint64_t reals; /* weights */
	uint64_t shares;
	size_t n_pools;
	uint8_t lowest, highest; /* level of backups */
	bool is_lowered; /* somebody is denied a part */
};

static bool is_in_ring(const struct desired_member *m)
{
	return (m->state & MEMBER_STATE_MASK) == MEMBER_UP;
}

static void sum_ring(const struct vip_spec *vip, const struct real_input *inputs,
		     const struct desired_member *members, struct sums *sums)
{
	bool has_pool[VIP_POOLS_MAX] = {};

	sums->lowest = UINT8_MAX;
	for (size_t r = 0; r < vip->n_reals; r++) {
		const struct real_spec *real = &vip->reals[r];

		if (!is_in_ring(&members[r]))
			continue;
		sums->n_pools += !has_pool[real->pool];
		has_pool[real->pool] = true;
		sums->reals += real->weight;
		if (real->backup_level < sums->lowest)
			sums->lowest = real->backup_level;
		if (real->backup_level > sums->highest)
			sums->highest = real->backup_level;
		sums->is_lowered |= inputs[r].lowered_percent || inputs[r].held_back_percent;
	}
}

/*
 * The reals in the ring have all of their pool's share. But where backups have joined since reals
 * are missing, who is left does not get what those had: the backups do.
 */
static bool has_part(const struct real_spec *real, const struct desired_member *m,
		     const struct sums *sums)
{
	if (sums->lowest >= sums->highest)
		return is_in_ring(m);
	return real->backup_level >= sums->lowest && real->backup_level <= sums->highest;
}

/* In one pool the weights themselves: its share is all there is. */
static uint64_t share_of(const struct vip_spec *vip, const struct real_spec *real,
			 const struct sums *sums)
{
	if (sums->n_pools == 1)
		return (uint64_t)real->weight << POINT;
	return ((uint64_t)vip->pools[real->pool].weight * real->weight << POINT) /
	       sums->of_pool[real->pool];
}

static void sum_up(const struct vip_spec *vip, const struct real_input *inputs,
		   const struct desired_member *members, struct sums *sums)
{
	sum_ring(vip, inputs, members, sums);
	for (size_t r = 0; r < vip->n_reals; r++) {
		if (has_part(&vip->reals[r], &members[r], sums))
			sums->of_pool[vip->reals[r].pool] += vip->reals[r].weight;
	}
	for (size_t r = 0; r < vip->n_reals; r++) {
		if (is_in_ring(&members[r]))
			sums->shares += share_of(vip, &vip->reals[r], sums);
	}
}

static uint64_t after_denials(uint64_t share, struct real_input input)
{
	uint32_t lowered = 100 - input.lowered_percent, held_back = 100 - input.held_back_percent;

	return (uint64_t)((unsigned __int128)share * lowered * held_back / 10000);
}

static uint32_t at_least_one(uint64_t value)
{
	return value ? (uint32_t)value : 1;
}

/* To the nearest. */
static uint32_t ring_weight(uint64_t share, unsigned int shift)
{
	uint64_t half = shift ? 1ULL << (shift - 1) : 0;
	uint64_t weight = (share >> shift) + ((share & (2 * half - 1)) >= half && half);

	return at_least_one(weight < RING_WEIGHT_MAX ? weight : RING_WEIGHT_MAX);
}

/* As few bits as possible are lost; none where whole weights do. */
static unsigned int find_shift(const struct vip_spec *vip, const struct desired_member *members,
			       const struct sums *sums)
{
	unsigned int shift = 0;
	uint64_t max = 0;

	if (sums->n_pools == 1 && !sums->is_lowered)
		return POINT;
	for (size_t r = 0; r < vip->n_reals; r++) {
		if (is_in_ring(&members[r]) && share_of(vip, &vip->reals[r], sums) > max)
			max = share_of(vip, &vip->reals[r], sums);
	}
	while (max >> shift > RING_WEIGHT_MAX)
		shift++;
	return shift;
}

static uint32_t shown(uint64_t share, const struct sums *sums)
{
	uint64_t all = sums->shares ? sums->shares : 1;

	return at_least_one((uint64_t)((unsigned __int128)share * sums->reals / all));
}

/*
 * Who is denied a part gets a slot all the same, unless the whole would be less: of a first step of
 * slow start, or of a trial, something must come. By what all would have, nobody denied anything,
 * so that it does not depend on what the others are denied.
 */
static void keep_a_slot(const struct vip_spec *vip, const struct sums *sums, unsigned int shift,
			struct desired_member *members)
{
	uint64_t all = 0, least;

	if (!vip->ring || !sums->is_lowered)
		return;
	for (size_t r = 0; r < vip->n_reals; r++) {
		if (is_in_ring(&members[r]))
			all += ring_weight(share_of(vip, &vip->reals[r], sums), shift);
	}
	least = (all + vip->ring - 1) / vip->ring;
	for (size_t r = 0; r < vip->n_reals; r++) {
		struct desired_member *m = &members[r];
		uint32_t whole;

		if (!is_in_ring(m) || m->ring_weight >= least)
			continue;
		whole = ring_weight(share_of(vip, &vip->reals[r], sums), shift);
		m->ring_weight = whole < least ? whole : (uint32_t)least;
	}
}

void weights_fill(const struct vip_spec *vip, const struct real_input *inputs,
		  struct desired_member *members)
{
	struct sums sums = {};
	unsigned int shift;

	sum_up(vip, inputs, members, &sums);
	shift = find_shift(vip, members, &sums);
	for (size_t r = 0; r < vip->n_reals; r++) {
		struct desired_member *m = &members[r];
		uint64_t share;

		m->ring_weight = m->weight = 0;
		if (!is_in_ring(m))
			continue;
		share = after_denials(share_of(vip, &vip->reals[r], &sums), inputs[r]);
		m->ring_weight = ring_weight(share, shift);
		m->weight = shown(share, &sums);
	}
	keep_a_slot(vip, &sums, shift, members);
}
