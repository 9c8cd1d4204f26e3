/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about what a real sent as the VIP: they reach the real that has the flow, whatever
 * they quote of it, and leave the flow as it is. All other ICMP is refused for the reason named.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8:f::10"
#define OTHER4	"203.0.113.1"
#define OTHER6	"2001:db8:e::1"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define ROUTER4 "198.51.100.1"
#define ROUTER6 "2001:db8:c::1"
#define PASS4	"192.0.2.12"

#define TOO_BIG6 2

/* VIPs of either family with a real of either, and one whose unserved ports are the host's. */
static const struct bed_vip vips[] = {
	{.address = VIP4, .port = 80, .reals = {{"10.0.1.1"}, {"2001:db8:1::2"}, {"10.0.1.3"}}},
	{.address = VIP6, .port = 80, .reals = {{"10.0.1.1"}, {"2001:db8:1::2"}, {"10.0.1.3"}}},
	{.address = VIP4, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = VIP6, .port = 53, .protocol = IPPROTO_UDP, .reals = {{"2001:db8:1::2"}}},
	{.address = "192.0.2.11", .port = 80},
	{.address = PASS4, .port = 80, .on_no_port = ON_NO_PORT_PASS},
};

enum { WEB4, WEB6, DNS4, DNS6, EMPTY4 };

/* A client's packet of a flow, and the one a real sends back. */
struct exchange {
	struct packet there;
	struct packet back;
};

static struct exchange exchange(size_t vip, uint16_t client_port)
{
	bool is_v4 = !strchr(vips[vip].address, ':');
	struct exchange e = {
		.there = {.src = is_v4 ? CLIENT4 : CLIENT6,
			  .dst = vips[vip].address,
			  .sport = client_port,
			  .dport = vips[vip].port,
			  .protocol = vips[vip].protocol},
		.back = {.src = vips[vip].address,
			 .dst = is_v4 ? CLIENT4 : CLIENT6,
			 .sport = vips[vip].port,
			 .dport = client_port,
			 .protocol = vips[vip].protocol,
			 .payload = 1400},
	};

	return e;
}

static bool is_v4(const struct exchange *e)
{
	return !strchr(e->there.dst, ':');
}

/* A router's "does not fit", with as much of the packet as `l4_bytes` behind its IP header. */
static void build_too_big(const struct exchange *e, size_t l4_bytes, struct frame *ret_frame)
{
	struct frame quoted;
	struct icmp_message m = {
		.src = is_v4(e) ? ROUTER4 : ROUTER6,
		.dst = e->back.src,
		.type = is_v4(e) ? 3 : TOO_BIG6,
		.code = is_v4(e) ? 4 : 0,
		.rest = 1400,
		.quoted = &quoted,
	};

	frame_build(&e->back, &quoted);
	m.quote_len = quoted.l4 - FRAME_ETH_LEN + l4_bytes;
	frame_build_icmp(&m, ret_frame);
}

static int setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	return 0;
}

/* The error left as it came, behind an outer header to that real. */
static void expect_error_sent(struct bed *bed, const struct frame *in, const char *real,
			      const char *what)
{
	struct run run;

	expect_sent(bed, in, real, what, &run);
	assert_int_equal(run.rise.flow_icmp_error, 1);
	assert_int_equal(run.forwarded.new_flows, 0);
}

/* Writes into the flow's slot that it belongs to this real and was last used some ticks ago. */
static uint64_t plant(struct bed *bed, const struct exchange *e, const struct bed_vip *vip,
		      const char *real, enum flow_state flow_state)
{
	uint64_t *slot = bed_slot(bed, &e->there);
	uint32_t tag = flow_hash_tag(bed_hash(bed, &e->there));

	assert_non_null(slot);
	*slot = bed_slot_word(bed, tag, bed_member_id(bed, vip, real), flow_state, 3);
	return *slot;
}

/* ---- Whose it is ------------------------------------------------------------------------- */

static void an_error_reaches_the_real_that_has_the_flow_and_leaves_the_flow_alone(void **state)
{
	static const enum flow_state states[] = {FLOW_SYN, FLOW_ACK, FLOW_TCP, FLOW_FIN, FLOW_RST};
	struct bed *bed = *state;

	for (size_t vip = WEB4; vip <= WEB6; vip++) {
		/* Wherever the ring would send the flow, two of these are elsewhere. */
		for (size_t r = 0; r < 3 * ARRAY_SIZE(states); r++) {
			struct exchange e = exchange(vip, (uint16_t)(2000 + r));
			const char *real = vips[vip].reals[r % 3].address;
			struct frame f;
			struct run run;
			uint64_t word;

			bed_send(bed, &e.there, &run);
			word = plant(bed, &e, &vips[vip], real, states[r / 3]);
			build_too_big(&e, 100, &f);
			expect_error_sent(bed, &f, real, "a known flow");
			assert_true(*bed_slot(bed, &e.there) == word);
		}
	}
}

