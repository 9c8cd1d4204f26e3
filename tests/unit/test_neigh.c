/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Next hops against the real kernel, in the network of neigh_bed.h. Needs root; skipped otherwise.
 */
#include "neigh_bed.h"

struct route_case {
	const char *name;
	const char *route; /* arguments of ip; NULL: none */
	const char *watched;
	const char *expected;
};

static const struct route_case route_cases[] = {
	{"on link", NULL, "10.0.0.2", MAC_B0 " a0"},
	{"on link, IPv6", NULL, "fd01::2", MAC_B1 " a1"},
	{"gateway", "route add 10.9.0.0/24 via 10.0.0.2", "10.9.0.7", MAC_B0 " a0"},
	{"gateway, IPv6", "route add fd09::/64 via fd01::2", "fd09::7", MAC_B1 " a1"},
	{"link-local gateway", "route add fd09::/64 via fe80::b0 dev a0", "fd09::7", MAC_B0 " a0"},
	{"IPv6 gateway of an IPv4 route", "route add 10.9.0.0/24 via inet6 fe80::b1 dev a1",
	 "10.9.0.7", MAC_B1 " a1"},
	{"one of two next hops", "route add 10.9.0.0/24 nexthop via 10.0.0.2 nexthop via 10.0.0.2",
	 "10.9.0.7", MAC_B0 " a0"},
};

static void every_kind_of_route_leads_to_a_mac(void **state)
{
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(route_cases) / sizeof(*route_cases); i++) {
		const struct route_case *c = &route_cases[i];
		char del[256];

		print_message("  %s\n", c->name);
		if (c->route)
			run("ip %s", c->route);
		watch(f, c->watched);
		expect(f, c->watched, c->expected);
		assert_true(get(f, c->watched).is_on_link == !c->route);
		unwatch(f, c->watched);
		if (c->route) {
			snprintf(del, sizeof(del), "ip route del%.20s",
				 c->route + strlen("route add"));
			*strchr(del + strlen("ip route del "), ' ') = '\0';
			run("%s", del);
		}
	}
}

static const struct route_case dead_ends[] = {
	{"no route", NULL, "10.9.0.7", "none"},
	{"no route, IPv6", NULL, "fd09::7", "none"},
	{"blackhole", "route add blackhole 10.9.1.0/24", "10.9.1.7", "none"},
	{"unreachable", "route add unreachable 10.9.2.0/24", "10.9.2.7", "none"},
	{"prohibit", "route add prohibit 10.9.3.0/24", "10.9.3.7", "none"},
	{"blackhole, IPv6", "route add blackhole fd0a::/64", "fd0a::7", "none"},
	{"unreachable, IPv6", "route add unreachable fd0b::/64", "fd0b::7", "none"},
	{"this host", NULL, "10.0.0.1", "none"},
	{"this host, IPv6", NULL, "fd00::1", "none"},
	{"loopback", "link set lo up", "127.0.0.9", "none"},
	{"broadcast", NULL, "10.0.0.255", "none"},
	{"link without ARP", "link set a1 arp off", "10.0.1.2", "none"},
	{"nobody there", NULL, "10.0.0.77", "none"},
};

static void dead_ends_stay_unresolved(void **state)
{
	struct fixture *f = *state;
	struct next_hop hop;
	char got[64];
	size_t i;

	for (i = 0; i < sizeof(dead_ends) / sizeof(*dead_ends); i++) {
		if (dead_ends[i].route)
			run("ip %s", dead_ends[i].route);
		watch(f, dead_ends[i].watched);
	}
	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	for (i = 0; i < sizeof(dead_ends) / sizeof(*dead_ends); i++) {
		hop = get(f, dead_ends[i].watched);
		if (hop.is_resolved)
			fail_msg("%s: %s", dead_ends[i].name, describe(&hop, got, sizeof(got)));
	}
	assert_int_equal(f->changes, 1);
}

static void a_next_hop_carries_its_interface(void **state)
{
	static const uint8_t mac_a0[6] = {2, 0, 0, 0, 0, 0xa0};
	struct fixture *f = *state;
	struct next_hop hop;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	hop = get(f, "10.0.0.2");
	assert_int_equal(hop.ifindex, if_nametoindex("a0"));
	assert_int_equal(hop.mtu, 1500);
	assert_memory_equal(hop.source_mac, mac_a0, 6);
}

static void a_watch_calls_back_later_and_once(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	assert_int_equal(f->changes, 0);
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run_for(f, 300);
	assert_int_equal(f->changes, 1);
}

