/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See forward.h. */
#include "forward.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const struct bed_vip forward_vips[FORWARD_VIPS] = {
	{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = "192.0.2.10", .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = "192.0.2.20", .port = 80, .reals = {{"2001:db8:1::1"}}},
	{.address = "192.0.2.20",
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"2001:db8:1::1"}}},
	{.address = "2001:db8:f::10", .port = 80, .reals = {{"10.0.1.1"}}},
	{.address = "2001:db8:f::10", .port = 53, .protocol = IPPROTO_UDP, .reals = {{"10.0.1.1"}}},
	{.address = "2001:db8:f::20", .port = 80, .reals = {{"2001:db8:1::1"}}},
	{.address = "2001:db8:f::20",
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"2001:db8:1::1"}}},
};

/* What varies in the inner packet; none of it may change on the way. */
static const struct {
	const char *what;
	struct packet packet;
} inner_packets[] = {
	{"no payload", {.payload = 0}},
	{"one byte", {.payload = 1}},
	{"a full segment", {.payload = 1400}},
	{"padded to the least Ethernet frame", {.padding = 18}},
	{"IPv4 options", {.ip_options = 10, .payload = 33}},
	{"TCP options", {.tcp_options = 10, .payload = 33}},
	{"a SYN", {.flags = SEGMENT_SYN, .tcp_options = 5}},
	{"ECT(1)", {.tos = 1, .payload = 10}},
	{"ECT(0)", {.tos = 2, .payload = 10}},
	{"CE", {.tos = 3, .payload = 10}},
	{"DSCP EF, not ECT", {.tos = 0xb8, .payload = 10}},
	{"DSCP CS7, CE", {.tos = 0xe3, .payload = 10}},
	{"every bit", {.tos = 0xff, .payload = 10}},
	{"a jumbo frame in several buffers", {.payload = 8000}},
};

void forward_apply(struct bed *bed, enum xdplb_encap encap)
{
	struct bed_vip vips[FORWARD_VIPS];

	memcpy(vips, forward_vips, sizeof(vips));
	for (size_t i = 0; i < FORWARD_VIPS; i++)
		vips[i].encap = encap;
	bed_apply(bed, vips, FORWARD_VIPS);
}

static bool is_v6(const char *address)
{
	return strchr(address, ':');
}

/* A flow's label may be anything; the rest of the first word is compared. */
static void clear_flow_label(struct frame *outer)
{
	uint8_t *label = outer->bytes + FRAME_ETH_LEN + 1;

	if (outer->bytes[12] != 0x86)
		return;
	label[0] &= 0xf0;
	label[1] = 0;
	label[2] = 0;
}

/* Any port may be the flow's, in the range that is for it. */
static uint16_t gue_source_port(const struct bed_vip *vip, const struct frame *out)
{
	const uint8_t *udp = out->bytes + FRAME_ETH_LEN + (is_v6(vip->reals[0].address) ? 40 : 20);
	uint16_t port = (uint16_t)(udp[0] << 8 | udp[1]);

	assert_in_range(port, 0xc000, 0xffff);
	return port;
}

static void make_expected(const struct bed *bed, const struct bed_vip *vip, enum xdplb_encap encap,
			  const struct frame *in, const struct frame *out, struct frame *ret_want)
{
	struct outer outer = {
		.src = is_v6(vip->reals[0].address) ? BED_SOURCE6 : BED_SOURCE4,
		.dst = vip->reals[0].address,
		.source_mac = bed->dp->out[BED_ROW_SAME].mac,
		.dest_mac = bed_gateway_mac(),
	};

	if (encap == ENCAP_L2DSR) {
		*ret_want = *in;
		memcpy(ret_want->bytes, outer.dest_mac, 6);
		memcpy(ret_want->bytes + 6, outer.source_mac, 6);
		return;
	}
	if (encap == ENCAP_GUE) {
		outer.gue_port = ntohs(bed->knobs.gue_port);
		outer.gue_source_port = gue_source_port(vip, out);
		outer.gue_has_checksum = bed->knobs.gue_checksum6 && is_v6(outer.dst);
	}
	frame_encapsulate(in, &outer, ret_want);
}

void forward_check_frame(struct bed *bed, size_t vip, enum xdplb_encap encap,
			 const struct frame *frame, const char *what)
{
	const struct bed_vip *v = &forward_vips[vip];
	const char *real = v->reals[0].address;
	struct frame want;
	struct run run;

	bed_run(bed, frame, &run);
	if (run.verdict != XDP_TX)
		fail_msg("%s: %s to %s: %s", what, v->address, real, run_counter(&run));
	make_expected(bed, v, encap, frame, &run.out, &want);
	assert_int_equal(run.out.len, want.len);
	if (is_v6(real) && encap != ENCAP_L2DSR)
		clear_flow_label(&run.out);
	for (size_t i = 0; i < want.len; i++) {
		if (run.out.bytes[i] != want.bytes[i])
			fail_msg("%s: %s to %s: byte %zu is %02x, not %02x", what, v->address, real,
				 i, run.out.bytes[i], want.bytes[i]);
	}
}

void forward_check(struct bed *bed, enum xdplb_encap encap)
{
	for (size_t v = 0; v < FORWARD_VIPS; v++) {
		for (size_t i = 0; i < ARRAY_SIZE(inner_packets); i++) {
			struct packet p = inner_packets[i].packet;
			struct frame frame;

			p.src = is_v6(forward_vips[v].address) ? "2001:db8:c::7" : "198.51.100.7";
			p.dst = forward_vips[v].address;
			p.sport = 40000;
			p.dport = forward_vips[v].port;
			p.protocol = forward_vips[v].protocol;
			frame_build(&p, &frame);
			forward_check_frame(bed, v, encap, &frame, inner_packets[i].what);
		}
	}
}

void forward_check_fit(struct bed *bed, const char *vip, size_t payload)
{
	struct packet p = {
		.src = "198.51.100.7", .dst = vip, .sport = 40000, .dport = 80, .payload = payload};
	uint32_t mtu = bed->dp->out[BED_ROW_SAME].mtu;
	struct run run;

	bed->dp->out[BED_ROW_SAME].mtu = 1500;
	bed_send(bed, &p, &run);
	assert_int_equal(run.verdict, XDP_TX);
	p.payload++;
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "reply_too_big");
	bed->dp->out[BED_ROW_SAME].mtu = mtu;
}
