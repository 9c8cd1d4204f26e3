/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's one writer. A configuration takes effect in this order: everything that can be
 * refused is checked and prepared first (interfaces, capacities, plan, program), then the plan is
 * applied, probes and next hops follow, rings are built. See controller.h; parts in
 * controller_private.h.
 */
#include "controller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/config.h"
#include "lib/config_removal.h"
#include "lib/dir_lock.h"
#include "lib/flow_clock.h"
#include "lib/hash_key.h"
#include "lib/sizing.h"
#include "log.h"

uint64_t controller_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

uint64_t controller_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* ---- who did what ------------------------------------------------------------------------------
 */

const struct actor actor_health = {.name = "health"};

void controller_act_as(struct controller *controller, const struct actor *who)
{
	controller->actor = *who;
}

json_t *controller_events(const struct controller *controller, uint64_t after, size_t limit)
{
	return audit_events(controller->audit, after, limit);
}

void controller_audit_real(struct controller *c, const struct actor *who, const char *what,
			   const struct real_run *run, json_t *extra)
{
	char text[ADDR_TEXT_MAX];
	json_t *details = json_pack("{s:s, s:s}", "vip", run->vip, "real",
				    addr_format(&run->spec.address, text));

	if (details && extra)
		json_object_update(details, extra);
	json_decref(extra);
	audit_add(c->audit, who, what, details);
}

/* Why a new configuration is not in force, or not all of it. */
static void say_failed(struct controller *c, const char *what, const struct change_report *report,
		       const struct err *err)
{
	const char *event = report->is_in_force ? "config_incomplete" : "config_refused";

	if (report->is_in_force)
		log_error("%s incomplete error=\"%s\"", what, err->text);
	else
		log_error("%s refused, the running configuration stays error=\"%s\"", what,
			  err->text);
	audit_add(c->audit, &c->actor, event, json_pack("{s:s}", "reason", err->text));
}

/* ---- rings --------------------------------------------------------------------------------- */

void controller_start_rings(struct controller *c)
{
	c->has_rings = false;
	sd_event_source_set_enabled(c->rings, SD_EVENT_ON);
}

bool controller_has_rings(const struct controller *controller)
{
	return controller->has_rings;
}

static int on_rings(sd_event_source *source, void *user)
{
	struct controller *c = user;
	struct err err = {};

	enum ring_progress progress = apply_next_ring(c->applied, &err);

	if (progress != RINGS_MORE)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (err.text[0])
		log_error("cannot build a ring error=\"%s\"", err.text);
	/* After an error nobody knows how long: who waits is not kept. */
	if (progress == RINGS_DONE || err.text[0]) {
		c->has_rings = true;
		c->progressed(c->progressed_user);
	}
	return 0;
}

static int on_grace(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct controller *c = user;

	grace_clear(c->grace);
	controller_start_rings(c);
	return 0;
}

void controller_build_rings(struct controller *c, struct err *ret_failed)
{
	for (;;) {
		*ret_failed = (struct err){};
		switch (apply_next_ring(c->applied, ret_failed)) {
		case RINGS_DONE:
			return;
		case RINGS_MORE:
			continue;
		case RINGS_WAIT:
			if (ret_failed->text[0]) {
				log_error("cannot build a ring error=\"%s\"", ret_failed->text);
				return;
			}
			grace_wait(c->grace, grace_request(c->grace));
		}
	}
}

/* ---- configuration, operator, health --------------------------------------------------------- */

int controller_reload(struct controller *controller, bool force, struct change_report *ret_report,
		      struct err *err)
{
	struct config *config;
	int r = config_load(controller->config_file, &config, err);

	*ret_report = (struct change_report){};
	if (!r)
		r = change_run(controller, config, force, ret_report, err);
	if (r)
		say_failed(controller, "reload", ret_report, err);
	if (ret_report->is_in_force)
		removals_forget(controller);
	return r;
}

int controller_apply_text(struct controller *controller, const char *name, const char *text,
			  size_t len, bool force, struct change_report *ret_report, struct err *err)
{
	struct config *config;
	int r = config_parse(name, text, len, &config, err);

	*ret_report = (struct change_report){};
	if (!r)
		r = change_run(controller, config, force, ret_report, err);
	if (r)
		say_failed(controller, "configuration", ret_report, err);
	return r;
}

int controller_find_run(const struct controller *c, const char *vip, const struct ip_addr *real,
			struct real_run **ret_run, struct err *err)
{
	size_t v = controller_find_vip(c, vip);
	const struct vip_run *runs = v == SIZE_MAX ? NULL : &c->runs.vips[v];
	char text[ADDR_TEXT_MAX];