static void an_entry_the_kernel_has_is_known_at_once(void **state)
{
	struct fixture *f = *state;
	struct next_hop hop;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	neigh_free(f->neigh);
	start(f);
	watch(f, "10.0.0.2");
	hop = get(f, "10.0.0.2");
	assert_true(hop.is_resolved);
}

static void a_replaced_route_moves_the_next_hop_within_a_second(void **state)
{
	struct fixture *f = *state;

	run("ip route add 10.9.0.0/24 via 10.0.0.2");
	watch(f, "10.9.0.7");
	expect(f, "10.9.0.7", MAC_B0 " a0");
	run("ip route replace 10.9.0.0/24 via 10.0.1.2");
	expect_within(f, "10.9.0.7", MAC_B1 " a1", 1000);
	run("ip route del 10.9.0.0/24");
	expect_within(f, "10.9.0.7", "none", 1000);
	run("ip route add 10.9.0.0/24 via 10.0.0.2");
	expect_within(f, "10.9.0.7", MAC_B0 " a0", 1000);
}

static void a_moved_route_leaves_no_gap(void **state)
{
	struct fixture *f = *state;

	run("ip route add 10.9.0.0/24 via 10.0.0.2");
	watch(f, "10.9.0.7");
	expect(f, "10.9.0.7", MAC_B0 " a0");
	run("ip route replace 10.9.0.0/24 via 10.0.1.2");
	expect(f, "10.9.0.7", MAC_B1 " a1");
	assert_int_equal(f->changes, 2);
	run("ip neigh flush all");
	run_for(f, 200);
	assert_int_equal(f->changes, 2);
}

static void a_route_moved_to_a_dead_gateway_ends_unresolved(void **state)
{
	struct fixture *f = *state;

	run("ip route add 10.9.0.0/24 via 10.0.0.2");
	watch(f, "10.9.0.7");
	expect(f, "10.9.0.7", MAC_B0 " a0");
	run("sysctl -qw net.ipv4.neigh.a1.retrans_time_ms=50");
	run("ip route replace 10.9.0.0/24 via 10.0.1.66");
	expect_within(f, "10.9.0.7", "none", 10000);
	run_for(f, 1500); /* the next try does not bring the old gateway back */
	assert_int_equal(f->changes, 2);
}

static void a_replaced_nexthop_object_moves_the_next_hop(void **state)
{
	struct fixture *f = *state;

	/* 0: a changed object sends no event for the routes that use it. */
	run("sysctl -qw net.ipv4.nexthop_compat_mode=0");
	run("ip nexthop add id 1 via 10.0.0.2 dev a0");
	run("ip route add 10.9.0.0/24 nhid 1");
	watch(f, "10.9.0.7");
	expect(f, "10.9.0.7", MAC_B0 " a0");
	run("ip nexthop replace id 1 via 10.0.1.2 dev a1");
	expect_within(f, "10.9.0.7", MAC_B1 " a1", 1000);
}

static void a_new_mac_of_the_neighbour_is_followed(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	/* Announced by gratuitous ARP when the address changes on a running link. */
	run_in_peer(f, "sysctl -qw net.ipv4.conf.all.arp_notify=1");
	run("sysctl -qw net.ipv4.conf.all.arp_accept=1 net.ipv4.neigh.a0.locktime=0");
	run_in_peer(f, "ip link set b0 address 02:00:00:00:00:99");
	expect(f, "10.0.0.2", "02:00:00:00:00:99 a0");
}

static void a_neighbour_replaced_by_hand_is_followed(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:98 dev a0 nud permanent");
	expect(f, "10.0.0.2", "02:00:00:00:00:98 a0");
	/* The operator takes it back: resolved by the kernel again. */
	run("ip neigh del 10.0.0.2 dev a0");
	expect(f, "10.0.0.2", MAC_B0 " a0");
}

static void an_entry_that_is_no_longer_managed_is_managed_again(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run("ip neigh change 10.0.0.2 lladdr " MAC_B0 " dev a0 nud stale");
	assert_false(prints("ip neigh show 10.0.0.2", "managed"));
	run_for(f, 1500);
	assert_true(prints("ip neigh show 10.0.0.2", "managed"));
	assert_int_equal(f->changes, 1);
}

static void a_neighbour_that_comes_late_is_found(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.3");
	run_for(f, 100);
	assert_false(get(f, "10.0.0.3").is_resolved);
	run_in_peer(f, "ip addr add 10.0.0.3/24 dev b0");
	expect(f, "10.0.0.3", MAC_B0 " a0");
}

