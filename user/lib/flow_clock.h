/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Idle timeouts in milliseconds to the ticks of struct flow_clock. Pure. */
#pragma once

#include <stddef.h>

#include "model.h"

/* Ticks for the longest timeout of any VIP, each state 16 to 32 ticks long. */
void flow_clock_make(const struct vip_spec *vips, size_t n_vips, uint32_t hz,
		     struct flow_clock *ret_clock);

/* One VIP's timeouts in this clock's ticks, by enum flow_state (FLOW_STATES bytes). */
void flow_clock_ticks(const struct flow_clock *clock, const struct timeouts *timeouts, uint32_t hz,
		      __u8 *ret_ticks);
