/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How reals empty: a drain ends when a pass over the flow table that began after it finds no flow
 * of the real, or at its deadline, when what is left is kept, moved or reset. Deadlines are wall
 * clock time, since they are recorded and outlive the daemon.
 */
#include <time.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "log.h"

#define ACCURACY_US 10000

const struct actor actor_drain = {.name = "drain"};

void drain_take(struct real_run *run, const struct admin_order *order)
{
	struct controller *c = run->controller;
	uint64_t deadline = order->drain.deadline_ms;

	run->admin = order->admin;
	run->admin_since_ms = order->since_ms;
	run->drain = order->drain;
	run->is_drain_over = deadline && deadline <= controller_wall_ms();
	run->is_drained = false;
	run->drain_scan = c->scanner.begun + 1;
	/* Before the scanner's start its first pass will do. */
	if (order->admin == ADMIN_DRAIN && c->scanner.timer)
		controller_request_scan(c);
}

enum drain_rest drain_rest_now(const struct real_run *run)
{
	if (run->admin == ADMIN_DRAIN)
		return run->is_drain_over ? run->drain.then : DRAIN_KEEP;
	return run->admin == ADMIN_DISABLED ? run->drain.then : DRAIN_KEEP;
}

/* What the last pass found of it; NULL: it has no member. */
static const struct flow_scan_member *scanned(const struct real_run *run)
{
	const struct controller *c = run->controller;
	const struct applied_vip *vip = applied_find(c->applied, &run->key);
	const struct applied_member *m =
		vip ? applied_find_member(vip, &run->spec.address, run->position) : NULL;

	return m ? &c->scanner.done.members[m->id] : NULL;
}

uint64_t drain_flows(const struct real_run *run)
{
	const struct flow_scan_member *flows = scanned(run);

	return flows ? flows->active : 0;
}

bool drain_has_flows(const struct real_run *run)
{
	bool is_counted = run->controller->scanner.ended >= run->drain_scan;
	const struct flow_scan_member *flows = scanned(run);

	if (run->admin == ADMIN_DRAIN && !is_counted)
		return true;
	return flows && (flows->active || flow_scan_has_handshake(flows));
}

/* Calls fn for each real that the operator drains. */
static void for_each_drain(struct controller *c, void (*fn)(struct real_run *run, void *user),
			   void *user)
{
	for (size_t v = 0; v < c->runs.n_vips; v++) {
		for (size_t r = 0; r < c->runs.vips[v].n_reals; r++) {
			if (c->runs.vips[v].reals[r]->admin == ADMIN_DRAIN)
				fn(c->runs.vips[v].reals[r], user);
		}
	}
}

/* ---- The end of a drain ---------------------------------------------------------------------- */

static void disable(struct real_run *run)
{
	struct admin_order order = {.admin = ADMIN_DISABLED,
				    .drain.then = drain_rest_now(run),
				    .since_ms = controller_wall_ms()};
	char text[ADDR_TEXT_MAX];
	struct err err = {};

	if (runtime_set(run->controller->runtime, run->vip, &run->spec.address, &order, &err))
		log_error("drained real is disabled but not recorded vip=%s real=%s error=\"%s\"",
			  run->vip, addr_format(&run->spec.address, text), err.text);
	drain_take(run, &order);
	weigh_changed(run);
	controller_audit_real(run->controller, &actor_drain, "real_disable", run, NULL);
}

static const char *end_name(const struct drain *drain)
{
	if (drain->removes)
		return "removed";
	return drain->disables ? "disabled" : "drained";
}

static void finish(struct real_run *run)
{
	char text[ADDR_TEXT_MAX];

	run->is_drained = true;
	log_info("real drained vip=%s real=%s then=%s", run->vip,
		 addr_format(&run->spec.address, text), end_name(&run->drain));
	controller_audit_real(run->controller, &actor_drain, "real_drained", run, NULL);
	if (run->drain.disables)
		disable(run);
	if (run->drain.removes)
		removals_wait(run->controller);
}

static void look(struct real_run *run, void *user)
{
	if (!run->is_drained && (drain_rest_now(run) != DRAIN_KEEP || !drain_has_flows(run)))
		finish(run);
}

void drains_scanned(struct controller *c)
{
	for_each_drain(c, look, NULL);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

static void end(struct real_run *run, void *user)
{
	const uint64_t *now = user;
	char text[ADDR_TEXT_MAX];

	if (run->is_drain_over || !run->drain.deadline_ms || run->drain.deadline_ms > *now)
		return;
	run->is_drain_over = true;
	weigh_changed(run);
	if (run->is_drained)
		return;
	log_info("drain timed out vip=%s real=%s flows=%llu then=%s", run->vip,
		 addr_format(&run->spec.address, text), (unsigned long long)drain_flows(run),
		 drain_rest_name(run->drain.then));
	controller_audit_real(run->controller, &actor_drain, "drain_timed_out", run,
			      json_pack("{s:I, s:s}", "flows", (json_int_t)drain_flows(run), "then",
					drain_rest_name(run->drain.then)));
	look(run, NULL);
}

static void find_first(struct real_run *run, void *user)
{
	uint64_t *first = user;

	if (!run->is_drain_over && run->drain.deadline_ms && run->drain.deadline_ms < *first)
		*first = run->drain.deadline_ms;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	uint64_t now = controller_wall_ms();

	for_each_drain(c, end, &now);
	drains_wait(c);
	return 0;
}

void drains_wait(struct controller *c)
{
	uint64_t first = UINT64_MAX;

	for_each_drain(c, find_first, &first);
	sd_event_source_set_enabled(c->drains,
				    first == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (first != UINT64_MAX)
		sd_event_source_set_time(c->drains, first * 1000);
}

int drains_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_time(c->event, &c->drains, CLOCK_REALTIME, 0, ACCURACY_US, on_deadline,
				  c);

	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_enabled(c->drains, SD_EVENT_OFF);
	return 0;
}

void drains_stop(struct controller *c)
{
	c->drains = sd_event_source_disable_unref(c->drains);
}