static void a_neighbour_that_fails_is_unresolved_and_found_again(void **state)
{
	struct fixture *f = *state;

	run("sysctl -qw net.ipv4.neigh.a0.base_reachable_time_ms=200 "
	    "net.ipv4.neigh.a0.delay_first_probe_time=0 net.ipv4.neigh.a0.retrans_time_ms=50");
	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run_in_peer(f, "ip addr del 10.0.0.2/24 dev b0");
	expect_within(f, "10.0.0.2", "none", 15000);
	run_in_peer(f, "ip addr add 10.0.0.2/24 dev b0");
	expect(f, "10.0.0.2", MAC_B0 " a0");
}

static void a_recreated_interface_is_followed(void **state)
{
	struct fixture *f = *state;
	uint32_t ifindex = if_nametoindex("a0");

	watch(f, "10.0.0.2");
	watch(f, "fd00::2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	expect(f, "fd00::2", MAC_B0 " a0");
	f->at_gone = ip("10.0.0.2");
	f->hop_at_gone.is_resolved = true;
	run("ip link del a0");
	expect(f, "10.0.0.2", "none");
	assert_false(f->hop_at_gone.is_resolved);
	assert_non_null(strstr(f->links, "-a0 "));
	add_pair(f, 0);
	expect(f, "fd00::2", MAC_B0 " a0");
	assert_true(get(f, "10.0.0.2").is_resolved);
	assert_non_null(strstr(strstr(f->links, "-a0 "), "+a0 "));
	assert_int_not_equal(get(f, "10.0.0.2").ifindex, ifindex);
}

static void a_link_without_carrier_resolves_nothing(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run_in_peer(f, "ip link set b0 down");
	expect_within(f, "10.0.0.2", "none", 1000);
	assert_false(neigh_link_is_up(f->neigh, if_nametoindex("a0")));
	run_in_peer(f, "ip link set b0 up");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	assert_non_null(strstr(f->links, "va0 "));
	assert_non_null(strstr(strstr(f->links, "va0 "), "^a0 "));
	assert_true(neigh_link_is_up(f->neigh, if_nametoindex("a0")));
}

static void a_link_set_down_resolves_nothing(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run("ip link set a0 down");
	expect_within(f, "10.0.0.2", "none", 1000);
	assert_false(neigh_link_is_up(f->neigh, if_nametoindex("a0")));
	run("ip link set a0 up");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	assert_non_null(strstr(f->links, "va0 "));
	assert_non_null(strstr(strstr(f->links, "va0 "), "^a0 "));
	assert_true(neigh_link_is_up(f->neigh, if_nametoindex("a0")));
}

static void mtu_mac_and_name_of_the_interface_are_reported(void **state)
{
	struct fixture *f = *state;
	struct ip_addr a = ip("10.0.0.2");
	uint64_t end;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	run("ip link set a0 mtu 1400");
	end = now_ms() + DEADLINE_MS;
	while (told(f, &a)->mtu != 1400 && now_ms() < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_int_equal(told(f, &a)->mtu, 1400);
	run("ip link set a0 address 02:00:00:00:00:77");
	while (told(f, &a)->source_mac[5] != 0x77 && now_ms() < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_int_equal(told(f, &a)->source_mac[5], 0x77);
	run("ip link set a0 name uplink");
	expect(f, "10.0.0.2", MAC_B0 " uplink");
	assert_non_null(strstr(f->links, "-a0 +uplink "));
}

static void a_port_that_leaves_a_bridge_is_not_gone(void **state)
{
	struct fixture *f = *state;

	run("ip link add br0 type bridge && ip link set a1 master br0 && ip link set a1 nomaster");
	run_for(f, 300);
	assert_null(strstr(f->links, "-a1 "));
	assert_non_null(strstr(f->links, "br0 "));
}

static void watches_are_counted(void **state)
{
	struct fixture *f = *state;
	struct ip_addr a = ip("10.0.0.2");
	struct next_hop hop;

	watch(f, "10.0.0.2");
	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	unwatch(f, "10.0.0.2");
	assert_true(neigh_get(f->neigh, &a, &hop));
	assert_true(prints("ip neigh show 10.0.0.2", "managed"));
	unwatch(f, "10.0.0.2");
	assert_false(neigh_get(f->neigh, &a, &hop));
	assert_false(prints("ip neigh show 10.0.0.2", "managed"));
}

static void a_shared_gateway_is_kept_until_its_last_watch(void **state)
{
	struct fixture *f = *state;

	run("ip route add 10.9.0.0/24 via 10.0.0.2");
	watch(f, "10.9.0.1");
	watch(f, "10.9.0.2");
	expect(f, "10.9.0.2", MAC_B0 " a0");
	unwatch(f, "10.9.0.1");
	assert_true(prints("ip neigh show 10.0.0.2", "managed"));
	unwatch(f, "10.9.0.2");
	assert_false(prints("ip neigh show 10.0.0.2", "managed"));
}

static void the_end_leaves_managed_entries(void **state)
{
	struct fixture *f = *state;

	watch(f, "10.0.0.2");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	neigh_free(f->neigh);
	f->neigh = NULL;
	assert_true(prints("ip neigh show 10.0.0.2", "managed"));
}

static void a_permanent_entry_is_used_and_left_alone(void **state)
{
	struct fixture *f = *state;

	run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:97 dev a0 nud permanent");
	watch(f, "10.0.0.9");
	expect(f, "10.0.0.9", "02:00:00:00:00:97 a0");
	run_for(f, 1200); /* a round of the refresh timer */
	assert_true(prints("ip neigh show 10.0.0.9", "02:00:00:00:00:97 PERMANENT"));
	unwatch(f, "10.0.0.9");
	assert_true(prints("ip neigh show 10.0.0.9", "02:00:00:00:00:97 PERMANENT"));
}

static void a_storm_of_routes_over_2000_watches_stays_fast(void **state)
{
	struct fixture *f = *state;
	char text[32];
	uint64_t begin;
	int i;

	run("ip route add 10.9.0.0/16 via 10.0.0.2");
	begin = now_ms();
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "10.9.%d.%d", i / 250, 1 + i % 250);
		watch(f, text);
	}
	expect(f, text, MAC_B0 " a0");
	assert_true(now_ms() - begin < 2000);
	assert_int_equal(f->changes, 2000);

	run("for i in $(seq 250); do echo route add 10.8.$i.0/24 via 10.0.0.2; "
	    "echo route del 10.8.$i.0/24; done | ip -batch -");
	run("ip route replace 10.9.0.0/16 via 10.0.1.2");
	begin = now_ms();
	expect(f, text, MAC_B1 " a1");
	run_for(f, 100);
	print_message("  2000 watches moved in %u ms\n", (unsigned int)(now_ms() - begin - 100));
	assert_true(now_ms() - begin < 2000);
	assert_int_equal(f->changes, 4000);
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "10.9.%d.%d", i / 250, 1 + i % 250);
		assert_string_equal(get(f, text).interface, "a1");
	}
}

