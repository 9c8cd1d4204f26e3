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

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/config.h"
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

/* ---- rings --------------------------------------------------------------------------------- */

void controller_start_rings(struct controller *c)
{
	sd_event_source_set_enabled(c->rings, SD_EVENT_ON);
}

static int on_rings(sd_event_source *source, void *user)
{
	struct controller *c = user;
	struct err err = {};

	if (apply_next_ring(c->applied, &err) != RINGS_MORE)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (err.text[0])
		log_error("cannot build a ring error=\"%s\"", err.text);
	return 0;
}

static int on_grace(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct controller *c = user;

	grace_clear(c->grace);
	controller_start_rings(c);
	return 0;
}

/* Until every ring says what is wanted; for answers that promise so. */
static void build_all_rings(struct controller *c)
{
	struct err err = {};

	for (;;) {
		switch (apply_next_ring(c->applied, &err)) {
		case RINGS_DONE:
			return;
		case RINGS_MORE:
			continue;
		case RINGS_WAIT:
			if (err.text[0]) {
				log_error("cannot build a ring error=\"%s\"", err.text);
				return;
			}
			grace_wait(c->grace, grace_request(c->grace));
		}
	}
}

/* ---- a new configuration ------------------------------------------------------------------- */

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

static void knobs_source(const struct encap_source *source, struct ip_addr *ret_base,
			 struct ip_addr *ret_entropy)
{
	unsigned int fixed = source->prefix_len + (addr_is_v4(&source->address) ? 96 : 0);

	*ret_base = source->address;
	memset(ret_entropy, 0, sizeof(*ret_entropy));
	for (unsigned int bit = fixed; bit < 128; bit++)
		ret_entropy->b[bit / 8] |= 0x80 >> (bit % 8);
}

static struct dataplane_knobs knobs_make(const struct controller *c, const struct config *config)
{
	struct dataplane_knobs k = {.hash_key = c->knobs.hash_key, .hz = c->knobs.hz};
	struct ip_addr base, entropy;

	flow_clock_make(config->vips, config->n_vips, k.hz, &k.clock);
	if (config->source4.is_set) {
		knobs_source(&config->source4, &base, &entropy);
		k.source4 = base.w[3];
		k.source4_entropy = entropy.w[3];
	}
	if (config->source6.is_set)
		knobs_source(&config->source6, &k.source6, &k.source6_entropy);
	return k;
}

static int check_interfaces(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *spec = &config->interfaces[i];

		if (!if_nametoindex(spec->name))
			return err_set(err, ENODEV,
				       "%s:%u:%u: interfaces[%zu].name: no such interface: %s",
				       config->file, spec->mark.line, spec->mark.column, i,
				       spec->name);
	}
	return 0;
}

static int capacity_differs(const char *key, uint32_t wanted, uint32_t have, struct err *err)
{
	return err_set(err, EINVAL,
		       "capacity.%s: %u wanted, %u in the running data plane: a capacity is fixed "
		       "while packets flow; to change it run `xdplbctl detach` (drops the flow "
		       "table) and start xdplbd again",
		       key, wanted, have);
}

static int check_capacity(const struct controller *c, const struct config *config, struct err *err)
{
	const struct control *have = dataplane_dp(c->dataplane)->control;
	const struct capacity *want = &config->capacity;
	struct capacity now = dataplane_capacity(c->dataplane);

	if (sizing_flow_buckets(want->flows) != have->flow_buckets)
		return capacity_differs("flows", want->flows, now.flows, err);
	if (want->members != have->members)
		return capacity_differs("members", want->members, now.members, err);
	if (want->vips != have->vips)
		return capacity_differs("vips", want->vips, now.vips, err);
	if (sizing_ring_blocks(want->ring_slots) != have->ring_blocks)
		return capacity_differs("ring_slots", want->ring_slots, now.ring_slots, err);
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
	return err_set(err, ECANCELED,
		       "%zu of %zu reals would go, more than guard.max_removed (%u%%): check the "
		       "file, or add --force",
		       removed, all, limit);
}

