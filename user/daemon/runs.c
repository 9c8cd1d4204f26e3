/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running reals: their probes, verdicts and operator states, across configurations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller_private.h"
#include "fd_limit.h"
#include "lib/addr.h"
#include "lib/vip_key.h"
#include "lib/vip_match.h"
#include "log.h"

static void run_free(struct real_run *run)
{
	if (!run)
		return;
	health_remove(run->listener);
	if (run->is_watched && run->controller->neigh)
		neigh_unwatch(run->controller->neigh, &run->spec.address);
	free(run->vip);
	free(run);
}

static void free_arrays(struct runs *runs)
{
	for (size_t v = 0; v < runs->n_vips; v++)
		free(runs->vips[v].reals);
	free(runs->vips);
	*runs = (struct runs){};
}

void runs_free(struct runs *runs)
{
	for (size_t v = 0; v < runs->n_vips; v++) {
		for (size_t r = 0; r < runs->vips[v].n_reals; r++)
			run_free(runs->vips[v].reals[r]);
	}
	free_arrays(runs);
}

/* What an earlier daemon had proven, from its note in the map. */
static enum health_verdict adopted_health(const struct controller *c, const struct vip_spec *vip,
					  const struct ip_addr *real)
{
	struct vip_key key = vip_key_of(vip);
	const struct applied_vip *have = vip_match_find(c->applied, &key);
	const struct applied_member *m = have ? applied_find_member(have, real, 0) : NULL;

	if (!m)
		return HEALTH_UNKNOWN;
	if (m->state & MEMBER_NOTE_HEALTH_UP)
		return HEALTH_UP;
	return m->state & MEMBER_NOTE_HEALTH_DOWN ? HEALTH_DOWN : HEALTH_UNKNOWN;
}

/* It was removed, and its flows are finishing. */
static bool has_flows_left(const struct controller *c, const struct vip_spec *vip,
			   const struct ip_addr *real)
{
	struct vip_key key = vip_key_of(vip);
	const struct applied_vip *have = vip_match_find(c->applied, &key);
	const struct applied_member *m = have ? applied_find_member(have, real, 0) : NULL;

	return m && m->state & MEMBER_NOTE_REMOVED &&
	       (m->state & MEMBER_STATE_MASK) == MEMBER_DRAIN;
}

/* With what the daemon before knew; all 0: nothing. */
static struct health_standing recalled_standing(const struct controller *c,
						const struct vip_spec *vip,
						const struct ip_addr *real,
						const struct health_memory *memory)
{
	struct health_rules rules = health_rules_of(&vip->health);
	uint64_t now = controller_now_ms();
	struct health_state state;

	health_state_init(&state, adopted_health(c, vip, real), now);
	if ((state.verdict == HEALTH_UNKNOWN && vip->health.starts_up) ||
	    (state.verdict == HEALTH_UP && memory->is_assumed))
		health_state_assume_up(&state, now);
	health_state_recall(&state, &memory->flaps, &rules, now);
	return (struct health_standing){
		.verdict = state.verdict, .is_assumed = state.is_assumed, .advice = memory->advice};
}

/* Of a target that another VIP has probed already, what is known of it counts from the start. */
static struct health_standing first_standing(const struct controller *c, const struct vip_spec *vip,
					     const struct ip_addr *real,
					     const struct health_memory *memory)
{
	struct health_standing standing = {};

	if (health_known(c->health, real, vip->port, &vip->health, &standing))
		return standing;
	if (vip->health.type == HEALTH_TYPE_NONE)
		return (struct health_standing){.verdict = HEALTH_UP};
	return recalled_standing(c, vip, real, memory);
}

static void take_standing(struct real_run *run, const struct health_standing *standing)
{
	run->health = standing->verdict;
	run->is_assumed = standing->is_assumed;
	run->advice = standing->advice;
}

static void take_time(uint64_t *ms, uint64_t known_ms)
{
	if (known_ms && known_ms < *ms)
		*ms = known_ms;
}

/*
 * The verdict that there is may be another: it changed again right before the daemon's end, or the
 * maps are gone, and only what was advised holds.
 */
static void recall_reason(struct real_run *run, const struct remembered *known)
{
	bool is_same = known->verdict == run->health, is_of_advice = !remembered_is_empty(known);

	if (is_same) {
		take_time(&run->health_since_ms, known->since_ms);
		take_time(&run->reason_since_ms, known->reason_since_ms);
	}
	if (is_same ||
	    (is_of_advice && (known->verdict == HEALTH_UNKNOWN || run->health == HEALTH_UNKNOWN)))
		memcpy(run->reason, known->reason, sizeof(run->reason));
}

