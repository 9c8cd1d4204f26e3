/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maglev consistent hashing: "Maglev: A Fast and Reliable Software Network Load Balancer",
 * NSDI 2016, section 3.4, with weights. Pure; the same on every machine and for every order of
 * reals.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "xdplb/abi.h"

struct maglev_real {
	struct ip_addr address; /* seeds the permutation; unique within a call */
	uint32_t weight; /* 1 ... 65535; 0: takes no slot */
};

/*
 * Fills slots[0 ... size-1] with indices into reals. size is a prime, n at most 65536. Every real's
 * slots are within one of its due; where there are more reals than slots, the heaviest get one
 * each (ties by address) and the others none. -EINVAL if no real has a weight or an argument is out
 * of these bounds (slots are untouched then), -ENOMEM.
 */
int maglev_build(const struct maglev_real *reals, size_t n, uint32_t size, uint16_t *slots);
