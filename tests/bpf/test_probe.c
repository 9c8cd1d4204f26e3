/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes through the data path: what the program at the egress makes of a packet is, byte for byte,
 * what the packet path makes of the same packet for the same real.
 */
#include "forward.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/dataplane_probe.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define FIRST_ID      7 /* of tunnels: this and the place in forward_vips[] */
#define STRANGE_MARK  0x12345678u
#define PASSED	      ((uint32_t)TC_ACT_UNSPEC)
#define VIP4_TO_4     0 /* places in forward_vips[] */

struct probe_bed {
	struct bed *bed;
	struct probe_hook *hook;
};

/* How one packet went. */
struct probe_run {
	uint32_t verdict; /* TC_ACT_* */
	uint32_t mark;
	struct frame out;
	struct probe_stats rise;
};

static struct probe_tunnel tunnel_of(const struct bed *bed, size_t vip, enum xdplb_encap encap)
{
	struct probe_tunnel t = {.encap = (uint8_t)encap,
				 .ifindex = bed->dp->out[BED_ROW_SAME].ifindex,
				 .mtu = bed->dp->out[BED_ROW_SAME].mtu};

	assert_int_equal(addr_parse(forward_vips[vip].address, &t.vip), 0);
	assert_int_equal(addr_parse(forward_vips[vip].reals[0].address, &t.real), 0);
	t.vip_family = (uint8_t)addr_family(&t.vip);
	t.real_family = (uint8_t)addr_family(&t.real);
	memcpy(t.mac, bed_gateway_mac(), sizeof(t.mac));
	memcpy(t.source_mac, bed->dp->out[BED_ROW_SAME].mac, sizeof(t.source_mac));
	return t;
}

static void open_bed(struct probe_bed *ret_bed, const struct bed_options *options,
		     enum xdplb_encap encap)
{
	struct bed *bed = bed_new(options);
	struct err err;

	forward_apply(bed, encap);
	assert_int_equal(probe_hook_new(&ret_bed->hook, bed->bpffs), 0);
	if (probe_hook_load(ret_bed->hook, &bed->knobs, &err))
		fail_msg("%s", err.text);
	for (size_t vip = 0; vip < FORWARD_VIPS; vip++) {
		struct probe_tunnel t = tunnel_of(bed, vip, encap);

		assert_int_equal(probe_hook_set(ret_bed->hook, FIRST_ID + (uint32_t)vip, &t), 0);
	}
	ret_bed->bed = bed;
}

static void close_bed(struct probe_bed *bed)
{
	probe_hook_free(bed->hook);
	bed_remove(bed->bed);
}

static struct probe_stats read_stats(const struct probe_bed *bed)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct probe_stats *rows = calloc((size_t)n_cpus, sizeof(*rows));
	struct probe_stats sum = {};
	char path[128];
	uint32_t row = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/maps/probe_stats", bed->bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_non_null(rows);
	assert_int_equal(bpf_map_lookup_elem(fd, &row, rows), 0);
	for (int cpu = 0; cpu < n_cpus; cpu++) {
		for (size_t i = 0; i < sizeof(sum) / sizeof(uint64_t); i++)
			((uint64_t *)&sum)[i] += ((const uint64_t *)&rows[cpu])[i];
	}
	close(fd);
	free(rows);
	return sum;
}

static void run_probe(const struct probe_bed *bed, const struct frame *in, uint32_t mark,
		      struct probe_run *ret_run)
{
	struct __sk_buff context = {.mark = mark};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = ret_run->out.bytes, .data_size_out = sizeof(ret_run->out.bytes),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .ctx_out = &context,
		    .ctx_size_out = sizeof(context), .repeat = 1);
	struct probe_stats before = read_stats(bed);
	int r = bpf_prog_test_run_opts(probe_hook_prog_fd(bed->hook), &opts);

	if (r)
		fail_msg("test run of %zu bytes: %s", in->len, strerror(-r));
	ret_run->verdict = opts.retval;
	ret_run->mark = context.mark;
	ret_run->out.len = opts.data_size_out;
	ret_run->rise = read_stats(bed);
	for (size_t i = 0; i < sizeof(before) / sizeof(uint64_t); i++)
		((uint64_t *)&ret_run->rise)[i] -= ((const uint64_t *)&before)[i];
}

