/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring, from the paper's algorithm 1: the reals take turns, and in its turn a real takes the
 * first free slot of its own permutation of the slots.
 *
 * Weights. A real of weight w is of rank r, the least with w <= 2^r. Time goes in rounds; the
 * heaviest rank has a turn in every round, a rank d below it in every 2^d-th. At such a turn the
 * real's credit grows by w and it takes a slot for every 2^r of credit. So when a real takes its
 * slots does not depend on the other reals (which keeps the disruption small), at least every
 * second look at a real gives it a slot (which keeps it fast), and with equal weights it is the
 * paper's round robin. The rounds end before any real is over its due; a closing round robin hands
 * out the few slots that are owed then. Quotas are by largest remainder, so every real ends within
 * one slot of its due.
 */
#include "maglev.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "xdplb/hash.h"

#define MAGLEV_MAX_REALS  65536
#define MAGLEV_MAX_WEIGHT 65535
#define MAGLEV_RANKS	  17 /* of weights 1 ... 65535: 0 ... 16 */

struct turn {
	const struct maglev_real *real;
	uint32_t next; /* slot of its permutation to look at next */
	uint32_t skip;
	uint32_t credit;
	uint32_t owed; /* slots to hand out when the rounds are over */
	uint32_t remainder; /* of its due, in 1 / total weight */
	uint16_t index;
	uint8_t rank;
};

struct ring {
	uint16_t *slots;
	uint64_t *taken; /* a bit a slot: every u16 is a valid index, none is left for "free" */
	uint32_t size;
	const struct maglev_real *reals;
	struct turn *turns; /* by rank, heaviest first, then by address */
	struct turn **by_remainder;
	size_t n;
	uint64_t weight; /* total */
	size_t rank_end[MAGLEV_RANKS]; /* by distance from the heaviest rank */
};

static bool is_prime(uint32_t n)
{
	if (n < 2 || n % 2 == 0)
		return n == 2;
	for (uint32_t i = 3; (uint64_t)i * i <= n; i += 2) {
		if (n % i == 0)
			return false;
	}
	return true;
}

static uint64_t load_be64(const uint8_t *b)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

/* Stafford's Mix13, the finalizer of splitmix64. */
static uint64_t mix64(uint64_t h)
{
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
	return h ^ (h >> 31);
}

/*
 * Offset and skip of the permutation, from nothing but the address read as two big-endian words,
 * so that every machine computes the same.
 */
static void seed_permutation(struct turn *turn, uint32_t size)
{
	uint64_t high = load_be64(turn->real->address.b);
	uint64_t low = load_be64(turn->real->address.b + 8);
	uint64_t h = mix64(mix64(high + 0x9e3779b97f4a7c15ULL) ^ low);

	turn->next = hash_reduce((uint32_t)(h >> 32), size);
	h = mix64(h + 0x9e3779b97f4a7c15ULL);
	turn->skip = 1 + hash_reduce((uint32_t)(h >> 32), size - 1);
}

static uint8_t weight_rank(uint32_t weight)
{
	return weight == 1 ? 0 : (uint8_t)(32 - __builtin_clz(weight - 1));
}

static int compare_turns(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return memcmp(x->real->address.b, y->real->address.b, sizeof(x->real->address.b));
}