static void
an_error_about_an_unknown_flow_goes_where_the_flow_would_and_records_nothing(void **state)
{
	struct bed *bed = *state;

	for (uint16_t port = 3000; port < 3032; port++) {
		struct exchange e = exchange(port % 2 ? WEB4 : WEB6, port);
		struct frame f;
		struct run run;
		struct ip_addr real, flow_real;

		build_too_big(&e, 8, &f);
		bed_run(bed, &f, &run);
		real = run_real(&run);
		assert_null(bed_slot(bed, &e.there));
		assert_int_equal(run.rise.flow_inserted, 0);
		flow_real = bed_real_of(bed, &e.there);
		assert_memory_equal(&real, &flow_real, sizeof(real));
	}
}

static void an_error_about_a_udp_flow_reaches_its_real(void **state)
{
	struct exchange four = exchange(DNS4, 4000), six = exchange(DNS6, 4000);
	struct frame f;

	build_too_big(&four, 8, &f);
	expect_error_sent(*state, &f, "10.0.1.1", "UDP over IPv4");
	build_too_big(&six, 8, &f);
	expect_error_sent(*state, &f, "2001:db8:1::2", "UDP over IPv6");
}

static void an_error_does_not_follow_a_flow_to_a_real_that_is_down(void **state)
{
	struct bed_vip vip = vips[WEB4];
	struct exchange e = exchange(WEB4, 5000);
	struct ip_addr was, is;
	struct bed *bed = *state;
	struct frame f;
	struct run run;
	int down;

	bed_send(bed, &e.there, &run);
	was = run_real(&run);
	for (down = 0; down < 3; down++) {
		vip.reals[down].is_down = true;
		bed_apply(bed, &vip, 1);
		build_too_big(&e, 8, &f);
		bed_run(bed, &f, &run);
		is = run_real(&run);
		if (memcmp(&was, &is, sizeof(was)) != 0)
			break;
		vip.reals[down].is_down = false;
	}
	assert_in_range(down, 0, 2);
	for (int i = 0; i < 3; i++)
		vip.reals[i].is_down = true;
	bed_apply(bed, &vip, 1);
	bed_run(bed, &f, &run);
	expect_counter(&run, "drop_no_real", "all are down");
}

/* ---- What kind it is --------------------------------------------------------------------- */