static void recall(struct real_run *run, const struct vip_spec *vip, const struct remembered *known)
{
	run->circuit = known->circuit;
	ejection_recall(&vip->ejection, &run->circuit, controller_now_ms());
	run->trial_percent = vip->ejection.trial_percent;
	if (vip->health.type != HEALTH_TYPE_NONE)
		recall_reason(run, known);
	run->is_remembered = true;
}

static struct real_run *run_new(struct controller *c, const struct vip_spec *vip,
				const struct real_spec *real)
{
	struct remembered known = {};
	bool is_known = remember_find(c, vip->name, &real->address, &known);
	struct health_standing standing = first_standing(c, vip, &real->address, &known.health);
	struct real_run *run = calloc(1, sizeof(*run));
	struct admin_order order;

	if (!run)
		return NULL;
	run->controller = c;
	run->vip = strdup(vip->name);
	run->key = vip_key_of(vip);
	run->spec = *real;
	order = runtime_get(c->runtime, vip->name, &real->address);
	drain_take(run, &order);
	take_standing(run, &standing);
	run->health_since_ms = run->reason_since_ms = controller_now_ms();
	if (is_known)
		recall(run, vip, &known);
	run->is_returning = run->health == HEALTH_UNKNOWN && has_flows_left(c, vip, &real->address);
	if (run->vip)
		return run;
	free(run);
	return NULL;
}

/* The VIP of the present configuration that goes on under this name, maybe with other ports. */
static size_t find_old_vip(const struct controller *c, const struct vip_spec *vip, size_t hint)
{
	struct vip_key key = vip_key_of(vip);

	for (size_t i = 0; c->config && i < c->config->n_vips; i++) {
		size_t v = (hint + i) % c->config->n_vips;
		struct vip_key old = vip_key_of(&c->config->vips[v]);

		if (!strcmp(vip->name, c->config->vips[v].name) && vip_key_shares_port(&key, &old))
			return v;
	}
	return SIZE_MAX;
}

static struct real_run *find_old_run(const struct controller *c, size_t old_vip,
				     const struct ip_addr *address, size_t hint)
{
	const struct vip_run *vip;

	if (old_vip == SIZE_MAX)
		return NULL;
	vip = &c->runs.vips[old_vip];
	for (size_t i = 0; i < vip->n_reals; i++) {
		struct real_run *run = vip->reals[(hint + i) % vip->n_reals];

		if (addr_equal(&run->spec.address, address))
			return run;
	}
	return NULL;
}

static int make_vip(struct controller *c, const struct vip_spec *spec, size_t v,
		    struct vip_run *vip)
{
	size_t old_vip = find_old_vip(c, spec, v);

	if (old_vip == SIZE_MAX) {
		vip->reported = VIP_DOWN;
		vip->standing.state = VIP_DOWN;
		vip->state_since_ms = controller_now_ms();
	} else {
		*vip = c->runs.vips[old_vip];
		vip->n_reals = 0;
		vip->is_stale = false;
	}
	vip->reals = calloc(spec->n_reals + 1, sizeof(struct real_run *));
	if (!vip->reals)
		return -ENOMEM;
	for (; vip->n_reals < spec->n_reals; vip->n_reals++) {
		const struct real_spec *real = &spec->reals[vip->n_reals];
		struct real_run *run = find_old_run(c, old_vip, &real->address, vip->n_reals);

		if (!run) {
			run = run_new(c, spec, real);
			if (!run)
				return -ENOMEM;
			/* Beside others that have had flows. */
			run->starts_slowly = old_vip != SIZE_MAX;
		}
		vip->reals[vip->n_reals] = run;
	}
	return 0;
}

int runs_make(struct controller *c, const struct config *config, struct runs *ret_runs)
{
	struct runs fresh = {};
	int r = 0;

	fresh.vips = calloc(config->n_vips + 1, sizeof(*fresh.vips));
	if (!fresh.vips)
		return -ENOMEM;
	for (; fresh.n_vips < config->n_vips && !r; fresh.n_vips++)
		r = make_vip(c, &config->vips[fresh.n_vips], fresh.n_vips,
			     &fresh.vips[fresh.n_vips]);
	if (r) {
		runs_discard(&fresh, &c->runs);
		return r;
	}
	*ret_runs = fresh;
	return 0;
}

