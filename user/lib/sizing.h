/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many rows of which map a configuration takes. Pure; the check and the loader must agree. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "port_blocks.h"
#include "xdplb/abi.h"

/* Flows held per bucket of FLOW_SLOTS: half of it, so that at most 0.1 % find both buckets full. */
#define SIZING_FLOWS_PER_BUCKET (FLOW_SLOTS / 2)

/* A table of fewer flows than this gets 1/32 more: chance weighs more there (docs/reliability.md).
 */
#define SIZING_SMALL_TABLE 1000000u
/* The smallest table that a configuration can ask for; what is below is made by tests, exact. */
#define SIZING_LEAST_FLOWS 1000u

/* Buckets of the flow table; even, since bucket i overflows into i ^ 1. */
static inline uint32_t sizing_flow_buckets(uint32_t flows)
{
	uint32_t buckets = flows / SIZING_FLOWS_PER_BUCKET + (flows % SIZING_FLOWS_PER_BUCKET != 0);

	if (flows >= SIZING_LEAST_FLOWS && flows < SIZING_SMALL_TABLE)
		buckets += buckets / 32;
	buckets += buckets & 1;
	return buckets ? buckets : 2;
}

/* Rows of the map "vips": while a VIP's ports change it has two. */
static inline uint32_t sizing_vip_keys(uint32_t vips)
{
	return vips + 1;
}

/* The most entries that ranges of ports can make, while one changes too. */
static inline uint32_t sizing_vip_ports(uint32_t vips)
{
	return (vips + 1) * PORT_BLOCKS_MAX;
}

/* Blocks of the map "rings" for capacity.ring_slots. */
static inline uint32_t sizing_ring_blocks(uint32_t ring_slots)
{
	return RING_SLOT_BLOCKS(ring_slots);
}

/* Turns of round robin: as many as reals, or more where their weights differ. */
#define SIZING_LEAST_TURNS 8192u

static inline size_t sizing_turns(size_t n_reals)
{
	return n_reals * 4 > SIZING_LEAST_TURNS ? n_reals * 4 : SIZING_LEAST_TURNS;
}

/* Blocks of one half: the ring and the member list behind it. */
static inline uint32_t sizing_ring_half_blocks(uint32_t ring, size_t n_reals)
{
	return RING_SLOT_BLOCKS(ring) + (uint32_t)RING_MEMBER_BLOCKS(n_reals);
}

/* And the turns behind that. */
static inline uint32_t sizing_half_blocks(uint32_t ring, size_t n_reals,
					  enum xdplb_scheduler scheduler)
{
	uint32_t blocks = sizing_ring_half_blocks(ring, n_reals);

	if (scheduler == SCHEDULER_RR)
		blocks += (uint32_t)RING_MEMBER_BLOCKS(sizing_turns(n_reals));
	return blocks;
}