/* Everything that can be refused; nothing is in force yet. */
static int change_prepare(struct controller *c, struct config *config, bool force,
			  struct change *change, struct err *err)
{
	struct runs_lookup lookup;
	int r;

	*change = (struct change){.config = config, .knobs = knobs_make(c, config)};
	if (c->config && strcmp(c->config->bpffs, config->bpffs) != 0)
		return err_set(err, EINVAL, "bpffs: cannot change while running (now %s)",
			       c->config->bpffs);
	r = check_interfaces(config, err);
	r = r || !c->config ? r : check_capacity(c, config, err);
	r = r || force ? r : check_guard(c, config, err);
	if (r)
		return r;
	r = runs_make(c, config, &change->runs);
	if (r)
		return err_errno(err, -r, "new configuration");
	lookup.runs = &change->runs;
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
	if (dataplane_load(c->dataplane, &c->knobs, &err) ||
	    ways_out_attach_all(c, c->config, &err))
		log_error("cannot restore the packet program error=\"%s\"", err.text);
}

/* The program with the new knobs, on every interface of the new configuration. */
static int program_switch(struct controller *c, const struct change *change, struct err *err)
{
	struct control *control = dataplane_dp(c->dataplane)->control;
	bool knobs_differ = memcmp(&c->knobs, &change->knobs, sizeof(c->knobs)) != 0;
	int r = 0;

	if (memcmp(&control->clock, &change->knobs.clock, sizeof(control->clock)) != 0)
		dp_store(control->expiry_paused, 1);
	if (knobs_differ)
		r = dataplane_load(c->dataplane, &change->knobs, err);
	if (!r)
		r = ways_out_attach_all(c, change->config, err);
	if (r) {
		program_restore(c);
		dp_store(control->expiry_paused, 0);
	}
	return r;
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

/* Takes the configuration over, whatever the outcome: freed if it is refused. */
static int change_config(struct controller *c, struct config *config, bool force,
			 struct change_report *ret_report, struct err *err)
{
	struct change change;
	struct change_report report = {};
	int r = change_prepare(c, config, force, &change, err);

	if (!r) {
		r = program_switch(c, &change, err);
		if (r)
			change_discard(c, &change);
	}
	if (r) {
		config_free(config);
		return r;
	}
	report_count(&change, &report);
	r = apply_plan(c->applied, &change.plan, err);
	clock_switch(c, &change);
	if (runs_commit(c, config, &change.runs, err))
		r = -EIO;
	c->knobs = change.knobs;
	desired_free(&change.desired);
	plan_free(&change.plan);
	config_free(c->config);
	c->config = config;
	ways_out_refresh(c);
	build_all_rings(c);
	dataplane_detach_others(config->bpffs, config->interfaces, config->n_interfaces);
	report.generation = ++c->generation;
	*ret_report = report;
	log_info("configuration applied generation=%llu file=%s vips=%zu added=%zu removed=%zu",
		 (unsigned long long)c->generation, config->file, config->n_vips, report.vips_added,
		 report.vips_removed);
	return r;
}

int controller_reload(struct controller *controller, bool force, struct change_report *ret_report,
		      struct err *err)
{
	struct config *config;
	int r = config_load(controller->config_file, &config, err);

	if (!r)
		r = change_config(controller, config, force, ret_report, err);
	if (r)
		log_error("reload refused, the running configuration stays error=\"%s\"",
			  err->text);
	return r;
}

int controller_apply_text(struct controller *controller, const char *name, const char *text,
			  size_t len, bool force, struct change_report *ret_report, struct err *err)
{
	struct config *config;
	int r = config_parse(name, text, len, &config, err);

	if (!r)
		r = change_config(controller, config, force, ret_report, err);
	if (r)
		log_error("configuration refused, the running one stays error=\"%s\"", err->text);
	return r;
}

/* ---- health and operator ------------------------------------------------------------------- */

int controller_evaluate(struct controller *c, struct err *err)
{
	struct runs_lookup lookup = {.runs = &c->runs};
	struct desired desired;
	struct plan plan;
	int r;

	/* A probe that answers while a configuration is being taken over: that evaluates anyway. */
	if (!c->config || c->is_detached || c->runs.n_vips != c->config->n_vips)
		return 0;
	r = effective(c->config, runs_input, &lookup, &desired);
	if (r)
		return err_errno(err, -r, "evaluate");
	r = plan_make(c->applied, &desired, &c->knobs.clock, c->knobs.hz, &plan, err);
	if (!r) {
		r = apply_plan(c->applied, &plan, err);
		plan_free(&plan);
	}
	desired_free(&desired);
	controller_start_rings(c);
	return r;
}

static struct real_run *find_run(const struct controller *c, const char *vip,
				 const struct ip_addr *real, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	for (size_t v = 0; v < c->config->n_vips; v++) {
		if (strcmp(c->config->vips[v].name, vip) != 0)
			continue;
		for (size_t r = 0; r < c->runs.vips[v].n_reals; r++) {
			if (addr_equal(&c->runs.vips[v].reals[r]->address, real))
				return c->runs.vips[v].reals[r];
		}
		err_set(err, ENOENT, "VIP %s has no real %s", vip, addr_format(real, text));
		return NULL;
	}
	err_set(err, ENOENT, "no VIP named %s", vip);
	return NULL;
}

int controller_set_admin(struct controller *controller, const char *vip, const struct ip_addr *real,
			 enum admin_state admin, struct err *err)
{
	struct real_run *run = find_run(controller, vip, real, err);
	char text[ADDR_TEXT_MAX];
	int r;

	if (!run)
		return -ENOENT;
	r = runtime_set(controller->runtime, vip, real, admin, err);
	if (r)
		return r;
	log_info("real %s by operator vip=%s real=%s was=%s", admin_state_name(admin), vip,
		 addr_format(real, text), admin_state_name(run->admin));
	run->admin = admin;
	r = controller_evaluate(controller, err);
	build_all_rings(controller);
	return r;
}

int controller_detach(struct controller *controller, struct err *err)
{
	controller->is_detached = true;
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
	r = hash_key_load(options->state_dir, &c->knobs.hash_key, err);
	c->knobs.hz = dataplane_hz();
	return r ? r : runtime_open(&c->runtime, options->state_dir, err);
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

	c->knobs = knobs_make(c, config);
	if (!r)
		r = dataplane_open(&c->dataplane, config->bpffs, &config->capacity, &c->knobs,
				   c->grace, err);
	if (r)
		return r;
	if (check_capacity(c, config, &differs))
		log_warning("%s: %s", config->file, differs.text);
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
	r = health_new(&c->health, c->event, runs_health_changed, err);
	return r ? r : ways_out_start(c, err);
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
	r = check_interfaces(config, err);
	r = r ? r : open_state(c, options, err);
	r = r ? r : open_dataplane(c, config, err);
	r = r ? r : start_sources(c, err);
	bpffs = strdup(config->bpffs);
	if (r)
		config_free(config);
	else
		r = change_config(c, config, true, &report, err);
	r = r ? r : scanner_start(c, err);
	if (r)
		take_back(c, bpffs);
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
	c->event = sd_event_ref(event);
	c->config_file = strdup(options->config_file);
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
	scanner_stop(controller);
	/* Before the runs: their next hops stay in the kernel's care while packets go on. */
	neigh_free(controller->neigh);
	controller->neigh = NULL;
	runs_free(&controller->runs);
	health_free(controller->health);
	sd_event_source_disable_unref(controller->rings);
	sd_event_source_disable_unref(controller->grace_io);
	applied_free(controller->applied);
	dataplane_close(controller->dataplane);
	grace_free(controller->grace);
	runtime_free(controller->runtime);
	config_free(controller->config);
	sd_event_unref(controller->event);
	free(controller->config_file);
	free(controller);
}
