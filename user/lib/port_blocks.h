/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A range of ports as the aligned blocks it consists of, which is how an LPM trie can hold it.
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Ports that share their first `bits` bits with `port`, whose other bits are 0. */
struct port_block {
	uint16_t port;
	uint8_t bits;
};

#define PORT_BLOCKS_MAX 30 /* two of each size but the largest and the next: 1 to 65534 */

/* The fewest blocks that have the ports first ... last and no other, in order; how many. */
size_t port_blocks(uint16_t first, uint16_t last, struct port_block *ret_blocks);
