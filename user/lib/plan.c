/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The difference between wanted and applied: see plan.h. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "flow_clock.h"
#include "real_lookup.h"
#include "sizing.h"
#include "vip_key.h"
#include "vip_match.h"

uint32_t plan_half_blocks(const struct vip_spec *spec)
{
	return sizing_half_blocks(spec->ring, spec->n_reals, spec->scheduler);
}

static int add_step(struct plan *plan, const struct plan_step *step)
{
	if (plan->n_steps == plan->capacity) {
		size_t capacity = plan->capacity ? plan->capacity * 2 : 64;
		struct plan_step *steps = realloc(plan->steps, capacity * sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		plan->steps = steps;
		plan->capacity = capacity;
	}
	plan->steps[plan->n_steps++] = *step;
	return 0;
}

/* Blocks of the smaller of the halves that the next ring goes into. */
static uint32_t half_room(const struct applied_vip *have)
{
	const struct extent *pair = have->wider[0].blocks ? have->wider : have->half;

	return pair[0].blocks < pair[1].blocks ? pair[0].blocks : pair[1].blocks;
}

static bool vip_differs(const struct plan *plan, const struct applied_vip *have,
			const struct vip_spec *want)
{
	__u8 ticks[FLOW_STATES];

	flow_clock_ticks(plan->clock, &want->timeouts, plan->hz, ticks);
	return have->ring != want->ring || have->schedule != vip_schedule(want) ||
	       have->affinity_s != want->source.affinity_ms / 1000 || have->encap != want->encap ||
	       have->on_empty != vip_on_empty(want) || have->on_no_port != want->on_no_port ||
	       have->echo != want->echo || half_room(have) < plan_half_blocks(want) ||
	       memcmp(have->timeout_ticks, ticks, sizeof(ticks)) != 0 ||
	       applied_quic_differs(have, want);
}

static int plan_wanted_members(struct plan *plan, const struct desired_vip *want,
			       const struct applied_vip *have, struct real_lookup *in_have)
{
	for (size_t i = 0; i < want->n_members; i++) {
		const struct desired_member *m = &want->members[i];
		size_t at = 0;
		bool is_old = have && real_lookup_find(in_have, &m->real, i, &at);
		const struct applied_member *old = is_old ? &have->members[at] : NULL;
		struct plan_step step = {
			.kind = old ? PLAN_SET_MEMBER : PLAN_ADD_MEMBER,
			.key = want->key,
			.vip = want,
			.member = m,
			.real = m->real,
			.hint = at,
		};

		if (old && old->state == m->state && old->ring_weight == m->ring_weight &&
		    memcmp(&old->server_id, &m->server_id, sizeof(m->server_id)) == 0)
			continue;
		if (add_step(plan, &step))
			return -ENOMEM;
	}
	return 0;
}

static int plan_unwanted_members(struct plan *plan, const struct desired_vip *want,
				 const struct applied_vip *have, struct real_lookup *in_want)
{
	size_t at;

	for (size_t i = 0; i < have->n_members; i++) {
		const struct applied_member *m = &have->members[i];
		struct plan_step step = {
			.kind = PLAN_REMOVE_MEMBER,
			.key = want->key,
			.vip = want,
			.real = m->real,
			.hint = i,
		};

		if (m->state & MEMBER_NOTE_REMOVED || real_lookup_find(in_want, &m->real, i, &at))
			continue;
		if (add_step(plan, &step))
			return -ENOMEM;
	}
	return 0;
}

static int plan_members(struct plan *plan, const struct desired_vip *want,
			const struct applied_vip *have)
{
	struct real_lookup in_want = {
		.first = &want->members->real,
		.stride = sizeof(*want->members),
		.n = want->n_members,
	};
	struct real_lookup in_have = {
		.first = have && have->n_members ? &have->members->real : NULL,
		.stride = sizeof(*have->members),
		.n = have ? have->n_members : 0,
	};
	int r = plan_wanted_members(plan, want, have, &in_have);

	if (!r && have)
		r = plan_unwanted_members(plan, want, have, &in_want);
	real_lookup_end(&in_have);
	real_lookup_end(&in_want);
	return r;
}

static int plan_vip(struct plan *plan, const struct desired_vip *want,
		    const struct applied_vip *have)
{
	struct plan_step step = {
		.kind = have ? PLAN_SET_VIP : PLAN_ADD_VIP,
		.key = want->key,
		.old_key = have ? have->key : want->key,
		.vip = want,
	};
	bool differs = !have || !vip_key_equal(&have->key, &want->key) ||
		       vip_differs(plan, have, want->spec);

	if (differs && add_step(plan, &step))
		return -ENOMEM;
	return plan_members(plan, want, have);
}

static int plan_vips(struct plan *plan, const struct applied *applied,
		     const struct desired *desired)
{
	struct vip_match match;
	int r = vip_match_make(applied, desired, &match);

	if (r)
		return r;
	for (size_t i = 0; i < desired->n_vips && !r; i++)
		r = plan_vip(plan, &desired->vips[i], match.have[i]);
	for (size_t i = 0; i < applied->n_vips && !r; i++) {
		struct plan_step step = {.kind = PLAN_REMOVE_VIP, .key = applied->vips[i]->key};

		if (!match.is_wanted[i])
			r = add_step(plan, &step);
	}
	vip_match_free(&match);
	return r;
}

/* What apply will do for this step, in the same order. */
static int take_halves(const struct applied *applied, const struct plan_step *step,
		       struct ring_space *space)
{
	const struct applied_vip *have = applied_find(applied, &step->old_key);
	struct extent extent;
	int r = 0;

	for (int half = 0; half < 2 && have; half++)
		ring_space_release(space, have->wider[half]);
	for (int half = 0; half < 2 && !r; half++)
		r = ring_space_alloc(space, plan_half_blocks(step->vip->spec), &extent);
	return r;
}

static int err_no_room(const struct applied *applied, const struct vip_spec *spec, struct err *err)
{
	return err_set(
		err, ENOSPC,
		"vip %s: twice %u slots (of the ring and the list of its reals%s) do not fit "
		"beside the other VIPs': raise capacity.ring_slots (now %u)",
		spec->name, plan_half_blocks(spec) * RING_SLOTS_PER_BLOCK,
		spec->scheduler == SCHEDULER_RR ? ", and of round robin's turns" : "",
		applied->dp->control->ring_blocks * RING_SLOTS_PER_BLOCK);
}

/* Tries in a copy whether there is room for every ring. */
static int check_ring_space(const struct applied *applied, const struct plan *plan, struct err *err)
{
	struct ring_space space;
	int r = ring_space_copy(&applied->ring_space, &space);

	if (r)
		return err_set(err, -r, "out of memory");
	for (size_t i = 0; i < plan->n_steps && !r; i++) {
		const struct plan_step *step = &plan->steps[i];

		if (!plan_step_needs_halves(applied, step))
			continue;
		r = take_halves(applied, step, &space);
		if (r == -ENOMEM)
			err_set(err, ENOMEM, "out of memory");
		if (r == -ENOSPC)
			err_no_room(applied, step->vip->spec, err);
	}
	ring_space_free(&space);
	return r;
}

static int check_ids(const struct applied *applied, const struct plan *plan, struct err *err)
{
	size_t vips = 0, members = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		vips += plan->steps[i].kind == PLAN_ADD_VIP;
		members += plan->steps[i].kind == PLAN_ADD_MEMBER;
	}
	if (vips > id_pool_free_count(&applied->vip_ids))
		return err_set(
			err, ENOSPC,
			"%zu VIPs are new and only %u ids are free (VIPs removed shortly before "
			"still hold theirs): raise capacity.vips (now %u)",
			vips, id_pool_free_count(&applied->vip_ids), applied->vip_ids.n);
	if (members > id_pool_free_count(&applied->member_ids))
		return err_set(err, ENOSPC,
			       "%zu reals are new and only %u ids are free (reals removed shortly "
			       "before still hold theirs): raise capacity.members (now %u)",
			       members, id_pool_free_count(&applied->member_ids),
			       applied->member_ids.n);
	return 0;
}

bool plan_step_needs_halves(const struct applied *applied, const struct plan_step *step)
{
	const struct applied_vip *have;

	if (step->kind == PLAN_ADD_VIP)
		return true;
	if (step->kind != PLAN_SET_VIP)
		return false;
	have = applied_find(applied, &step->old_key);
	return half_room(have) < plan_half_blocks(step->vip->spec);
}

int plan_make(const struct applied *applied, const struct desired *desired,
	      const struct flow_clock *clock, uint32_t hz, struct plan *ret_plan, struct err *err)
{
	struct plan plan = {.clock = clock, .hz = hz};
	int r = plan_vips(&plan, applied, desired);

	if (r)
		err_set(err, -r, "out of memory");
	else
		r = check_ids(applied, &plan, err);
	if (!r)
		r = check_ring_space(applied, &plan, err);
	if (r) {
		plan_free(&plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	free(plan->steps);
	*plan = (struct plan){};
}