	if (!runs) {
		err_set(err, ENOENT, "no VIP named %s", vip);
		return -ENOENT;
	}
	for (size_t i = 0; i < runs->n_reals; i++) {
		if (addr_equal(&runs->reals[i]->spec.address, real)) {
			*ret_run = runs->reals[i];
			return 0;
		}
	}
	addr_format(real, text);
	if (!vip_find_removed(&c->config->vips[v], real)) {
		err_set(err, ENOENT, "VIP %s has no real %s", vip, text);
		return -ENOENT;
	}
	err_set(err, EEXIST, "real %s of VIP %s is removed: `xdplbctl real add %s %s` puts it back",
		text, vip, vip, text);
	return -EEXIST;
}

static const char *admin_event(enum admin_state admin)
{
	switch (admin) {
	case ADMIN_DRAIN:
		return "real_drain";
	case ADMIN_DISABLED:
		return "real_disable";
	case ADMIN_ENABLED:
	case ADMIN_REMOVED: /* of none that runs */
		break;
	}
	return "real_enable";
}

static int set_order(struct real_run *run, const struct admin_order *order, struct err *err)
{
	enum admin_state was = run->admin;
	char text[ADDR_TEXT_MAX];
	json_t *details;
	int r = runtime_set(run->controller->runtime, run->vip, &run->spec.address, order, err);

	if (r)
		return r;
	details = json_pack("{s:s}", "was", admin_state_name(was));
	if (order->drain.deadline_ms)
		json_object_update_new(details,
				       json_pack("{s:I, s:s}", "deadline_ms",
						 (json_int_t)order->drain.deadline_ms, "then",
						 drain_rest_name(order->drain.then)));
	drain_take(run, order);
	weigh_changed(run);
	drains_wait(run->controller);
	controller_audit_real(run->controller, &run->controller->actor, admin_event(order->admin),
			      run, details);
	log_info("real %s by operator vip=%s real=%s was=%s", admin_state_name(order->admin),
		 run->vip, addr_format(&run->spec.address, text), admin_state_name(was));
	return 0;
}

int controller_set_admin(struct controller *controller, const char *vip, const struct ip_addr *real,
			 enum admin_state admin, struct err *err)
{
	struct admin_order order = {.admin = admin, .since_ms = controller_wall_ms()};
	struct real_run *run;
	int r = controller_find_run(controller, vip, real, &run, err);

	return r ? r : set_order(run, &order, err);
}

int controller_drain(struct controller *controller, const char *vip, const struct ip_addr *real,
		     const struct drain_request *request, struct err *err)
{
	struct admin_order order = {
		.admin = ADMIN_DRAIN,
		.drain = {.disables = request->disables, .removes = request->removes},
		.since_ms = controller_wall_ms(),
	};
	const struct drain_spec *usual;
	struct real_run *run;
	uint32_t timeout_ms;
	int r = controller_find_run(controller, vip, real, &run, err);

	if (r)
		return r;
	usual = &controller->config->vips[run->vip_position].drain;
	timeout_ms = request->has_timeout ? request->timeout_ms : usual->timeout_ms;
	if (request->has_then && !timeout_ms)
		return err_set(err, EINVAL, "then: %s: without a timeout, flows end by themselves",
			       drain_rest_name(request->then));
	if (timeout_ms) {
		order.drain.deadline_ms = controller_wall_ms() + timeout_ms;
		order.drain.then = request->has_then ? request->then : usual->then;
	}
	return set_order(run, &order, err);
}

bool controller_is_detached(const struct controller *controller)
{
	return controller->is_detached;
}

int controller_detach(struct controller *controller, struct err *err)
{
	controller->is_detached = true;
	audit_add(controller->audit, &controller->actor, "detached", NULL);
	log_info("detached: program, links and maps removed");
	return dataplane_remove(controller->config->bpffs, err);
}

/* ---- start and end ------------------------------------------------------------------------- */

static int open_state(struct controller *c, const struct controller_options *options,
		      struct err *err)
{
	int r;

	if (mkdir(options->state_dir, 0750) && errno != EEXIST)
		return err_errno(err, errno, "mkdir %s", options->state_dir);
	r = dir_lock(options->state_dir, &c->state_lock_fd, err);
	r = r ? r : hash_key_load(options->state_dir, &c->knobs.hash_key, err);
	c->knobs.hz = dataplane_hz();
	r = r ? r : runtime_open(&c->runtime, options->state_dir, err);
	r = r ? r : remember_start(c, options->state_dir, err);
	return r ? r : audit_open(&c->audit, options->state_dir, err);
}

/* What an earlier daemon left in the maps. */
static int adopt(struct controller *c, struct err *err)
{
	struct vip_key *keys;
	uint32_t *ids;
	size_t n;
	int r = dataplane_read_vips(c->dataplane, &keys, &ids, &n, err);

	if (r)
		return r;
	r = apply_adopt(c->applied, keys, ids, n, err);
	if (!r)
		log_info("data plane adopted vips=%zu", n);
	free(keys);
	free(ids);
	return r;
}

