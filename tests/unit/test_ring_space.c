/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Extents of ring blocks and pools of ids, against the plainest models of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/id_pool.h"
#include "lib/ring_space.h"

#define BLOCKS 300

static struct extent must_alloc(struct ring_space *space, uint32_t blocks)
{
	struct extent e = {};

	assert_int_equal(ring_space_alloc(space, blocks, &e), 0);
	assert_int_equal(e.blocks, blocks);
	return e;
}

static void test_the_first_gap_that_is_large_enough_is_taken(void **state)
{
	struct ring_space space;
	struct extent a, b;

	ring_space_init(&space, 100);
	a = must_alloc(&space, 10);
	b = must_alloc(&space, 20);
	must_alloc(&space, 5);
	ring_space_release(&space, a);
	ring_space_release(&space, b);
	assert_int_equal(must_alloc(&space, 31).base, 35);
	assert_int_equal(must_alloc(&space, 30).base, 0);
	ring_space_free(&space);
}

static void test_it_is_full_when_it_is_full_and_no_sooner(void **state)
{
	struct ring_space space;
	struct extent e = {7, 7};

	ring_space_init(&space, 10);
	must_alloc(&space, 4);
	assert_int_equal(ring_space_alloc(&space, 7, &e), -ENOSPC);
	assert_int_equal(e.base, 7);
	must_alloc(&space, 6);
	assert_int_equal(ring_space_alloc(&space, 1, &e), -ENOSPC);
	ring_space_free(&space);
}

static void test_a_claim_is_refused_where_it_overlaps_or_lies_outside(void **state)
{
	static const struct {
		struct extent extent;
		int result;
	} rows[] = {
		{{10, 5}, -EEXIST},
		{{12, 1}, -EEXIST},
		{{8, 3}, -EEXIST},
		{{14, 9}, -EEXIST},
		{{9, 20}, -EEXIST},
		{{95, 6}, -ERANGE},
		{{UINT32_MAX, 2}, -ERANGE},
		{{8, 2}, 0},
		{{15, 1}, 0},
		{{95, 5}, 0},
		{{10, 0}, 0},
	};
	struct ring_space space;

	ring_space_init(&space, 100);
	assert_int_equal(ring_space_claim(&space, (struct extent){10, 5}), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ring_space_claim(&space, rows[i].extent), rows[i].result);
	ring_space_free(&space);
}

static void test_releasing_nothing_or_what_nobody_has_changes_nothing(void **state)
{
	struct ring_space space;

	ring_space_init(&space, 100);
	must_alloc(&space, 10);
	ring_space_release(&space, (struct extent){0, 0});
	ring_space_release(&space, (struct extent){3, 5});
	assert_int_equal(space.n_used, 1);
	ring_space_free(&space);
}

static void test_a_copy_lives_on_its_own(void **state)
{
	struct ring_space space, copy;
	struct extent a;

	ring_space_init(&space, 100);
	a = must_alloc(&space, 10);
	assert_int_equal(ring_space_copy(&space, &copy), 0);
	must_alloc(&copy, 10);
	ring_space_release(&copy, a);
	assert_int_equal(space.n_used, 1);
	assert_int_equal(must_alloc(&space, 10).base, 10);
	ring_space_free(&space);
	ring_space_free(&copy);
}

static int model_find(const uint8_t *model, uint32_t blocks)
{
	for (uint32_t base = 0; base + blocks <= BLOCKS; base++) {
		uint32_t n = 0;

		while (n < blocks && !model[base + n])
			n++;
		if (n == blocks)
			return (int)base;
	}
	return -1;
}

static void test_random_use_agrees_with_a_map_of_blocks(void **state)
{
	struct extent held[BLOCKS];
	struct ring_space space;
	uint8_t model[BLOCKS] = {};
	size_t n = 0;
	uint32_t random = 1;

	ring_space_init(&space, BLOCKS);
	for (int i = 0; i < 20000; i++) {
		uint32_t blocks = 1 + (random = random * 1103515245 + 12345) / 65536 % 40;
		int base = model_find(model, blocks);
		struct extent e = {};

		if (n && random % 7 < 3) {
			size_t k = random / 8 % n;

			memset(model + held[k].base, 0, held[k].blocks);
			ring_space_release(&space, held[k]);
			held[k] = held[--n];
			continue;
		}
		assert_int_equal(ring_space_alloc(&space, blocks, &e), base < 0 ? -ENOSPC : 0);
		if (base < 0)
			continue;
		assert_int_equal(e.base, base);
		memset(model + base, 1, blocks);
		held[n++] = e;
	}
	ring_space_free(&space);
}

static void test_ids_are_taken_lowest_first_and_no_more_than_there_are(void **state)
{
	static const uint32_t sizes[] = {1, 63, 64, 65, 200};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct id_pool pool;
		uint32_t id = 0;

		assert_int_equal(id_pool_init(&pool, sizes[i]), 0);
		for (uint32_t want = 0; want < sizes[i]; want++) {
			assert_int_equal(id_pool_take(&pool, &id), 0);
			assert_int_equal(id, want);
		}
		assert_int_equal(id_pool_take(&pool, &id), -ENOSPC);
		assert_int_equal(id_pool_free_count(&pool), 0);
		id_pool_release(&pool, sizes[i] / 2);
		id_pool_release(&pool, sizes[i] / 2); /* twice is once */
		assert_int_equal(id_pool_free_count(&pool), 1);
		assert_int_equal(id_pool_take(&pool, &id), 0);
		assert_int_equal(id, sizes[i] / 2);
		id_pool_free(&pool);
	}
}

static void test_a_claimed_id_is_not_taken(void **state)
{
	struct id_pool pool;
	uint32_t id = 0;

	assert_int_equal(id_pool_init(&pool, 3), 0);
	assert_int_equal(id_pool_claim(&pool, 0), 0);
	assert_int_equal(id_pool_claim(&pool, 0), -EEXIST);
	assert_int_equal(id_pool_claim(&pool, 3), -ERANGE);
	assert_int_equal(id_pool_take(&pool, &id), 0);
	assert_int_equal(id, 1);
	id_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_gap_that_is_large_enough_is_taken),
		cmocka_unit_test(test_it_is_full_when_it_is_full_and_no_sooner),
		cmocka_unit_test(test_a_claim_is_refused_where_it_overlaps_or_lies_outside),
		cmocka_unit_test(test_releasing_nothing_or_what_nobody_has_changes_nothing),
		cmocka_unit_test(test_a_copy_lives_on_its_own),
		cmocka_unit_test(test_random_use_agrees_with_a_map_of_blocks),
		cmocka_unit_test(test_ids_are_taken_lowest_first_and_no_more_than_there_are),
		cmocka_unit_test(test_a_claimed_id_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
