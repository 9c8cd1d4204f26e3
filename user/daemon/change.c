/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A new configuration, from a file or the API, into force: everything that can be refused is
 * checked and prepared first (interfaces, capacities, plan, program), then the plan is applied,
 * probes and next hops follow, rings are built. What is refused has changed nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/config_switch.h"
#include "lib/config_variant.h"
#include "lib/sizing.h"
#include "log.h"

/* A configuration on its way into force. */
struct change {
	struct config *config;
	struct runs runs;
	struct desired desired;
	struct plan plan;
	struct dataplane_knobs knobs;
};

static void change_discard(struct controller *c, struct change *change)
{
	plan_free(&change->plan);
	desired_free(&change->desired);
	runs_discard(&change->runs, &c->runs);
}

/* "file:line:column: path: reason", as the parser says it; without a place for a default. */
static int __attribute__((format(printf, 6, 7)))
refuse(const struct config *config, struct mark mark, const char *path, int errnum, struct err *err,
       const char *fmt, ...)
{
	struct err reason;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason.text, sizeof(reason.text), fmt, ap);
	va_end(ap);
	err_set(err, errnum, "%s: %s", path, reason.text);
	if (mark.line)
		err_prefix(err, "%s:%u:%u", config->file, mark.line, mark.column);
	else
		err_prefix(err, "%s", config->file);
	return -errnum;
}

int change_check_interfaces(const struct config *config, struct err *err)
{
	char path[64];
	int errnum;

	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *spec = &config->interfaces[i];

		if (if_nametoindex(spec->name))
			continue;
		errnum = errno; /* ENODEV, or no socket to ask by */
		snprintf(path, sizeof(path), "interfaces[%zu].name", i);
		return refuse(config, spec->mark, path, errnum, err, "%s: %s",
			      errnum == ENODEV ? "no such interface" : strerror(errnum),
			      spec->name);
	}
	return 0;
}

/* One capacity as it is wanted and as the running data plane has it. */
struct capacity_check {
	const char *key;
	struct mark mark;
	uint32_t wanted;
	uint32_t have;
	bool differs;
};

static int capacity_differs(const struct config *config, const struct capacity_check *check,
			    struct err *err)
{
	return refuse(config, check->mark, check->key, EINVAL, err,
		      "%u wanted, %u in the running data plane: a capacity is fixed while packets "
		      "flow; to change it run `xdplbctl detach` (drops the flow table) and start "
		      "xdplbd again",
		      check->wanted, check->have);
}

int change_check_capacity(const struct controller *c, const struct config *config, struct err *err)
{
	const struct control *have = dataplane_dp(c->dataplane)->control;
	const struct capacity *want = &config->capacity;
	struct capacity now = dataplane_capacity(c->dataplane);
	const struct capacity_check checks[] = {
		{"capacity.flows", config->marks.flows, want->flows, now.flows,
		 sizing_flow_buckets(want->flows) != have->flow_buckets},
		{"capacity.members", config->marks.members, want->members, now.members,
		 want->members != have->members},
		{"capacity.vips", config->marks.vips, want->vips, now.vips,
		 want->vips != have->vips},
		{"capacity.ring_slots", config->marks.ring_slots, want->ring_slots, now.ring_slots,
		 sizing_ring_blocks(want->ring_slots) != have->ring_blocks},
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (checks[i].differs)
			return capacity_differs(config, &checks[i], err);
	}
	return 0;
}

/* Reals of the running configuration that the new one no longer has. */
static size_t count_removed(const struct config *old, const struct config *new, size_t *ret_all)
{
	size_t removed = 0, all = 0;

	for (size_t v = 0; v < old->n_vips; v++) {
		const struct vip_spec *vip = config_find_vip(new, old->vips[v].name);

		all += old->vips[v].n_reals;
		for (size_t r = 0; r < old->vips[v].n_reals; r++)
			removed += !vip || !vip_find_real(vip, &old->vips[v].reals[r].address);
	}
	*ret_all = all;
	return removed;
}

static int check_guard(const struct controller *c, const struct config *config, struct err *err)
{
	uint32_t limit = config->guard_removed_percent;
	size_t all, removed;

	if (!c->config || limit >= 100)
		return 0;
	removed = count_removed(c->config, config, &all);
	if (removed * 100 <= all * limit)
		return 0;
	return refuse(config, config->marks.max_removed, "guard.max_removed", ECANCELED, err,
		      "%zu of %zu reals would go, more than %u%%: check the file, or add --force",
		      removed, all, limit);
}

