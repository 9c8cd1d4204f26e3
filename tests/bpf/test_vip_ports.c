/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VIPs of many ports and of prefixes: which one a packet is for, and what becomes of its flow. */
#include "expect.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define ANY 65535

/* Each with a real of its own, which tells who served a packet. */
static const struct bed_vip vips[] = {
	{.address = "192.0.2.10", .port = 8050, .reals = {{.address = "10.0.0.1"}}},
	{.address = "192.0.2.10",
	 .port = 8000,
	 .port_last = 8099,
	 .reals = {{.address = "10.0.0.2"}}},
	{.address = "192.0.2.10", .port_last = ANY, .reals = {{.address = "10.0.0.3"}}},
	{.address = "192.0.2.10",
	 .port = 8000,
	 .port_last = 8099,
	 .protocol = IPPROTO_UDP,
	 .reals = {{.address = "10.0.0.4"}}},
	{.address = "192.0.2.0", .host_bits = 8, .port = 8082, .reals = {{.address = "10.0.0.5"}}},
	{.address = "192.0.2.0",
	 .host_bits = 8,
	 .port = 8080,
	 .port_last = 8082,
	 .reals = {{.address = "10.0.0.6"}}},
	{.address = "192.0.0.0",
	 .host_bits = 16,
	 .port_last = ANY,
	 .reals = {{.address = "10.0.0.7"}}},
	{.address = "192.0.2.0",
	 .host_bits = 8,
	 .port_last = ANY,
	 .protocol = IPPROTO_UDP,
	 .reals = {{.address = "10.0.0.8"}}},
	{.address = "2001:db8:f::",
	 .host_bits = 64,
	 .port = 80,
	 .reals = {{.address = "10.0.0.9"}}},
	{.address = "2001:db8:f::7",
	 .port = 1,
	 .port_last = 65535,
	 .reals = {{.address = "10.0.0.10"}}},
	{.address = "2001:db8:a::",
	 .host_bits = 48,
	 .port_last = ANY,
	 .reals = {{.address = "10.0.0.11"}}},
	{.address = "192.0.3.0", .host_bits = 8, .port = 80, .reals = {{.address = "10.0.0.12"}}},
};

#define N_VIPS (sizeof(vips) / sizeof(vips[0]))

struct row {
	const char *dst;
	uint16_t port;
	uint8_t protocol;
	const char *real; /* NULL: nobody's */
};

static const struct row rows[] = {
	/* exact, range, any, at one address */
	{"192.0.2.10", 8050, 0, "10.0.0.1"},
	{"192.0.2.10", 8000, 0, "10.0.0.2"},
	{"192.0.2.10", 8049, 0, "10.0.0.2"},
	{"192.0.2.10", 8051, 0, "10.0.0.2"},
	{"192.0.2.10", 8099, 0, "10.0.0.2"},
	{"192.0.2.10", 7999, 0, "10.0.0.3"},
	{"192.0.2.10", 8100, 0, "10.0.0.3"},
	{"192.0.2.10", 1, 0, "10.0.0.3"},
	{"192.0.2.10", 65535, 0, "10.0.0.3"},
	/* of a protocol each */
	{"192.0.2.10", 8050, IPPROTO_UDP, "10.0.0.4"},
	{"192.0.2.10", 8099, IPPROTO_UDP, "10.0.0.4"},
	/* the prefix, where the address has no VIP for the port */
	{"192.0.2.10", 8100, IPPROTO_UDP, "10.0.0.8"},
	{"192.0.2.255", 53, IPPROTO_UDP, "10.0.0.8"},
	/* exact, range, any, at a prefix; a longer prefix before a shorter */
	{"192.0.2.11", 8082, 0, "10.0.0.5"},
	{"192.0.2.0", 8082, 0, "10.0.0.5"},
	{"192.0.2.11", 8081, 0, "10.0.0.6"},
	{"192.0.2.255", 8080, 0, "10.0.0.6"},
	{"192.0.2.11", 8083, 0, "10.0.0.7"},
	{"192.0.1.1", 8082, 0, "10.0.0.7"},
	{"192.0.3.1", 80, 0, "10.0.0.12"},
	{"192.0.3.1", 81, 0, "10.0.0.7"},
	{"192.0.0.0", 1, 0, "10.0.0.7"},
	{"192.0.255.255", 65535, 0, "10.0.0.7"},
	/* IPv6 */
	{"2001:db8:f::1", 80, 0, "10.0.0.9"},
	{"2001:db8:f:0:ffff:ffff:ffff:ffff", 80, 0, "10.0.0.9"},
	{"2001:db8:f::7", 80, 0, "10.0.0.10"},
	{"2001:db8:f::7", 65535, 0, "10.0.0.10"},
	{"2001:db8:a:0:0:ffff::", 443, 0, "10.0.0.11"},
	{"2001:db8:a::ffff:ffff:ffff", 443, 0, "10.0.0.11"},
	/* VIP addresses, and a port of nobody's */
	{"192.0.1.1", 53, IPPROTO_UDP, NULL},
	{"2001:db8:f::1", 81, 0, NULL},
	{"2001:db8:f::1", 80, IPPROTO_UDP, NULL},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static struct packet packet_of(const struct row *row)
{
	return (struct packet){
		.src = strchr(row->dst, ':') ? "2001:db8:c::7" : "198.51.100.7",
		.dst = row->dst,
		.sport = 1000,
		.dport = row->port,
		.protocol = row->protocol,
	};
}

static void expect_served(struct bed *bed, const struct row *row, const char *real)
{
	struct packet p = packet_of(row);
	struct ip_addr want;
	struct run run;

	bed_send(bed, &p, &run);
	if (!real) {
		assert_int_equal(run.forwarded.packets, 0);
		return;
	}
	if (run.forwarded.packets != 1)
		fail_msg("%s port %u: %s", row->dst, row->port, run_counter(&run));
	assert_int_equal(run.rise.flow_mismatch, 0);
	assert_int_equal(addr_parse(real, &want), 0);
	if (run_real(&run).w[3] != want.w[3])
		fail_msg("%s port %u: not to %s", row->dst, row->port, real);
}

static void an_address_and_port_is_served_by_what_takes_precedence(void **state)
{
	bed_apply(*state, vips, N_VIPS);
	for (size_t i = 0; i < N_ROWS; i++)
		expect_served(*state, &rows[i], rows[i].real);
}

static void without_the_more_special_vip_the_next_one_serves(void **state)
{
	static const char *const reals[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.6",
					    "10.0.0.6", "10.0.0.6", "10.0.0.7"};
	static const struct row row = {.dst = "192.0.2.10", .port = 8050};
	struct bed_vip some[N_VIPS];

	memcpy(some, vips, sizeof(some));
	some[5].port = 8000; /* the prefix's range has the port too */
	for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
		bed_apply(*state, some + i, N_VIPS - i);
		expect_served(*state, &row, reals[i]);
	}
}

