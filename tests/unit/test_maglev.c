/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rings that maglev_build() makes: shares, disruption, order, golden vectors, bad input. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/addr.h"
#include "lib/maglev.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum mix {
	MIX_EQUAL,
	MIX_1_TO_100, /* every weight from 1 to 100 in turn */
	MIX_RANDOM, /* 1 ... 100 at random */
	MIX_ONE_HEAVY, /* 65535 against ones */
	MIX_WIDE, /* powers of two and their neighbours, 1 ... 65535 */
};

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

static uint32_t mix_weight(enum mix mix, size_t i, uint64_t *random)
{
	static const uint32_t wide[] = {1, 65535, 2, 3, 7, 8, 9, 255, 256, 257, 1000, 32768, 32769};

	switch (mix) {
	case MIX_EQUAL:
		return 10;
	case MIX_1_TO_100:
		return 1 + (uint32_t)(i % 100);
	case MIX_RANDOM:
		return 1 + next_random(random) % 100;
	case MIX_ONE_HEAVY:
		return i == 3 ? 65535 : 1;
	case MIX_WIDE:
		return wide[i % ARRAY_SIZE(wide)];
	}
	return 0;
}

/* Real i is 10.SEED.x.y, or in 2001:db8:SEED::/48 where i is odd and the seed is not 0. */
static struct maglev_real *make_reals(size_t n, enum mix mix, uint32_t seed)
{
	struct maglev_real *reals = calloc(n, sizeof(*reals));
	uint64_t random = seed;

	assert_non_null(reals);
	for (size_t i = 0; i < n; i++) {
		struct ip_addr *a = &reals[i].address;

		assert_int_equal(addr_parse(seed && i % 2 ? "2001:db8::" : "10.0.0.0", a), 0);
		a->b[seed && i % 2 ? 5 : 13] = (uint8_t)seed;
		a->b[14] = (uint8_t)(i >> 8);
		a->b[15] = (uint8_t)i;
		reals[i].weight = mix_weight(mix, i, &random);
	}
	return reals;
}

static uint16_t *build(const struct maglev_real *reals, size_t n, uint32_t size)
{
	uint16_t *slots = malloc(size * sizeof(*slots));

	assert_non_null(slots);
	memset(slots, 0xff, size * sizeof(*slots));
	assert_int_equal(maglev_build(reals, n, size, slots), 0);
	return slots;
}

static uint32_t *count_slots(const uint16_t *slots, uint32_t size, size_t n)
{
	uint32_t *counts = calloc(n, sizeof(*counts));

	assert_non_null(counts);
	for (uint32_t s = 0; s < size; s++) {
		assert_true(slots[s] < n);
		counts[slots[s]]++;
	}
	return counts;
}

static void every_share_is_within_one_slot_of_its_due(void **state)
{
	static const struct {
		size_t n;
		enum mix mix;
		uint32_t size;
	} cases[] = {
		{1, MIX_EQUAL, 251},	     {3, MIX_EQUAL, 251},
		{3, MIX_1_TO_100, 251},	     {100, MIX_EQUAL, 65537},
		{100, MIX_1_TO_100, 65537},  {100, MIX_RANDOM, 65537},
		{100, MIX_1_TO_100, 4099},   {100, MIX_RANDOM, 251},
		{1000, MIX_RANDOM, 65537},   {100, MIX_ONE_HEAVY, 65537},
		{100, MIX_ONE_HEAVY, 251},   {100, MIX_WIDE, 65537},
		{1000, MIX_WIDE, 65537},     {300, MIX_RANDOM, 655373},
		{5000, MIX_ONE_HEAVY, 4099}, {2, MIX_EQUAL, 2},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		for (uint32_t seed = 0; seed < 4; seed++) {
			size_t n = cases[c].n;
			struct maglev_real *reals = make_reals(n, cases[c].mix, seed);
			uint16_t *slots = build(reals, n, cases[c].size);
			uint32_t *counts = count_slots(slots, cases[c].size, n);
			double total = 0;

			for (size_t i = 0; i < n; i++)
				total += reals[i].weight;
			for (size_t i = 0; i < n; i++) {
				double due = cases[c].size * (reals[i].weight / total);

				if (counts[i] >= due + 1 || counts[i] <= due - 1)
					fail_msg("case %zu seed %u: real %zu of weight %u has %u "
						 "slots, due %.2f",
						 c, seed, i, reals[i].weight, counts[i], due);
			}
			free(counts);
			free(slots);
			free(reals);
		}
	}
}