/* Everything that can be refused; nothing is in force yet. */
static int change_prepare(struct controller *c, struct config *config, bool force,
			  struct change *change, struct err *err)
{
	struct runs_lookup lookup;
	int r;

	*change = (struct change){
		.config = config,
		.knobs = dataplane_knobs_of(config, &c->knobs.hash_key, c->knobs.hz),
	};
	if (c->config && strcmp(c->config->bpffs, config->bpffs) != 0)
		return refuse(config, config->marks.bpffs, "bpffs", EINVAL, err,
			      "cannot change while running (now %s)", c->config->bpffs);
	r = change_check_interfaces(config, err);
	r = r || !c->config ? r : change_check_capacity(c, config, err);
	r = r || force ? r : check_guard(c, config, err);
	if (r)
		return r;
	r = runs_make(c, config, &change->runs);
	if (r)
		return err_errno(err, -r, "new configuration");
	lookup = (struct runs_lookup){.runs = &change->runs, .config = config};
	r = effective(config, runs_input, &lookup, &change->desired);
	if (r)
		err_errno(err, -r, "new configuration");
	else
		r = plan_make(c->applied, &change->desired, &change->knobs.clock, c->knobs.hz,
			      &change->plan, err);
	if (r)
		change_discard(c, change);
	return r;
}

/* Back to the program and the interfaces of the running configuration. */
static void program_restore(struct controller *c)
{
	struct err err;

	if (!c->config)
		return;
	dataplane_detach_others(c->config->bpffs, c->config->interfaces, c->config->n_interfaces);
	if (dataplane_load(c->dataplane, &c->knobs, &err) || attachments_make(c, c->config, &err))
		log_error("cannot restore the packet program error=\"%s\"", err.text);
}

/*
 * The program with the new knobs, on every interface of the new configuration. It goes on to know
 * the encapsulations and schedulers that are in use now, and QUIC, until there are others.
 */
static int program_switch(struct controller *c, const struct change *change, struct err *err)
{
	struct control *control = dataplane_dp(c->dataplane)->control;
	struct dataplane_knobs knobs = change->knobs;
	int r = dataplane_restore_pins(c->dataplane, err);

	if (r < 0)
		return r;
	r = 0;
	knobs.encaps |= applied_encaps(c->applied);
	knobs.schedulers |= applied_schedulers(c->applied);
	knobs.is_quic_on |= applied_has_quic(c->applied);
	if (memcmp(&control->clock, &knobs.clock, sizeof(control->clock)) != 0)
		dp_store(control->expiry_paused, 1);
	if (memcmp(&c->knobs, &knobs, sizeof(knobs)) != 0)
		r = dataplane_load(c->dataplane, &knobs, err);
	if (!r)
		r = attachments_make(c, change->config, err);
	if (r) {
		program_restore(c);
		dp_store(control->expiry_paused, 0);
		return r;
	}
	c->knobs = knobs;
	return 0;
}

/* Without what nobody uses any more. What cannot be loaded can wait. */
static void program_shrink(struct controller *c, const struct config *config)
{
	struct dataplane_knobs knobs = c->knobs;
	struct err err;

	knobs.encaps = config_encaps(config) | applied_encaps(c->applied);
	knobs.schedulers = config_schedulers(config) | applied_schedulers(c->applied);
	knobs.is_quic_on = config_has_quic(config) || applied_has_quic(c->applied);
	if (memcmp(&knobs, &c->knobs, sizeof(knobs)) == 0)
		return;
	if (dataplane_load(c->dataplane, &knobs, &err) || attachments_make(c, config, &err)) {
		log_warning("packet program keeps what no VIP uses error=\"%s\"", err.text);
		return;
	}
	c->knobs = knobs;
}

/* After the program that counts in other ticks is in force: see struct flow_clock. */
static void clock_switch(struct controller *c, const struct change *change)
{
	const struct dp *dp = dataplane_dp(c->dataplane);
	uint64_t jiffies;

	if (!dp_load(dp->control->expiry_paused))
		return;
	dp->control->clock = change->knobs.clock;
	apply_timeouts(c->applied, &change->desired, &change->knobs.clock, c->knobs.hz);
	grace_wait(c->grace, grace_request(c->grace));
	if (dataplane_read_jiffies(c->dataplane, &jiffies))
		log_error("cannot read the flow clock; idle flows may end early or late once");
	else
		flow_table_restamp(dp, &change->knobs.clock, jiffies);
	dp_store(dp->control->expiry_paused, 0);
}

