/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP fragments for a VIP: all of a datagram reach the real that its first one was given, as they
 * came; one that cannot is dropped for the reason named, and none is put where it does harm.
 */
#include "harness.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define OTHER4	"203.0.113.1"
#define OTHER6	"2001:db8:e::1"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define PASS4	"192.0.2.12"
#define PASS6	"2001:db8:f::12"

#define REAL1 0x0a000101u
#define REAL2 0x0a000102u

#define PAYLOAD 3000
#define PIECE	1400 /* bytes of a datagram in one fragment, a multiple of 8 */

static const struct bed_vip vips[] = {
	{.address = VIP4,
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = VIP6,
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = PASS4,
	 .port = 80,
	 .on_no_port = ON_NO_PORT_PASS,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
	{.address = PASS6,
	 .port = 80,
	 .on_no_port = ON_NO_PORT_PASS,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}}},
};

enum { DNS4, DNS6, WEB4, WEB6, KINDS };

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static struct packet datagram(size_t vip, uint16_t sport)
{
	bool is_v4 = !strchr(vips[vip].address, ':');

	return (struct packet){.src = is_v4 ? CLIENT4 : CLIENT6,
			       .dst = vips[vip].address,
			       .sport = sport,
			       .dport = vips[vip].port,
			       .protocol = vips[vip].protocol,
			       .payload = PAYLOAD};
}

/* A piece of a packet: `offset` and `len` are of what is behind its IP header. */
struct piece {
	uint32_t id;
	size_t offset;
	size_t len; /* 0: up to the end */
};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void fragment4(struct frame *f, const struct piece *p, bool has_more)
{
	uint8_t *ip = f->bytes + FRAME_ETH_LEN;
	size_t header_len = f->l4 - FRAME_ETH_LEN;

	put16(ip + 2, header_len + p->len);
	put16(ip + 4, p->id);
	put16(ip + 6, p->offset / 8 | (has_more ? 0x2000 : 0));
	put16(ip + 10, 0);
	put16(ip + 10, frame_checksum(ip, header_len, 0));
}

static void fragment6(struct frame *f, const struct piece *p, bool has_more)
{
	uint8_t *ip = f->bytes + FRAME_ETH_LEN;
	uint8_t header[8] = {ip[6]};

	put16(header + 2, p->offset | has_more);
	put16(header + 4, p->id >> 16);
	put16(header + 6, p->id);
	ip[6] = 44;
	put16(ip + 4, 8 + p->len);
	frame_insert(f, FRAME_ETH_LEN + 40, header, sizeof(header));
	f->l3_len += 8;
}

static void build_fragment(const struct packet *packet, const struct piece *piece,
			   struct frame *ret_frame)
{
	struct piece p = *piece;
	bool has_more;
	size_t all;

	frame_build(packet, ret_frame);
	all = ret_frame->len - ret_frame->l4;
	if (!p.len || p.offset + p.len > all)
		p.len = all - p.offset;
	has_more = p.offset + p.len < all;
	memmove(ret_frame->bytes + ret_frame->l4, ret_frame->bytes + ret_frame->l4 + p.offset,
		p.len);
	ret_frame->len = ret_frame->l4 + p.len;
	ret_frame->l3_len = ret_frame->len - FRAME_ETH_LEN;
	if (strchr(packet->dst, ':'))
		fragment6(ret_frame, &p, has_more);
	else
		fragment4(ret_frame, &p, has_more);
}

static void send_fragment(struct bed *bed, const struct packet *packet, uint32_t id, size_t offset,
			  struct run *ret_run)
{
	struct piece piece = {.id = id, .offset = offset, .len = PIECE};
	struct frame f;

	build_fragment(packet, &piece, &f);
	bed_run(bed, &f, ret_run);
}

static void expect_counter(const struct run *run, const char *counter, const char *what)
{
	if (strcmp(run_counter(run), counter) != 0)
		fail_msg("%s: %s, expected %s", what, run_counter(run), counter);
}

static void expect_untouched(const struct run *run, const struct frame *in, const char *what)
{
	if (run->verdict != XDP_PASS || run->out.len != in->len ||
	    memcmp(run->out.bytes, in->bytes, in->len) != 0)
		fail_msg("%s: not passed as it came but %s", what, run_counter(run));
}