static void a_real_of_weight_zero_takes_no_slot(void **state)
{
	struct maglev_real *reals = make_reals(5, MIX_EQUAL, 0);
	uint16_t *slots;
	uint32_t *counts;

	reals[0].weight = 0;
	reals[3].weight = 0;
	slots = build(reals, 5, 251);
	counts = count_slots(slots, 251, 5);
	assert_int_equal(counts[0], 0);
	assert_int_equal(counts[3], 0);
	assert_int_equal(counts[1] + counts[2] + counts[4], 251);
	free(counts);
	free(slots);
	free(reals);
}

/* Slots of reals other than `changed` that belong to another real afterwards; same indices. */
static uint32_t count_moved(const uint16_t *before, const uint16_t *after, uint32_t size,
			    size_t changed)
{
	uint32_t moved = 0;

	for (uint32_t s = 0; s < size; s++)
		moved += before[s] != changed && before[s] != after[s];
	return moved;
}

static void removing_one_of_100_moves_under_1_percent_of_the_others(void **state)
{
	static const enum mix mixes[] = {MIX_EQUAL, MIX_1_TO_100, MIX_RANDOM};
	const uint32_t size = 65537;

	for (size_t m = 0; m < ARRAY_SIZE(mixes); m++) {
		for (uint32_t removed = 0; removed < 100; removed += 9) {
			struct maglev_real *reals = make_reals(100, mixes[m], 1 + removed % 4);
			uint16_t *before = build(reals, 100, size);
			uint16_t *after;
			uint32_t moved;

			reals[removed].weight = 0;
			after = build(reals, 100, size);
			moved = count_moved(before, after, size, removed);
			if (moved >= size / 100)
				fail_msg("mix %zu, real %u removed: %u slots moved", m, removed,
					 moved);
			free(after);
			free(before);
			free(reals);
		}
	}
}

/* What must move is the change of the one share. */
static void a_new_weight_moves_under_1_percent_beyond_its_own_change(void **state)
{
	static const struct {
		uint32_t before;
		uint32_t after;
	} cases[] = {{10, 11}, {10, 5}, {10, 100}, {63, 64}, {64, 65}, {100, 101}, {101, 100}};
	const uint32_t size = 65537;

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct maglev_real *reals = make_reals(100, MIX_RANDOM, 2);
		uint32_t shift, moved = 0;
		uint32_t *counts_before, *counts_after;
		uint16_t *before, *after;

		reals[42].weight = cases[c].before;
		before = build(reals, 100, size);
		reals[42].weight = cases[c].after;
		after = build(reals, 100, size);
		counts_before = count_slots(before, size, 100);
		counts_after = count_slots(after, size, 100);
		for (uint32_t s = 0; s < size; s++)
			moved += before[s] != after[s];
		shift = (uint32_t)abs((int)counts_after[42] - (int)counts_before[42]);
		assert_true(shift > 0);
		if (moved >= shift + size / 100)
			fail_msg("weight %u to %u: %u slots moved, the share by %u",
				 cases[c].before, cases[c].after, moved, shift);
		free(counts_after);
		free(counts_before);
		free(after);
		free(before);
		free(reals);
	}
}

static void the_order_of_the_reals_does_not_matter(void **state)
{
	static const enum mix mixes[] = {MIX_EQUAL, MIX_RANDOM, MIX_WIDE};
	const uint32_t size = 4099;
	enum { n = 100 };

	for (size_t m = 0; m < ARRAY_SIZE(mixes); m++) {
		struct maglev_real *reals = make_reals(n, mixes[m], 3);
		uint16_t *sorted = build(reals, n, size);

		for (uint64_t random = 1; random < 8; random++) {
			struct maglev_real shuffled[n];
			uint64_t r = random;
			uint16_t *slots;

			memcpy(shuffled, reals, sizeof(shuffled));
			for (uint32_t i = n - 1; i > 0; i--) {
				uint32_t j = next_random(&r) % (i + 1);
				struct maglev_real swap = shuffled[i];

				shuffled[i] = shuffled[j];
				shuffled[j] = swap;
			}
			slots = build(shuffled, n, size);
			for (uint32_t s = 0; s < size; s++)
				assert_true(addr_equal(&reals[sorted[s]].address,
						       &shuffled[slots[s]].address));
			free(slots);
		}
		free(sorted);
		free(reals);
	}
}

static uint64_t fnv1a_ring(const uint16_t *slots, uint32_t size)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (uint32_t s = 0; s < size; s++) {
		h = (h ^ (slots[s] & 0xff)) * 0x100000001b3ULL;
		h = (h ^ (slots[s] >> 8)) * 0x100000001b3ULL;
	}
	return h;
}

