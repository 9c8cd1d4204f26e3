/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves for a real in GUE: every byte, the ports, the checksum over IPv6. */
#include "forward.h"

#include <arpa/inet.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4_TO_4 0 /* places in forward_vips[] */
#define UDP4_TO_6 3

static const struct packet tcp4 = {
	.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 40000, .dport = 80};

static int setup(void **state)
{
	*state = bed_new(&(struct bed_options){.gue_port = 6081});
	forward_apply(*state, ENCAP_GUE);
	return 0;
}

static int setup_checksum(void **state)
{
	*state = bed_new(&(struct bed_options){.gue_checksum6 = true});
	forward_apply(*state, ENCAP_GUE);
	return 0;
}

static void a_packet_leaves_in_gue_and_unchanged(void **state)
{
	forward_check(*state, ENCAP_GUE);
}

static void a_checksum_over_ipv6_is_right_where_it_is_asked_for(void **state)
{
	forward_check(*state, ENCAP_GUE);
}

/* RFC 768: a sum of zero is sent as all ones. The inner packet has no checksum of its own, so its
 * payload can make the outer one what it likes. */
static void a_checksum_of_zero_is_sent_as_all_ones(void **state)
{
	struct packet p = {.src = "198.51.100.7",
			   .dst = "192.0.2.20",
			   .sport = 40000,
			   .dport = 53,
			   .protocol = IPPROTO_UDP,
			   .payload = 2};
	const size_t check = FRAME_ETH_LEN + 40 + 6;
	struct frame frame;
	struct run run;
	uint32_t sum;

	frame_build(&p, &frame);
	memset(frame.bytes + frame.l4 + 6, 0, 2);
	bed_run(*state, &frame, &run);
	sum = (uint32_t)run.out.bytes[check] << 8 | run.out.bytes[check + 1];
	sum += (uint32_t)frame.bytes[frame.l4 + 8] << 8 | frame.bytes[frame.l4 + 9];
	sum = (sum & 0xffff) + (sum >> 16);
	frame.bytes[frame.l4 + 8] = (uint8_t)(sum >> 8);
	frame.bytes[frame.l4 + 9] = (uint8_t)sum;
	bed_run(*state, &frame, &run);
	assert_int_equal(run.out.bytes[check], 0xff);
	assert_int_equal(run.out.bytes[check + 1], 0xff);
	forward_check_frame(*state, UDP4_TO_6, ENCAP_GUE, &frame, "checksum zero");
}

static uint16_t source_port(struct bed *bed, const struct packet *p)
{
	const size_t udp = FRAME_ETH_LEN + 20;
	struct run run;

	bed_send(bed, p, &run);
	assert_int_equal(run.verdict, XDP_TX);
	return (uint16_t)(run.out.bytes[udp] << 8 | run.out.bytes[udp + 1]);
}

static void the_source_port_is_of_the_flow(void **state)
{
	unsigned int upper = 0, distinct = 0;
	uint16_t last = 0;
	struct packet p = tcp4;

	for (p.sport = 1000; p.sport < 1256; p.sport++) {
		uint16_t port = source_port(*state, &p);

		assert_int_equal(source_port(*state, &p), port);
		distinct += port != last;
		upper += port >= 0xe000;
		last = port;
	}
	assert_in_range(distinct, 254, 256);
	assert_in_range(upper, 96, 160);
}

/* The hash decides which bucket and which real: whoever sees tunnel packets must not learn it. */
static void the_source_port_depends_on_a_secret_of_its_own(void **state)
{
	struct bed_options options = {.gue_port = 6081};
	struct bed *other = bed_new(&options);
	struct bed *bed = *state;
	unsigned int same = 0;
	struct packet p = tcp4;

	other->knobs.hash_key.entropy ^= 0x5555555555555554ULL;
	assert_int_equal(dataplane_load(other->dataplane, &other->knobs, &(struct err){}), 0);
	forward_apply(other, ENCAP_GUE);
	for (p.sport = 1000; p.sport < 1064; p.sport++) {
		assert_true(bed_hash(bed, &p) == bed_hash(other, &p));
		same += source_port(bed, &p) == source_port(other, &p);
	}
	bed_remove(other);
	assert_in_range(same, 0, 2);
}

static void what_fits_the_mtu_leaves_and_one_byte_more_does_not(void **state)
{
	static const struct {
		const char *vip;
		size_t headers; /* outer with UDP, inner, TCP */
	} rows[] = {{"192.0.2.10", 28 + 20 + 20}, {"192.0.2.20", 48 + 20 + 20}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		forward_check_fit(*state, rows[i].vip, 1500 - rows[i].headers);
}

/* Flows stay; only the way to the real is another. */
static void a_vip_changes_its_encapsulation_while_it_is_used(void **state)
{
	struct bed *bed = *state;
	struct frame frame;

	frame_build(&tcp4, &frame);
	forward_check_frame(bed, VIP4_TO_4, ENCAP_GUE, &frame, "before");
	forward_apply(bed, ENCAP_IPIP);
	forward_check_frame(bed, VIP4_TO_4, ENCAP_IPIP, &frame, "then");
	forward_apply(bed, ENCAP_GUE);
	forward_check_frame(bed, VIP4_TO_4, ENCAP_GUE, &frame, "and back");
}

static void what_is_not_in_the_program_is_a_counted_drop(void **state)
{
	struct bed *bed = *state;
	struct run run;

	bed->knobs.encaps = 1u << ENCAP_IPIP;
	assert_int_equal(dataplane_load(bed->dataplane, &bed->knobs, &(struct err){}), 0);
	bed_send(bed, &tcp4, &run);
	assert_int_equal(run.verdict, XDP_DROP);
	assert_int_equal(run.rise.drop_encap, 1);
}

#define on_bed(test)	  cmocka_unit_test_setup_teardown(test, setup, bed_teardown)
#define on_checksum(test) cmocka_unit_test_setup_teardown(test, setup_checksum, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_leaves_in_gue_and_unchanged),
		cmocka_unit_test(the_source_port_is_of_the_flow),
		cmocka_unit_test(the_source_port_depends_on_a_secret_of_its_own),
		cmocka_unit_test(what_fits_the_mtu_leaves_and_one_byte_more_does_not),
		on_checksum(a_checksum_over_ipv6_is_right_where_it_is_asked_for),
		on_checksum(a_checksum_of_zero_is_sent_as_all_ones),
		on_bed(a_vip_changes_its_encapsulation_while_it_is_used),
		on_bed(what_is_not_in_the_program_is_a_counted_drop),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
