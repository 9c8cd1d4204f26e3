/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The operator gives a VIP other pools: blue-green, and a canary's share. In two steps. First the
 * pools that come are added with a weight of 0, so that their reals are probed as the VIP's own are
 * and get nothing. When one is up, and all have answered or had the time to, the pools become those
 * that are wanted: one ring, switched by one store. Reals that leave are removed as by a reload,
 * and their flows finish. If none came up, the first step is taken back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/pool_text.h"
#include "log.h"

#define LOOK_EVERY_MS 20
#define ACCURACY_US   1000
#define SLACK_MS      500 /* first probes are spread, and the machine may be busy */
#define LONGEST_MS    60000
#define RESULTS	      32 /* of the last switches, for who asked */

struct pool_switch {
	sd_event_source *timer;
	uint64_t ticket; /* of the last one; 0: there was none */
	bool is_waiting;
	struct actor actor;
	char vip[64];
	char wanted[POOL_TEXT_MAX];
	char was[POOL_TEXT_MAX];
	uint64_t deadline_ms;
	struct err results[RESULTS]; /* by ticket; no text: done */
};

/* ---- What is wanted ---------------------------------------------------------------------------
 */

static bool is_named(const struct pool_use *uses, size_t n, size_t pool)
{
	for (size_t i = 0; i < n; i++) {
		if (uses[i].pool == pool)
			return true;
	}
	return false;
}

/* One pool in place of those that are no backups; these stay. */
static size_t keep_backups(const struct vip_spec *vip, struct pool_use *uses, size_t n)
{
	for (size_t i = 0; i < vip->n_pools && n < VIP_POOLS_MAX; i++) {
		if (vip->pools[i].backup_level && !is_named(uses, n, vip->pools[i].pool))
			uses[n++] = vip->pools[i];
	}
	return n;
}

static int parse_wanted(const struct config *config, const struct vip_spec *vip, const char *pools,
			bool is_one, struct pool_use *uses, size_t *ret_n, struct err *err)
{
	int r;

	if (!vip->n_pools)
		return err_set(err, EINVAL,
			       "VIP %s has reals of its own: give it `pool` or `pools` in the file",
			       vip->name);
	if (strcmp(pools, "file") == 0)
		return pool_text_parse(config, vip->file_pools, uses, ret_n, err);
	r = pool_text_parse(config, pools, uses, ret_n, err);
	if (r)
		return r;
	if (is_one && *ret_n > 1)
		return err_set(err, EINVAL, "pool: expected one pool; several are given by pools=");
	if (is_one)
		*ret_n = keep_backups(vip, uses, *ret_n);
	return 0;
}

/* The present pools, and those that come with a weight of 0. */
static int join(const struct vip_spec *vip, const struct pool_use *wanted, size_t n_wanted,
		struct pool_use *uses, size_t *ret_n)
{
	size_t n = vip->n_pools;

	memcpy(uses, vip->pools, n * sizeof(*uses));
	for (size_t i = 0; i < n_wanted; i++) {
		if (is_named(uses, n, wanted[i].pool))
			continue;
		if (n == VIP_POOLS_MAX)
			return -E2BIG;
		uses[n] = wanted[i];
		uses[n++].weight = 0;
	}
	*ret_n = n;
	return 0;
}

/* ---- Whether the reals of the wanted pools are up ----------------------------------------------
 */

struct proof {
	size_t n; /* reals that would get flows first */
	size_t up; /* proven */
	size_t open; /* not answered yet, or on their way up */
	char why[ADDR_TEXT_MAX + 130]; /* the first that is not up, and what is known of it */
};

static const char *what_is_missing(struct real_input input, const struct snapshot_health *h)
{
	if (input.admin != ADMIN_ENABLED)
		return admin_state_name(input.admin);
	if (input.is_ejected)
		return "ejected";
	if (!h->has_result)
		return "has not answered yet";
	return h->last_ok ? "answers, but not for long enough" : h->last_text;
}

static void note_missing(const struct real_run *run, struct real_input input,
			 const struct snapshot_health *h, struct proof *proof)
{
	char text[ADDR_TEXT_MAX];

	if (!proof->why[0])
		snprintf(proof->why, sizeof(proof->why), "%s: %s",
			 addr_format(&run->spec.address, text), what_is_missing(input, h));
}

static void look_at(const struct real_run *run, const struct health_spec *health, uint64_t now,
		    struct proof *proof)
{
	struct real_input input = run_input(run);
	struct snapshot_health h = {};
	bool is_proven;

	proof->n++;
	if (run->listener)
		health_read(run->listener, now, &h);
	is_proven = health->type == HEALTH_TYPE_NONE ||
		    (h.has_result && h.last_ok && run->health == HEALTH_UP);
	if (is_proven && input.admin == ADMIN_ENABLED && !input.is_ejected) {
		proof->up++;
		return;
	}
	note_missing(run, input, &h, proof);
	if (input.admin == ADMIN_ENABLED && !is_proven)
		proof->open += !h.has_result || h.last_ok;
}

