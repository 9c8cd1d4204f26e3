/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every kind of packet to every combination of families, forwarded: each byte of the frame that
 * leaves is checked against one that the test wrote.
 */
#pragma once

#include "harness.h"

/* Each family of VIP with each family of real, one real each, so that the way is known. */
#define FORWARD_VIPS 8
extern const struct bed_vip forward_vips[FORWARD_VIPS];

/* Configures them with this encapsulation. */
void forward_apply(struct bed *bed, enum xdplb_encap encap);

/* All packets to all of them. */
void forward_check(struct bed *bed, enum xdplb_encap encap);

/* One frame, for the VIP at this place. */
void forward_check_frame(struct bed *bed, size_t vip, enum xdplb_encap encap,
			 const struct frame *frame, const char *what);

/* With an MTU of 1,500 a segment of this payload leaves, and one with a byte more does not. */
void forward_check_fit(struct bed *bed, const char *vip, size_t payload);