static void expect_fragment(struct bed *bed, const struct packet *packet, uint32_t id,
			    size_t offset, const char *counter, const char *what)
{
	struct run run;

	send_fragment(bed, packet, id, offset, &run);
	expect_counter(&run, counter, what);
	assert_int_equal(run.rise.flow_fragment, offset && !strcmp(counter, "forwarded"));
}

/* ---- To the same real -------------------------------------------------------------------- */

/* Gives the flow to this real, wherever its first packet went. */
static void plant(struct bed *bed, const struct packet *p, const struct bed_vip *vip,
		  const char *real)
{
	uint32_t tag = flow_hash_tag(bed_hash(bed, p));
	struct packet opener = *p;
	struct run run;

	opener.payload = 0;
	bed_send(bed, &opener, &run);
	*bed_slot(bed, p) = bed_slot_word(bed, tag, bed_member_id(bed, vip, real),
					  vip->protocol == IPPROTO_UDP ? FLOW_UDP : FLOW_TCP, 0);
}

static void expect_sent(struct bed *bed, const struct frame *in, const char *real, size_t offset)
{
	struct outer outer = {
		.src = BED_SOURCE4,
		.dst = real,
		.source_mac = bed->dp->out[BED_ROW_SAME].mac,
		.dest_mac = bed_gateway_mac(),
	};
	struct frame want;
	struct run run;

	bed_run(bed, in, &run);
	expect_counter(&run, "forwarded", "a fragment");
	assert_int_equal(run.rise.flow_fragment, offset != 0);
	assert_int_equal(run.forwarded.bytes, in->l3_len);
	frame_encapsulate(in, &outer, &want);
	assert_int_equal(run.out.len, want.len);
	assert_memory_equal(run.out.bytes, want.bytes, want.len);
}

static void every_fragment_leaves_unchanged_for_the_real_of_its_flow(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		/* Wherever the ring would send a flow, two of these are elsewhere. */
		for (uint16_t r = 0; r < 3; r++) {
			struct packet p = datagram(vip, (uint16_t)(1000 + r));
			const char *real = vips[vip].reals[r].address;

			plant(*state, &p, &vips[vip], real);
			for (size_t offset = 0; offset < PAYLOAD; offset += PIECE) {
				struct piece piece = {.id = 7 + r, .offset = offset, .len = PIECE};
				struct frame f;

				build_fragment(&p, &piece, &f);
				expect_sent(*state, &f, real, offset);
			}
		}
	}
}

static void a_fragment_follows_its_first_even_if_the_flow_has_moved_since(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		struct packet p = datagram(vip, 2000);
		struct run run;

		plant(*state, &p, &vips[vip], "10.0.1.1");
		send_fragment(*state, &p, 99, 0, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL1));
		plant(*state, &p, &vips[vip], "10.0.1.2");
		send_fragment(*state, &p, 99, PIECE, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL1));
	}
}

static int setup_prefix(void **state)
{
	struct bed_options options = {.source4 = "10.77.0.0", .source4_bits = 16};

	*state = bed_new(&options);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

static void fragments_have_the_entropy_of_their_flow(void **state)
{
	for (uint16_t port = 100; port < 116; port++) {
		struct packet p = datagram(DNS4, port);
		struct run first, later;

		send_fragment(*state, &p, port, 0, &first);
		send_fragment(*state, &p, port, PIECE, &later);
		assert_memory_equal(first.out.bytes + FRAME_ETH_LEN + 12,
				    later.out.bytes + FRAME_ETH_LEN + 12, 8);
	}
}

/* ---- Which datagram it is of ------------------------------------------------------------- */

static void a_fragment_before_its_first_is_dropped_and_one_after_it_is_not(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		struct packet p = datagram(vip, 3000);

		expect_fragment(*state, &p, 55 + vip, PIECE, "drop_fragment_unknown",
				"before the first");
		expect_fragment(*state, &p, 55 + vip, 0, "forwarded", "the first");
		expect_fragment(*state, &p, 55 + vip, 2 * PIECE, "forwarded",
				"the last before another");
		expect_fragment(*state, &p, 55 + vip, PIECE, "forwarded", "the one in between");
		expect_fragment(*state, &p, 55 + vip, PIECE, "forwarded", "the same twice");
	}
}

