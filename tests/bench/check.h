/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether the balancer's answer to one packet is right: fast and wrong is no result. */
#pragma once

#include "balancer.h"

/*
 * `in`: a frame of WRAPPER_FRAME bytes; `out`: what the program made of it. -EPROTO: wrong. Call
 * it after the packet, so that the flow table can be asked as well.
 */
int check_output(const struct balancer *balancer, const uint8_t *in, uint32_t verdict,
		 const uint8_t *out, size_t out_len, struct err *err);
