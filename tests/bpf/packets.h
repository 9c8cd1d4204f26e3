/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames as clients send them and as reals should get them, built without the code under test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdplb/hash.h"

#define FRAME_MAX     9600
#define FRAME_ETH_LEN 14

/* Beside the TCP_* bits of a header's byte 13. */
enum packet_flags {
	SEGMENT_FIN = 0x01,
	SEGMENT_SYN = 0x02,
	SEGMENT_RST = 0x04,
	SEGMENT_PSH = 0x08,
	SEGMENT_ACK = 0x10,
};

/* A client's packet. The family is that of the addresses; what is 0 has a sensible value. */
struct packet {
	const char *src;
	const char *dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t protocol; /* 0: TCP */
	uint8_t flags; /* enum packet_flags; 0 with TCP: SEGMENT_ACK */
	uint8_t tos;
	uint8_t ip_options; /* 32-bit words of IPv4 options */
	uint8_t tcp_options; /* 32-bit words */
	uint8_t padding; /* bytes behind the IP packet */
	uint32_t seq;
	uint32_t ack;
	size_t payload; /* bytes */
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
	size_t l3_len; /* of the IP packet */
	size_t l4; /* offset of the transport header in bytes[] */
};

extern const uint8_t frame_router_mac[6]; /* where clients' packets come from */
extern const uint8_t frame_local_mac[6]; /* where they are sent to */

/* Writes the whole frame, checksums valid. */
void frame_build(const struct packet *packet, struct frame *ret_frame);

/* Puts bytes into the frame; what they do to lengths that are written in it is the caller's. */
void frame_insert(struct frame *frame, size_t at, const void *bytes, size_t len);

/* VLAN tags as a frame begins: type in the upper half, priority and id in the lower. */
#define FRAME_MAX_TAGS 3
struct frame_tags {
	uint32_t tag[FRAME_MAX_TAGS]; /* outermost first; 0: none */
};

/* Tags an untagged frame. */
void frame_tag(struct frame *frame, const struct frame_tags *tags);

/* An ICMP error, or ICMPv6 if `quoted` is IPv6. */
struct icmp_message {
	const char *src;
	const char *dst;
	uint8_t type;
	uint8_t code;
	uint32_t rest; /* of the header: next-hop MTU, pointer, ... */
	const struct frame *quoted;
	size_t quote_len; /* of the quoted frame's IP packet */
};

void frame_build_icmp(const struct icmp_message *message, struct frame *ret_frame);

/* The packet's five-tuple as the flow hash sees it. */
struct flow_tuple packet_tuple(const struct packet *packet);

/* What a tunnel header should say; addresses as text of its family. */
struct outer {
	const char *src;
	const char *dst;
	const uint8_t *source_mac;
	const uint8_t *dest_mac;
	/* GUE; port 0: IP in IP */
	uint16_t gue_port;
	uint16_t gue_source_port;
	bool gue_has_checksum;
};

/*
 * Writes Ethernet and outer header, then the inner frame's IP packet and what is behind it. The
 * IPv6 flow label is 0.
 */
void frame_encapsulate(const struct frame *inner, const struct outer *outer,
		       struct frame *ret_frame);

/* Internet checksum of bytes, with `sum` added (a pseudo header's words). */
uint16_t frame_checksum(const uint8_t *bytes, size_t len, uint32_t sum);

/*
 * Sum over the transport part [l4, end) with its pseudo header, for the IP packet at bytes: 0 if
 * the checksum in there is valid.
 */
uint16_t frame_l4_checksum(const uint8_t *ip, size_t l4, size_t end);

/* An address's text form written as on the wire; returns its length. */
size_t frame_put_addr(uint8_t *at, const char *text);
