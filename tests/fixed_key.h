/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flow-hash key as full of bits as a random one, and the same in every run. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "xdplb/hash.h"

static inline struct flow_hash_key fixed_key(void)
{
	struct flow_hash_key key;
	uint64_t words[sizeof(key) / 8];
	uint64_t word = 1;

	for (size_t i = 0; i < sizeof(words) / 8; i++) {
		word = word * 0xd1342543de82ef95ULL + 0x9e3779b97f4a7c15ULL;
		words[i] = word ^ word >> 32;
	}
	memcpy(&key, words, sizeof(key));
	return key;
}
