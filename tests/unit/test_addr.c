/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses of either family as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "lib/addr.h"

static void an_address_is_written_as_a_person_would(void **state)
{
	static const struct {
		const char *text, *written, *with_port;
		enum xdplb_family family;
	} cases[] = {
		{"10.0.0.1", "10.0.0.1", "10.0.0.1:80", FAMILY_V4},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0:80", FAMILY_V4},
		{"2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]:80", FAMILY_V6},
		{"::", "::", "[::]:80", FAMILY_V6},
		{"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666",
		 "[2001:db8:1111:2222:3333:4444:5555:6666]:80", FAMILY_V6},
	};
	char buf[ADDR_TEXT_MAX];
	struct ip_addr a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(addr_parse(cases[i].text, &a), 0);
		assert_string_equal(addr_format(&a, buf), cases[i].written);
		assert_string_equal(addr_format_port(&a, 80, buf), cases[i].with_port);
		assert_int_equal(addr_family(&a), cases[i].family);
		assert_int_equal(addr_is_v4(&a), cases[i].family == FAMILY_V4);
	}
}

static void what_is_no_address_leaves_the_result_alone(void **state)
{
	static const char *const texts[] = {"",
					    "10.0.0",
					    "10.0.0.300",
					    "10.0.0.1 ",
					    " 10.0.0.1",
					    "10.0.0.1/8",
					    "10.0.0.01x",
					    "::ffff:10.0.0.1",
					    "::ffff:a00:1",
					    "2001:db8::1::2",
					    "fe80::1%eth0",
					    "[::1]",
					    "name"};
	struct ip_addr a;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&a, 0x5a, sizeof(a));
		assert_int_equal(addr_parse(texts[i], &a), -EINVAL);
		assert_int_equal(a.b[0], 0x5a);
		assert_int_equal(a.b[15], 0x5a);
	}
}

static void addresses_are_ordered_byte_by_byte(void **state)
{
	static const char *const ascending[] = {"::",	    "10.0.0.1",	   "10.0.0.2",
						"10.0.1.0", "2001:db8::1", "fd00::1"};
	struct ip_addr a, b;

	for (size_t i = 0; i + 1 < sizeof(ascending) / sizeof(ascending[0]); i++) {
		assert_int_equal(addr_parse(ascending[i], &a), 0);
		assert_int_equal(addr_parse(ascending[i + 1], &b), 0);
		assert_true(addr_compare(&a, &b) < 0);
		assert_true(addr_compare(&b, &a) > 0);
		assert_false(addr_equal(&a, &b));
		assert_true(addr_equal(&a, &a));
	}
}

static void only_the_ipv6_unspecified_address_is_zero(void **state)
{
	struct ip_addr a;

	assert_int_equal(addr_parse("::", &a), 0);
	assert_true(addr_is_zero(&a));
	assert_int_equal(addr_parse("0.0.0.0", &a), 0);
	assert_false(addr_is_zero(&a));
	assert_int_equal(addr_parse("::1", &a), 0);
	assert_false(addr_is_zero(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_written_as_a_person_would),
		cmocka_unit_test(what_is_no_address_leaves_the_result_alone),
		cmocka_unit_test(addresses_are_ordered_byte_by_byte),
		cmocka_unit_test(only_the_ipv6_unspecified_address_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