static uint32_t mark_of(const struct probe_bed *bed, size_t vip)
{
	return probe_hook_mark(bed->hook, FIRST_ID + (uint32_t)vip);
}

/* Only this counter rose, by one; NULL: none. */
static void check_counter(const char *what, const struct probe_run *run, const char *name)
{
	static const char *const names[] = {
#define X(field, text) #field,
		PROBE_COUNTERS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t rise = ((const uint64_t *)&run->rise)[i];

		if (rise != (name && !strcmp(name, names[i])))
			fail_msg("%s: %s rose by %llu", what, names[i], (unsigned long long)rise);
	}
}

static void check_frame(const char *what, const struct frame *got, const struct frame *want)
{
	if (got->len != want->len)
		fail_msg("%s: %zu bytes, the packet path makes %zu", what, got->len, want->len);
	for (size_t i = 0; i < want->len; i++) {
		if (got->bytes[i] != want->bytes[i])
			fail_msg("%s: byte %zu is %02x, the packet path writes %02x", what, i,
				 got->bytes[i], want->bytes[i]);
	}
}

/* ---- as the packet path -------------------------------------------------------------------- */

/* What a socket sends; addresses and ports are the VIP's. */
static const struct {
	const char *what;
	struct packet packet;
} packets[] = {
	{"SYN", {.flags = SEGMENT_SYN, .tcp_options = 5}},
	{"ACK", {.flags = SEGMENT_ACK}},
	{"data", {.flags = SEGMENT_ACK | SEGMENT_PSH, .payload = 333, .tcp_options = 3}},
	{"long data", {.flags = SEGMENT_ACK, .payload = 1200}},
	{"DSCP and ECN", {.flags = SEGMENT_ACK, .tos = 0xb9, .payload = 8}},
	{"IPv4 options", {.flags = SEGMENT_ACK, .ip_options = 3, .payload = 1}},
};

static struct packet packet_for(size_t vip, const struct packet *from)
{
	const struct bed_vip *v = &forward_vips[vip];
	bool is_v6 = strchr(v->address, ':') != NULL;
	struct packet p = *from;

	p.src = is_v6 ? "fd00:1::10" : "10.1.0.10";
	p.dst = v->address;
	p.sport = 40000;
	p.dport = v->port;
	p.protocol = v->protocol;
	if (is_v6)
		p.ip_options = 0;
	if (p.protocol == IPPROTO_UDP)
		p.flags = p.tcp_options = 0;
	return p;
}

static void check_one(const struct probe_bed *bed, size_t vip, size_t i)
{
	struct packet p = packet_for(vip, &packets[i].packet);
	struct probe_run probe;
	struct run client;
	struct frame frame;
	char what[128];

	/* Ports in turn: every bit of what is taken from the flow. */
	for (p.sport = 40000; p.sport < 40008; p.sport++) {
		snprintf(what, sizeof(what), "%s to %s at %s, port %u", packets[i].what, p.dst,
			 forward_vips[vip].reals[0].address, p.sport);
		frame_build(&p, &frame);
		bed_run(bed->bed, &frame, &client);
		assert_int_equal(client.verdict, XDP_TX);
		run_probe(bed, &frame, mark_of(bed, vip), &probe);
		assert_int_equal(probe.verdict, TC_ACT_REDIRECT);
		check_counter(what, &probe, "sent");
		check_frame(what, &probe.out, &client.out);
		assert_int_equal(probe.mark, 0);
	}
}

