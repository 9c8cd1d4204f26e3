/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See packets.h. */
#include "packets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "lib/addr.h"

const uint8_t frame_router_mac[6] = {0x02, 0x01, 0x02, 0x03, 0x04, 0x05};
const uint8_t frame_local_mac[6] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static uint32_t sum_words(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

uint16_t frame_checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	sum += sum_words(bytes, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static bool is_v4(const char *text)
{
	return !strchr(text, ':');
}

size_t frame_put_addr(uint8_t *at, const char *text)
{
	return inet_pton(is_v4(text) ? AF_INET : AF_INET6, text, at) == 1 ? is_v4(text) ? 4 : 16
									  : 0;
}

uint16_t frame_l4_checksum(const uint8_t *ip, size_t l4, size_t end)
{
	bool v4 = ip[0] >> 4 == 4;
	uint8_t protocol = v4 ? ip[9] : ip[6];
	uint32_t sum = protocol + (uint32_t)(end - l4);

	sum += v4 ? sum_words(ip + 12, 8) : sum_words(ip + 8, 32);
	return frame_checksum(ip + l4, end - l4, sum);
}

static size_t put_ipv4(uint8_t *at, const struct packet *p, uint8_t protocol, size_t l4_len)
{
	size_t header_len = 20 + 4u * p->ip_options;

	memset(at, 0, header_len);
	memset(at + 20, 1, 4u * p->ip_options); /* no operation */
	at[0] = (uint8_t)(0x40 | header_len / 4);
	at[1] = p->tos;
	put16(at + 2, header_len + l4_len);
	put16(at + 4, 0xbeef);
	at[8] = 57;
	at[9] = protocol;
	frame_put_addr(at + 12, p->src);
	frame_put_addr(at + 16, p->dst);
	put16(at + 10, frame_checksum(at, header_len, 0));
	return header_len;
}

static size_t put_ipv6(uint8_t *at, const struct packet *p, uint8_t protocol, size_t l4_len)
{
	put32(at, 6u << 28 | (uint32_t)p->tos << 20 | 0x12345);
	put16(at + 4, l4_len);
	at[6] = protocol;
	at[7] = 57;
	frame_put_addr(at + 8, p->src);
	frame_put_addr(at + 24, p->dst);
	return 40;
}

static void put_tcp(uint8_t *at, const struct packet *p)
{
	memset(at, 0, 20);
	memset(at + 20, 1, 4u * p->tcp_options);
	put16(at, p->sport);
	put16(at + 2, p->dport);
	put32(at + 4, p->seq);
	put32(at + 8, p->ack);
	at[12] = (uint8_t)((5 + p->tcp_options) << 4);
	at[13] = p->flags ? p->flags : SEGMENT_ACK;
	put16(at + 14, 0xfaf0);
}

static void put_udp(uint8_t *at, const struct packet *p)
{
	put16(at, p->sport);
	put16(at + 2, p->dport);
	put16(at + 4, 8 + p->payload);
	put16(at + 6, 0);
}

void frame_build(const struct packet *p, struct frame *ret_frame)
{
	uint8_t *ip = ret_frame->bytes + FRAME_ETH_LEN;
	uint8_t protocol = p->protocol ? p->protocol : IPPROTO_TCP;
	size_t header_len = protocol == IPPROTO_TCP ? 20 + 4u * p->tcp_options : 8;
	size_t l4_len = header_len + p->payload;
	size_t ip_len, check_at = protocol == IPPROTO_TCP ? 16 : 6;
	uint8_t *l4;

	memcpy(ret_frame->bytes, frame_local_mac, 6);
	memcpy(ret_frame->bytes + 6, frame_router_mac, 6);
	put16(ret_frame->bytes + 12, is_v4(p->dst) ? 0x0800 : 0x86dd);
	ip_len = is_v4(p->dst) ? put_ipv4(ip, p, protocol, l4_len)
			       : put_ipv6(ip, p, protocol, l4_len);
	l4 = ip + ip_len;
	for (size_t i = 0; i < p->payload; i++)
		l4[header_len + i] = (uint8_t)(i * 7 + 3);
	if (protocol == IPPROTO_TCP)
		put_tcp(l4, p);
	else
		put_udp(l4, p);
	put16(l4 + check_at, frame_l4_checksum(ip, ip_len, ip_len + l4_len));
	memset(l4 + l4_len, 0x55, p->padding);
	ret_frame->l3_len = ip_len + l4_len;
	ret_frame->l4 = FRAME_ETH_LEN + ip_len;
	ret_frame->len = FRAME_ETH_LEN + ret_frame->l3_len + p->padding;
}

void frame_insert(struct frame *frame, size_t at, const void *bytes, size_t len)
{
	memmove(frame->bytes + at + len, frame->bytes + at, frame->len - at);
	memcpy(frame->bytes + at, bytes, len);
	frame->len += len;
	frame->l4 += len;
}

void frame_tag(struct frame *frame, const struct frame_tags *tags)
{
	uint8_t bytes[4];

	for (size_t i = 0; i < FRAME_MAX_TAGS && tags->tag[i]; i++) {
		put32(bytes, tags->tag[i]);
		frame_insert(frame, FRAME_ETH_LEN - 2 + 4 * i, bytes, sizeof(bytes));
	}
}

void frame_build_icmp(const struct icmp_message *m, struct frame *ret_frame)
{
	bool v4 = m->quoted->bytes[12] == 0x08;
	struct packet p = {.src = m->src, .dst = m->dst, .protocol = v4 ? 1 : 58};
	uint8_t *ip = ret_frame->bytes + FRAME_ETH_LEN;
	size_t l4_len = 8 + m->quote_len;
	size_t ip_len;
	uint8_t *l4;

	memcpy(ret_frame->bytes, m->quoted->bytes, FRAME_ETH_LEN);
	ip_len = v4 ? put_ipv4(ip, &p, 1, l4_len) : put_ipv6(ip, &p, 58, l4_len);
	l4 = ip + ip_len;
	l4[0] = m->type;
	l4[1] = m->code;
	put16(l4 + 2, 0);
	put32(l4 + 4, m->rest);
	memcpy(l4 + 8, m->quoted->bytes + FRAME_ETH_LEN, m->quote_len);
	put16(l4 + 2,
	      v4 ? frame_checksum(l4, l4_len, 0) : frame_l4_checksum(ip, ip_len, ip_len + l4_len));
	ret_frame->l3_len = ip_len + l4_len;
	ret_frame->l4 = FRAME_ETH_LEN + ip_len;
	ret_frame->len = FRAME_ETH_LEN + ret_frame->l3_len;
}

struct flow_tuple packet_tuple(const struct packet *p)
{
	struct flow_tuple t = {
		.sport = htons(p->sport),
		.dport = htons(p->dport),
		.protocol = p->protocol ? p->protocol : IPPROTO_TCP,
		.family = is_v4(p->dst) ? FAMILY_V4 : FAMILY_V6,
	};

	addr_parse(p->src, &t.src);
	addr_parse(p->dst, &t.dst);
	return t;
}

static size_t put_outer_ipv4(uint8_t *at, const struct outer *o, size_t payload_len, uint8_t tos,
			     uint8_t protocol)
{
	memset(at, 0, 20);
	at[0] = 0x45;
	at[1] = tos;
	put16(at + 2, 20 + payload_len);
	at[6] = 0x40; /* don't fragment; identification 0 */
	at[8] = 64;
	at[9] = protocol;
	frame_put_addr(at + 12, o->src);
	frame_put_addr(at + 16, o->dst);
	put16(at + 10, frame_checksum(at, 20, 0));
	return 20;
}

static size_t put_outer_ipv6(uint8_t *at, const struct outer *o, size_t payload_len, uint8_t tos,
			     uint8_t protocol)
{
	put32(at, 6u << 28 | (uint32_t)tos << 20);
	put16(at + 4, payload_len);
	at[6] = protocol;
	at[7] = 64;
	frame_put_addr(at + 8, o->src);
	frame_put_addr(at + 24, o->dst);
	return 40;
}

static void put_outer_udp(uint8_t *at, const struct outer *o, size_t payload_len)
{
	put16(at, o->gue_source_port);
	put16(at + 2, o->gue_port);
	put16(at + 4, 8 + payload_len);
	put16(at + 6, 0);
}

void frame_encapsulate(const struct frame *inner, const struct outer *o, struct frame *ret_frame)
{
	const uint8_t *ip = inner->bytes + FRAME_ETH_LEN;
	bool inner_is_v4 = ip[0] >> 4 == 4;
	uint8_t tos = inner_is_v4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	uint8_t protocol = o->gue_port ? IPPROTO_UDP : inner_is_v4 ? 4 : 41;
	size_t udp_len = o->gue_port ? 8 : 0;
	uint8_t *outer = ret_frame->bytes + FRAME_ETH_LEN;
	size_t ip_len, outer_len;
	uint16_t check;

	memcpy(ret_frame->bytes, o->dest_mac, 6);
	memcpy(ret_frame->bytes + 6, o->source_mac, 6);
	put16(ret_frame->bytes + 12, is_v4(o->dst) ? 0x0800 : 0x86dd);
	ip_len = is_v4(o->dst) ? put_outer_ipv4(outer, o, udp_len + inner->l3_len, tos, protocol)
			       : put_outer_ipv6(outer, o, udp_len + inner->l3_len, tos, protocol);
	if (o->gue_port)
		put_outer_udp(outer + ip_len, o, inner->l3_len);
	outer_len = ip_len + udp_len;
	memcpy(outer + outer_len, ip, inner->len - FRAME_ETH_LEN);
	if (o->gue_has_checksum) {
		check = frame_l4_checksum(outer, ip_len, outer_len + inner->l3_len);
		put16(outer + ip_len + 6, check ? check : 0xffff);
	}
	ret_frame->len = inner->len + outer_len;
	ret_frame->l3_len = inner->l3_len + outer_len;
	ret_frame->l4 = FRAME_ETH_LEN + outer_len;
}
