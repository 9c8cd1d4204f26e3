/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See fragment_bed.h. */
#include "fragment_bed.h"

#include "expect.h"

#include <string.h>

const struct bed_vip fragment_vips[FRAGMENT_VIPS] = {
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

int fragment_setup(void **state)
{
	bed_setup(state);
	bed_apply(*state, fragment_vips, FRAGMENT_VIPS);
	return 0;
}

struct packet fragment_datagram(size_t vip, uint16_t sport)
{
	bool is_v4 = !strchr(fragment_vips[vip].address, ':');

	return (struct packet){.src = is_v4 ? CLIENT4 : CLIENT6,
			       .dst = fragment_vips[vip].address,
			       .sport = sport,
			       .dport = fragment_vips[vip].port,
			       .protocol = fragment_vips[vip].protocol,
			       .payload = PAYLOAD};
}

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

void fragment_build(const struct packet *packet, const struct piece *piece, struct frame *ret_frame)
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

void fragment_send(struct bed *bed, const struct packet *packet, uint32_t id, size_t offset,
		   struct run *ret_run)
{
	struct piece piece = {.id = id, .offset = offset, .len = PIECE};
	struct frame f;

	fragment_build(packet, &piece, &f);
	bed_run(bed, &f, ret_run);
}

void fragment_expect(struct bed *bed, const struct packet *packet, uint32_t id, size_t offset,
		     const char *counter, const char *what)
{
	struct run run;

	fragment_send(bed, packet, id, offset, &run);
	expect_counter(&run, counter, what);
	assert_int_equal(run.rise.flow_fragment, offset && !strcmp(counter, "forwarded"));
}

void fragment_plant(struct bed *bed, const struct packet *p, const struct bed_vip *vip,
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