static void only_the_datagrams_own_fragments_follow(void **state)
{
	struct packet four = datagram(DNS4, 4000), six = datagram(DNS6, 4000);
	struct packet other;

	expect_fragment(*state, &four, 0x1234, 0, "forwarded", "the first");
	expect_fragment(*state, &four, 0x1235, PIECE, "drop_fragment_unknown", "another id");
	other = datagram(WEB4, 4000);
	expect_fragment(*state, &other, 0x1234, PIECE, "drop_fragment_unknown", "another protocol");
	other = four;
	other.src = "198.51.100.8";
	expect_fragment(*state, &other, 0x1234, PIECE, "drop_fragment_unknown", "another source");
	other = four;
	other.dst = PASS4;
	expect_fragment(*state, &other, 0x1234, PIECE, "pass_no_port", "another VIP");
	expect_fragment(*state, &four, 0x1234, PIECE, "forwarded", "its own");

	expect_fragment(*state, &six, 0x12345678, 0, "forwarded", "the first");
	expect_fragment(*state, &six, 0x12355678, PIECE, "drop_fragment_unknown", "another id");
	other = six;
	other.src = "2001:db8:c::8";
	expect_fragment(*state, &other, 0x12345678, PIECE, "drop_fragment_unknown",
			"another source");
	/* RFC 8200 section 4.5: what the later ones say comes next does not count. */
	other = datagram(WEB6, 4000);
	expect_fragment(*state, &other, 0x12345678, PIECE, "forwarded", "another next header");
}

static void a_used_id_belongs_to_the_newest_datagram(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		struct packet old = datagram(vip, 5000), new = datagram(vip, 5001);
		struct run run;

		plant(*state, &old, &vips[vip], "10.0.1.1");
		plant(*state, &new, &vips[vip], "10.0.1.2");
		expect_fragment(*state, &old, 77, 0, "forwarded", "the old datagram");
		expect_fragment(*state, &new, 77, 0, "forwarded", "the new datagram");
		send_fragment(*state, &new, 77, PIECE, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL2));
	}
}

static void an_atomic_fragment_is_a_whole_packet_and_not_remembered(void **state)
{
	struct packet p = datagram(DNS6, 6000);
	struct piece whole = {.id = 88};
	struct frame f;
	struct run run;

	build_fragment(&p, &whole, &f);
	bed_run(*state, &f, &run);
	expect_counter(&run, "forwarded", "an atomic fragment");
	expect_fragment(*state, &p, 88, PIECE, "drop_fragment_unknown", "after an atomic one");
}

/* ---- What is remembered ------------------------------------------------------------------ */

static int fragments_fd(const struct bed *bed)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/fragments", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* Changes the one datagram that is remembered: it is so much older, of that member. */
static void change_remembered(const struct bed *bed, uint64_t age, uint32_t member)
{
	int fd = fragments_fd(bed);
	struct fragment_key key;
	struct fragment first;

	assert_int_equal(bpf_map_get_next_key(fd, NULL, &key), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &first), 0);
	first.jiffies -= age;
	first.member = member;
	assert_int_equal(bpf_map_update_elem(fd, &key, &first, BPF_EXIST), 0);
	assert_int_not_equal(bpf_map_get_next_key(fd, &key, &key), 0);
	close(fd);
}

static void what_came_first_is_forgotten_after_30_seconds(void **state)
{
	struct packet p = datagram(DNS4, 7000);
	struct bed *bed = *state;
	uint64_t timeout = 30ULL * bed->knobs.hz;
	uint32_t member;

	plant(bed, &p, &vips[DNS4], "10.0.1.1");
	member = bed_member_id(bed, &vips[DNS4], "10.0.1.1");
	expect_fragment(bed, &p, 1, 0, "forwarded", "the first");
	change_remembered(bed, timeout - bed->knobs.hz, member);
	expect_fragment(bed, &p, 1, PIECE, "forwarded", "29 seconds later");
	change_remembered(bed, bed->knobs.hz + 1, member);
	expect_fragment(bed, &p, 1, PIECE, "drop_fragment_unknown", "30 seconds later");
	expect_fragment(bed, &p, 1, 0, "forwarded", "the first of another");
	expect_fragment(bed, &p, 1, PIECE, "forwarded", "30 seconds later, again");
}

