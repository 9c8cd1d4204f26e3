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
 * Fills slots[0 ... size-1] with indices into reals. size is a prime, n at most 65536; the share of
 * each real is its weight's due. -EINVAL if no real has a weight, -ENOMEM.
 */
int maglev_build(const struct maglev_real *reals, size_t n, uint32_t size, uint16_t *slots);
