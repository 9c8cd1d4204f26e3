/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* QUIC connection IDs in the maps: see apply_quic.h. */
#include "apply_quic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quic_map.h"

int apply_want_quic(struct applied_vip *vip, const struct vip_spec *spec)
{
	struct quic_config *configs = NULL;

	if (!applied_quic_differs(vip, spec))
		return 0;
	if (spec->n_quic) {
		configs = calloc(QUIC_UNROUTABLE, sizeof(*configs));
		if (!configs)
			return -ENOMEM;
		quic_map_configs(spec, configs);
	}
	free(vip->quic);
	vip->quic = configs;
	vip->is_quic_stale = true;
	return 0;
}

void apply_want_server_id(struct applied_vip *vip, struct applied_member *m,
			  const struct server_id *want)
{
	/* While it was removed, its ID may have been given to another. */
	bool was_removed = m->state & MEMBER_NOTE_REMOVED;

	m->is_id_unsure |= was_removed;
	if (was_removed || memcmp(&m->server_id, want, sizeof(*want)) != 0)
		vip->is_quic_stale = true;
	m->server_id = *want;
}

static int delete_done(int r)
{
	return r == -ENOENT ? 0 : r;
}

/* ---- Server IDs ----------------------------------------------------------------------------- */

static bool is_id_as_wanted(const struct applied_vip *vip, const struct applied_member *m)
{
	struct quic_server_key want = quic_map_server_key(vip->id, &m->server_id);

	if (!m->server_id.length)
		return !m->is_id_published;
	return m->is_id_published && !m->is_id_unsure &&
	       memcmp(&m->published_id, &want.server_id, sizeof(m->published_id)) == 0;
}

int apply_unpublish_server(struct applied *applied, const struct applied_vip *vip,
			   struct applied_member *m)
{
	const struct dp *dp = applied->dp;
	struct quic_server_key key = {.vip_id = vip->id, .server_id = m->published_id};
	int r = 0;

	if (m->is_id_published)
		r = delete_done(dp->ops->quic_server_del(dp->user, &key, m->id));
	if (!r)
		m->is_id_published = false;
	return r;
}

/* What it was known by before, unless that is another's by now. */
static int leave_old_id(struct applied *applied, const struct applied_vip *vip,
			struct applied_member *m)
{
	struct quic_server_key want = quic_map_server_key(vip->id, &m->server_id);
	int r = 0;

	if (!m->server_id.length ||
	    memcmp(&m->published_id, &want.server_id, sizeof(m->published_id)) != 0)
		r = apply_unpublish_server(applied, vip, m);
	if (r)
		return r;
	m->published_id = want.server_id;
	m->is_id_published = m->server_id.length != 0;
	m->is_id_unsure = false;
	return 0;
}

/* First all that are new, then away with the old: two that change places are known throughout. */
static int publish_servers(struct applied *applied, struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	int r = 0;

	for (size_t i = 0; i < vip->n_members && !r; i++) {
		struct applied_member *m = &vip->members[i];
		struct quic_server_key key = quic_map_server_key(vip->id, &m->server_id);

		if (m->server_id.length && !is_id_as_wanted(vip, m) &&
		    !(m->state & MEMBER_NOTE_REMOVED))
			r = dp->ops->quic_server_set(dp->user, &key, m->id);
	}
	for (size_t i = 0; i < vip->n_members && !r; i++) {
		struct applied_member *m = &vip->members[i];

		if (!(m->state & MEMBER_NOTE_REMOVED) && !is_id_as_wanted(vip, m))
			r = leave_old_id(applied, vip, m);
	}
	return r;
}

/* ---- Configurations ------------------------------------------------------------------------- */

/* All rotations, since nobody knows what an earlier daemon has left there. */
static int publish_configs(struct applied *applied, const struct applied_vip *vip)
{
	const struct dp *dp = applied->dp;
	struct quic_config_key key = {.vip_id = vip->id};
	int r = 0;

	for (; key.rotation < QUIC_UNROUTABLE && !r; key.rotation++) {
		const struct quic_config *config = vip->quic ? &vip->quic[key.rotation] : NULL;

		if (config && config->length)
			r = dp->ops->quic_config_set(dp->user, &key, config);
		else
			r = delete_done(dp->ops->quic_config_del(dp->user, &key));
	}
	return r;
}

int apply_unpublish_quic(struct applied *applied, struct applied_vip *vip)
{
	int r = 0;

	free(vip->quic);
	vip->quic = NULL;
	dp_store(applied->dp->vip_state[vip->id].flags, 0);
	for (size_t i = 0; i < vip->n_members && !r; i++)
		r = apply_unpublish_server(applied, vip, &vip->members[i]);
	if (!r && vip->is_quic_published)
		r = publish_configs(applied, vip);
	if (!r)
		vip->is_quic_published = false;
	return r;
}

int apply_publish_quic(struct applied *applied, struct applied_vip *vip)
{
	int r;

	if (!vip->is_quic_stale)
		return 0;
	if (!vip->quic) {
		r = apply_unpublish_quic(applied, vip);
	} else {
		r = publish_servers(applied, vip);
		if (!r)
			r = publish_configs(applied, vip);
		if (!r)
			dp_store(applied->dp->vip_state[vip->id].flags, VIP_QUIC);
		vip->is_quic_published = true;
	}
	if (!r)
		vip->is_quic_stale = false;
	return r;
}

/* ---- An earlier daemon's -------------------------------------------------------------------- */

struct owner {
	struct applied_vip *vip;
	struct applied_member *member;
};

static struct owner *list_owners(const struct applied *applied)
{
	struct owner *owners = calloc(applied->dp->control->members, sizeof(*owners));

	for (size_t v = 0; owners && v < applied->n_vips; v++) {
		struct applied_vip *vip = applied->vips[v];

		for (size_t i = 0; i < vip->n_members; i++)
			owners[vip->members[i].id] = (struct owner){vip, &vip->members[i]};
	}
	return owners;
}

static int adopt_server(struct applied *applied, const struct quic_server_row *row,
			const struct owner *owner)
{
	const struct dp *dp = applied->dp;

	if (!owner || !owner->vip || owner->vip->id != row->key.vip_id ||
	    owner->member->is_id_published)
		return delete_done(dp->ops->quic_server_del(dp->user, &row->key, row->member_id));
	owner->member->published_id = row->key.server_id;
	owner->member->is_id_published = true;
	return 0;
}

int apply_adopt_servers(struct applied *applied)
{
	const struct dp *dp = applied->dp;
	struct quic_server_row *rows = NULL;
	struct owner *owners = NULL;
	size_t n = 0;
	int r = dp->ops->quic_servers_read(dp->user, &rows, &n);

	if (!r && n) {
		owners = list_owners(applied);
		r = owners ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < n && !r; i++) {
		uint32_t id = rows[i].member_id;

		r = adopt_server(applied, &rows[i], id < dp->control->members ? &owners[id] : NULL);
	}
	free(owners);
	free(rows);
	return r;
}
