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
#define MAGLEV_MAX_LAST	  1024 /* more than the root of XDPLB_MAX_RING */

struct turn {
	const struct maglev_real *real;
	uint32_t next; /* slot of its permutation to look at next */
	uint32_t skip;
	uint32_t credit;
	uint32_t owed; /* slots to hand out when the rounds are over */
	uint32_t remainder; /* of its due, in 1 / total weight */
	uint16_t index;
	uint8_t rank;
	uint64_t stride; /* see take_last_slot(); 0: not computed yet */
};

struct ring {
	uint16_t *slots;
	uint8_t *is_free; /* 1 or 0 a slot: every u16 is a valid index, none is left for "free" */
	uint32_t size;
	uint32_t n_free;
	uint32_t max_last; /* with so few free slots left they are listed */
	uint32_t n_last;
	uint32_t last[MAGLEV_MAX_LAST]; /* the free slots, once they are listed */
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

static inline void take(struct ring *ring, struct turn *turn, uint32_t slot)
{
	ring->is_free[slot] = 0;
	ring->n_free--;
	ring->slots[slot] = turn->index;
	turn->next = step(slot, turn->skip, ring->size);
}

/*
 * Looks at so many slots at once: a branch a slot would be mispredicted about once a turn, which
 * costs more than to look at some slots in vain.
 */
static inline __attribute__((always_inline)) void take_by_looks(struct ring *ring,
								struct turn *turn, int width)
{
	uint32_t slot = turn->next;
	uint32_t seen[8], found;

	do {
		found = 0;
#pragma GCC unroll 8
		for (int i = 0; i < width; i++) {
			seen[i] = slot;
			found |= (uint32_t)ring->is_free[slot] << i;
			slot = step(slot, turn->skip, ring->size);
		}
	} while (!found);
	take(ring, turn, seen[__builtin_ctz(found)]);
}

/*
 * Four walks, each of every fourth slot of the permutation, so that the processor need not wait for
 * one step to begin the next.
 */
static void take_by_walks(struct ring *ring, struct turn *turn)
{
	const uint8_t *is_free = ring->is_free;
	uint32_t size = ring->size;
	uint32_t skip2 = step(turn->skip, turn->skip, size);
	uint32_t skip4 = step(skip2, skip2, size);
	uint32_t a = turn->next;
	uint32_t b = step(a, turn->skip, size);
	uint32_t c = step(a, skip2, size);
	uint32_t d = step(b, skip2, size);

	while (!(is_free[a] | is_free[b] | is_free[c] | is_free[d])) {
		a = step(a, skip4, size);
		b = step(b, skip4, size);
		c = step(c, skip4, size);
		d = step(d, skip4, size);
	}
	if (!is_free[a])
		a = is_free[b] ? b : is_free[c] ? c : d;
	take(ring, turn, a);
}

/* 1 / a modulo the prime m; 0 < a < m. */
static uint32_t inverse(uint32_t a, uint32_t m)
{
	int32_t of_a = 1, of_rest = 0;
	uint32_t rest = m;

	while (a > 1) {
		uint32_t quotient = rest / a;
		uint32_t less = rest % a;
		int32_t of_less = of_rest - (int32_t)quotient * of_a;

		rest = a;
		of_rest = of_a;
		a = less;
		of_a = of_less;
	}
	return of_a < 0 ? (uint32_t)of_a + m : (uint32_t)of_a;
}

static void list_last(struct ring *ring)
{
	const uint8_t *end = ring->is_free + ring->size;
	const uint8_t *at = ring->is_free;

	while ((at = memchr(at, 1, (size_t)(end - at))) != NULL)
		ring->last[ring->n_last++] = (uint32_t)(at++ - ring->is_free);
}

/*
 * Among few free slots: the one that the permutation reaches first from where it stands. It reaches
 * slot s after (s - next) / skip steps modulo size. As a fraction of size, in 64 bits that wrap
 * around, that is one multiplication a slot; the rounding error is below 2^40 and the distance of
 * two slots above 2^44.
 */
static void take_last_slot(struct ring *ring, struct turn *turn)
{
	uint64_t least = UINT64_MAX;
	uint32_t at = 0;

	if (!ring->n_last)
		list_last(ring);
	if (!turn->stride)
		turn->stride = (UINT64_MAX / ring->size + 1) * inverse(turn->skip, ring->size);
	for (uint32_t i = 0; i < ring->n_last; i++) {
		uint64_t steps = ((uint64_t)ring->last[i] - turn->next) * turn->stride;

		at = steps < least ? i : at;
		least = steps < least ? steps : least;
	}
	take(ring, turn, ring->last[at]);
	ring->last[at] = ring->last[--ring->n_last];
}

/* There must be a free slot. */
static inline void take_slot(struct ring *ring, struct turn *turn)
{
	if (ring->n_free > ring->size / 4)
		take_by_looks(ring, turn, 4);
	else if (ring->n_free > ring->size / 16)
		take_by_looks(ring, turn, 8);
	else if (ring->n_free > ring->max_last)
		take_by_walks(ring, turn);
	else
		take_last_slot(ring, turn);
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
	struct ring ring = {.reals = reals, .size = size, .n_free = size, .slots = slots};
	int err = -ENOMEM;

	if (n == 0 || n > MAGLEV_MAX_REALS || size < 2 || size > XDPLB_MAX_RING || !is_prime(size))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (reals[i].weight > MAGLEV_MAX_WEIGHT)
			return -EINVAL;
	}
	/* About where a list as long as it is costs what a walk of size / n_free steps costs. */
	while ((ring.max_last + 1) * (ring.max_last + 1) <= size)
		ring.max_last++;
	ring.is_free = calloc(size, sizeof(*ring.is_free));
	ring.turns = calloc(n, sizeof(*ring.turns));
	ring.by_remainder = calloc(n, sizeof(struct turn *));
	if (ring.is_free && ring.turns && ring.by_remainder) {
		memset(ring.is_free, 1, size);
		err = fill(&ring, n);
	}
	free((void *)ring.by_remainder);
	free(ring.turns);
	free(ring.is_free);
	return err;
}
