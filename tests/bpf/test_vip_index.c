/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The VIP index only says where to look first: it must change nothing but the cost. */
#include "harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define VIPS 4 /* twice as many as have room at one place */

static uint32_t place_of(const char *address, uint16_t port, uint8_t protocol)
{
	struct flow_tuple t = {.dport = htons(port), .protocol = protocol};
	struct ip_addr addr;

	assert_int_equal(addr_parse(address, &addr), 0);
	t.family = addr_is_v4(&addr) ? FAMILY_V4 : FAMILY_V6;
	return vip_index_place(&addr, t.service, t.family == FAMILY_V6);
}

/* The next port of the address whose VIP has the same place. */
static uint16_t next_port(const char *address, uint16_t port, uint8_t protocol)
{
	uint32_t place = place_of(address, port, protocol);

	do
		port++;
	while (place_of(address, port, protocol) != place);
	return port;
}

struct crowd {
	struct bed_vip vips[VIPS];
	char reals[VIPS][ADDR_TEXT_MAX];
};

/* VIPs with the same place, each with a real of its own. */
static void make_crowd(const char *address, uint8_t protocol, struct crowd *ret_crowd)
{
	uint16_t port = 80;

	for (unsigned int i = 0; i < VIPS; i++) {
		struct bed_vip *vip = &ret_crowd->vips[i];

		snprintf(ret_crowd->reals[i], ADDR_TEXT_MAX, "10.0.1.%u", i + 1);
		*vip = (struct bed_vip){.address = address, .port = port, .protocol = protocol};
		vip->reals[0].address = ret_crowd->reals[i];
		port = next_port(address, port, protocol ? protocol : IPPROTO_TCP);
	}
}

static void expect_real(struct bed *bed, const struct bed_vip *vip)
{
	static uint16_t sport = 1000;
	struct packet p = {.dst = vip->address, .dport = vip->port, .protocol = vip->protocol};
	struct ip_addr want, have;

	p.src = strchr(vip->address, ':') ? "2001:db8::7" : "198.51.100.7";
	p.sport = ++sport;
	assert_int_equal(addr_parse(vip->reals[0].address, &want), 0);
	have = bed_real_of(bed, &p);
	assert_memory_equal(&have, &want, sizeof(want));
}

static void expect_refused(struct bed *bed, const struct bed_vip *vip)
{
	struct packet p = {.src = "198.51.100.7", .dst = vip->address, .sport = 9};
	struct run run;

	p.dport = vip->port;
	bed_send(bed, &p, &run);
	assert_int_equal(run.forwarded.packets, 0);
}

static void vips_that_share_a_place_are_all_served(void **state)
{
	static const struct {
		const char *address;
		uint8_t protocol;
	} rows[] = {{"192.0.2.10", 0}, {"192.0.2.10", IPPROTO_UDP}, {"2001:db8::10", 0}};
	struct crowd crowd;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		make_crowd(rows[r].address, rows[r].protocol, &crowd);
		bed_apply(*state, crowd.vips, VIPS);
		for (unsigned int i = 0; i < VIPS; i++)
			expect_real(*state, &crowd.vips[i]);
	}
}

static void a_vip_without_a_place_takes_precedence_over_a_range_around_it(void **state)
{
	struct bed_vip vips[VIPS + 1];
	struct crowd crowd;

	make_crowd("192.0.2.10", 0, &crowd);
	memcpy(vips, crowd.vips, sizeof(crowd.vips));
	vips[VIPS] = (struct bed_vip){.address = "192.0.2.10",
				      .port = 1,
				      .port_last = 65535,
				      .reals = {{.address = "10.0.2.1"}}};
	bed_apply(*state, vips, VIPS + 1);
	for (unsigned int i = 0; i < VIPS; i++)
		expect_real(*state, &vips[i]);
	vips[VIPS].port = vips[VIPS - 1].port + 1;
	expect_real(*state, &vips[VIPS]);
}

static void a_removed_vip_makes_room_and_is_not_served(void **state)
{
	struct crowd crowd;
	struct bed *bed = *state;

	make_crowd("192.0.2.10", 0, &crowd);
	bed_apply(bed, crowd.vips, VIPS);
	bed_apply(bed, crowd.vips + 1, VIPS - 1);
	expect_refused(bed, &crowd.vips[0]);
	for (unsigned int i = 1; i < VIPS; i++)
		expect_real(bed, &crowd.vips[i]);
	bed_apply(bed, crowd.vips, VIPS);
	for (unsigned int i = 0; i < VIPS; i++)
		expect_real(bed, &crowd.vips[i]);
}

static int open_index(const struct bed *bed)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/vip_index", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* As a daemon leaves it that was killed between the two. */
static void what_the_index_lacks_is_served_and_a_restart_puts_it_in(void **state)
{
	static const struct bed_vip vip = {
		.address = "192.0.2.10", .port = 80, .reals = {{.address = "10.0.1.1"}}};
	uint32_t place = place_of(vip.address, vip.port, IPPROTO_TCP);
	struct vip_index before, index = {};
	struct bed *bed = *state;
	int fd;

	bed_apply(bed, &vip, 1);
	fd = open_index(bed);
	assert_int_equal(bpf_map_lookup_elem(fd, &place, &before), 0);
	assert_int_not_equal(before.id[0], 0);
	assert_int_equal(bpf_map_update_elem(fd, &place, &index, BPF_ANY), 0);
	expect_real(bed, &vip);
	bed_reopen(bed);
	assert_int_equal(bpf_map_lookup_elem(fd, &place, &index), 0);
	assert_memory_equal(&index, &before, sizeof(index));
	expect_real(bed, &vip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vips_that_share_a_place_are_all_served, bed_setup,
						bed_teardown),
		cmocka_unit_test_setup_teardown(
			a_vip_without_a_place_takes_precedence_over_a_range_around_it, bed_setup,
			bed_teardown),
		cmocka_unit_test_setup_teardown(a_removed_vip_makes_room_and_is_not_served,
						bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(
			what_the_index_lacks_is_served_and_a_restart_puts_it_in, bed_setup,
			bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