/* The second packet and those after it: from the flow table, in either lane. */
static void flows_of_every_kind_of_vip_are_known(void **state)
{
	struct bed *bed = *state;

	bed_apply(bed, vips, N_VIPS);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct packet p = packet_of(&rows[i]);
		struct run run;

		if (!rows[i].real)
			continue;
		for (int n = 0; n < 4; n++) {
			bed_send(bed, &p, &run);
			assert_int_equal(run.forwarded.packets, 1);
			assert_int_equal(run.rise.flow_inserted, n == 0);
			assert_int_equal(run.rise.flow_mismatch, 0);
		}
		expect_served(bed, &rows[i], rows[i].real);
	}
}

static void an_address_of_a_prefix_is_a_vip_address(void **state)
{
	static const struct bed_vip prefix[] = {
		{.address = "192.0.2.0",
		 .host_bits = 8,
		 .port = 80,
		 .on_no_port = ON_NO_PORT_DROP,
		 .reals = {{.address = "10.0.0.1"}}},
		{.address = "192.0.0.0",
		 .host_bits = 16,
		 .port = 80,
		 .on_no_port = ON_NO_PORT_REPLY,
		 .reals = {{.address = "10.0.0.1"}}},
		{.address = "192.0.2.9",
		 .port = 80,
		 .on_no_port = ON_NO_PORT_PASS,
		 .reals = {{.address = "10.0.0.1"}}},
	};
	static const struct {
		const char *dst, *counter, *if_too_long;
	} cases[] = {
		{"192.0.2.1", "drop_no_port", "drop_bad_length"},
		{"192.0.2.9", "pass_no_port", "drop_bad_length"},
		{"192.0.7.1", "reply_reset", "drop_bad_length"},
		{"192.1.0.1", "pass_no_vip", "pass_no_vip"},
	};
	struct packet p = {.src = "198.51.100.7", .dport = 81, .flags = SEGMENT_SYN};

	bed_apply(*state, prefix, 3);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame;
		struct run run;

		p.dst = cases[i].dst;
		expect_packet(*state, &p, cases[i].counter);
		frame_build(&p, &frame);
		frame.bytes[FRAME_ETH_LEN + 3] += 100; /* total length */
		bed_run(*state, &frame, &run);
		assert_string_equal(run_counter(&run), cases[i].if_too_long);
	}
}

