/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ranges of ports as aligned blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/port_blocks.h"

/* Every port of the range is in one block, and no other port in any; each block is aligned. */
static size_t check(uint32_t first, uint32_t last)
{
	struct port_block blocks[PORT_BLOCKS_MAX + 2];
	uint32_t next = first;
	size_t n = port_blocks((uint16_t)first, (uint16_t)last, blocks);

	assert_in_range(n, 1, PORT_BLOCKS_MAX);
	for (size_t i = 0; i < n; i++) {
		uint32_t size = 1u << (16 - blocks[i].bits);

		assert_int_equal(blocks[i].port, next);
		assert_int_equal(blocks[i].port % size, 0);
		next += size;
	}
	assert_int_equal(next, last + 1);
	return n;
}

static void a_range_is_covered_exactly_and_once(void **state)
{
	srand(1);
	for (int i = 0; i < 200000; i++) {
		uint32_t a = (uint32_t)rand() % 65536, b = (uint32_t)rand() % 65536;

		check(a < b ? a : b, a < b ? b : a);
	}
}

static void blocks_are_as_few_as_can_be(void **state)
{
	static const struct {
		uint16_t first, last;
		size_t n;
	} rows[] = {
		{0, 65535, 1},	{80, 80, 1},	{8000, 8063, 1},   {8000, 8099, 3},
		{1, 65534, 30}, {1, 65535, 16}, {32767, 32768, 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(check(rows[i].first, rows[i].last), rows[i].n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_is_covered_exactly_and_once),
		cmocka_unit_test(blocks_are_as_few_as_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
