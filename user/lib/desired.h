/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the data plane should hold: configuration, operator and health taken together. Pure values;
 * made by effective.c, compared with what is applied by plan.c.
 */
#pragma once

#include <stddef.h>

#include "snapshot.h"

struct desired_member {
	struct ip_addr real;
	uint32_t ring_weight; /* relative to the VIP's others; 0: not in the ring */
	uint32_t weight; /* the same as a person reads it: see weights.h */
	uint32_t state; /* enum member_state and MEMBER_NOTE_* */
	struct server_id server_id;
};

struct desired_vip {
	const struct vip_spec *spec;
	struct vip_key key;
	struct desired_member *members; /* as in spec->reals */
	size_t n_members;
	struct vip_standing standing;
};

struct desired {
	struct desired_vip *vips;
	size_t n_vips;
};

/* What is known about a real beside the configuration. */
struct real_input {
	enum admin_state admin;
	enum health_verdict health;
	uint32_t lowered_percent; /* so much of its weight it does not get now; at most 100 */
	uint32_t held_back_percent; /* so much of the rest slow start still keeps from it */
	bool is_returning; /* not proven since it was removed; flows are finishing there */
	enum drain_rest rest; /* of a drain that has taken long enough; else DRAIN_KEEP */
	bool resets_when_down; /* the VIP's on_down */
	bool is_ejected; /* its clients get no answer */
};

/* inputs(user, vip, real) says it for each real of config->vips[vip].reals[real]. */
typedef struct real_input (*real_input_fn)(void *user, size_t vip, size_t real);

int effective(const struct config *config, real_input_fn inputs, void *user,
	      struct desired *ret_desired);
void desired_free(struct desired *desired);

/*
 * The rule for one VIP: what each of its reals gets depends on all of them. `inputs` and
 * `ret_members` are in the order of vip->reals.
 *
 * New flows go to the reals that are up of the first level with one: primaries, then backups by
 * their levels. While these are fewer than vip->backup_below, the next levels serve with them, one
 * after the other, as far as it takes. While fewer than vip->panic_percent of the first level's
 * are up, those that joined included, and one is, health is ignored among them all: who is enabled
 * and has a weight counts as up. While nobody else is up, those of one level that are up but
 * ejected serve. While nobody is up at all, vip->on_all_down says whose health is ignored. Health
 * is not ignored before half of the reals in question have been proven up or down.
 *
 * Who is up and gets no new flows drains: its flows stay.
 */
void effective_members(const struct vip_spec *vip, const struct real_input *inputs,
		       struct desired_member *ret_members, struct vip_standing *ret_standing);

/* Whether a real of the VIP that is down may be used all the same. */
bool effective_may_ignore_health(const struct vip_spec *vip);

/*
 * What can be said of a real without looking at the others: its state, and its weight. What of the
 * weight it is denied is a matter of weights_fill(). A real that is down here is down whatever the
 * others are.
 */
struct desired_member effective_member(const struct real_spec *real, struct real_input input);

/* What `real list` calls it. has_flows: some may be left, as far as is known. */
enum real_state effective_real_state(struct real_input input, bool has_flows);

struct vip_key vip_key_of(const struct vip_spec *vip);
