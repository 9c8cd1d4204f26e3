/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fingerprint says whether two rings are the same: a ring is rebuilt when it differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/addr.h"
#include "lib/applied.h"

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static uint64_t fingerprint(struct applied_member *members, size_t n)
{
	struct applied applied = {.key_fingerprint = 1};
	struct applied_vip vip = {.ring = 65537, .members = members, .n_members = n};

	return applied_fingerprint(&applied, &vip);
}

static uint64_t of_weights(uint32_t a, uint32_t b, uint32_t c)
{
	struct applied_member members[] = {
		{.real = address("10.1.0.1"), .ring_weight = a},
		{.real = address("10.1.0.2"), .ring_weight = b},
		{.real = address("10.1.0.3"), .ring_weight = c},
	};

	return fingerprint(members, 3);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void test_weights_that_differ_never_look_the_same(void **state)
{
	enum { MAX = 24, N = MAX * MAX * MAX };
	uint64_t *all = calloc(N, sizeof(*all));
	size_t n = 0;

	assert_non_null(all);
	for (uint32_t a = 0; a < MAX; a++) {
		for (uint32_t b = 0; b < MAX; b++) {
			for (uint32_t c = 0; c < MAX; c++)
				all[n++] = of_weights(a * 10, b * 10, c * 10);
		}
	}
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n; i++)
		assert_true(all[i] != all[i - 1]);
	free(all);
}

static void test_the_order_of_the_members_does_not_matter(void **state)
{
	struct applied_member members[] = {
		{.real = address("10.1.0.3"), .ring_weight = 3},
		{.real = address("10.1.0.1"), .ring_weight = 1},
		{.real = address("10.1.0.2"), .ring_weight = 2},
	};

	assert_int_equal(fingerprint(members, 3), of_weights(1, 2, 3));
}

static void test_a_member_outside_the_ring_does_not_matter(void **state)
{
	struct applied_member members[] = {
		{.real = address("10.1.0.1"), .ring_weight = 1},
		{.real = address("10.1.0.3"), .ring_weight = 3},
	};

	assert_int_equal(fingerprint(members, 2), of_weights(1, 0, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights_that_differ_never_look_the_same),
		cmocka_unit_test(test_the_order_of_the_members_does_not_matter),
		cmocka_unit_test(test_a_member_outside_the_ring_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
