/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The mirror rebuilt from the maps that an earlier daemon left: see apply_adopt(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "apply.h"
#include "apply_private.h"
#include "apply_quic.h"
#include "sizing.h"
#include "vip_key.h"

static struct extent extent_of(uint64_t word)
{
	return (struct extent){RING_WORD_BASE(word), RING_WORD_SIZE(word)};
}

/* A ring in use outside both halves: the daemon was killed while it changed the pair. */
static int claim_stray(struct applied *applied, struct applied_vip *vip, uint64_t word,
		       uint32_t n_members)
{
	struct extent stray = {
		RING_WORD_BASE(word),
		sizing_half_blocks(RING_WORD_SIZE(word), n_members,
				   SCHEDULE_KIND(applied->dp->vip_state[vip->id].schedule)),
	};
	int r = ring_space_claim(&applied->ring_space, stray);

	vip->fingerprint = 0;
	if (!r)
		vip->stray = stray;
	return r;
}

/* Turns elsewhere are those of the ring before: the daemon was killed between the two words. */
static void drop_stray_turns(struct vip_state *state, struct extent half)
{
	uint64_t order = dp_load(state->order);

	if (RING_WORD_BASE(order) - half.base >= half.blocks)
		dp_store(state->order, 0);
}

static int adopt_rings(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct vip_state *state = &dp->vip_state[vip->id];
	uint64_t word = dp_load(state->ring);
	int r = 0;

	vip->ring = RING_WORD_SIZE(word);
	vip->live = 1;
	vip->has_ring = word;
	vip->fingerprint = state->fingerprint;
	vip->schedule = state->schedule;
	vip->affinity_s = state->affinity_s;
	vip->on_empty = state->on_empty;
	vip->spare_ticket = dp->ops->grace_request(dp->user);
	for (int i = 0; i < 2 && !r; i++) {
		vip->half[i] = extent_of(state->half[i]);
		r = ring_space_claim(&applied->ring_space, vip->half[i]);
	}
	if (r || !word)
		return r;
	for (unsigned int i = 0; i < 2; i++) {
		if (vip->half[i].base == RING_WORD_BASE(word)) {
			vip->live = i;
			drop_stray_turns(state, vip->half[i]);
			return 0;
		}
	}
	dp_store(state->order, 0);
	return claim_stray(applied, vip, word, state->members);
}

static int adopt_vip(struct applied *applied, const struct vip_key *key, uint32_t id)
{
	struct applied_vip *vip = calloc(1, sizeof(*vip));
	int r;

	if (!vip)
		return -ENOMEM;
	vip->key = *key;
	vip->id = id;
	vip->is_published = true;
	/* Not read back: the next plan says it again. */
	vip->on_no_port = NO_POLICY;
	vip->published.on_no_port = NO_POLICY;
	/* Nor are the configurations, which have no place in here until one is wanted. */
	vip->is_quic_published = applied->dp->vip_state[id].flags & VIP_QUIC;
	r = applied_claim_vip_id(applied, id);
	if (!r)
		r = adopt_rings(applied, vip);
	if (!r)
		r = applied_insert_vip(applied, vip);
	if (r)
		free(vip);
	return r;
}

/* By the VIP's id: the member's own ports may be those from before a change. */
static struct applied_vip *owner_of(const struct applied *applied, const struct member *m)
{
	struct vip_key key;
	struct applied_vip *vip;

	if (m->vip_id >= applied->vip_ids.n)
		return NULL;
	key = vip_key_of_state(&applied->dp->vip_state[m->vip_id]);
	vip = applied_find(applied, &key);
	return vip && vip->id == m->vip_id && addr_equal(&m->vip, &key.address) ? vip : NULL;
}

static int adopt_orphan(struct applied *applied, uint32_t id)
{
	struct member *m = &applied->dp->members[id];

	int r = applied_reserve(applied, 1, 0);

	if (r)
		return r;
	if (m->vip_id >= applied->vip_ids.n)
		return -ERANGE;
	dp_store(m->state, MEMBER_FREE);
	id_pool_claim(&applied->vip_ids, m->vip_id); /* a VIP or another orphan may hold it too */
	applied_add_orphan(applied, id, m->vip_id);
	return 0;
}

static int adopt_member(struct applied *applied, uint32_t id)
{
	const struct member *m = &applied->dp->members[id];
	struct applied_vip *vip = owner_of(applied, m);
	struct applied_member member = {
		.id = id,
		.real = m->real,
		.state = m->state,
		/* Not in the maps; the fingerprint says whether the ring has to change. */
		.ring_weight = m->state & MEMBER_NOTE_REMOVED ? 0 : UINT32_MAX,
	};
	int r = id_pool_claim(&applied->member_ids, id);

	if (r)
		return r;
	real_index_add(&applied->index, id);
	if ((m->state & MEMBER_STATE_MASK) == MEMBER_FREE || !vip)
		return adopt_orphan(applied, id);
	r = applied_add_member(vip, &member);
	if (r)
		return r;
	vip->encap = m->encap & ~MEMBER_NO_EXPRESS;
	memcpy(vip->timeout_ticks, m->timeout_ticks, sizeof(vip->timeout_ticks));
	return 0;
}

static bool is_blank(const struct member *m)
{
	uint64_t words[sizeof(*m) / sizeof(uint64_t)];
	uint64_t any = 0;

	memcpy(words, m, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		any |= words[i];
	return !any;
}

/* The other key of a VIP whose ports the earlier daemon was changing. */
static bool is_left_over(const struct dp *dp, const struct vip_key *key, uint32_t id)
{
	struct vip_key now;

	if (id >= dp->control->vips)
		return false;
	now = vip_key_of_state(&dp->vip_state[id]);
	return !vip_key_equal(&now, key);
}

int apply_adopt(struct applied *applied, const struct vip_key *keys, const uint32_t *ids, size_t n,
		struct err *err)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = is_left_over(dp, &keys[i], ids[i]) ? dp->ops->vip_del(dp->user, &keys[i])
						       : adopt_vip(applied, &keys[i], ids[i]);
	for (size_t i = 0; i < applied->n_vips && !r; i++)
		apply_set_has_ring(applied, applied->vips[i], applied->vips[i]->has_ring);
	for (uint32_t id = 0; id < dp->control->members && !r; id++) {
		if (!is_blank(&dp->members[id]))
			r = adopt_member(applied, id);
	}
	if (!r)
		r = apply_adopt_servers(applied);
	if (r)
		return err_errno(err, -r, "the pinned maps contradict each other");
	for (size_t i = 0; i < applied->n_vips; i++)
		apply_set_ports(dp, applied->vips[i]);
	return 0;
}