static void report_count(const struct change *change, struct change_report *report)
{
	for (size_t i = 0; i < change->plan.n_steps; i++) {
		switch (change->plan.steps[i].kind) {
		case PLAN_ADD_VIP:
			report->vips_added++;
			break;
		case PLAN_SET_VIP:
			report->vips_changed++;
			break;
		case PLAN_REMOVE_VIP:
			report->vips_removed++;
			break;
		case PLAN_ADD_MEMBER:
			report->reals_added++;
			break;
		case PLAN_SET_MEMBER:
			report->reals_changed++;
			break;
		case PLAN_REMOVE_MEMBER:
			report->reals_removed++;
			break;
		}
	}
}

static void audit_applied(struct controller *c, const struct change_report *report)
{
	audit_add(c->audit, &c->actor, "config_applied",
		  json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file", c->config->file,
			    "generation", (json_int_t)report->generation, "vips_added",
			    (json_int_t)report->vips_added, "vips_removed",
			    (json_int_t)report->vips_removed, "vips_changed",
			    (json_int_t)report->vips_changed, "reals_added",
			    (json_int_t)report->reals_added, "reals_removed",
			    (json_int_t)report->reals_removed, "reals_changed",
			    (json_int_t)report->reals_changed));
}

/*
 * If it is refused c->config is as it was, else it is the new one; nothing is freed. ret_rings: why
 * a ring could not be built, of a VIP that need not be among those that changed; or no text.
 */
static int change_try(struct controller *c, struct config *config, bool force,
		      struct change_report *ret_report, struct err *ret_rings, struct err *err)
{
	struct change change;
	struct change_report report = {};
	int r = change_prepare(c, config, force, &change, err);

	if (!r) {
		r = program_switch(c, &change, err);
		if (r)
			change_discard(c, &change);
	}
	if (r)
		return r;
	report_count(&change, &report);
	r = apply_plan(c->applied, &change.plan, err);
	clock_switch(c, &change);
	tunnels_set_knobs(c->tunnels, &c->knobs);
	if (runs_commit(c, &change.desired, &change.runs, err))
		r = -EIO;
	program_shrink(c, config);
	desired_free(&change.desired);
	plan_free(&change.plan);
	c->config = config;
	ways_out_refresh(c);
	drains_wait(c);
	ejections_follow(c);
	remember_changed(c);
	controller_build_rings(c, ret_rings);
	dataplane_detach_others(config->bpffs, config->interfaces, config->n_interfaces);
	tunnels_tidy(c->tunnels);
	*ret_report = report;
	return r;
}

int change_run(struct controller *c, struct config *config, bool force,
	       struct change_report *ret_report, struct err *err)
{
	struct err rings = {};
	struct config *old;
	int r;

	*ret_report = (struct change_report){};
	pool_switch_cancel(c, "another configuration came meanwhile");
	old = c->config;
	r = pool_record_restore(c, config, force, err);
	removals_restore(c, config);
	r = r ? r : change_try(c, config, force, ret_report, &rings, err);
	if (c->config == old) {
		config_free(config);
		return r;
	}
	/* A start serves what it can. */
	if (!r && old && rings.text[0])
		r = err_set(err, EIO, "%s", rings.text);
	config_free(old);
	ret_report->is_in_force = true;
	ret_report->generation = ++c->generation;
	pool_record_settle(c);
	ret_report->warnings = &c->config->warnings;
	audit_applied(c, ret_report);
	for (size_t i = 0; i < c->config->warnings.n; i++)
		log_warning("%s", c->config->warnings.texts[i]);
	log_info("configuration applied generation=%llu file=%s vips=%zu added=%zu removed=%zu",
		 (unsigned long long)c->generation, c->config->file, c->config->n_vips,
		 ret_report->vips_added, ret_report->vips_removed);
	removals_say(c);
	if (r)
		err_prefix(err, "in force, but not all of it; the next reload tries again");
	return r;
}

int change_vip(struct controller *c, size_t vip, struct config *fresh, struct err *err)
{
	struct change_report report;
	struct config *old = c->config;
	struct err rings; /* in the log */
	int r = change_try(c, fresh, true, &report, &rings, err);

	config_variant_free(c->config == fresh ? old : fresh, vip);
	return r;
}

int change_pools(struct controller *c, size_t vip, const struct pool_use *uses, size_t n,
		 bool allows_shared, struct err *err)
{
	struct config *fresh;
	int r = config_switch(c->config, vip, uses, n, allows_shared, &fresh, err);

	if (r)
		return r;
	removals_restore(c, fresh);
	return change_vip(c, vip, fresh, err);
}
