/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which VIP that is applied a wanted one is: that with the same key; else, when neither has such,
 * one of the same address and protocol that shares a port with it: its ports have changed, and it
 * keeps its reals and flows. Pure.
 */
#pragma once

#include "applied.h"
#include "desired.h"

struct vip_match {
	struct applied_vip **have; /* by wanted VIP; NULL: new */
	bool *is_wanted; /* by applied VIP */
};

/* -ENOMEM. */
int vip_match_make(const struct applied *applied, const struct desired *desired,
		   struct vip_match *ret_match);
void vip_match_free(struct vip_match *match);

/* For one key alone: the applied VIP with it, else the first that shares a port; or NULL. */
struct applied_vip *vip_match_find(const struct applied *applied, const struct vip_key *key);
