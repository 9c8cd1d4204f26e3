/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames for the receiver's tests: see receiver_packets.h. Written from the inside out. */
#include "receiver_packets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static size_t put_v4(uint8_t *at, const char *src, const char *dst, uint8_t tos, size_t options,
		     uint8_t protocol, size_t payload)
{
	size_t header_len = 20 + 4 * options;

	memset(at, 0, header_len);
	memset(at + 20, 1, 4 * options); /* no operation */
	at[0] = (uint8_t)(0x40 | header_len / 4);
	at[1] = tos;
	put16(at + 2, header_len + payload);
	put16(at + 4, 0x1234);
	at[6] = 0x40; /* don't fragment */
	at[8] = 61;
	at[9] = protocol;
	inet_pton(AF_INET, src, at + 12);
	inet_pton(AF_INET, dst, at + 16);
	put16(at + 10, checksum(at, header_len));
	return header_len;
}

static size_t put_v6(uint8_t *at, const char *src, const char *dst, uint8_t tos, uint8_t protocol,
		     size_t payload)
{
	memset(at, 0, 40);
	at[0] = (uint8_t)(0x60 | tos >> 4);
	at[1] = (uint8_t)((tos & 0xf) << 4 | 0xa); /* and a flow label */
	at[2] = 0xbc;
	at[3] = 0xde;
	put16(at + 4, payload);
	at[6] = protocol;
	at[7] = 61;
	inet_pton(AF_INET6, src, at + 8);
	inet_pton(AF_INET6, dst, at + 24);
	return 40;
}

static size_t put_inner(const struct receiver_frame *f, uint8_t tos, uint8_t *at)
{
	size_t len = f->inner == 4 ? put_v4(at, "198.51.100.9", f->inner_dst, tos, f->inner_options,
					    IPPROTO_UDP, RECEIVER_PAYLOAD)
				   : put_v6(at, "2001:db8:c::9", f->inner_dst, tos, IPPROTO_UDP,
					    RECEIVER_PAYLOAD);

	for (size_t i = 0; i < RECEIVER_PAYLOAD; i++)
		at[len + i] = (uint8_t)(0x80 + i);
	return len + RECEIVER_PAYLOAD;
}

static size_t put_ethernet(int family, uint8_t *frame)
{
	memcpy(frame, macs, sizeof(macs));
	put16(frame + 12, family == 4 ? 0x0800 : 0x86dd);
	return 14;
}

static size_t put_udp(const struct receiver_frame *f, size_t payload, uint8_t *at)
{
	put16(at, 0xc123);
	put16(at + 2, f->gue_port);
	put16(at + 4, 8 + payload);
	put16(at + 6, 0);
	return 8;
}

/* Over the pseudo header and all behind the outer IP header, which are `len` bytes at `ip`. */
static uint16_t udp_checksum(const struct receiver_frame *f, const uint8_t *ip, size_t len)
{
	size_t addresses = f->outer == 4 ? 8 : 32, header = f->outer == 4 ? 20 : 40;
	uint8_t bytes[2 * RECEIVER_FRAME_MAX] = {};

	header += 4 * (f->outer == 4 ? f->outer_options : 0);
	memcpy(bytes, ip + (f->outer == 4 ? 12 : 8), addresses);
	put16(bytes + addresses, IPPROTO_UDP);
	put16(bytes + addresses + 2, len - header);
	memcpy(bytes + addresses + 4, ip + header, len - header);
	return checksum(bytes, addresses + 4 + len - header + len % 2);
}

size_t receiver_frame_outer_len(const struct receiver_frame *f)
{
	return (f->outer == 4 ? 20 + 4 * f->outer_options : 40) + (f->gue_port ? 8 : 0);
}

size_t receiver_frame_tunnelled(const struct receiver_frame *f, uint8_t *frame)
{
	uint8_t inner[RECEIVER_FRAME_MAX];
	size_t inner_len = put_inner(f, f->inner_tos, inner);
	uint8_t protocol = f->gue_port ? IPPROTO_UDP : f->inner == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	size_t payload = inner_len + (f->gue_port ? 8 : 0);
	size_t eth_len = put_ethernet(f->outer, frame), len = eth_len;

	if (f->outer == 4)
		len += put_v4(frame + len, f->outer_src, f->outer_dst, f->outer_tos,
			      f->outer_options, protocol, payload);
	else
		len += put_v6(frame + len, f->outer_src, f->outer_dst, f->outer_tos, protocol,
			      payload);
	if (f->gue_port)
		len += put_udp(f, inner_len, frame + len);
	memcpy(frame + len, inner, inner_len);
	if (f->gue_has_checksum)
		put16(frame + len - 2, udp_checksum(f, frame + eth_len, len + inner_len - eth_len));
	memset(frame + len + inner_len, 0xee, f->padding);
	return len + inner_len + f->padding;
}

size_t receiver_frame_plain(const struct receiver_frame *f, uint8_t inner_tos, uint8_t *frame)
{
	size_t len = put_ethernet(f->inner, frame);

	len += put_inner(f, inner_tos, frame + len);
	memset(frame + len, 0xee, f->padding);
	return len + f->padding;
}
