/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the verifier of one kernel said of each program when last looked at; test_load fails when a
 * program has grown by more than a tenth since. If the growth is meant, write the new numbers here.
 */
#pragma once

#include <stdint.h>

#define VERIFIER_RECORD_KERNEL "6.18." /* other kernels count differently: not compared */

struct verifier_record {
	const char *program;
	uint32_t instructions; /* verified */
	uint32_t stack; /* bytes, all functions together */
};

static const struct verifier_record verifier_records[] = {
	{"xdplb", 123109, 2184},  {"xdplb_stages", 120974, 2064}, {"read_clock", 5, 0},
	{"receiver", 16980, 256}, {"xdplb_probe", 1363, 280},	  {"xdplb_mark", 14, 8},
	{"xdplb_mss", 13, 8},
};