static void a_fragment_does_not_follow_to_a_member_of_another_vip(void **state)
{
	struct packet p = datagram(DNS4, 7000);
	struct bed *bed = *state;
	static const struct {
		const char *what;
		size_t vip;
	} rows[] = {
		{"another address", DNS6},
		{"another protocol and port", WEB4},
		{"another VIP of that port", 4},
	};

	expect_fragment(bed, &p, 1, 0, "forwarded", "the first");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		change_remembered(bed, 0, bed_member_id(bed, &vips[rows[i].vip], "10.0.1.1"));
		expect_fragment(bed, &p, 1, PIECE, "drop_fragment_unknown", rows[i].what);
	}
	change_remembered(bed, 0, bed->dp->control->members);
	expect_fragment(bed, &p, 1, PIECE, "drop_fragment_unknown", "no member at all");
	change_remembered(bed, 0, bed->dp->control->members - 1);
	expect_fragment(bed, &p, 1, PIECE, "drop_fragment_unknown", "a free member");
	change_remembered(bed, 0, bed_member_id(bed, &vips[DNS4], "10.0.1.1"));
	expect_fragment(bed, &p, 1, PIECE, "forwarded", "its own");
}

static void a_fragment_follows_to_a_real_that_drains_and_not_to_one_that_is_down(void **state)
{
	struct packet p = datagram(DNS4, 7000);
	struct bed_vip vip = vips[DNS4];
	struct bed *bed = *state;

	plant(bed, &p, &vip, "10.0.1.1");
	expect_fragment(bed, &p, 1, 0, "forwarded", "the first");
	vip.reals[0].is_drained = true;
	bed_apply_members(bed, &vip, 1);
	expect_fragment(bed, &p, 1, PIECE, "forwarded", "its real drains");
	vip.reals[0].is_down = true;
	vip.reals[0].is_drained = false;
	bed_apply(bed, &vip, 1);
	expect_fragment(bed, &p, 1, PIECE, "drop_fragment_unknown", "its real is down");
	expect_fragment(bed, &p, 1, 0, "forwarded", "the first of the next datagram");
	expect_fragment(bed, &p, 1, PIECE, "forwarded", "the next datagram");
	bed_apply(bed, NULL, 0);
	expect_fragment(bed, &p, 1, PIECE, "pass_no_vip", "the VIP is gone");
}

static void a_full_table_forgets_the_oldest(void **state)
{
	struct packet p = datagram(DNS4, 8000);
	struct frame f;
	struct run run;

	build_fragment(&p, &(struct piece){.id = 1, .len = PIECE}, &f);
	bed_run(*state, &f, &run);
	for (uint32_t i = 0; i < 2 * FRAGMENTS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
			    .repeat = 1);

		memcpy(f.bytes + FRAME_ETH_LEN + 12, &i, 4); /* the source */
		assert_int_equal(
			bpf_prog_test_run_opts(dataplane_prog_fd(((struct bed *)*state)->dataplane),
					       &opts),
			0);
		assert_int_equal(opts.retval, XDP_TX);
	}
	expect_fragment(*state, &p, 1, PIECE, "drop_fragment_unknown", "the oldest");
	expect_fragment(*state, &p, 2, 0, "forwarded", "the newest");
	expect_fragment(*state, &p, 2, PIECE, "forwarded", "the newest");
}

/* ---- Fragments that are not forwarded ---------------------------------------------------- */

static void data_over_the_tcp_header_is_dropped(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		struct packet p = datagram(vip, 9000);
		bool is_tcp = vips[vip].protocol != IPPROTO_UDP;

		for (size_t offset = 8; offset <= 32; offset += 8) {
			bool overlaps = is_tcp && offset < 20;

			expect_fragment(*state, &p, 5, 0, "forwarded", "the first");
			expect_fragment(*state, &p, 5, offset,
					overlaps ? "drop_fragment" : "forwarded", "overlapping");
		}
	}
}

