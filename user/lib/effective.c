/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration, operator and health to what the data plane should hold: see desired.h. */
#include "desired.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "addr.h"
#include "weights.h"

static uint32_t health_note(enum health_verdict health)
{
	switch (health) {
	case HEALTH_UP:
		return MEMBER_NOTE_HEALTH_UP;
	case HEALTH_DOWN:
		return MEMBER_NOTE_HEALTH_DOWN;
	default:
		return 0;
	}
}

/* Its flows leave it. */
static bool is_out(struct real_input input)
{
	bool may_serve = input.health == HEALTH_UP ||
			 (input.health == HEALTH_UNKNOWN && input.is_returning);

	return input.admin == ADMIN_DISABLED || !may_serve ||
	       (input.admin == ADMIN_DRAIN && input.rest != DRAIN_KEEP);
}

static uint32_t state_when_out(struct real_input input)
{
	bool resets = input.rest == DRAIN_RESET ||
		      (input.health == HEALTH_DOWN && input.resets_when_down);

	return resets ? MEMBER_DOWN | MEMBER_RESETS : MEMBER_DOWN;
}

struct desired_member effective_member(const struct real_spec *real, struct real_input input)
{
	struct desired_member m = {.real = real->address, .server_id = real->server_id};

	if (is_out(input)) {
		m.state = state_when_out(input);
	} else if (input.admin == ADMIN_DRAIN || input.is_ejected || input.health != HEALTH_UP ||
		   real->weight == 0) {
		m.state = MEMBER_DRAIN;
	} else {
		m.state = MEMBER_UP;
		m.ring_weight = m.weight = real->weight;
	}
	m.state |= health_note(input.health);
	return m;
}

/* ---- One VIP --------------------------------------------------------------------------------- */

enum { PRIMARY, LEVELS = BACKUP_LEVEL_MAX + 1 };

/* The reals of one level that have a weight, and a pool that has one. */
struct level {
	size_t n;
	size_t usable; /* not taken out by the operator */
	size_t unknown; /* of the usable */
	size_t up;
	size_t slow; /* of them, those that slow start still holds back */
	size_t ejected; /* of the usable; up, but for that */
};

/* Whose reals get new flows. */
struct choice {
	int first; /* LEVELS: nobody's */
	int last;
	bool ignores_health;
	bool ignores_ejection;
};

static const struct choice nobody = {.first = LEVELS, .last = PRIMARY};

static bool has_weight(const struct vip_spec *vip, const struct real_spec *real)
{
	return real->weight && (!vip->n_pools || vip->pools[real->pool].weight);
}

static void count_levels(const struct vip_spec *vip, const struct real_input *inputs,
			 const struct desired_member *alone, struct level *levels)
{
	for (size_t r = 0; r < vip->n_reals; r++) {
		struct level *level = &levels[vip->reals[r].backup_level];

		if (!has_weight(vip, &vip->reals[r]))
			continue;
		level->n++;
		if ((alone[r].state & MEMBER_STATE_MASK) == MEMBER_UP) {
			level->up++;
			level->slow += inputs[r].held_back_percent > 0;
		}
		if (inputs[r].admin != ADMIN_ENABLED)
			continue;
		level->usable++;
		level->unknown += inputs[r].health == HEALTH_UNKNOWN;
		level->ejected += inputs[r].health == HEALTH_UP && inputs[r].is_ejected;
	}
}

static bool may_ignore(const struct level *level)
{
	return level->usable && 2 * level->unknown <= level->usable;
}

static size_t min_reals(const struct share *min, size_t n)
{
	return min->is_percent ? (n * min->value + 99) / 100 : min->value;
}

/* up: in all levels that serve. How many should be is judged by the first of them. */
static bool is_panic(const struct vip_spec *vip, const struct level *first, size_t up)
{
	return may_ignore(first) &&
	       up * 100 < (first->usable - first->unknown) * vip->panic_percent;
}

/*
 * From the first level with a real that is up; others join while too few are. Who is not proven is
 * not missed yet: a real that is added would bring the backups in until its first probe. Who starts
 * slowly is missed still: the others would carry its share alone. A level of which nobody is up is
 * passed over, and does not count as one that joined.
 */
static struct choice choose_up(const struct vip_spec *vip, const struct level *levels, int first)
{
	size_t needed = min_reals(&vip->backup_below, levels[PRIMARY].n);
	size_t up = 0, not_missed = 0;
	struct choice choice = {.first = first};

	for (int l = PRIMARY; l <= first || (l < LEVELS && not_missed < needed); l++) {
		up += levels[l].up;
		not_missed += levels[l].up - levels[l].slow + levels[l].unknown;
		if (levels[l].up)
			choice.last = l;
	}
	choice.ignores_health = is_panic(vip, &levels[first], up);
	return choice;
}

/* The first with a real to use, or LEVELS. */
static int find_usable(const struct level *levels, int from)
{
	while (from < LEVELS && !levels[from].usable)
		from++;
	return from;
}

static struct choice choose(const struct vip_spec *vip, const struct level *levels)
{
	int level = LEVELS;

	for (int l = PRIMARY; l < LEVELS; l++) {
		if (levels[l].up)
			return choose_up(vip, levels, l);
	}
	for (int l = PRIMARY; l < LEVELS; l++) {
		if (levels[l].ejected)
			return (struct choice){.first = l, .last = l, .ignores_ejection = true};
	}
	if (vip->on_all_down == ALL_DOWN_BACKUP)
		level = find_usable(levels, PRIMARY + 1);
	else if (vip->on_all_down == ALL_DOWN_ALL)
		level = find_usable(levels, PRIMARY);
	if (level == LEVELS || !may_ignore(&levels[level]))
		return nobody;
	return (struct choice){.first = level, .last = level, .ignores_health = true};
}

