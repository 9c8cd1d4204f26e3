/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reals that the operator takes out of their VIP while the file lists them, and puts back. Each is
 * a change of configuration like a reload without the real, so it makes new runs: a real that is to
 * go once it is drained goes in a turn of the event loop in which nobody looks at them.
 */
#include <errno.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/config_removal.h"
#include "lib/config_variant.h"
#include "log.h"

/* After what the drain's end changed is weighed. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 6)

static void say_removed(struct controller *c, const struct actor *who, const char *vip,
			const struct ip_addr *real, uint64_t flows)
{
	char text[ADDR_TEXT_MAX];

	addr_format(real, text);
	log_info("real removed vip=%s real=%s flows=%llu by=%s", vip, text,
		 (unsigned long long)flows, who->name);
	audit_add(
		c->audit, who, "real_removed",
		json_pack("{s:s, s:s, s:I}", "vip", vip, "real", text, "flows", (json_int_t)flows));
}

static void say_added(struct controller *c, const char *vip, const struct ip_addr *real)
{
	char text[ADDR_TEXT_MAX];

	addr_format(real, text);
	log_info("real added vip=%s real=%s by=%s", vip, text, c->actor.name);
	audit_add(c->audit, &c->actor, "real_added",
		  json_pack("{s:s, s:s}", "vip", vip, "real", text));
}

/* It is recorded before it is in force: what is in force is never forgotten. */
static int change(struct controller *c, size_t v, const struct ip_addr *real, bool is_back,
		  struct err *err)
{
	struct admin_order order = {.admin = is_back ? ADMIN_ENABLED : ADMIN_REMOVED,
				    .since_ms = controller_wall_ms()};
	const char *vip = c->config->vips[v].name;
	struct admin_order was = runtime_get(c->runtime, vip, real);
	struct config *old = c->config, *fresh;
	struct err ignored;
	int r = is_back ? config_add_real(old, v, real, &fresh, err)
			: config_remove_real(old, v, real, &fresh, err);

	if (r)
		return r;
	r = runtime_set(c->runtime, vip, real, &order, err);
	if (r) {
		config_variant_free(fresh, v);
		return r;
	}
	r = change_vip(c, v, fresh, err);
	if (c->config == old)
		(void)runtime_set(c->runtime, vip, real, &was, &ignored);
	return r;
}

/* `run` is gone afterwards. */
static int remove_run(struct real_run *run, const struct actor *who, struct err *err)
{
	struct controller *c = run->controller;
	struct ip_addr real = run->spec.address;
	uint64_t flows = drain_flows(run);
	size_t v = run->vip_position;
	int r = change(c, v, &real, false, err);

	if (!r)
		say_removed(c, who, c->config->vips[v].name, &real, flows);
	return r;
}

int controller_remove_real(struct controller *controller, const char *vip,
			   const struct ip_addr *real, struct err *err)
{
	struct real_run *run;
	int r = controller_find_run(controller, vip, real, &run, err);

	return r ? r : remove_run(run, &controller->actor, err);
}

/* Of a pool that the VIP does not have now: it is no longer kept out of it. */
static int forget(struct controller *c, const char *vip, const struct ip_addr *real,
		  struct err *err)
{
	struct admin_order order = {.admin = ADMIN_ENABLED};

	return runtime_set(c->runtime, vip, real, &order, err);
}

static int refuse_add(const struct controller *c, const struct vip_spec *vip,
		      const struct ip_addr *real, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	addr_format(real, text);
	if (vip_find_real(vip, real))
		return err_set(err, EEXIST, "real %s of VIP %s is not removed", text, vip->name);
	return err_set(err, ENOENT,
		       "VIP %s has no real %s in the file: add it to %s, then `xdplbctl reload`",
		       vip->name, text, c->config->file);
}

int controller_add_real(struct controller *controller, const char *vip, const struct ip_addr *real,
			struct err *err)
{
	size_t v = controller_find_vip(controller, vip);
	const struct vip_spec *spec = v == SIZE_MAX ? NULL : &controller->config->vips[v];
	int r;