static void check_all(const struct bed_options *options, enum xdplb_encap encap)
{
	struct probe_bed bed;

	open_bed(&bed, options, encap);
	for (size_t vip = 0; vip < FORWARD_VIPS; vip++) {
		for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
			check_one(&bed, vip, i);
	}
	close_bed(&bed);
}

static const struct bed_options with_prefixes = {
	.source4 = "10.255.0.0",
	.source4_bits = 16,
	.source6 = "2001:db8:ffff::",
	.source6_bits = 64,
	.gue_checksum6 = true,
	.gue_port = 6081,
};

static void ip_in_ip_is_as_the_packet_paths(void **state)
{
	check_all(&(struct bed_options){}, ENCAP_IPIP);
	check_all(&with_prefixes, ENCAP_IPIP);
}

static void gue_is_as_the_packet_paths(void **state)
{
	check_all(&(struct bed_options){}, ENCAP_GUE);
	check_all(&with_prefixes, ENCAP_GUE);
}

static void l2dsr_is_as_the_packet_paths(void **state)
{
	check_all(&(struct bed_options){}, ENCAP_L2DSR);
}

/* ---- what is not sent ---------------------------------------------------------------------- */

static struct frame syn(size_t vip)
{
	struct packet p = packet_for(vip, &packets[0].packet);
	struct frame frame;

	frame_build(&p, &frame);
	return frame;
}

struct refuse_case {
	const char *what;
	const char *dst; /* NULL: the VIP */
	const char *counter; /* NULL: none */
	uint32_t verdict;
	bool has_mark; /* of the tunnel */
	uint32_t mark; /* exclusive or */
};

static const struct refuse_case refuse_cases[] = {
	{"no mark", .verdict = PASSED},
	{"somebody else's mark", .verdict = PASSED, .mark = STRANGE_MARK},
	{"a mark that another balancer on this host gave", .verdict = PASSED, .has_mark = true,
	 .mark = 1 << PROBE_MARK_INSTANCE_SHIFT},
	{"a mark that nobody has any more", .verdict = TC_ACT_SHOT, .has_mark = true,
	 .mark = 1 << 9, .counter = "drop_mark"},
	{"another destination", .dst = "192.0.2.99", .verdict = PASSED, .has_mark = true,
	 .counter = "pass_destination"},
	{"another destination, IPv6", .dst = "2001:db8::99", .verdict = PASSED, .has_mark = true,
	 .counter = "pass_destination"},
	{"the VIP's address mapped into IPv6", .dst = "::ffff:192.0.2.10", .verdict = PASSED,
	 .has_mark = true, .counter = "pass_destination"},
};

static void what_is_not_for_a_tunnel_is_not_touched_or_is_dropped(void **state)
{
	struct probe_bed bed;
	struct probe_run run;

	open_bed(&bed, &(struct bed_options){}, ENCAP_IPIP);
	for (size_t i = 0; i < ARRAY_SIZE(refuse_cases); i++) {
		const struct refuse_case *c = &refuse_cases[i];
		uint32_t mark = (c->has_mark ? mark_of(&bed, VIP4_TO_4) : 0) ^ c->mark;
		struct packet p = packet_for(VIP4_TO_4, &packets[0].packet);
		struct frame frame;

		if (c->dst) {
			p.dst = c->dst;
			p.src = strchr(c->dst, ':') ? "fd00:1::10" : p.src;
		}
		frame_build(&p, &frame);
		run_probe(&bed, &frame, mark, &run);
		if (run.verdict != c->verdict)
			fail_msg("%s: verdict %u", c->what, run.verdict);
		check_counter(c->what, &run, c->counter);
		if (c->verdict == PASSED) {
			check_frame(c->what, &run.out, &frame);
			assert_int_equal(run.mark, mark);
		}
	}
	close_bed(&bed);
}