static void mark(const struct runs *runs, bool is_kept)
{
	for (size_t v = 0; v < runs->n_vips; v++) {
		for (size_t r = 0; r < runs->vips[v].n_reals; r++)
			runs->vips[v].reals[r]->is_kept = is_kept;
	}
}

/* Frees the runs of `runs` that are not in `others`, and its arrays. */
static void free_unshared(struct runs *runs, const struct runs *others)
{
	mark(runs, false);
	mark(others, true);
	for (size_t v = 0; v < runs->n_vips; v++) {
		for (size_t r = 0; r < runs->vips[v].n_reals; r++) {
			if (!runs->vips[v].reals[r]->is_kept)
				run_free(runs->vips[v].reals[r]);
		}
	}
	free_arrays(runs);
}

void runs_discard(struct runs *fresh, const struct runs *used)
{
	free_unshared(fresh, used);
}

/* The new probe first: it may be the one that goes on. */
static int listen_anew(struct real_run *run, const struct vip_spec *vip, struct err *err)
{
	struct health_standing known = {
		.verdict = run->health, .is_assumed = run->is_assumed, .advice = run->advice};
	struct health_listener *old = run->listener;
	struct remembered before;
	int r;

	run->listener = NULL;
	r = health_add(run->controller->health, &run->spec.address, vip->port, &vip->health, &known,
		       run, &run->listener, err);
	if (!r && remember_find(run->controller, run->vip, &run->spec.address, &before))
		health_recall(run->listener, &before.health);
	health_remove(old);
	return r;
}

static int commit_run(struct real_run *run, const struct vip_spec *vip,
		      const struct real_spec *real, const struct vip_spec *old, struct err *err)
{
	bool same_probe = run->listener && old && health_spec_equal(&old->health, &vip->health) &&
			  old->port == vip->port;
	int r = 0;

	run->key = vip_key_of(vip);
	run->spec = *real;
	run->position = real - vip->reals;
	run->resets_when_down = vip->on_down == ON_DOWN_RESET;
	run->slow_start_ms = vip->slow_start_ms;
	run->has_pool_weight = !vip->n_pools || vip->pools[real->pool].weight;
	ramp_update(run);
	run->trial_percent = vip->ejection.trial_percent;
	if (!same_probe)
		r = listen_anew(run, vip, err);
	if (!r && !run->is_watched) {
		r = neigh_watch(run->controller->neigh, &run->spec.address, err);
		run->is_watched = !r;
	}
	return r;
}

/* Of all its reals, whatever fails; the first failure. */
static int commit_vip(struct controller *c, const struct desired_vip *desired, size_t v,
		      struct vip_run *vip, struct err *err)
{
	size_t old = find_old_vip(c, desired->spec, v);
	const struct vip_spec *old_spec = old == SIZE_MAX ? NULL : &c->config->vips[old];
	struct err ignored;
	int r = 0;

	for (size_t i = 0; i < vip->n_reals; i++) {
		vip->reals[i]->vip_position = v;
		vip->reals[i]->want = desired->members[i];
		if (commit_run(vip->reals[i], desired->spec, &desired->spec->reals[i], old_spec,
			       r ? &ignored : err))
			r = -EIO;
	}
	standing_changed(c, vip, desired->spec->name, &desired->standing);
	return r;
}

int runs_commit(struct controller *c, const struct desired *desired, struct runs *fresh,
		struct err *err)
{
	struct runs old_runs = c->runs;
	struct err ignored;
	int r = 0;

	/* Whatever fails: each run must know its place in the configuration that is in force. */
	for (size_t v = 0; v < fresh->n_vips; v++) {
		if (commit_vip(c, &desired->vips[v], v, &fresh->vips[v], r ? &ignored : err))
			r = -EIO;
	}
	c->runs = *fresh;
	*fresh = (struct runs){};
	free_unshared(&old_runs, &c->runs);
	fd_limit_want(health_totals(c->health).targets);
	return r;
}

/* By its check, and by its circuit while that is half-open. */
static uint32_t lowered_percent(const struct real_run *run)
{
	uint32_t kept = 100 - run->advice.lowered_percent;

	if (run->circuit.state == CIRCUIT_HALF_OPEN)
		kept = kept * run->trial_percent / 100;
	return 100 - kept;
}