/* Ties in the order of turns. */
static int compare_remainders(const void *a, const void *b)
{
	const struct turn *x = *(struct turn *const *)a, *y = *(struct turn *const *)b;

	if (x->remainder != y->remainder)
		return x->remainder > y->remainder ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Makes the turns of the reals that have a weight, in an order that the caller's does not touch. */
static void order_turns(struct ring *ring, size_t n_reals)
{
	for (size_t i = 0; i < n_reals; i++) {
		const struct maglev_real *real = &ring->reals[i];
		struct turn *turn = &ring->turns[ring->n];

		if (real->weight == 0)
			continue;
		*turn = (struct turn){
			.real = real, .index = (uint16_t)i, .rank = weight_rank(real->weight)};
		seed_permutation(turn, ring->size);
		ring->weight += real->weight;
		ring->n++;
	}
	qsort(ring->turns, ring->n, sizeof(*ring->turns), compare_turns);

	size_t end = 0;

	for (int below = 0; below < MAGLEV_RANKS; below++) {
		while (end < ring->n && ring->turns[end].rank + below == ring->turns[0].rank)
			end++;
		ring->rank_end[below] = end;
	}
}

static uint32_t step(uint32_t slot, uint32_t skip, uint32_t size)
{
	slot += skip;
	return slot >= size ? slot - size : slot;
}

static inline bool is_taken(const struct ring *ring, uint32_t slot)
{
	return ring->taken[slot / 64] >> (slot % 64) & 1;
}

/*
 * There must be a free slot. Two walks, each of every second slot of the permutation, so that the
 * processor need not wait for one step to begin the next (a tenth faster; what is left is one
 * mispredicted branch a slot, which wider walks did not avoid).
 */
static inline void take_slot(struct ring *ring, struct turn *turn)
{
	uint32_t size = ring->size;
	uint32_t skip2 = step(turn->skip, turn->skip, size);
	uint32_t slot = turn->next;
	uint32_t other = step(slot, turn->skip, size);

	while (is_taken(ring, slot)) {
		if (!is_taken(ring, other)) {
			slot = other;
			break;
		}
		slot = step(slot, skip2, size);
		other = step(other, skip2, size);
	}
	ring->taken[slot / 64] |= 1ULL << (slot % 64);
	ring->slots[slot] = turn->index;
	turn->next = step(slot, turn->skip, size);
}

/* Rounds that leave no real over its due: a real of the heaviest weight 2^r takes one slot each. */
static uint32_t count_rounds(const struct ring *ring)
{
	return (uint32_t)(((uint64_t)ring->size << ring->turns[0].rank) / ring->weight);
}

static void run_rounds(struct ring *ring, uint32_t rounds)
{
	for (uint32_t round = 1; round <= rounds; round++) {
		int below = __builtin_ctz(round | 1U << (MAGLEV_RANKS - 1));
		struct turn *end = ring->turns + ring->rank_end[below];

		for (struct turn *turn = ring->turns; turn < end; turn++) {
			turn->credit += turn->real->weight;
			if (turn->credit >= 1U << turn->rank) {
				turn->credit -= 1U << turn->rank;
				take_slot(ring, turn);
			}
		}
	}
}

/* What every real is owed after so many rounds: its quota less what the rounds have given it. */
static void count_owed(struct ring *ring, uint32_t rounds)
{
	uint64_t left = ring->size;

	for (size_t i = 0; i < ring->n; i++) {
		struct turn *turn = &ring->turns[i];
		uint64_t due = (uint64_t)ring->size * turn->real->weight;
		uint64_t turns = rounds >> (ring->turns[0].rank - turn->rank);
		uint64_t given = turns * turn->real->weight >> turn->rank;

		turn->owed = (uint32_t)(due / ring->weight - given);
		turn->remainder = (uint32_t)(due % ring->weight);
		left -= due / ring->weight;
		ring->by_remainder[i] = turn;
	}
	qsort(ring->by_remainder, ring->n, sizeof(struct turn *), compare_remainders);
	for (size_t i = 0; i < left; i++)
		ring->by_remainder[i]->owed++;
}

static void settle(struct ring *ring)
{
	bool again;

	do {
		again = false;
		for (struct turn *turn = ring->turns; turn < ring->turns + ring->n; turn++) {
			if (turn->owed == 0)
				continue;
			take_slot(ring, turn);
			turn->owed--;
			again |= turn->owed > 0;
		}
	} while (again);
}

static int fill(struct ring *ring, size_t n_reals)
{
	uint32_t rounds;

	order_turns(ring, n_reals);
	if (ring->n == 0)
		return -EINVAL;
	rounds = count_rounds(ring);
	run_rounds(ring, rounds);
	count_owed(ring, rounds);
	settle(ring);
	return 0;
}

int maglev_build(const struct maglev_real *reals, size_t n, uint32_t size, uint16_t *slots)
{
	struct ring ring = {.reals = reals, .size = size, .slots = slots};
	int err = -ENOMEM;

	if (n == 0 || n > MAGLEV_MAX_REALS || size > XDPLB_MAX_RING || !is_prime(size))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (reals[i].weight > MAGLEV_MAX_WEIGHT)
			return -EINVAL;
	}
	ring.taken = calloc(size / 64 + 1, sizeof(*ring.taken));
	ring.turns = calloc(n, sizeof(*ring.turns));
	ring.by_remainder = calloc(n, sizeof(struct turn *));
	if (ring.taken && ring.turns && ring.by_remainder)
		err = fill(&ring, n);
	free((void *)ring.by_remainder);
	free(ring.turns);
	free(ring.taken);
	return err;
}