static void lost_events_are_made_up_for(void **state)
{
	struct fixture *f = *state;
	int i;

	watch(f, "10.0.0.2");
	watch(f, "10.9.0.7");
	expect(f, "10.0.0.2", MAC_B0 " a0");
	/* 64,000 events, more than the monitor's buffer holds, then the ones that matter. */
	for (i = 0; i < 2; i++)
		run("for i in $(seq 250); do for j in $(seq 0 2 255); do "
		    "echo route %s 10.8.$i.$j/31 via 10.0.0.2; done; done | ip -batch -",
		    i == 0 ? "add" : "del");
	run("ip link del a0; ip route add 10.9.0.0/24 via 10.0.1.2");
	expect_within(f, "10.9.0.7", MAC_B1 " a1", 2 * DEADLINE_MS);
	assert_false(get(f, "10.0.0.2").is_resolved);
	assert_non_null(strstr(f->links, "-a0 "));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_kind_of_route_leads_to_a_mac),
		test(dead_ends_stay_unresolved),
		test(a_next_hop_carries_its_interface),
		test(a_watch_calls_back_later_and_once),
		test(an_entry_the_kernel_has_is_known_at_once),
		test(a_replaced_route_moves_the_next_hop_within_a_second),
		test(a_moved_route_leaves_no_gap),
		test(a_route_moved_to_a_dead_gateway_ends_unresolved),
		test(a_replaced_nexthop_object_moves_the_next_hop),
		test(a_new_mac_of_the_neighbour_is_followed),
		test(a_neighbour_replaced_by_hand_is_followed),
		test(an_entry_that_is_no_longer_managed_is_managed_again),
		test(a_neighbour_that_comes_late_is_found),
		test(a_neighbour_that_fails_is_unresolved_and_found_again),
		test(a_recreated_interface_is_followed),
		test(a_link_without_carrier_resolves_nothing),
		test(a_link_set_down_resolves_nothing),
		test(mtu_mac_and_name_of_the_interface_are_reported),
		test(a_port_that_leaves_a_bridge_is_not_gone),
		test(watches_are_counted),
		test(a_shared_gateway_is_kept_until_its_last_watch),
		test(the_end_leaves_managed_entries),
		test(a_permanent_entry_is_used_and_left_alone),
		test(a_storm_of_routes_over_2000_watches_stays_fast),
		test(lost_events_are_made_up_for),
	};

	if (geteuid() != 0) {
		printf("test_neigh: skipped: needs root for network namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests_name("neigh", tests, NULL, NULL);
}
