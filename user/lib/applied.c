/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The mirror of the maps and fingerprints: see applied.h. */
#include "applied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "quic_map.h"

int applied_new(struct applied **ret_applied, const struct dp *dp, uint64_t key_fingerprint)
{
	struct applied *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->dp = dp;
	a->key_fingerprint = key_fingerprint;
	a->vip_refs = calloc(dp->control->vips + 1, sizeof(*a->vip_refs));
	if (!a->vip_refs || id_pool_init(&a->member_ids, dp->control->members) ||
	    id_pool_init(&a->vip_ids, dp->control->vips) ||
	    real_index_init(&a->index, dp->members, dp->control->members) ||
	    ring_space_init(&a->ring_space, dp->control->ring_blocks)) {
		applied_free(a);
		return -ENOMEM;
	}
	*ret_applied = a;
	return 0;
}

static void vip_free(struct applied_vip *vip)
{
	free(vip->quic);
	free(vip->members);
	free(vip);
}

void applied_free(struct applied *applied)
{
	if (!applied)
		return;
	for (size_t i = 0; i < applied->n_vips; i++)
		vip_free(applied->vips[i]);
	free(applied->vips);
	free(applied->orphans);
	free(applied->pending);
	free(applied->vip_refs);
	id_pool_free(&applied->member_ids);
	id_pool_free(&applied->vip_ids);
	real_index_free(&applied->index);
	ring_space_free(&applied->ring_space);
	free(applied);
}

/* An array that holds n, moved if it has to grow; NULL if it cannot. */
static void *grown(void *array, size_t n, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity : 16;
	void *bigger;

	if (n <= *capacity && array)
		return array;
	while (wanted < n)
		wanted *= 2;
	bigger = realloc(array, wanted * size);
	if (bigger)
		*capacity = wanted;
	return bigger;
}

