/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of the reals and is not in the maps (remembered.h), kept in DIR/standing.json for
 * the next daemon: {"reals": {"<vip>": {"<address>": {...}}}}, only of reals of which there is
 * something to say: at a clean end of all, since there may be one that has been up for a year.
 * Written from the event loop after something of it has changed, with a pause after each time, so
 * that it costs little whatever happens: the last second may be lost. It is not waited for until it
 * is on the disk: a power failure takes the maps, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller_private.h"
#include "json_file.h"
#include "lib/addr.h"
#include "log.h"

#define PRIORITY     (SD_EVENT_PRIORITY_NORMAL + 10) /* packets first */
#define ACCURACY_US  10000
#define PAUSE_MS     1000
#define PAUSE_FACTOR 20 /* times as long as writing took, if that is more */
#define RETRY_MS     10000

struct remember {
	char path[512];
	json_t *old; /* by VIP and address, what an earlier daemon left; NULL once it is in use */
	bool is_in_use;
	bool is_ending; /* written for the last time */
	bool has_entries; /* the file */
	bool has_failed; /* said in the log */
	sd_event_source *timer;
	uint64_t next_ms; /* not before */
};

static struct moment moment_now(void)
{
	return (struct moment){.now_ms = controller_now_ms(), .wall_ms = controller_wall_ms()};
}

/* ---- what an earlier daemon left ------------------------------------------------------------- */

/* NULL: there is none, or it is damaged, which is no reason not to serve. */
static json_t *load(const char *path)
{
	json_t *root = NULL, *reals;
	struct err err;
	int r = json_file_read(path, &root, &err);

	if (r && r != -ENOENT)
		log_warning("what was known of the reals cannot be read and is forgotten "
			    "error=\"%s\"",
			    err.text);
	reals = json_incref(json_object_get(root, "reals"));
	json_decref(root);
	return reals;
}

static void log_forgotten(const char *path, const char *vip, const char *real, const char *why)
{
	log_warning("what was known of a real makes no sense and is forgotten "
		    "error=\"%s: reals.%s%s%s: %s\"",
		    path, vip, *real ? "." : "", real, why);
}

/* So that each that is left can be read. */
static void drop_damaged(const char *path, json_t *vips)
{
	struct moment moment = moment_now();
	const char *vip, *address;
	json_t *reals, *real;
	void *next;

	json_object_foreach (vips, vip, reals) {
		if (!json_is_object(reals))
			log_forgotten(path, vip, "", "expected an object");
		json_object_foreach_safe(reals, next, address, real)
		{
			struct remembered known;
			struct err err;

			if (remembered_from_json(real, &moment, &known, &err) == 0)
				continue;
			log_forgotten(path, vip, address, err.text);
			json_object_del(reals, address);
		}
	}
}

bool remember_find(const struct controller *c, const char *vip, const struct ip_addr *real,
		   struct remembered *ret_known)
{
	struct moment moment = moment_now();
	char text[ADDR_TEXT_MAX];
	const json_t *entry;

	if (!c->remember->old)
		return false;
	entry = json_object_get(json_object_get(c->remember->old, vip), addr_format(real, text));
	return entry && remembered_from_json(entry, &moment, ret_known, NULL) == 0;
}

void remember_take_over(struct controller *c)
{
	json_decref(c->remember->old);
	c->remember->old = NULL;
	c->remember->is_in_use = true;
}

/* ---- what there is to say -------------------------------------------------------------------- */

static struct remembered known_of(const struct real_run *run)
{
	struct remembered known = {.circuit = run->circuit,
				   .verdict = run->health,
				   .since_ms = run->health_since_ms,
				   .reason_since_ms = run->reason_since_ms};

	_Static_assert(sizeof(known.reason) == sizeof(run->reason), "a reason is copied whole");
	memcpy(known.reason, run->reason, sizeof(known.reason));
	if (run->listener)
		known.health = health_remember(run->listener);
	known.health.advice = run->advice;
	return known;
}

static bool is_notable(const struct remembered *known)
{
	return known->verdict == HEALTH_DOWN || !remembered_is_empty(known);
}

