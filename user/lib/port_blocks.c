/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ranges of ports: see port_blocks.h. */
#include "port_blocks.h"

size_t port_blocks(uint16_t first, uint16_t last, struct port_block *ret_blocks)
{
	uint32_t port = first;
	size_t n = 0;

	while (port <= last) {
		uint32_t size = 1, bits = 16;

		while (bits && port % (size * 2) == 0 && port + size * 2 - 1 <= last) {
			size *= 2;
			bits--;
		}
		ret_blocks[n++] = (struct port_block){(uint16_t)port, (uint8_t)bits};
		port += size;
	}
	return n;
}
