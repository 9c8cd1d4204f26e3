/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves for a real by L2 DSR: the frame that came, with other MACs. */
#include "forward.h"
#include "lib/apply.h"

#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct packet tcp4 = {
	.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 40000, .dport = 80};

static int setup(void **state)
{
	bed_setup(state);
	forward_apply(*state, ENCAP_L2DSR);
	return 0;
}

/* The real's family is another than the VIP's in half of them: only its MAC counts. */
static void a_packet_leaves_as_it_came_but_for_its_macs(void **state)
{
	forward_check(*state, ENCAP_L2DSR);
}

static void what_fits_the_mtu_leaves_and_one_byte_more_does_not(void **state)
{
	forward_check_fit(*state, tcp4.dst, 1500 - 40);
}

static void a_tag_that_it_came_with_stays_behind(void **state)
{
	static const uint8_t tag[4] = {0x81, 0x00, 0x20, 0x64};
	struct bed *bed = *state;
	struct frame in, tagged;
	struct run run;

	frame_build(&tcp4, &in);
	memcpy(tagged.bytes, in.bytes, 12);
	memcpy(tagged.bytes + 12, tag, 4);
	memcpy(tagged.bytes + 16, in.bytes + 12, in.len - 12);
	tagged.len = in.len + 4;
	bed_run(bed, &tagged, &run);
	assert_int_equal(run.verdict, XDP_TX);
	assert_int_equal(run.out.len, in.len);
	assert_memory_equal(run.out.bytes, bed_gateway_mac(), 6);
	assert_memory_equal(run.out.bytes + 6, bed->dp->out[BED_ROW_SAME].mac, 6);
	assert_memory_equal(run.out.bytes + 12, in.bytes + 12, in.len - 12);
}

static void a_real_behind_a_gateway_is_a_drop_with_a_name_of_its_own(void **state)
{
	struct bed *bed = *state;
	struct ip_addr real =
		bed->dp->members[bed_member_id(bed, &forward_vips[0], "10.0.1.1")].real;
	struct run run;

	assert_true(apply_gateway(bed->applied, &real, bed_next_hop(BED_ROW_SAME)) > 0);
	bed_send(bed, &tcp4, &run);
	assert_int_equal(run.verdict, XDP_DROP);
	assert_int_equal(run.rise.drop_not_on_link, 1);
}

#define on_bed(test) cmocka_unit_test_setup_teardown(test, setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_leaves_as_it_came_but_for_its_macs),
		cmocka_unit_test(what_fits_the_mtu_leaves_and_one_byte_more_does_not),
		cmocka_unit_test(a_tag_that_it_came_with_stays_behind),
		on_bed(a_real_behind_a_gateway_is_a_drop_with_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
