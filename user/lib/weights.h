/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Weights of the reals in a ring: shares between pools times shares inside a pool, as integers.
 * Pure; the same on every balancer. What one real is denied (a lowered weight, slow start) changes
 * its own weight only, so that flows move to or from it and between no others; something stays: a
 * slot of the ring, if the whole would be as much.
 */
#pragma once

#include "desired.h"

/*
 * Fills ring_weight and weight of all members from their state: 0 but for MEMBER_UP, and never 0
 * for those. `weight` is what is shown: the real's own weight, less what it is denied now; where
 * the reals of several pools are in the ring, the weights that give the same shares without pools,
 * and sum up to the same.
 */
void weights_fill(const struct vip_spec *vip, const struct real_input *inputs,
		  struct desired_member *members);