static void a_port_is_looked_for_in_as_many_prefixes_as_an_address_may_be_in(void **state)
{
	static const char *const reals[VIP_PREFIX_DEPTH] = {"10.0.0.1", "10.0.0.2", "10.0.0.3",
							    "10.0.0.4"};
	struct bed_vip nested[VIP_PREFIX_DEPTH] = {};

	for (size_t i = 0; i < VIP_PREFIX_DEPTH; i++) {
		nested[i].address = "192.0.2.0";
		nested[i].host_bits = (uint8_t)(i + 1);
		nested[i].port = (uint16_t)(80 + i);
		nested[i].reals[0].address = reals[i];
	}
	bed_apply(*state, nested, VIP_PREFIX_DEPTH);
	for (size_t i = 0; i < VIP_PREFIX_DEPTH; i++) {
		struct row row = {.dst = "192.0.2.1", .port = nested[i].port};

		expect_served(*state, &row, reals[i]);
	}
}

/* Of a prefix of up to 4096 addresses each has its bit in the filter; a larger one fills it. */
static void foreign_addresses_pass_beside_prefixes_of_any_size(void **state)
{
	static const struct {
		const char *address, *inside[2], *outside[2];
		uint8_t host_bits;
	} sizes[] = {
		{"192.0.2.8", {"192.0.2.8", "192.0.2.9"}, {"192.0.2.7", "192.0.2.10"}, 1},
		{"192.0.16.0", {"192.0.16.0", "192.0.31.255"}, {"192.0.15.255", "192.0.32.0"}, 12},
		{"192.0.32.0", {"192.0.32.0", "192.0.63.255"}, {"192.0.31.255", "192.0.64.0"}, 13},
		{"10.0.0.0", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0"}, 24},
		{"2001:db8::",
		 {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		 {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
		 96},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bed_vip vip = {.address = sizes[i].address,
				      .host_bits = sizes[i].host_bits,
				      .port_last = ANY,
				      .reals = {{.address = "172.16.0.1"}}};

		bed_apply(*state, &vip, 1);
		for (int n = 0; n < 2; n++) {
			struct row inside = {.dst = sizes[i].inside[n], .port = 80};
			struct row outside = {.dst = sizes[i].outside[n], .port = 80};
			struct packet p = packet_of(&outside);

			expect_served(*state, &inside, "172.16.0.1");
			expect_packet(*state, &p, "pass_no_vip");
		}
	}
	bed_apply(*state, NULL, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct row row = {.dst = sizes[i].inside[0], .port = 80};
		struct packet p = packet_of(&row);

		expect_packet(*state, &p, "pass_no_vip");
	}
}

/* A client whose ring slot goes to another real once there are two, with a flow to the first. */
static struct packet mover(struct bed *bed, const struct bed_vip *before,
			   const struct bed_vip *after, uint16_t port)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .dport = port};
	struct ip_addr first, now;

	assert_int_equal(addr_parse(before->reals[0].address, &first), 0);
	bed_apply(bed, after, 1);
	for (p.sport = 2000;; p.sport++) {
		now = bed_real_of(bed, &p);
		if (now.w[3] != first.w[3])
			break;
	}
	bed_apply(bed, NULL, 0); /* forgets the flow */
	bed_apply(bed, before, 1);
	for (int n = 0; n < 3; n++) {
		now = bed_real_of(bed, &p);
		assert_int_equal(now.w[3], first.w[3]);
	}
	return p;
}

static void other_ports_keep_the_flows_that_still_fit(void **state)
{
	static const struct bed_vip before = {
		.address = "192.0.2.10",
		.port = 8000,
		.port_last = 8099,
		.reals = {{.address = "10.0.0.1"}},
	};
	static const struct {
		uint16_t port, port_last;
	} changes[] = {{8000, 8199}, {7000, 8099}, {8050, 8060}, {8050, 0}, {0, ANY}, {8049, 9000}};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct bed_vip after = {
			.address = "192.0.2.10",
			.port = changes[i].port,
			.port_last = changes[i].port_last,
			.reals = {{.address = "10.0.0.1"},
				  {.address = "10.0.0.2", .weight = 10000}},
		};
		struct packet p = mover(*state, &before, &after, 8050);
		struct ip_addr now, first;
		struct run run;

		bed_apply(*state, &after, 1);
		bed_send(*state, &p, &run);
		assert_int_equal(run.forwarded.packets, 1);
		assert_int_equal(run.rise.flow_inserted, 0);
		assert_int_equal(run.rise.flow_mismatch, 0);
		now = run_real(&run);
		assert_int_equal(addr_parse("10.0.0.1", &first), 0);
		assert_int_equal(now.w[3], first.w[3]);
		bed_apply(*state, NULL, 0);
	}
}

