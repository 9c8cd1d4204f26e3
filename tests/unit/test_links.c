/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How frames leave through an interface: by itself, or tagged through what VLAN devices are on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>

#include "daemon/links.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct given {
	uint32_t ifindex;
	uint32_t tag;
	uint32_t lower;
	uint32_t mtu; /* 0: 1500 */
	bool is_down;
	bool has_no_arp;
};

/* Indices as an operator would name them. */
static const struct given given[] = {
	{.ifindex = 1},
	{.ifindex = 105, .tag = 0x81000005, .lower = 1},
	{.ifindex = 100, .tag = 0x81000000, .lower = 1}, /* priority tags */
	{.ifindex = 164, .tag = 0x88a80064, .lower = 1},
	{.ifindex = 16405, .tag = 0x81000005, .lower = 164},
	{.ifindex = 1640577, .tag = 0x81000077, .lower = 16405},
	{.ifindex = 106, .tag = 0x81000006, .lower = 1, .mtu = 1400},
	{.ifindex = 10607, .tag = 0x81000007, .lower = 106},
	{.ifindex = 16408, .tag = 0x81000008, .lower = 164, .mtu = 1496},
	{.ifindex = 16409, .tag = 0x81000009, .lower = 164, .mtu = 1497},
	{.ifindex = 2, .mtu = 9000},
	{.ifindex = 205, .tag = 0x81000005, .lower = 2},
	{.ifindex = 3, .is_down = true},
	{.ifindex = 305, .tag = 0x81000005, .lower = 3},
	{.ifindex = 4, .has_no_arp = true},
	{.ifindex = 405, .tag = 0x81000005, .lower = 4},
	{.ifindex = 505, .tag = 0x81000005}, /* in another namespace */
	{.ifindex = 605, .tag = 0x81000005, .lower = 6}, /* 6 is not known */
	{.ifindex = 705, .tag = 0x81000005, .lower = 1, .is_down = true},
	{.ifindex = 805, .tag = 0x81000005, .lower = 805}, /* no kernel says so */
};

static void set(struct links *links, const struct given *g)
{
	struct link_info old, info = {
				      .ifindex = g->ifindex,
				      .name = "link",
				      .mtu = g->mtu ? g->mtu : 1500,
				      .is_up = !g->is_down,
				      .has_arp = !g->has_no_arp,
				      .tag = htonl(g->tag),
				      .lower = g->lower,
			      };

	assert_int_equal(links_set(links, &info, &old), 1);
}

static int setup(void **state)
{
	static struct links links;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		set(&links, &given[i]);
	*state = &links;
	return 0;
}

static int teardown(void **state)
{
	links_clear(*state);
	return 0;
}

static void a_link_leads_out_through_what_it_is_on(void **state)
{
	static const struct {
		uint32_t ifindex;
		struct link_path path; /* tags in host order */
		const char *fault;
	} rows[] = {
		{1, {1, {0, 0}, 1500}, NULL},
		{105, {1, {0x81000005, 0}, 1500}, NULL},
		{100, {1, {0x81000000, 0}, 1500}, NULL},
		{164, {1, {0x88a80064, 0}, 1500}, NULL},
		{16405, {1, {0x88a80064, 0x81000005}, 1496}, NULL},
		{16408, {1, {0x88a80064, 0x81000008}, 1496}, NULL},
		{16409, {1, {0x88a80064, 0x81000009}, 1496}, NULL},
		{106, {1, {0x81000006, 0}, 1400}, NULL},
		{10607, {1, {0x81000006, 0x81000007}, 1496}, NULL},
		{2, {2, {0, 0}, 9000}, NULL},
		{205, {2, {0x81000005, 0}, 1500}, NULL},
		{1640577, {0, {0, 0}, 0}, "too_many_vlan_tags"},
		{3, {0, {0, 0}, 0}, "link_down"},
		{305, {0, {0, 0}, 0}, "link_down"},
		{705, {0, {0, 0}, 0}, "link_down"},
		{405, {0, {0, 0}, 0}, "link_without_arp"},
		{505, {0, {0, 0}, 0}, "vlan_of_another_namespace"},
		{605, {0, {0, 0}, 0}, "vlan_of_another_namespace"},
		{805, {0, {0, 0}, 0}, "too_many_vlan_tags"},
		{999, {0, {0, 0}, 0}, "no_link"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct link_path path = {};
		const char *fault = links_find_path(*state, links_find(*state, rows[i].ifindex),
						    &path);

		if (!fault != !rows[i].fault || (fault && strcmp(fault, rows[i].fault) != 0))
			fail_msg("%u: %s", rows[i].ifindex, fault ? fault : "no fault");
		if (path.ifindex != rows[i].path.ifindex || path.mtu != rows[i].path.mtu ||
		    ntohl(path.tag[0]) != rows[i].path.tag[0] ||
		    ntohl(path.tag[1]) != rows[i].path.tag[1])
			fail_msg("%u: out %u mtu %u tags %x %x", rows[i].ifindex, path.ifindex,
				 path.mtu, ntohl(path.tag[0]), ntohl(path.tag[1]));
	}
}

static void a_vlan_device_is_above_all_that_it_is_on(void **state)
{
	static const struct {
		uint32_t ifindex, lower;
		bool is_above;
	} rows[] = {
		{105, 1, true},	   {16405, 164, true}, {16405, 1, true},    {1, 105, false},
		{105, 164, false}, {105, 105, false},  {1, 1, false},	    {605, 6, true},
		{999, 1, false},   {205, 1, false},    {164, 16405, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (links_is_above(*state, rows[i].ifindex, rows[i].lower) != rows[i].is_above)
			fail_msg("%u above %u", rows[i].ifindex, rows[i].lower);
	}
}

static void another_tag_or_lower_link_is_a_change(void **state)
{
	struct link_info old, info = *links_find(*state, 105);

	assert_int_equal(links_set(*state, &info, &old), 0);
	info.tag = htonl(0x81000006);
	assert_int_equal(links_set(*state, &info, &old), 1);
	info.lower = 2;
	assert_int_equal(links_set(*state, &info, &old), 1);
	assert_int_equal(old.lower, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_leads_out_through_what_it_is_on),
		cmocka_unit_test(a_vlan_device_is_above_all_that_it_is_on),
		cmocka_unit_test(another_tag_or_lower_link_is_a_change),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
