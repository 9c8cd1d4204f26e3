/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rings: build into the half that nobody reads, then switch by one store. The half that was left
 * may be written again only after a grace period.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "apply_private.h"
#include "maglev.h"
#include "sizing.h"
#include "turns.h"

void apply_want_ring(struct applied *applied, struct applied_vip *vip)
{
	if (!vip->is_changed)
		return;
	vip->wanted_fingerprint = applied_fingerprint(applied, vip);
	vip->is_changed = false;
}

static bool ring_is_stale(const struct applied_vip *vip)
{
	/* Adopted and not planned yet: nobody has said what is wanted. */
	return vip->wanted_fingerprint &&
	       (vip->fingerprint != vip->wanted_fingerprint || vip->wider[0].blocks);
}

static bool is_public(const struct applied_vip *vip)
{
	return vip->is_published && apply_address_is_published(vip);
}

/* The reals in the ring, and their member ids in the same order. */
static size_t collect(const struct applied_vip *vip, struct maglev_real *reals, uint32_t *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < vip->n_members; i++) {
		const struct applied_member *m = &vip->members[i];

		if (!m->ring_weight)
			continue;
		reals[n] = (struct maglev_real){.address = m->real, .weight = m->ring_weight};
		ids[n++] = m->id;
	}
	return n;
}

/* Behind the list of the n members. A half without room for them is of a plan that failed. */
static int write_turns(const struct dp *dp, const struct applied_vip *vip, struct extent half,
		       const struct maglev_real *reals, const uint32_t *ids, size_t n,
		       uint64_t *ret_order)
{
	uint32_t before = sizing_ring_half_blocks(vip->ring, n);
	size_t room = (size_t)(half.blocks - before) * RING_MEMBERS_PER_BLOCK;
	uint32_t *weights, base = half.base + before;
	size_t n_turns = 0;
	int r;

	if (room < n)
		return -ENOSPC;
	weights = calloc(n, sizeof(*weights));
	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		weights[i] = reals[i].weight;
	r = turns_make(ids, weights, n, room, dp->rings[base].member, &n_turns);
	free(weights);
	if (!r)
		*ret_order = RING_WORD(base, n_turns);
	return r;
}

/* *ret_n: how many members are in the ring; *ret_order: struct vip_state's word `order`. */
static int write_half(const struct dp *dp, const struct applied_vip *vip, struct extent half,
		      size_t *ret_n, uint64_t *ret_order)
{
	struct maglev_real *reals = calloc(vip->n_members + 1, sizeof(*reals));
	uint32_t *ids = calloc(vip->n_members + 1, sizeof(*ids));
	uint16_t *slots = (uint16_t *)dp->rings[half.base].slot;
	size_t n = reals && ids ? collect(vip, reals, ids) : 0;
	int r = reals && ids ? 0 : -ENOMEM;
	uint64_t order = 0;

	/* A plan that failed half-way may have left a half that is too small. */
	if (!r && sizing_ring_half_blocks(vip->ring, n) > half.blocks)
		r = -ENOSPC;
	if (!r && n)
		r = maglev_build(reals, n, vip->ring, slots);
	if (!r && n)
		memcpy(dp->rings[half.base + RING_SLOT_BLOCKS(vip->ring)].member, ids,
		       n * sizeof(*ids));
	if (!r && n && SCHEDULE_KIND(vip->schedule) == SCHEDULER_RR)
		r = write_turns(dp, vip, half, reals, ids, n, &order);
	free(reals);
	free(ids);
	if (r)
		return r;
	*ret_n = n;
	*ret_order = order;
	return 0;
}

/* The port first: an address without it would answer "port not served". */
static int publish(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	if (!vip->is_published)
		r = dp->ops->vip_set(dp->user, &vip->key, vip->id);
	if (r)
		return r;
	vip->is_published = true;
	return apply_publish_address(applied, vip);
}

/* What was read until now and is no half any more is read until the grace period ends. */
static void leave_behind(struct applied *applied, struct applied_vip *vip, bool is_wider,
			 uint64_t ticket)
{
	if (is_wider) {
		applied_add_pending(applied, vip->half, NO_VIP, ticket);
		memcpy(vip->half, vip->wider, sizeof(vip->half));
		vip->wider[0] = vip->wider[1] = (struct extent){};
	}
	if (vip->stray.blocks)
		applied_add_pending(applied, (struct extent[2]){vip->stray}, NO_VIP, ticket);
	vip->stray = (struct extent){};
}

/*
 * The order of the stores is for a daemon that finds the maps after this one was killed: while the
 * ring and what is said of it may differ, the fingerprint is 0; the word "ring" lies in a half, or
 * `members` is the length of its list.
 */
static int build(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_state *state = &dp->vip_state[vip->id];
	bool is_wider = vip->wider[0].blocks != 0;
	unsigned int next = is_wider ? 0 : !vip->live;
	const struct extent *pair = is_wider ? vip->wider : vip->half;
	uint64_t ticket, order = 0;
	size_t n = 0;
	int r = applied_reserve(applied, 0, 2);

	if (!r)
		r = write_half(dp, vip, pair[next], &n, &order);
	if (r)
		return r;
	dp_store(state->fingerprint, 0);
	for (int i = 0; i < 2; i++)
		dp_store(state->half[i], RING_WORD(pair[i].base, pair[i].blocks));
	dp_store(state->ring, n ? RING_WORD(pair[next].base, vip->ring) : 0);
	dp_store(state->members, n);
	dp_store(state->order, order);
	apply_set_has_ring(applied, vip, n);
	ticket = dp->ops->grace_request(dp->user);
	if (!is_wider)
		vip->spare_ticket = ticket;
	leave_behind(applied, vip, is_wider, ticket);
	vip->live = next;
	vip->fingerprint = vip->wanted_fingerprint;
	dp_store(state->fingerprint, vip->fingerprint);
	return 0;
}

static bool may_build(const struct applied *applied, const struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;

	return vip->wider[0].blocks || dp->ops->grace_done(dp->user, vip->spare_ticket);
}

enum ring_progress apply_next_ring(struct applied *applied, struct err *err)
{
	bool must_wait = false;

	apply_release_pending(applied);
	for (size_t i = 0; i < applied->n_vips; i++) {
		struct applied_vip *vip = applied->vips[i];
		bool is_stale;
		int r = 0;

		apply_want_ring(applied, vip);
		is_stale = ring_is_stale(vip);
		if (!is_stale && is_public(vip))
			continue;
		if (is_stale && !may_build(applied, vip)) {
			must_wait = true;
			continue;
		}
		if (is_stale)
			r = build(applied, vip);
		if (!r)
			r = publish(applied, vip);
		if (!r)
			return RINGS_MORE;
		apply_err(err, -r, &vip->key);
		must_wait = true;
	}
	return must_wait ? RINGS_WAIT : RINGS_DONE;
}
