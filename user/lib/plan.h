/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The difference between what is wanted and what is applied, as steps in the order in which they
 * are carried out: members before the rings that name them, rings before VIPs; the reverse to
 * remove. Pure. A plan that was made fits: ids and ring blocks suffice for all of it.
 */
#pragma once

#include "applied.h"
#include "desired.h"
#include "err.h"

enum plan_kind {
	PLAN_ADD_VIP,
	PLAN_SET_VIP, /* ports, policy, timeouts, ring size, room for more members */
	PLAN_ADD_MEMBER,
	PLAN_SET_MEMBER, /* state or ring weight */
	PLAN_REMOVE_MEMBER,
	PLAN_REMOVE_VIP,
};

struct plan_step {
	enum plan_kind kind;
	struct vip_key key;
	struct vip_key old_key; /* PLAN_SET_VIP: until now; another one where its ports change */
	const struct desired_vip *vip; /* NULL for PLAN_REMOVE_VIP */
	const struct desired_member *member; /* PLAN_ADD_MEMBER, PLAN_SET_MEMBER */
	struct ip_addr real; /* of the member the step is about */
	size_t hint; /* where that member is in the applied VIP, if it is there */
};

struct plan {
	struct plan_step *steps;
	size_t n_steps;
	size_t capacity;
	const struct flow_clock *clock;
	uint32_t hz;
};

/* -ENOSPC: a capacity does not suffice, err names it. `clock` and `desired` outlive the plan. */
int plan_make(const struct applied *applied, const struct desired *desired,
	      const struct flow_clock *clock, uint32_t hz, struct plan *ret_plan, struct err *err);
void plan_free(struct plan *plan);

/* Whether the step takes a new pair of ring halves. */
bool plan_step_needs_halves(const struct applied *applied, const struct plan_step *step);

/* Blocks that one ring half of this VIP needs. */
uint32_t plan_half_blocks(const struct vip_spec *spec);