static void a_flow_whose_port_its_vip_gave_up_is_a_packet_for_that_port(void **state)
{
	struct bed_vip vip = {.address = "192.0.2.10",
			      .port = 8000,
			      .port_last = 8099,
			      .reals = {{.address = "10.0.0.1"}}};
	struct bed_vip split[2] = {vip, vip};
	struct row row = {.dst = "192.0.2.10", .port = 8099};
	struct packet p = packet_of(&row);

	bed_apply(*state, &vip, 1);
	for (int n = 0; n < 3; n++)
		expect_served(*state, &row, "10.0.0.1");
	vip.port_last = 8098;
	bed_apply(*state, &vip, 1);
	expect_packet(*state, &p, "reply_reset");
	split[0].port_last = 8098;
	split[1].port = 8099;
	split[1].port_last = 8100;
	split[1].reals[0].address = "10.0.0.2";
	bed_apply(*state, split, 2);
	assert_int_equal(bed_real_of(*state, &p).b[15], 2);
}

/* Ranges that trade ports: whoever is changed first must not lose what the other gives up later. */
static void ranges_take_over_ports_of_one_another(void **state)
{
	static const uint16_t steps[][2][2] = {
		{{8000, 8049}, {8050, 8099}}, {{8000, 8089}, {8090, 8099}},
		{{8000, 8009}, {8010, 8099}}, {{8000, 8031}, {8032, 8063}},
		{{8032, 8063}, {8064, 8095}}, {{8040, 8048}, {8049, 8100}},
		{{8000, 8031}, {8064, 8095}}, {{8000, 8095}, {8096, 8100}},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct bed_vip both[2];

		for (int v = 0; v < 2; v++)
			both[v] = (struct bed_vip){.address = "192.0.2.10",
						   .port = steps[i][v][0],
						   .port_last = steps[i][v][1]};
		both[0].reals[0].address = "10.0.0.1";
		both[1].reals[0].address = "10.0.0.2";
		bed_apply(*state, both, 2);
		for (uint16_t port = 7990; port < 8110; port++) {
			struct row row = {.dst = "192.0.2.10", .port = port};
			bool is_first = port >= steps[i][0][0] && port <= steps[i][0][1];
			bool is_second = port >= steps[i][1][0] && port <= steps[i][1][1];
			struct packet p = packet_of(&row);
			struct run run;

			p.sport = (uint16_t)(3000 + i);
			bed_send(*state, &p, &run);
			assert_int_equal(run.forwarded.packets, is_first || is_second);
			if (is_first || is_second)
				assert_int_equal(run_real(&run).b[15], is_first ? 1 : 2);
		}
	}
}

static int open_map(const struct bed *bed, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", bed->bpffs, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static size_t count_entries(int fd)
{
	struct vip_ports_key key;
	size_t n = 0;

	for (int r = bpf_map_get_next_key(fd, NULL, &key); !r;
	     r = bpf_map_get_next_key(fd, &key, &key))
		n++;
	return n;
}

static void nothing_is_left_of_vips_that_are_gone(void **state)
{
	struct bed *bed = *state;
	int ports = open_map(bed, "vip_ports"), prefixes = open_map(bed, "vip_prefixes");

	bed_apply(bed, vips, N_VIPS);
	assert_int_not_equal(count_entries(ports), 0);
	assert_int_not_equal(count_entries(prefixes), 0);
	bed_apply(bed, NULL, 0);
	assert_int_equal(count_entries(ports), 0);
	assert_int_equal(count_entries(prefixes), 0);
}

static void a_restart_puts_back_what_a_killed_daemon_left_out(void **state)
{
	struct bed *bed = *state;
	int fd = open_map(bed, "vip_ports");
	struct vip_ports_key key;

	bed_apply(bed, vips, N_VIPS);
	while (!bpf_map_get_next_key(fd, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	expect_served(bed, &(struct row){.dst = "192.0.2.10", .port = 8051}, NULL);
	bed_reopen(bed);
	for (size_t i = 0; i < N_ROWS; i++)
		expect_served(bed, &rows[i], rows[i].real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)
		TEST(an_address_and_port_is_served_by_what_takes_precedence),
		TEST(without_the_more_special_vip_the_next_one_serves),
		TEST(flows_of_every_kind_of_vip_are_known),
		TEST(an_address_of_a_prefix_is_a_vip_address),
		TEST(a_port_is_looked_for_in_as_many_prefixes_as_an_address_may_be_in),
		TEST(foreign_addresses_pass_beside_prefixes_of_any_size),
		TEST(other_ports_keep_the_flows_that_still_fit),
		TEST(a_flow_whose_port_its_vip_gave_up_is_a_packet_for_that_port),
		TEST(ranges_take_over_ports_of_one_another),
		TEST(nothing_is_left_of_vips_that_are_gone),
		TEST(a_restart_puts_back_what_a_killed_daemon_left_out),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