static void a_real_without_a_next_hop_gets_nothing(void **state)
{
	struct probe_tunnel t;
	struct probe_bed bed;
	struct probe_run run;
	struct frame frame = syn(VIP4_TO_4);

	open_bed(&bed, &(struct bed_options){}, ENCAP_IPIP);
	t = tunnel_of(bed.bed, VIP4_TO_4, ENCAP_IPIP);
	t.ifindex = 0;
	assert_int_equal(probe_hook_set(bed.hook, FIRST_ID, &t), 0);
	run_probe(&bed, &frame, mark_of(&bed, VIP4_TO_4), &run);
	assert_int_equal(run.verdict, TC_ACT_SHOT);
	check_counter("no next hop", &run, "drop_no_next_hop");
	close_bed(&bed);
}

static void what_fits_the_mtu_is_sent_and_one_byte_more_is_not(void **state)
{
	static const struct {
		enum xdplb_encap encap;
		uint16_t outer;
	} rows[] = {{ENCAP_IPIP, 20}, {ENCAP_GUE, 28}, {ENCAP_L2DSR, 0}};
	struct frame frame = syn(VIP4_TO_4);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe_tunnel t;
		struct probe_bed bed;
		struct probe_run run;

		open_bed(&bed, &(struct bed_options){}, rows[i].encap);
		t = tunnel_of(bed.bed, VIP4_TO_4, rows[i].encap);
		t.mtu = (uint16_t)(frame.len - FRAME_ETH_LEN + rows[i].outer);
		assert_int_equal(probe_hook_set(bed.hook, FIRST_ID, &t), 0);
		run_probe(&bed, &frame, mark_of(&bed, VIP4_TO_4), &run);
		assert_int_equal(run.verdict, TC_ACT_REDIRECT);
		t.mtu--;
		assert_int_equal(probe_hook_set(bed.hook, FIRST_ID, &t), 0);
		run_probe(&bed, &frame, mark_of(&bed, VIP4_TO_4), &run);
		assert_int_equal(run.verdict, TC_ACT_SHOT);
		check_counter("too big", &run, "drop_too_big");
		close_bed(&bed);
	}
}

static void fragments_are_not_sent(void **state)
{
	struct frame frame = syn(VIP4_TO_4);
	struct probe_bed bed;
	struct probe_run run;

	open_bed(&bed, &(struct bed_options){}, ENCAP_IPIP);
	frame.bytes[FRAME_ETH_LEN + 6] = 0x20; /* more fragments */
	run_probe(&bed, &frame, mark_of(&bed, VIP4_TO_4), &run);
	assert_int_equal(run.verdict, TC_ACT_SHOT);
	check_counter("fragment", &run, "drop_fragment");
	close_bed(&bed);
}

static void other_knobs_leave_the_tunnels_as_they_are(void **state)
{
	struct frame frame = syn(VIP4_TO_4);
	struct dataplane_knobs knobs;
	struct probe_bed bed;
	struct probe_run run;
	struct err err;

	open_bed(&bed, &(struct bed_options){}, ENCAP_IPIP);
	knobs = bed.bed->knobs;
	knobs.source4 = htonl(0x0a090807);
	assert_int_equal(probe_hook_load(bed.hook, &knobs, &err), 0);
	run_probe(&bed, &frame, mark_of(&bed, VIP4_TO_4), &run);
	assert_int_equal(run.verdict, TC_ACT_REDIRECT);
	assert_memory_equal(run.out.bytes + FRAME_ETH_LEN + 12, &knobs.source4, 4);
	close_bed(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_in_ip_is_as_the_packet_paths),
		cmocka_unit_test(gue_is_as_the_packet_paths),
		cmocka_unit_test(l2dsr_is_as_the_packet_paths),
		cmocka_unit_test(what_is_not_for_a_tunnel_is_not_touched_or_is_dropped),
		cmocka_unit_test(a_real_without_a_next_hop_gets_nothing),
		cmocka_unit_test(what_fits_the_mtu_is_sent_and_one_byte_more_is_not),
		cmocka_unit_test(fragments_are_not_sent),
		cmocka_unit_test(other_knobs_leave_the_tunnels_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