static bool is_probed(const struct real_run *run)
{
	return run->controller->config->vips[run->vip_position].health.type != HEALTH_TYPE_NONE;
}

static int add_real(json_t *vips, struct real_run *run, const struct moment *moment)
{
	struct remembered known = known_of(run);
	json_t *reals = json_object_get(vips, run->vip);
	char text[ADDR_TEXT_MAX];

	run->is_remembered = is_notable(&known) ||
			     (run->controller->remember->is_ending && is_probed(run));
	if (!run->is_remembered)
		return 0;
	if (!reals) {
		reals = json_object();
		if (json_object_set_new(vips, run->vip, reals))
			return -ENOMEM;
	}
	return json_object_set_new(reals, addr_format(&run->spec.address, text),
				   remembered_to_json(&known, moment));
}

static json_t *collect(const struct controller *c)
{
	json_t *root = json_pack("{s:{}}", "reals");
	struct moment moment = moment_now();
	int r = root ? 0 : -ENOMEM;

	for (size_t v = 0; v < c->runs.n_vips && !r; v++) {
		for (size_t i = 0; i < c->runs.vips[v].n_reals && !r; i++)
			r = add_real(json_object_get(root, "reals"), c->runs.vips[v].reals[i],
				     &moment);
	}
	if (!r)
		return root;
	json_decref(root);
	return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_file(struct controller *c)
{
	struct remember *remember = c->remember;
	json_t *root = collect(c);
	bool has_entries = json_object_size(json_object_get(root, "reals"));
	struct err err = {};
	int r = root ? 0 : err_set(&err, ENOMEM, "out of memory");

	if (!r && (has_entries || remember->has_entries))
		r = json_file_write(remember->path, root, false, &err);
	json_decref(root);
	if (r && !remember->has_failed)
		log_error("cannot write what is known of the reals error=\"%s\"", err.text);
	remember->has_failed = r;
	if (!r)
		remember->has_entries = has_entries;
	return r;
}

static void wake(struct remember *remember)
{
	sd_event_source_set_time(remember->timer, remember->next_ms * 1000);
	sd_event_source_set_enabled(remember->timer, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	uint64_t began_ms = controller_now_ms(), now_ms, pause_ms;
	int r = write_file(c);

	now_ms = controller_now_ms();
	pause_ms = (now_ms - began_ms) * PAUSE_FACTOR;
	c->remember->next_ms = now_ms + (pause_ms > PAUSE_MS ? pause_ms : PAUSE_MS);
	if (r) {
		c->remember->next_ms = now_ms + RETRY_MS;
		wake(c->remember);
	}
	return 0;
}

void remember_changed(struct controller *c)
{
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(c->remember->timer, &enabled);
	if (enabled == SD_EVENT_OFF)
		wake(c->remember);
}

void remember_real(struct real_run *run)
{
	struct remembered known = known_of(run);

	if (run->is_remembered || is_notable(&known))
		remember_changed(run->controller);
}

/* ---- start and end --------------------------------------------------------------------------- */

int remember_start(struct controller *c, const char *state_dir, struct err *err)
{
	struct remember *remember = calloc(1, sizeof(*remember));
	int r;

	if (!remember)
		return err_set(err, ENOMEM, "out of memory");
	c->remember = remember;
	snprintf(remember->path, sizeof(remember->path), "%s/standing.json", state_dir);
	r = sd_event_add_time(c->event, &remember->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_time,
			      c);
	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_priority(remember->timer, PRIORITY);
	sd_event_source_set_enabled(remember->timer, SD_EVENT_OFF);
	remember->has_entries = access(remember->path, F_OK) == 0;
	remember->old = load(remember->path);
	drop_damaged(remember->path, remember->old);
	return 0;
}

void remember_stop(struct controller *c)
{
	struct remember *remember = c->remember;

	if (!remember)
		return;
	remember->is_ending = true;
	if (remember->is_in_use)
		write_file(c);
	sd_event_source_disable_unref(remember->timer);
	json_decref(remember->old);
	free(remember);
	c->remember = NULL;
}
