/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the balancer itself should answer, byte by byte, built without the code under test. */
#pragma once

#include "harness.h"

/* As much of a packet as an ICMP error quotes: up to 576 bytes over IPv4, 1,280 over IPv6. */
size_t answer_quote_len(const struct frame *in);

/* Ethernet and IP header of an answer to `in`; returns where its transport header goes. */
uint8_t *answer_put_headers(const struct frame *in, uint8_t protocol, size_t l4_len,
			    struct frame *ret_frame);

/* An ICMP or ICMPv6 message's first 8 bytes; the answer's quote follows them. */
struct answer_error {
	uint8_t type;
	uint8_t code;
	uint32_t rest;
};

void answer_build_error(const struct frame *in, const struct answer_error *error,
			struct frame *ret_frame);

/* A RST as RFC 9293 section 3.10.7.1 has it. */
struct answer_reset {
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
};

void answer_build_reset(const struct frame *in, const struct answer_reset *reset,
			struct frame *ret_frame);

/* Runs `in`; fails unless `want` is sent back and `counter` rises. */
void answer_expect(struct bed *bed, const struct frame *in, const struct frame *want,
		   const char *counter, const char *what);

void put16(uint8_t *at, uint32_t value);
void put32(uint8_t *at, uint32_t value);

/* Fills every CPU's token bucket of replies with this. */
void answer_set_limit(const struct bed *bed, uint64_t last_jiffies, uint64_t tokens);
/* Of the CPU whose bucket was used last. */
uint64_t answer_tokens_left(const struct bed *bed);