static int open_dataplane(struct controller *c, const struct config *config, struct err *err)
{
	struct err differs;
	int r = grace_new(&c->grace, err);

	c->knobs = dataplane_knobs_of(config, &c->knobs.hash_key, c->knobs.hz);
	if (!r)
		r = dataplane_open(&c->dataplane, config->bpffs, &config->capacity, &c->knobs,
				   c->grace, err);
	if (r)
		return r;
	if (change_check_capacity(c, config, &differs))
		log_warning("%s", differs.text);
	r = applied_new(&c->applied, dataplane_dp(c->dataplane),
			hash_key_fingerprint(&c->knobs.hash_key));
	if (r)
		return err_errno(err, -r, "applied state");
	return dataplane_is_adopted(c->dataplane) ? adopt(c, err) : 0;
}

static int start_sources(struct controller *c, struct err *err)
{
	int r = sd_event_add_defer(c->event, &c->rings, on_rings, c);

	if (r >= 0) {
		/* After probes and requests, before the scan. */
		sd_event_source_set_priority(c->rings, SD_EVENT_PRIORITY_NORMAL + 10);
		sd_event_source_set_enabled(c->rings, SD_EVENT_OFF);
		r = sd_event_add_io(c->event, &c->grace_io, grace_fd(c->grace), EPOLLIN, on_grace,
				    c);
	}
	if (r < 0)
		return err_errno(err, -r, "event loop");
	r = weigh_start(c, err);
	r = r ? r : drains_start(c, err);
	r = r ? r : removals_start(c, err);
	r = r ? r : ramp_start(c, err);
	r = r ? r : pool_switch_start(c, err);
	r = r ? r : ejections_start(c, err);
	r = r ? r : attachments_start(c, err);
	r = r ? r : health_new(&c->health, c->event, &runs_health_callbacks, err);
	return r ? r : ways_out_start(c, err);
}

static int start_tunnels(struct controller *c, const struct config *config, struct err *err)
{
	int r = tunnels_new(&c->tunnels, config->bpffs, c->neigh, err);

	return r ? r : health_use_tunnels(c->health, c->tunnels, config->bpffs, err);
}

/* A data plane made by a start that failed would only be in the way. */
static void take_back(struct controller *c, const char *bpffs)
{
	struct err err;

	if (c->dataplane && !dataplane_is_adopted(c->dataplane))
		dataplane_remove(bpffs, &err);
}

static int start(struct controller *c, const struct controller_options *options, struct err *err)
{
	struct change_report report;
	struct config *config;
	char *bpffs;
	int r = config_load(options->config_file, &config, err);

	if (r)
		return r;
	r = change_check_interfaces(config, err);
	r = r ? r : open_state(c, options, err);
	r = r ? r : open_dataplane(c, config, err);
	r = r ? r : start_sources(c, err);
	r = r ? r : start_tunnels(c, config, err);
	bpffs = strdup(config->bpffs);
	if (r)
		config_free(config);
	else
		r = change_run(c, config, true, &report, err);
	r = r ? r : scanner_start(c, err);
	if (r) {
		take_back(c, bpffs);
	} else {
		removals_forget(c);
		remember_take_over(c);
	}
	free(bpffs);
	return r;
}

int controller_new(struct controller **ret_controller, sd_event *event,
		   const struct controller_options *options, struct err *err)
{
	struct controller *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, ENOMEM, "out of memory");
	c->state_lock_fd = -1;
	c->event = sd_event_ref(event);
	c->actor = (struct actor){.name = "start"};
	c->config_file = strdup(options->config_file);
	c->progressed = options->progressed;
	c->progressed_user = options->user;
	c->started_at_ms = controller_now_ms();
	r = start(c, options, err);
	if (r) {
		controller_free(c);
		return r;
	}
	*ret_controller = c;
	return 0;
}

void controller_free(struct controller *controller)
{
	if (!controller)
		return;
	remember_stop(controller);
	scanner_stop(controller);
	/* Before the runs: their next hops stay in the kernel's care while packets go on. */
	tunnels_stop(controller->tunnels);
	neigh_free(controller->neigh);
	controller->neigh = NULL;
	runs_free(&controller->runs);
	health_free(controller->health);
	tunnels_free(controller->tunnels);
	weigh_stop(controller);
	drains_stop(controller);
	removals_stop(controller);
	ramp_stop(controller);
	pool_switch_stop(controller);
	ejections_stop(controller);
	attachments_stop(controller);
	sd_event_source_disable_unref(controller->rings);
	sd_event_source_disable_unref(controller->grace_io);
	applied_free(controller->applied);
	dataplane_close(controller->dataplane);
	grace_free(controller->grace);
	runtime_free(controller->runtime);
	audit_free(controller->audit);
	if (controller->state_lock_fd >= 0)
		close(controller->state_lock_fd);
	config_free(controller->config);
	sd_event_unref(controller->event);
	free(controller->config_file);
	free(controller);
}
