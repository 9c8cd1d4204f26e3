/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What apply.c, apply_ring.c and retire.c share. */
#pragma once

#include "apply.h"

/* Writes the policy of the VIP's address if it is not what was written last. */
int apply_publish_policy(struct applied *applied, struct applied_vip *vip);

/* Says which ring is wanted, once the VIP and its members are as they shall be. */
void apply_want_ring(struct applied *applied, struct applied_vip *vip);

/* Gives back the ring blocks and VIP ids whose grace period is over. */
void apply_release_pending(struct applied *applied);
