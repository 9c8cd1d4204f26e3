/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Timeouts to ticks: see flow_clock.h. */
#include "flow_clock.h"

#include <string.h>

#define MAX_TICKS 32u

static uint32_t state_timeout_ms(const struct timeouts *t, enum flow_state state)
{
	switch (state) {
	case FLOW_SYN:
	case FLOW_ACK:
		return t->tcp_unproven_ms;
	case FLOW_TCP:
		return t->tcp_ms;
	case FLOW_FIN:
	case FLOW_RST:
		return t->tcp_closing_ms;
	case FLOW_UDP_FIRST:
	case FLOW_UDP:
		return t->udp_ms;
	default:
		return 0;
	}
}

static uint64_t ms_to_ticks(uint32_t ms, uint32_t hz, uint8_t shift)
{
	uint64_t jiffies = ((uint64_t)ms * hz + 999) / 1000;

	return (jiffies + (1ULL << shift) - 1) >> shift;
}

void flow_clock_make(const struct vip_spec *vips, size_t n_vips, uint32_t hz,
		     struct flow_clock *ret_clock)
{
	struct flow_clock clock = {};

	for (int state = FLOW_SYN; state < FLOW_STATES; state++) {
		uint32_t max_ms = 1000;

		for (size_t i = 0; i < n_vips; i++) {
			uint32_t ms = state_timeout_ms(&vips[i].timeouts, state);

			max_ms = ms > max_ms ? ms : max_ms;
		}
		while (ms_to_ticks(max_ms, hz, clock.tick_shift[state]) > MAX_TICKS)
			clock.tick_shift[state]++;
		clock.timeout_ticks[state] = ms_to_ticks(max_ms, hz, clock.tick_shift[state]);
	}
	*ret_clock = clock;
}

void flow_clock_ticks(const struct flow_clock *clock, const struct timeouts *timeouts, uint32_t hz,
		      __u8 *ret_ticks)
{
	memset(ret_ticks, 0, FLOW_STATES);
	for (int state = FLOW_SYN; state < FLOW_STATES; state++) {
		uint64_t ticks = ms_to_ticks(state_timeout_ms(timeouts, state), hz,
					     clock->tick_shift[state]);

		ret_ticks[state] = ticks > UINT8_MAX ? UINT8_MAX : ticks;
	}
}
