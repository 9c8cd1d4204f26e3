/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Feeds the circuit breakers (ejection.h) with what the packet path has counted, and tells when one
 * has changed. Circuits live as long as their real is in the configuration, over restarts.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "log.h"

#define TICK_US	    250000
#define ACCURACY_US 50000

static const struct actor actor_ejection = {.name = "ejection"};

static bool is_watched(const struct vip_spec *spec)
{
	return spec->ejection.is_on && spec->protocol == IPPROTO_TCP;
}

/* What has been counted since the last time; nothing if that was another member. */
static struct circuit_sample take_sample(struct real_run *run)
{
	const struct controller *c = run->controller;
	const struct applied_vip *vip = applied_find(c->applied, &run->key);
	const struct applied_member *m =
		vip ? applied_find_member(vip, &run->spec.address, run->position) : NULL;
	const struct dp *dp = dataplane_dp(c->dataplane);
	struct real_input input = run_input(run);
	struct circuit_sample sample = {};
	struct member_stats now;

	if (!m || dp->ops->member_stats_read(dp->user, m->id, &now))
		return sample;
	sample.is_up = input.admin == ADMIN_ENABLED && input.health == HEALTH_UP &&
		       run->spec.weight && run->has_pool_weight;
	if (run->sampled_id == m->id && now.new_flows >= run->sampled_flows &&
	    now.repeated_syns >= run->sampled_repeated) {
		sample.new_flows = now.new_flows - run->sampled_flows;
		sample.repeated_syns = now.repeated_syns - run->sampled_repeated;
	}
	run->sampled_id = m->id;
	run->sampled_flows = now.new_flows;
	run->sampled_repeated = now.repeated_syns;
	return sample;
}

static void tell(struct real_run *run)
{
	const struct circuit *circuit = &run->circuit;
	const char *state = circuit_state_name(circuit->state);
	char address[ADDR_TEXT_MAX];

	weigh_changed(run);
	remember_changed(run->controller);
	log_info("real circuit %s vip=%s real=%s repeated=%u.%u%% others=%u.%u%% ejections=%u",
		 state, run->vip, addr_format(&run->spec.address, address), circuit->permille / 10,
		 circuit->permille % 10, circuit->others_permille / 10,
		 circuit->others_permille % 10, circuit->ejections);
	controller_audit_real(run->controller, &actor_ejection,
			      circuit->state == CIRCUIT_OPEN	    ? "real_ejected"
			      : circuit->state == CIRCUIT_HALF_OPEN ? "real_on_trial"
								    : "real_readmitted",
			      run, NULL);
}

static int look_at_vip(const struct vip_spec *spec, struct vip_run *vip, uint64_t now)
{
	struct circuit **circuits = calloc(vip->n_reals + 1, sizeof(struct circuit *));
	struct circuit_sample *samples = calloc(vip->n_reals + 1, sizeof(*samples));
	bool *changed = calloc(vip->n_reals + 1, sizeof(*changed));
	int r = circuits && samples && changed ? 0 : -ENOMEM;

	for (size_t i = 0; i < vip->n_reals && !r; i++) {
		circuits[i] = &vip->reals[i]->circuit;
		samples[i] = take_sample(vip->reals[i]);
	}
	/* The first look is only to know where the counters stand. */
	if (!r && vip->ejection_next_ms)
		ejection_look(&spec->ejection, circuits, samples, vip->n_reals, now, changed);
	for (size_t i = 0; i < vip->n_reals && !r; i++) {
		if (changed[i])
			tell(vip->reals[i]);
	}
	free(circuits);
	free(samples);
	free(changed);
	return r;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	uint64_t now = controller_now_ms();

	for (size_t v = 0; v < c->runs.n_vips; v++) {
		struct vip_run *vip = &c->runs.vips[v];
		const struct vip_spec *spec = &c->config->vips[v];

		if (!is_watched(spec) || now < vip->ejection_next_ms)
			continue;
		if (look_at_vip(spec, vip, now))
			log_error("cannot look at SYNs: out of memory vip=%s", spec->name);
		vip->ejection_next_ms = now + spec->ejection.interval_ms;
	}
	sd_event_source_set_time_relative(source, TICK_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* Ejection was switched off: nobody would close them. */
static void close_circuits(struct vip_run *vip)
{
	for (size_t i = 0; i < vip->n_reals; i++) {
		struct real_run *run = vip->reals[i];
		bool was_closed = run->circuit.state == CIRCUIT_CLOSED;

		run->circuit = (struct circuit){};
		if (!was_closed)
			tell(run);
	}
}

void ejections_follow(struct controller *c)
{
	bool is_needed = false;

	for (size_t v = 0; v < c->runs.n_vips; v++) {
		if (is_watched(&c->config->vips[v]))
			is_needed = true;
		else
			close_circuits(&c->runs.vips[v]);
	}
	sd_event_source_set_enabled(c->ejections, is_needed ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int ejections_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_time_relative(c->event, &c->ejections, CLOCK_MONOTONIC, TICK_US,
					   ACCURACY_US, on_tick, c);

	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_enabled(c->ejections, SD_EVENT_OFF);
	return 0;
}

void ejections_stop(struct controller *c)
{
	c->ejections = sd_event_source_disable_unref(c->ejections);
}
