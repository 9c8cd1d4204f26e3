/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slow start of reals. One starts slowly when it begins to get new flows and is known not to have
 * had any: it was down, held back by the operator, of no weight, or was added to a VIP that goes
 * on. A real that is proven for the first time after the daemon's start does not: it may have
 * served all the time.
 */
#include <time.h>

#include "controller_private.h"
#include "lib/slow_start.h"
#include "log.h"

#define ACCURACY_US 10000

static bool could_get_flows(const struct real_run *run)
{
	struct desired_member alone = effective_member(&run->spec, run_input(run));

	return (alone.state & MEMBER_STATE_MASK) == MEMBER_UP && run->has_pool_weight;
}

/* Not for want of a verdict only. */
static bool has_rested(const struct real_run *run)
{
	return run->health != HEALTH_UNKNOWN || run_input(run).admin != ADMIN_ENABLED ||
	       !run->spec.weight || !run->has_pool_weight;
}

static uint32_t held_back_now(const struct real_run *run, uint64_t now_ms)
{
	return slow_start_held_back(now_ms - run->ramp_since_ms, run->slow_start_ms);
}

/* The next step of all is never far: the timer looks again then. */
static void wake_at(struct controller *c, uint64_t at_ms)
{
	uint64_t at_us = at_ms * 1000, armed_us;
	int enabled;

	if (sd_event_source_get_enabled(c->ramps, &enabled) > 0 && enabled &&
	    sd_event_source_get_time(c->ramps, &armed_us) >= 0 && armed_us <= at_us)
		return;
	if (sd_event_source_set_time(c->ramps, at_us) < 0 ||
	    sd_event_source_set_enabled(c->ramps, SD_EVENT_ONESHOT) < 0)
		log_error("cannot set the timer of slow start");
}

void ramp_update(struct real_run *run)
{
	uint64_t now = controller_now_ms();
	bool had_flows = run->gets_flows;

	run->gets_flows = could_get_flows(run);
	if (!run->gets_flows) {
		run->starts_slowly |= has_rested(run);
		run->ramp_since_ms = 0;
	} else if (!had_flows && run->starts_slowly && run->slow_start_ms) {
		run->ramp_since_ms = now;
	}
	if (run->gets_flows)
		run->starts_slowly = false;
	run->ramp_applied = 0;
	if (!run->ramp_since_ms)
		return;
	run->ramp_applied = held_back_now(run, now);
	if (run->ramp_applied)
		wake_at(run->controller,
			now + slow_start_next_ms(now - run->ramp_since_ms, run->slow_start_ms));
	else
		run->ramp_since_ms = 0;
}

uint32_t ramp_held_back(const struct real_run *run, const struct vip_spec *vip,
			const struct real_spec *real)
{
	struct real_run then = *run;
	uint64_t now = controller_now_ms();

	then.spec = *real;
	then.slow_start_ms = vip->slow_start_ms;
	then.has_pool_weight = !vip->n_pools || vip->pools[real->pool].weight;
	if (!then.slow_start_ms || !could_get_flows(&then))
		return 0;
	if (!run->gets_flows && run->starts_slowly)
		then.ramp_since_ms = now;
	return then.ramp_since_ms ? held_back_now(&then, now) : 0;
}

/* One real's step; when its next one is due, or 0. */
static uint64_t step(struct real_run *run, uint64_t now)
{
	uint64_t elapsed = now - run->ramp_since_ms;

	if (!run->ramp_since_ms)
		return 0;
	if (held_back_now(run, now) != run->ramp_applied)
		weigh_changed(run);
	return run->ramp_since_ms ? now + slow_start_next_ms(elapsed, run->slow_start_ms) : 0;
}

static int on_step(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	uint64_t now = controller_now_ms(), next = 0;

	for (size_t v = 0; v < c->runs.n_vips; v++) {
		for (size_t r = 0; r < c->runs.vips[v].n_reals; r++) {
			uint64_t at = step(c->runs.vips[v].reals[r], now);

			next = at && (!next || at < next) ? at : next;
		}
	}
	if (next)
		wake_at(c, next);
	return 0;
}

int ramp_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_time(c->event, &c->ramps, CLOCK_MONOTONIC, 0, ACCURACY_US, on_step, c);

	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_enabled(c->ramps, SD_EVENT_OFF);
	return 0;
}

void ramp_stop(struct controller *c)
{
	c->ramps = sd_event_source_disable_unref(c->ramps);
}
