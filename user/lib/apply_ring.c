/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rings: build into the half that nobody reads, then switch by one store. The half that was left
 * may be written again only after a grace period.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "maglev.h"
#include "sizing.h"

static bool is_stale(const struct applied_vip *vip)
{
	return !vip->is_published || vip->fingerprint != vip->wanted_fingerprint ||
	       vip->wider[0].blocks;
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

static int write_half(const struct dp *dp, const struct applied_vip *vip, struct extent half,
		      size_t *ret_n)
{
	struct maglev_real *reals = calloc(vip->n_members + 1, sizeof(*reals));
	uint32_t *ids = calloc(vip->n_members + 1, sizeof(*ids));
	uint16_t *slots = (uint16_t *)dp->rings[half.base].slot;
	size_t n = reals && ids ? collect(vip, reals, ids) : 0;
	int r = reals && ids ? 0 : -ENOMEM;

	if (!r && n)
		r = maglev_build(reals, n, vip->ring, slots);
	if (!r && n)
		memcpy(dp->rings[half.base + RING_SLOT_BLOCKS(vip->ring)].member, ids,
		       n * sizeof(*ids));
	free(reals);
	free(ids);
	if (!r)
		*ret_n = n;
	return r;
}

static int publish(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_addr_key key = {.address = vip->key.address, .family = vip->key.family};
	struct vip_addr value = {.on_no_port = vip->on_no_port};
	int r;

	if (vip->is_published)
		return 0;
	/* The port first: an address without it would answer "port not served". */
	r = dp->ops->vip_set(dp->user, &vip->key, vip->id);
	if (!r)
		r = dp->ops->vip_addr_set(dp->user, &key, &value);
	vip->is_published = !r;
	return r;
}

/* The old pair is read until the grace period ends. */
static int adopt_wider(struct applied *applied, struct applied_vip *vip, uint64_t ticket)
{
	for (int half = 0; half < 2; half++) {
		if (applied_add_pending(applied, vip->half[half], ticket))
			return -ENOMEM;
		vip->half[half] = vip->wider[half];
		vip->wider[half] = (struct extent){};
	}
	vip->live = 0;
	return 0;
}

static int build(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_state *state = &dp->vip_state[vip->id];
	bool is_wider = vip->wider[0].blocks != 0;
	struct extent half = is_wider ? vip->wider[0] : vip->half[!vip->live];
	uint64_t ticket;
	size_t n = 0;
	int r = write_half(dp, vip, half, &n);

	if (r)
		return r;
	dp_store(state->ring, n ? RING_WORD(half.base, vip->ring) : 0);
	ticket = dp->ops->grace_request(dp->user);
	if (is_wider) {
		r = adopt_wider(applied, vip, ticket);
	} else {
		vip->live = !vip->live;
		vip->spare_ticket = ticket;
	}
	vip->fingerprint = vip->wanted_fingerprint;
	state->members = n;
	state->fingerprint = vip->fingerprint;
	for (int i = 0; i < 2; i++)
		state->half[i] = RING_WORD(vip->half[i].base, vip->half[i].blocks);
	return r ? r : publish(applied, vip);
}

enum ring_progress apply_next_ring(struct applied *applied, struct err *err)
{
	const struct dp *dp = applied->dp;
	bool must_wait = false;

	for (size_t i = 0; i < applied->n_vips; i++) {
		struct applied_vip *vip = applied->vips[i];
		int r;

		if (!is_stale(vip))
			continue;
		if (!vip->wider[0].blocks && !dp->ops->grace_done(dp->user, vip->spare_ticket)) {
			must_wait = true;
			continue;
		}
		r = build(applied, vip);
		if (r) {
			err_errno(err, -r, "ring");
			must_wait = true;
			continue;
		}
		return RINGS_MORE;
	}
	return must_wait ? RINGS_WAIT : RINGS_DONE;
}