	if (!spec)
		return err_set(err, ENOENT, "no VIP named %s", vip);
	if (vip_find_removed(spec, real))
		r = change(controller, v, real, true, err);
	else if (runtime_get(controller->runtime, vip, real).admin == ADMIN_REMOVED)
		r = forget(controller, vip, real, err);
	else
		r = refuse_add(controller, spec, real, err);
	if (!r)
		say_added(controller, vip, real);
	return r;
}

/* ---- Once they are drained ------------------------------------------------------------------- */

static struct real_run *find_drained(const struct controller *c)
{
	for (size_t v = 0; v < c->runs.n_vips; v++) {
		for (size_t r = 0; r < c->runs.vips[v].n_reals; r++) {
			struct real_run *run = c->runs.vips[v].reals[r];

			if (run->admin == ADMIN_DRAIN && run->is_drained && run->drain.removes)
				return run;
		}
	}
	return NULL;
}

/* What cannot be removed now stays drained; the next daemon tries again. */
static int on_removals(sd_event_source *source, void *user)
{
	struct controller *c = user;
	struct real_run *run = find_drained(c);
	char text[ADDR_TEXT_MAX];
	struct err err = {};
	size_t v;

	if (!run) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		return 0;
	}
	run->drain.removes = false;
	addr_format(&run->spec.address, text);
	v = run->vip_position;
	if (remove_run(run, &actor_drain, &err))
		log_error("drained real is not removed vip=%s real=%s error=\"%s\"",
			  c->config->vips[v].name, text, err.text);
	return 0;
}

void removals_wait(struct controller *c)
{
	sd_event_source_set_enabled(c->removals, SD_EVENT_ON);
}

int removals_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_defer(c->event, &c->removals, on_removals, c);

	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_priority(c->removals, PRIORITY);
	sd_event_source_set_enabled(c->removals, SD_EVENT_OFF);
	return 0;
}

void removals_stop(struct controller *c)
{
	c->removals = sd_event_source_disable_unref(c->removals);
}

/* ---- Across configurations and daemons ------------------------------------------------------- */

static void take_out(void *user, const char *vip, const struct ip_addr *real)
{
	struct config *config = user;

	for (size_t v = 0; v < config->n_vips; v++) {
		if (strcmp(config->vips[v].name, vip) == 0)
			vip_remove_real(&config->vips[v], real);
	}
}

void removals_restore(const struct controller *c, struct config *config)
{
	runtime_for_each_removed(c->runtime, take_out, config);
}

void removals_say(const struct controller *c)
{
	char text[ADDR_TEXT_MAX];

	for (size_t v = 0; v < c->config->n_vips; v++) {
		const struct vip_spec *vip = &c->config->vips[v];

		for (size_t i = 0; i < vip->n_removed; i++) {
			addr_format(&vip->reals[vip->n_reals + i].address, text);
			log_warning("real stays removed vip=%s real=%s undo=\"xdplbctl real add %s "
				    "%s\"",
				    vip->name, text, vip->name, text);
		}
	}
}

/* Whether the file has it, for this VIP or in a pool that the VIP may get. */
static bool is_listed(void *user, const char *vip, const struct ip_addr *real)
{
	const struct config *config = user;
	const struct vip_spec *spec = config_find_vip(config, vip);

	if (spec && vip_find_removed(spec, real))
		return true;
	for (size_t p = 0; spec && spec->n_pools && p < config->n_pools; p++) {
		for (size_t r = 0; r < config->pools[p].n_reals; r++) {
			if (addr_equal(&config->pools[p].reals[r].address, real))
				return true;
		}
	}
	return false;
}

void removals_forget(struct controller *c)
{
	struct err err;

	if (runtime_forget_removed(c->runtime, is_listed, c->config, &err))
		log_warning("cannot forget removed reals error=\"%s\"", err.text);
}
