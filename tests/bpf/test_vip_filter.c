/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The VIP filter must never keep a VIP's packet from the balancer. */
#include "expect.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

static const struct bed_vip vip = {
	.address = "192.0.2.10", .port = 80, .reals = {{.address = "10.0.1.1"}}};

static const struct packet to_vip = {.src = "198.51.100.7", .dst = "192.0.2.10", .dport = 80};

static void find_twin(const char *text, char *ret_text)
{
	struct ip_addr have, other;

	assert_int_equal(addr_parse(text, &have), 0);
	other = have;
	do
		other.w[3] = htonl(ntohl(other.w[3]) + 1);
	while (vip_filter_bit(&other) != vip_filter_bit(&have));
	addr_format(&other, ret_text);
}

static void of_two_vips_that_share_a_bit_one_may_go(void **state)
{
	char twin[ADDR_TEXT_MAX];
	struct packet to_twin = {.src = "198.51.100.7", .dst = twin, .dport = 80};
	struct bed_vip both[2] = {vip, vip};
	struct bed *bed = *state;

	find_twin(vip.address, twin);
	both[1].address = twin;
	bed_apply(bed, both, 2);
	expect_packet(bed, &to_vip, "forwarded");
	expect_packet(bed, &to_twin, "forwarded");
	bed_apply(bed, both, 1);
	expect_packet(bed, &to_vip, "forwarded");
}

/* As after a daemon that knew no filter, or was killed between an address and its bit. */
static void a_restart_makes_the_filter_from_the_vips(void **state)
{
	static const struct vip_filter empty;
	struct bed *bed = *state;
	char path[128];
	uint32_t row = 0;
	int fd;

	bed_apply(bed, &vip, 1);
	snprintf(path, sizeof(path), "%s/maps/vip_filter", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_map_update_elem(fd, &row, &empty, BPF_ANY), 0);
	expect_packet(bed, &to_vip, "pass_no_vip");
	bed_reopen(bed);
	expect_packet(bed, &to_vip, "forwarded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_two_vips_that_share_a_bit_one_may_go, bed_setup,
						bed_teardown),
		cmocka_unit_test_setup_teardown(a_restart_makes_the_filter_from_the_vips, bed_setup,
						bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