struct real_input run_input(const struct real_run *run)
{
	return (struct real_input){
		/* Of the operator and a check, who wants less. */
		.admin = run->advice.admin > run->admin ? run->advice.admin : run->admin,
		.health = run->health,
		.lowered_percent = lowered_percent(run),
		.rest = drain_rest_now(run),
		.resets_when_down = run->resets_when_down,
		.held_back_percent = run->ramp_applied,
		.is_ejected = run->circuit.state == CIRCUIT_OPEN,
		.is_returning = run->is_returning,
	};
}

struct real_input runs_input(void *user, size_t vip, size_t real)
{
	const struct runs_lookup *lookup = user;
	const struct real_run *run = lookup->runs->vips[vip].reals[real];
	const struct vip_spec *spec = &lookup->config->vips[vip];
	struct real_input input = run_input(run);

	input.resets_when_down = spec->on_down == ON_DOWN_RESET;
	input.held_back_percent = ramp_held_back(run, spec, &spec->reals[real]);
	return input;
}

/* A reply may be no text. */
static json_t *reason_json(const char *reason)
{
	json_t *json = json_string(reason);

	return json ? json : json_string("not UTF-8");
}

static void log_advice(const struct real_run *run, const char *reason)
{
	char address[ADDR_TEXT_MAX];

	log_info("real advice vip=%s real=%s admin=%s lowered=%u%% reason=\"%s\"", run->vip,
		 addr_format(&run->spec.address, address), admin_state_name(run->advice.admin),
		 run->advice.lowered_percent, reason);
	controller_audit_real(run->controller, &actor_health, "real_advice", run,
			      json_pack("{s:s, s:I, s:o}", "admin",
					admin_state_name(run->advice.admin), "lowered_percent",
					(json_int_t)run->advice.lowered_percent, "reason",
					reason_json(reason)));
}

static void log_verdict(const struct real_run *run, const struct health_news *news)
{
	char address[ADDR_TEXT_MAX];

	log_info("real %s vip=%s real=%s reason=\"%s\" was=%s for_ms=%llu",
		 health_verdict_name(run->health), run->vip,
		 addr_format(&run->spec.address, address), news->reason,
		 news->was.is_assumed ? "assumed" : health_verdict_name(news->was.verdict),
		 (unsigned long long)run->was_for_ms);
	controller_audit_real(run->controller, &actor_health,
			      run->health == HEALTH_UP ? "real_up" : "real_down", run,
			      json_pack("{s:s, s:o, s:I}", "was",
					health_verdict_name(news->was.verdict), "reason",
					reason_json(news->reason), "for_ms",
					(json_int_t)run->was_for_ms));
}

static void log_flapping(const struct real_run *run, const struct snapshot_health *h,
			 uint64_t now_ms)
{
	char address[ADDR_TEXT_MAX];

	log_warning("real flapping vip=%s real=%s flaps=%u held_down_ms=%llu", run->vip,
		    addr_format(&run->spec.address, address), h->flaps,
		    (unsigned long long)(h->state.held_until_ms - now_ms));
	controller_audit_real(run->controller, &actor_health, "real_flapping", run,
			      json_pack("{s:I, s:I}", "flaps", (json_int_t)h->flaps, "held_down_ms",
					(json_int_t)(h->state.held_until_ms - now_ms)));
}

/* The one place where a real's health changes. */
static void on_health_changed(void *user, const struct health_news *news)
{
	struct real_run *run = user;
	uint64_t now = controller_now_ms();

	snprintf(run->reason, sizeof(run->reason), "%s", news->reason);
	run->reason_since_ms = now;
	run->transitions += run->health != news->standing.verdict;
	if (run->health != news->standing.verdict || run->is_assumed) {
		run->was_for_ms = now - run->health_since_ms;
		run->health_since_ms = now;
	}
	take_standing(run, &news->standing);
	weigh_changed(run);
	remember_real(run);
}

static void on_health_said(void *user, const struct health_news *news)
{
	uint64_t now = controller_now_ms();
	struct real_run *run = user;
	struct snapshot_health h;

	health_read(run->listener, now, &h);
	if (news->was.verdict != news->standing.verdict || news->was.is_assumed)
		log_verdict(run, news);
	if (news->was.verdict == HEALTH_UP && h.state.held_until_ms > now)
		log_flapping(run, &h, now);
	if (!health_advice_equal(&news->was.advice, &news->standing.advice))
		log_advice(run, news->reason);
}

const struct health_callbacks runs_health_callbacks = {
	.changed = on_health_changed,
	.say = on_health_said,
};
