/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames as a balancer sends them and as a real's stack should see them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECEIVER_FRAME_MAX 512
#define RECEIVER_PAYLOAD   24 /* bytes behind the inner IP header */

/* One tunnel packet. Families are 4 or 6; addresses are text of that family; options in words. */
struct receiver_frame {
	int outer;
	int inner;
	const char *outer_src;
	const char *outer_dst;
	const char *inner_dst;
	uint8_t outer_tos; /* DSCP and ECN, in both families */
	uint8_t inner_tos;
	uint8_t outer_options;
	uint8_t inner_options;
	uint8_t padding; /* bytes behind the outer packet */
	uint16_t gue_port; /* 0: IP in IP */
	bool gue_has_checksum;
};

/* Writes the frame with its tunnel header; returns its length. */
size_t receiver_frame_outer_len(const struct receiver_frame *f); /* behind the Ethernet header */
size_t receiver_frame_tunnelled(const struct receiver_frame *f, uint8_t *frame);

/* Writes the frame without it, the inner packet having `inner_tos`; returns its length. */
size_t receiver_frame_plain(const struct receiver_frame *f, uint8_t inner_tos, uint8_t *frame);