/* Whether the real would be among those that new flows go to, and no backup if is_primary. */
static bool is_wanted(const struct pool_spec *pool, const struct pool_use *use,
		      const struct ip_addr *address, bool is_primary)
{
	for (size_t r = 0; r < pool->n_reals; r++) {
		const struct real_spec *real = &pool->reals[r];

		if (memcmp(&real->address, address, sizeof(*address)) == 0)
			return use->weight && real->weight &&
			       !(is_primary && (use->backup_level || real->backup_level));
	}
	return false;
}

static struct proof prove(const struct controller *c, size_t v, const struct pool_use *wanted,
			  size_t n_wanted, bool is_primary)
{
	const struct vip_run *vip = &c->runs.vips[v];
	uint64_t now = controller_now_ms();
	struct proof proof = {};

	for (size_t r = 0; r < vip->n_reals; r++) {
		const struct real_run *run = vip->reals[r];

		for (size_t i = 0; i < n_wanted; i++) {
			if (!is_wanted(&c->config->pools[wanted[i].pool], &wanted[i],
				       &run->spec.address, is_primary))
				continue;
			look_at(run, &c->config->vips[v].health, now, &proof);
			break;
		}
	}
	return proof;
}

/* Backups do if there is nobody else. */
static struct proof prove_wanted(const struct controller *c, size_t v,
				 const struct pool_use *wanted, size_t n_wanted)
{
	struct proof proof = prove(c, v, wanted, n_wanted, true);

	return proof.n ? proof : prove(c, v, wanted, n_wanted, false);
}

/* ---- The switch -------------------------------------------------------------------------------
 */

static struct err *result_of(struct pool_switch *s, uint64_t ticket)
{
	return &s->results[ticket % RESULTS];
}

static void end(struct controller *c)
{
	struct pool_switch *s = c->pool_switch;

	s->is_waiting = false;
	sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	c->progressed(c->progressed_user);
}

static void say_switched(struct controller *c, const char *file_pools)
{
	const struct pool_switch *s = c->pool_switch;

	audit_add(c->audit, &s->actor, "vip_pools",
		  json_pack("{s:s, s:s, s:s, s:s}", "vip", s->vip, "pools", s->wanted, "was",
			    s->was, "file", file_pools));
	log_info("vip pools by operator vip=%s pools=%s was=%s file=%s", s->vip, s->wanted, s->was,
		 file_pools);
}

static void say_refused(struct controller *c, const struct err *err)
{
	const struct pool_switch *s = c->pool_switch;

	audit_add(c->audit, &s->actor, "vip_pools_refused",
		  json_pack("{s:s, s:s, s:s}", "vip", s->vip, "pools", s->wanted, "reason",
			    err->text));
	log_warning("vip pools refused vip=%s pools=%s error=\"%s\"", s->vip, s->wanted, err->text);
}

/* The pools are recorded before they are in force: what is in force is never forgotten. */
static int put_in_force(struct controller *c, size_t v, const struct pool_use *uses, size_t n,
			struct err *err)
{
	const struct pool_switch *s = c->pool_switch;
	const struct vip_spec *vip = &c->config->vips[v];
	const char *recorded = runtime_get_pools(c->runtime, s->vip);
	char *before = recorded ? strdup(recorded) : NULL;
	bool is_file = strcmp(s->wanted, vip->file_pools) == 0;
	struct err ignored;
	int r;

	r = recorded && !before ? err_set(err, ENOMEM, "out of memory") : 0;
	r = r ? r : runtime_set_pools(c->runtime, s->vip, is_file ? NULL : s->wanted, err);
	r = r ? r : change_pools(c, v, uses, n, false, err);
	if (r)
		(void)runtime_set_pools(c->runtime, s->vip, before, &ignored);
	else
		say_switched(c, c->config->vips[v].file_pools);
	free(before);
	return r;
}

/* Takes the first step back. */
static void go_back(struct controller *c, size_t v)
{
	const struct pool_switch *s = c->pool_switch;
	struct pool_use uses[VIP_POOLS_MAX];
	struct err err;
	size_t n;

	if (pool_text_parse(c->config, s->was, uses, &n, &err) ||
	    change_pools(c, v, uses, n, false, &err))
		log_error("cannot take pools back vip=%s error=\"%s\"", s->vip, err.text);
}