static void by_type(void **state)
{
	static const struct {
		const char *what;
		size_t vip;
		uint8_t type, code;
		const char *counter;
	} rows[] = {
		{"port unreachable", WEB4, 3, 3, "forwarded"},
		{"fragmentation needed", WEB4, 3, 4, "forwarded"},
		{"time exceeded", WEB4, 11, 0, "forwarded"},
		{"reassembly time exceeded", WEB4, 11, 1, "forwarded"},
		{"parameter problem", WEB4, 12, 0, "forwarded"},
		{"source quench", WEB4, 4, 0, "drop_icmp_ignored"},
		{"redirect", WEB4, 5, 1, "drop_icmp_ignored"},
		{"echo reply", WEB4, 0, 0, "drop_protocol"},
		{"timestamp", WEB4, 13, 0, "drop_protocol"},
		{"ICMPv6 type in IPv4", WEB4, 2, 0, "drop_protocol"},
		{"no route", WEB6, 1, 0, "forwarded"},
		{"packet too big", WEB6, 2, 0, "forwarded"},
		{"hop limit exceeded", WEB6, 3, 0, "forwarded"},
		{"parameter problem", WEB6, 4, 1, "forwarded"},
		{"reserved type 0", WEB6, 0, 0, "forwarded"},
		{"unknown error", WEB6, 5, 0, "forwarded"},
		{"the last of the errors", WEB6, 127, 0, "forwarded"},
		{"echo reply", WEB6, 129, 0, "drop_protocol"},
		{"multicast listener", WEB6, 132, 0, "drop_protocol"},
		{"router solicitation", WEB6, 133, 0, "pass_neighbour_discovery"},
		{"neighbour advertisement", WEB6, 136, 0, "pass_neighbour_discovery"},
		{"redirect", WEB6, 137, 0, "drop_icmp_ignored"},
		{"above redirect", WEB6, 138, 0, "drop_protocol"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct exchange e = exchange(rows[i].vip, 6000);
		struct frame f;
		struct run run;

		build_too_big(&e, 8, &f);
		f.bytes[f.l4] = rows[i].type;
		f.bytes[f.l4 + 1] = rows[i].code;
		bed_run(*state, &f, &run);
		expect_counter(&run, rows[i].counter, rows[i].what);
		if (run.verdict == XDP_PASS)
			expect_untouched(&run, &f, rows[i].what);
		/* The same for no VIP, and quoting no VIP. */
		frame_put_addr(f.bytes + FRAME_ETH_LEN + (is_v4(&e) ? 16 : 24),
			       is_v4(&e) ? OTHER4 : OTHER6);
		bed_run(*state, &f, &run);
		expect_counter(&run, "pass_no_vip", rows[i].what);
		expect_untouched(&run, &f, rows[i].what);
	}
}

/* ---- What it quotes ---------------------------------------------------------------------- */

static void a_quote_needs_8_bytes_behind_its_ip_header(void **state)
{
	for (size_t vip = WEB4; vip <= DNS6; vip++) {
		struct exchange e = exchange(vip, 7000);
		struct frame quoted, f;
		struct icmp_message m = {.dst = e.there.dst, .quoted = &quoted};

		m.src = is_v4(&e) ? ROUTER4 : ROUTER6;
		m.type = is_v4(&e) ? 11 : 3;
		frame_build(&e.back, &quoted);
		for (m.quote_len = 0; m.quote_len < 100; m.quote_len++) {
			size_t least = quoted.l4 - FRAME_ETH_LEN + 8;
			char what[64];
			struct run run;

			frame_build_icmp(&m, &f);
			snprintf(what, sizeof(what), "%zu bytes quoted", m.quote_len);
			bed_run(*state, &f, &run);
			expect_counter(&run, m.quote_len < least ? "drop_icmp_quote" : "forwarded",
				       what);
		}
	}
}

static void an_icmp_header_needs_8_bytes(void **state)
{
	static const size_t length_at[] = {16, 18};

	for (size_t vip = WEB4; vip <= WEB6; vip++) {
		struct exchange e = exchange(vip, 7000);

		for (size_t len = 0; len < 8; len++) {
			struct frame f;
			struct run run;

			build_too_big(&e, 8, &f);
			f.len = f.l4 + len;
			f.bytes[length_at[vip]] = 0;
			f.bytes[length_at[vip] + 1] = (uint8_t)(is_v4(&e) ? 20 + len : len);
			bed_run(*state, &f, &run);
			expect_counter(&run, "drop_truncated", "a piece of an ICMP header");
		}
	}
}

struct patch {
	uint8_t offset; /* in the quoted packet, from its IP header */
	uint8_t value;
};

static void a_quote_that_names_no_flow_of_the_vip_is_dropped(void **state)
{
	static const struct {
		const char *what;
		size_t vip;
		const char *counter;
		struct patch patches[3];
	} rows[] = {
		{"version 6 in IPv4", WEB4, "drop_icmp_quote", {{0, 0x65}}},
		{"header of 4 words", WEB4, "drop_icmp_quote", {{0, 0x44}}},
		{"header beyond the quote", WEB4, "drop_icmp_quote", {{0, 0x4f}}},
		{"a later fragment", WEB4, "drop_icmp_quote", {{7, 1}}},
		{"a later fragment, far", WEB4, "drop_icmp_quote", {{6, 0x10}}},
		{"a first fragment", WEB4, "forwarded", {{6, 0x20}}},
		{"don't fragment", WEB4, "forwarded", {{6, 0x40}}},
		{"ICMP", WEB4, "drop_icmp_quote", {{9, 1}}},
		{"sent by another address", WEB4, "drop_icmp_quote", {{15, 99}}},
		{"sent by another VIP", WEB4, "drop_icmp_quote", {{15, 11}}},
		{"a port that is not served", WEB4, "drop_icmp_no_port", {{21, 81}}},
		{"a protocol that is not served", WEB4, "drop_icmp_no_port", {{9, 17}}},
		{"version 4 in IPv6", WEB6, "drop_icmp_quote", {{0, 0x45}}},
		{"ICMPv6", WEB6, "drop_icmp_quote", {{6, 58}}},
		{"ESP", WEB6, "drop_icmp_quote", {{6, 50}}},
		{"no next header", WEB6, "drop_icmp_quote", {{6, 59}}},
		{"sent by another address", WEB6, "drop_icmp_quote", {{8, 0x30}}},
		{"a port that is not served", WEB6, "drop_icmp_no_port", {{41, 81}}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct exchange e = exchange(rows[i].vip, 8000);
		struct frame f;
		struct run run;

		build_too_big(&e, 8, &f);
		for (size_t k = 0; k < 3; k++) {
			if (rows[i].patches[k].offset || rows[i].patches[k].value)
				f.bytes[f.l4 + 8 + rows[i].patches[k].offset] =
					rows[i].patches[k].value;
		}
		bed_run(*state, &f, &run);
		expect_counter(&run, rows[i].counter, rows[i].what);
	}
}

static void what_no_vip_serves_is_the_hosts_where_on_no_port_says_so(void **state)
{
	struct exchange e = exchange(WEB4, 9000);
	struct frame f;
	struct run run;

	e.back.src = PASS4;
	e.back.sport = 22;
	build_too_big(&e, 8, &f);
	bed_run(*state, &f, &run);
	expect_counter(&run, "pass_no_port", "an error for the host's own connection");
	expect_untouched(&run, &f, "an error for the host's own connection");
	e.back.sport = 80;
	build_too_big(&e, 8, &f);
	bed_run(*state, &f, &run);
	expect_counter(&run, "drop_no_real", "a VIP without reals");
}

static void ipv4_options_in_a_quote_are_skipped(void **state)
{
	struct exchange e = exchange(DNS4, 9000);

	for (e.back.ip_options = 0; e.back.ip_options <= 10; e.back.ip_options++) {
		struct frame f;

		build_too_big(&e, 8, &f);
		expect_error_sent(*state, &f, "10.0.1.1", "IPv4 options");
	}
}

/* Puts extension headers of 16 bytes each (fragment headers: 8) in front of the transport header.
 */
static void insert_extensions(struct frame *f, const uint8_t *types, size_t n)
{
	uint8_t *next = f->bytes + FRAME_ETH_LEN + 6;

	for (size_t i = 0; i < n; i++) {
		size_t len = types[i] == 44 ? 8 : 16;
		uint8_t *at = f->bytes + f->l4;

		memmove(at + len, at, f->len - f->l4);
		memset(at, 0, len);
		at[0] = *next;
		at[1] = types[i] == 44 ? 0 : types[i] == 51 ? 2 : 1;
		*next = types[i];
		next = at;
		f->l4 += len;
		f->len += len;
	}
}

static void ipv6_extension_headers_in_a_quote_are_skipped_up_to_eight(void **state)
{
	static const struct {
		const char *what;
		size_t n;
		uint8_t types[9];
		uint16_t offset; /* of the last, a fragment header */
		const char *counter;
	} rows[] = {
		{"hop-by-hop options", 1, {0}, 0, "forwarded"},
		{"routing header", 1, {43}, 0, "forwarded"},
		{"destination options", 1, {60}, 0, "forwarded"},
		{"authentication header", 1, {51}, 0, "forwarded"},
		{"an atomic fragment", 1, {44}, 0, "forwarded"},
		{"a first fragment", 1, {44}, 1, "forwarded"},
		{"a later fragment", 1, {44}, 8, "drop_icmp_quote"},
		{"the last fragment of all", 1, {44}, 0xfff8, "drop_icmp_quote"},
		{"eight", 8, {0, 43, 60, 51, 60, 60, 43, 60}, 0, "forwarded"},
		{"nine", 9, {0, 43, 60, 51, 60, 60, 43, 60, 51}, 0, "drop_icmp_quote"},
		{"ESP", 1, {50}, 0, "drop_icmp_quote"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct exchange e = exchange(DNS6, 9000);
		struct icmp_message m = {.src = ROUTER6, .dst = VIP6, .type = TOO_BIG6};
		struct frame quoted, f;
		struct run run;

		frame_build(&e.back, &quoted);
		insert_extensions(&quoted, rows[i].types, rows[i].n);
		quoted.bytes[quoted.l4 - 6] = (uint8_t)(rows[i].offset >> 8);
		quoted.bytes[quoted.l4 - 5] |= (uint8_t)rows[i].offset;
		m.quoted = &quoted;
		m.quote_len = quoted.l4 - FRAME_ETH_LEN + 8;
		frame_build_icmp(&m, &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, rows[i].counter, rows[i].what);
		/* One byte less, and it is not enough. */
		m.quote_len--;
		frame_build_icmp(&m, &f);
		bed_run(*state, &f, &run);
		expect_counter(&run, "drop_icmp_quote", rows[i].what);
	}
}

/* What changes the bed has one of its own; the others share one: loading is slow. */
#define on_bed(test) cmocka_unit_test_setup_teardown(test, setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bed(an_error_reaches_the_real_that_has_the_flow_and_leaves_the_flow_alone),
		cmocka_unit_test(
			an_error_about_an_unknown_flow_goes_where_the_flow_would_and_records_nothing),
		cmocka_unit_test(an_error_about_a_udp_flow_reaches_its_real),
		on_bed(an_error_does_not_follow_a_flow_to_a_real_that_is_down),
		cmocka_unit_test(by_type),
		cmocka_unit_test(a_quote_needs_8_bytes_behind_its_ip_header),
		cmocka_unit_test(an_icmp_header_needs_8_bytes),
		cmocka_unit_test(a_quote_that_names_no_flow_of_the_vip_is_dropped),
		cmocka_unit_test(what_no_vip_serves_is_the_hosts_where_on_no_port_says_so),
		cmocka_unit_test(ipv4_options_in_a_quote_are_skipped),
		cmocka_unit_test(ipv6_extension_headers_in_a_quote_are_skipped_up_to_eight),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