bool effective_may_ignore_health(const struct vip_spec *vip)
{
	return vip->panic_percent || vip->on_all_down == ALL_DOWN_ALL ||
	       vip->on_all_down == ALL_DOWN_BACKUP;
}

/* In the ring or not, given who gets new flows. */
static uint32_t state_of(const struct vip_spec *vip, size_t r, struct real_input input,
			 uint32_t alone, struct choice choice)
{
	const struct real_spec *real = &vip->reals[r];
	bool is_chosen = real->backup_level >= choice.first && real->backup_level <= choice.last &&
			 has_weight(vip, real);
	uint32_t notes = alone & ~(MEMBER_STATE_MASK | MEMBER_RESETS);

	if (is_chosen && input.admin == ADMIN_ENABLED &&
	    ((choice.ignores_health && input.health == HEALTH_DOWN) ||
	     (choice.ignores_ejection && input.health == HEALTH_UP && input.is_ejected)))
		return MEMBER_UP | notes;
	if (!is_chosen && (alone & MEMBER_STATE_MASK) == MEMBER_UP)
		return MEMBER_DRAIN | notes;
	return alone;
}

static bool are_proven(const struct level *levels)
{
	for (int l = PRIMARY; l < LEVELS; l++) {
		if (levels[l].unknown)
			return false;
	}
	return true;
}

static void judge(const struct vip_spec *vip, const struct level *levels, struct choice choice,
		  struct vip_standing *ret_standing)
{
	const struct level *primary = &levels[PRIMARY];
	struct vip_standing s = {
		.first_level = (uint8_t)(choice.first < LEVELS ? choice.first : PRIMARY),
		.last_level = (uint8_t)choice.last,
		.is_on_backup = choice.last > PRIMARY,
		.is_proven = are_proven(levels),
		.up = primary->up,
		.slow = primary->slow,
		.counted = primary->n,
		.wanted = min_reals(&vip->min_healthy, primary->n),
		.needed = min_reals(&vip->backup_below, primary->n),
	};

	s.is_below_min = s.up < s.wanted;
	if (choice.first == LEVELS)
		s.state = VIP_DOWN;
	else if (choice.ignores_health || choice.ignores_ejection)
		s.state = VIP_PANIC;
	else
		s.state = s.is_on_backup || s.is_below_min ? VIP_DEGRADED : VIP_UP;
	*ret_standing = s;
}

void effective_members(const struct vip_spec *vip, const struct real_input *inputs,
		       struct desired_member *ret_members, struct vip_standing *ret_standing)
{
	struct level levels[LEVELS] = {};
	struct choice choice;

	for (size_t r = 0; r < vip->n_reals; r++)
		ret_members[r] = effective_member(&vip->reals[r], inputs[r]);
	count_levels(vip, inputs, ret_members, levels);
	choice = choose(vip, levels);
	for (size_t r = 0; r < vip->n_reals; r++)
		ret_members[r].state = state_of(vip, r, inputs[r], ret_members[r].state, choice);
	weights_fill(vip, inputs, ret_members);
	judge(vip, levels, choice, ret_standing);
}

enum real_state effective_real_state(struct real_input input, bool has_flows)
{
	if (input.admin == ADMIN_DISABLED)
		return REAL_DISABLED;
	if (input.health == HEALTH_DOWN)
		return REAL_DOWN;
	if (input.admin == ADMIN_DRAIN)
		return has_flows && input.rest == DRAIN_KEEP ? REAL_DRAINING : REAL_DRAINED;
	if (input.health != HEALTH_UP)
		return REAL_UNKNOWN;
	return input.is_ejected ? REAL_EJECTED : REAL_UP;
}

struct vip_key vip_key_of(const struct vip_spec *vip)
{
	return (struct vip_key){
		.address = vip->address,
		.port = htons(vip->port),
		.protocol = vip->protocol,
		.family = addr_family(&vip->address),
		.port_last = htons(vip->port_last),
		.host_bits = vip->host_bits,
	};
}

static int effective_vip(const struct config *config, size_t v, real_input_fn inputs, void *user,
			 struct desired_vip *ret_vip)
{
	const struct vip_spec *spec = &config->vips[v];
	struct desired_vip vip = {
		.spec = spec, .key = vip_key_of(spec), .n_members = spec->n_reals};

	struct real_input *known = calloc(spec->n_reals + 1, sizeof(*known));

	vip.members = calloc(spec->n_reals + 1, sizeof(*vip.members));
	if (!known || !vip.members) {
		free(known);
		free(vip.members);
		return -ENOMEM;
	}
	for (size_t r = 0; r < spec->n_reals; r++)
		known[r] = inputs(user, v, r);
	effective_members(spec, known, vip.members, &vip.standing);
	free(known);
	*ret_vip = vip;
	return 0;
}

int effective(const struct config *config, real_input_fn inputs, void *user,
	      struct desired *ret_desired)
{
	struct desired d = {};

	d.vips = calloc(config->n_vips + 1, sizeof(*d.vips));
	if (!d.vips)
		return -ENOMEM;
	for (; d.n_vips < config->n_vips; d.n_vips++) {
		if (effective_vip(config, d.n_vips, inputs, user, &d.vips[d.n_vips])) {
			desired_free(&d);
			return -ENOMEM;
		}
	}
	*ret_desired = d;
	return 0;
}

void desired_free(struct desired *desired)
{
	for (size_t i = 0; i < desired->n_vips; i++)
		free(desired->vips[i].members);
	free(desired->vips);
	*desired = (struct desired){};
}