static void finish(struct controller *c, bool force)
{
	struct pool_switch *s = c->pool_switch;
	struct err *err = result_of(s, s->ticket);
	size_t v = controller_find_vip(c, s->vip), n;
	struct pool_use uses[VIP_POOLS_MAX];
	struct proof proof;
	int r = pool_text_parse(c->config, s->wanted, uses, &n, err);

	if (!r && !force) {
		proof = prove_wanted(c, v, uses, n);
		if (!proof.up)
			r = err_set(
				err, ECANCELED,
				"VIP %s stays with %s: of the %zu reals of %s none is up%s%s%s; "
				"--force switches all the same",
				s->vip, s->was, proof.n, s->wanted, proof.n ? " (" : "", proof.why,
				proof.n ? ")" : "");
	}
	r = r ? r : put_in_force(c, v, uses, n, err);
	if (r) {
		say_refused(c, err);
		go_back(c, v);
	} else {
		err->text[0] = '\0';
	}
	end(c);
}

static int on_look(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	struct pool_switch *s = c->pool_switch;
	size_t v = controller_find_vip(c, s->vip), n;
	struct pool_use uses[VIP_POOLS_MAX];
	struct proof proof = {};
	struct err err;

	if (!pool_text_parse(c->config, s->wanted, uses, &n, &err))
		proof = prove_wanted(c, v, uses, n);
	if (!proof.open || controller_now_ms() >= s->deadline_ms) {
		finish(c, false);
		return 0;
	}
	if (sd_event_source_set_time_relative(source, LOOK_EVERY_MS * 1000) < 0 ||
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
		finish(c, false);
	return 0;
}

/* Time for a first answer, and to come up of who was known to be down. */
static uint64_t patience_ms(const struct health_spec *health)
{
	uint64_t ms = SLACK_MS + health->timeout_ms +
		      (uint64_t)(health->rise - 1) * health->interval_ms;

	return ms < LONGEST_MS ? ms : LONGEST_MS;
}

static int begin(struct controller *c, size_t v, const struct pool_use *wanted, size_t n_wanted,
		 struct err *err)
{
	struct pool_switch *s = c->pool_switch;
	const struct vip_spec *vip = &c->config->vips[v];
	struct pool_use uses[VIP_POOLS_MAX];
	size_t n;

	if (join(vip, wanted, n_wanted, uses, &n))
		return err_set(err, EINVAL, "VIP %s would have over %d pools while it is switched",
			       vip->name, VIP_POOLS_MAX);
	pool_text_format(vip->pools, vip->n_pools, s->was);
	pool_text_format(wanted, n_wanted, s->wanted);
	snprintf(s->vip, sizeof(s->vip), "%s", vip->name);
	s->actor = c->actor;
	s->deadline_ms = controller_now_ms() + patience_ms(&vip->health);
	return n == vip->n_pools ? 0 : change_pools(c, v, uses, n, true, err);
}

int controller_set_pools(struct controller *controller, const char *vip, const char *pools,
			 bool is_one, bool force, uint64_t *ret_ticket, struct err *err)
{
	struct pool_switch *s = controller->pool_switch;
	size_t v = controller_find_vip(controller, vip), n = 0;
	struct pool_use wanted[VIP_POOLS_MAX];
	int r;

	if (v == SIZE_MAX)
		return err_set(err, ENOENT, "no VIP named %s", vip);
	if (s->is_waiting)
		return err_set(err, EBUSY, "VIP %s is being switched to %s", s->vip, s->wanted);
	r = parse_wanted(controller->config, &controller->config->vips[v], pools, is_one, wanted,
			 &n, err);
	r = r ? r : begin(controller, v, wanted, n, err);
	if (r)
		return r;
	*ret_ticket = ++s->ticket;
	s->is_waiting = true;
	if (force)
		finish(controller, true);
	else
		on_look(s->timer, 0, controller);
	return 0;
}

int controller_pools_result(const struct controller *controller, uint64_t ticket, struct err *err)
{
	struct pool_switch *s = controller->pool_switch;

	if (s->is_waiting && ticket == s->ticket)
		return -EAGAIN;
	*err = *result_of(s, ticket);
	return err->text[0] ? -ECANCELED : 0;
}

void pool_switch_cancel(struct controller *c, const char *reason)
{
	struct pool_switch *s = c->pool_switch;

	if (!s->is_waiting)
		return;
	go_back(c, controller_find_vip(c, s->vip));
	err_set(result_of(s, s->ticket), ECANCELED, "VIP %s stays with %s: %s", s->vip, s->was,
		reason);
	end(c);
}

/* ---- Start and end --------------------------------------------------------------------------- */

int pool_switch_start(struct controller *c, struct err *err)
{
	int r;

	c->pool_switch = calloc(1, sizeof(*c->pool_switch));
	if (!c->pool_switch)
		return err_set(err, ENOMEM, "out of memory");
	r = sd_event_add_time(c->event, &c->pool_switch->timer, CLOCK_MONOTONIC, 0, ACCURACY_US,
			      on_look, c);
	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_enabled(c->pool_switch->timer, SD_EVENT_OFF);
	return 0;
}

void pool_switch_stop(struct controller *c)
{
	if (c->pool_switch)
		sd_event_source_disable_unref(c->pool_switch->timer);
	free(c->pool_switch);
	c->pool_switch = NULL;
}