static void rings_equal_the_golden_vectors(void **state)
{
	static const struct {
		size_t n;
		enum mix mix;
		uint32_t seed;
		uint32_t size;
		uint16_t first[8];
		uint64_t fnv1a; /* of the slots as little-endian words */
	} cases[] = {
		{3, MIX_1_TO_100, 0, 251, {2, 0, 0, 1, 1, 2, 2, 2}, 0x9ecb8e465d30f717ULL},
		{100, MIX_EQUAL, 0, 65537, {21, 14, 64, 74, 75, 79, 66, 84}, 0xeb74e1a5909bf249ULL},
		{100,
		 MIX_1_TO_100,
		 1,
		 65537,
		 {87, 49, 27, 97, 34, 92, 75, 93},
		 0xb2379547bf1476eaULL},
		{1000,
		 MIX_WIDE,
		 2,
		 655373,
		 {727, 50, 999, 495, 339, 402, 740, 950},
		 0x4727c4741f6ccab9ULL},
		{7, MIX_EQUAL, 1, 257, {5, 3, 2, 1, 4, 1, 6, 2}, 0xa09cef0fc0d32a94ULL},
		{100, MIX_ONE_HEAVY, 1, 4099, {3, 3, 3, 3, 3, 3, 3, 3}, 0x4e6416653e515e4ULL},
		{3000,
		 MIX_RANDOM,
		 3,
		 65537,
		 {517, 853, 2813, 556, 1716, 534, 249, 1235},
		 0x70fe91c367732f05ULL},
		{65536,
		 MIX_RANDOM,
		 0,
		 65537,
		 {35238, 35779, 30642, 7703, 26608, 6794, 25468, 27887},
		 0x563af983eaf0ed07ULL},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct maglev_real *reals = make_reals(cases[c].n, cases[c].mix, cases[c].seed);
		uint16_t *slots = build(reals, cases[c].n, cases[c].size);
		uint64_t fnv1a = fnv1a_ring(slots, cases[c].size);

		if (memcmp(slots, cases[c].first, sizeof(cases[c].first)) != 0 ||
		    fnv1a != cases[c].fnv1a)
			fail_msg("case %zu: {%u, %u, %u, %u, %u, %u, %u, %u}, 0x%llxULL", c,
				 slots[0], slots[1], slots[2], slots[3], slots[4], slots[5],
				 slots[6], slots[7], (unsigned long long)fnv1a);
		free(slots);
		free(reals);
	}
}

static void with_more_reals_than_slots_the_heaviest_get_one_each(void **state)
{
	struct maglev_real *reals = make_reals(1000, MIX_EQUAL, 0);
	uint16_t *slots;
	uint32_t *counts;

	for (size_t i = 0; i < 251; i++)
		reals[i * 3].weight = 11;
	slots = build(reals, 1000, 251);
	counts = count_slots(slots, 251, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(counts[i], i % 3 == 0 && i < 251 * 3);
	free(counts);
	free(slots);
	free(reals);
}

static void the_most_reals_there_may_be_use_every_index(void **state)
{
	struct maglev_real *reals = make_reals(65536, MIX_1_TO_100, 1);
	uint16_t *slots = build(reals, 65536, 655373);
	uint32_t *counts = count_slots(slots, 655373, 65536);

	for (size_t i = 0; i < 65536; i++)
		assert_true(counts[i] > 0 || reals[i].weight < 10);
	free(counts);
	free(slots);
	free(reals);
}

static void bad_input_is_refused_and_leaves_the_slots(void **state)
{
	static const struct {
		size_t n;
		uint32_t weight;
		uint32_t size;
	} cases[] = {
		{0, 1, 251},	{3, 0, 251},	{3, 65536, 251}, {3, 1, 0},
		{3, 1, 1},	{3, 1, 4},	{3, 1, 9},	 {3, 1, 65536},
		{3, 1, 655374}, {3, 1, 655379}, {65537, 1, 251},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct maglev_real *reals = make_reals(65537, MIX_EQUAL, 0);
		uint16_t slots[2] = {1234, 5678};

		for (size_t i = 0; i < cases[c].n; i++)
			reals[i].weight = cases[c].weight;
		if (maglev_build(reals, cases[c].n, cases[c].size, slots) != -EINVAL)
			fail_msg("case %zu is not refused", c);
		assert_int_equal(slots[0], 1234);
		assert_int_equal(slots[1], 5678);
		free(reals);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_share_is_within_one_slot_of_its_due),
		cmocka_unit_test(a_real_of_weight_zero_takes_no_slot),
		cmocka_unit_test(removing_one_of_100_moves_under_1_percent_of_the_others),
		cmocka_unit_test(a_new_weight_moves_under_1_percent_beyond_its_own_change),
		cmocka_unit_test(the_order_of_the_reals_does_not_matter),
		cmocka_unit_test(rings_equal_the_golden_vectors),
		cmocka_unit_test(with_more_reals_than_slots_the_heaviest_get_one_each),
		cmocka_unit_test(the_most_reals_there_may_be_use_every_index),
		cmocka_unit_test(bad_input_is_refused_and_leaves_the_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