size_t applied_position(const struct applied *applied, const struct vip_key *key)
{
	size_t low = 0, high = applied->n_vips;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(&applied->vips[middle]->key, key, sizeof(*key)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct applied_vip *applied_find(const struct applied *applied, const struct vip_key *key)
{
	size_t i = applied_position(applied, key);

	if (i == applied->n_vips || memcmp(&applied->vips[i]->key, key, sizeof(*key)) != 0)
		return NULL;
	return applied->vips[i];
}

struct applied_member *applied_find_member(const struct applied_vip *vip,
					   const struct ip_addr *real, size_t hint)
{
	if (hint < vip->n_members && addr_equal(&vip->members[hint].real, real))
		return &vip->members[hint];
	for (size_t i = 0; i < vip->n_members; i++) {
		if (addr_equal(&vip->members[i].real, real))
			return &vip->members[i];
	}
	return NULL;
}

static void insert_at(struct applied *applied, size_t i, struct applied_vip *vip)
{
	memmove(applied->vips + i + 1, applied->vips + i,
		(applied->n_vips - i) * sizeof(struct applied_vip *));
	applied->vips[i] = vip;
	applied->n_vips++;
}

static void take_out(struct applied *applied, const struct applied_vip *vip)
{
	size_t i = applied_position(applied, &vip->key);

	applied->n_vips--;
	memmove(applied->vips + i, applied->vips + i + 1,
		(applied->n_vips - i) * sizeof(struct applied_vip *));
}

int applied_insert_vip(struct applied *applied, struct applied_vip *vip)
{
	struct applied_vip **vips = realloc(applied->vips,
					    (applied->n_vips + 1) * sizeof(struct applied_vip *));

	if (!vips)
		return -ENOMEM;
	applied->vips = vips;
	insert_at(applied, applied_position(applied, &vip->key), vip);
	return 0;
}

void applied_move_vip(struct applied *applied, struct applied_vip *vip, const struct vip_key *key)
{
	take_out(applied, vip);
	vip->key = *key;
	insert_at(applied, applied_position(applied, key), vip);
}

void applied_delete_vip(struct applied *applied, struct applied_vip *vip)
{
	take_out(applied, vip);
	vip_free(vip);
}

int applied_add_member(struct applied_vip *vip, const struct applied_member *member)
{
	struct applied_member *members = grown(vip->members, vip->n_members + 1,
					       &vip->members_capacity, sizeof(*members));

	if (!members)
		return -ENOMEM;
	vip->members = members;
	members[vip->n_members++] = *member;
	return 0;
}

int applied_reserve(struct applied *applied, size_t n_orphans, size_t n_pending)
{
	struct orphan *orphans = grown(applied->orphans, applied->n_orphans + n_orphans,
				       &applied->orphans_capacity, sizeof(*orphans));
	struct pending *pending;

	if (!orphans)
		return -ENOMEM;
	applied->orphans = orphans;
	pending = grown(applied->pending, applied->n_pending + n_pending,
			&applied->pending_capacity, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	applied->pending = pending;
	return 0;
}

void applied_add_orphan(struct applied *applied, uint32_t id, uint32_t vip_id)
{
	applied->orphans[applied->n_orphans++] = (struct orphan){.id = id, .vip_id = vip_id};
	applied->vip_refs[vip_id]++;
}

void applied_add_pending(struct applied *applied, const struct extent *pair, uint32_t vip_id,
			 uint64_t ticket)
{
	applied->pending[applied->n_pending++] = (struct pending){
		.extents = {pair[0], pair[1]},
		.vip_id = vip_id,
		.ticket = ticket,
	};
}

int applied_take_vip_id(struct applied *applied, uint32_t *ret_id)
{
	uint32_t id;
	int r = id_pool_take(&applied->vip_ids, &id);

	if (r)
		return r;
	applied->vip_refs[id] = 1;
	*ret_id = id;
	return 0;
}

int applied_claim_vip_id(struct applied *applied, uint32_t id)
{
	int r = id_pool_claim(&applied->vip_ids, id);

	if (!r)
		applied->vip_refs[id] = 1;
	return r;
}

void applied_let_go_vip_id(struct applied *applied, uint32_t id)
{
	if (--applied->vip_refs[id] == 0)
		id_pool_release(&applied->vip_ids, id);
}

uint32_t applied_encaps(const struct applied *applied)
{
	uint32_t encaps = 0;

	for (size_t i = 0; i < applied->n_vips; i++)
		encaps |= 1u << applied->vips[i]->encap;
	return encaps;
}

uint32_t applied_schedulers(const struct applied *applied)
{
	uint32_t schedulers = 1u << SCHEDULER_MAGLEV;

	for (size_t i = 0; i < applied->n_vips; i++)
		schedulers |= 1u << SCHEDULE_KIND(applied->vips[i]->schedule);
	return schedulers;
}

bool applied_quic_differs(const struct applied_vip *have, const struct vip_spec *want)
{
	struct quic_config configs[QUIC_UNROUTABLE];

	if (!want->n_quic)
		return have->quic || have->is_quic_published;
	quic_map_configs(want, configs);
	return !have->quic || memcmp(have->quic, configs, sizeof(configs)) != 0;
}

bool applied_has_quic(const struct applied *applied)
{
	for (size_t i = 0; i < applied->n_vips; i++) {
		if (applied->vips[i]->quic || applied->vips[i]->is_quic_published)
			return true;
	}
	return false;
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return hash;
}

/* FNV-1a's last bytes hardly spread: sums of such hashes meet (Stafford's Mix13). */
static uint64_t mix(uint64_t hash)
{
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
	return hash ^ (hash >> 31);
}

/* A sum over members, since the ring does not depend on their order. */
uint64_t applied_fingerprint(const struct applied *applied, const struct applied_vip *vip)
{
	uint64_t hash = fnv1a(0xcbf29ce484222325ULL, &vip->key, sizeof(vip->key));
	uint64_t sum = 0;

	for (size_t i = 0; i < vip->n_members; i++) {
		const struct applied_member *m = &vip->members[i];
		uint64_t one = fnv1a(0xcbf29ce484222325ULL, &m->real, sizeof(m->real));

		if (m->ring_weight)
			sum += mix(fnv1a(one, &m->ring_weight, sizeof(m->ring_weight)));
	}
	hash = fnv1a(hash, &vip->ring, sizeof(vip->ring));
	if (vip->schedule != SCHEDULER_MAGLEV)
		hash = fnv1a(hash, &vip->schedule, sizeof(vip->schedule));
	hash = fnv1a(hash, &applied->key_fingerprint, sizeof(applied->key_fingerprint));
	return fnv1a(hash, &sum, sizeof(sum));
}