static void a_first_fragment_has_its_whole_transport_header(void **state)
{
	for (size_t vip = 0; vip < KINDS; vip++) {
		struct packet p = datagram(vip, 9000);
		bool is_tcp = vips[vip].protocol != IPPROTO_UDP;

		p.tcp_options = is_tcp ? 3 : 0;
		for (size_t len = 8; len <= 40; len += 8) {
			struct piece tiny = {.id = 6, .len = len};
			const char *want = is_tcp && len < 32 ? "drop_truncated" : "forwarded";
			struct frame f;
			struct run run;

			build_fragment(&p, &tiny, &f);
			bed_run(*state, &f, &run);
			expect_counter(&run, want, "a tiny first fragment");
		}
	}
}

static void by_address_and_protocol(void **state)
{
	static const struct {
		const char *what;
		struct packet packet;
		const char *first;
		const char *later;
	} rows[] = {
		{"no VIP, IPv4", {.src = CLIENT4, .dst = OTHER4}, "pass_no_vip", "pass_no_vip"},
		{"no VIP, IPv6", {.src = CLIENT6, .dst = OTHER6}, "pass_no_vip", "pass_no_vip"},
		{"the host's port, IPv4",
		 {.src = CLIENT4, .dst = PASS4, .dport = 81},
		 "pass_no_port",
		 "pass_no_port"},
		{"the host's port, IPv6",
		 {.src = CLIENT6, .dst = PASS6, .dport = 81},
		 "pass_no_port",
		 "pass_no_port"},
		{"a port nobody serves, IPv4",
		 {.src = CLIENT4, .dst = VIP4, .dport = 81, .protocol = IPPROTO_UDP},
		 "reply_unreachable",
		 "drop_fragment_unknown"},
		{"a port nobody serves, IPv6",
		 {.src = CLIENT6, .dst = VIP6, .dport = 81, .protocol = IPPROTO_UDP},
		 "reply_unreachable",
		 "drop_fragment_unknown"},
		{"ICMP",
		 {.src = CLIENT4, .dst = VIP4, .protocol = IPPROTO_ICMP},
		 "drop_fragment",
		 "drop_fragment_unknown"},
		{"ICMPv6",
		 {.src = CLIENT6, .dst = VIP6, .protocol = IPPROTO_ICMPV6},
		 "drop_fragment",
		 "drop_fragment_unknown"},
		{"ESP",
		 {.src = CLIENT4, .dst = VIP4, .protocol = IPPROTO_ESP},
		 "drop_protocol",
		 "drop_fragment_unknown"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t offset = 0; offset <= PIECE; offset += PIECE) {
			struct packet p = rows[i].packet;
			struct piece piece = {.id = 66, .offset = offset, .len = PIECE};
			struct frame f;
			struct run run;

			p.sport = 40000;
			p.payload = PAYLOAD;
			build_fragment(&p, &piece, &f);
			bed_run(*state, &f, &run);
			expect_counter(&run, offset ? rows[i].later : rows[i].first, rows[i].what);
			if (run.verdict == XDP_PASS)
				expect_untouched(&run, &f, rows[i].what);
		}
	}
}

/* What changes the bed, or what it remembers, has one of its own: loading is slow. */
#define on_bed(test)	cmocka_unit_test_setup_teardown(test, setup, bed_teardown)
#define on_prefix(test) cmocka_unit_test_setup_teardown(test, setup_prefix, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fragment_leaves_unchanged_for_the_real_of_its_flow),
		cmocka_unit_test(a_fragment_follows_its_first_even_if_the_flow_has_moved_since),
		on_prefix(fragments_have_the_entropy_of_their_flow),
		cmocka_unit_test(a_fragment_before_its_first_is_dropped_and_one_after_it_is_not),
		cmocka_unit_test(only_the_datagrams_own_fragments_follow),
		cmocka_unit_test(a_used_id_belongs_to_the_newest_datagram),
		cmocka_unit_test(an_atomic_fragment_is_a_whole_packet_and_not_remembered),
		on_bed(what_came_first_is_forgotten_after_30_seconds),
		on_bed(a_fragment_does_not_follow_to_a_member_of_another_vip),
		on_bed(a_fragment_follows_to_a_real_that_drains_and_not_to_one_that_is_down),
		on_bed(a_full_table_forgets_the_oldest),
		cmocka_unit_test(data_over_the_tcp_header_is_dropped),
		cmocka_unit_test(a_first_fragment_has_its_whole_transport_header),
		cmocka_unit_test(by_address_and_protocol),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
