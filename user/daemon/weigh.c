/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a VIP's reals get when one of them changed. A verdict may be about a real of many VIPs, so
 * the words of those that are down are written first; what follows for all reals of each VIP (who
 * takes over, with which weight) is worked out once, when everything at hand has been heard.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "log.h"

#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 5) /* after probes and requests, before the rings */

static bool is_same(const struct desired_member *a, const struct desired_member *b)
{
	return a->state == b->state && a->ring_weight == b->ring_weight && a->weight == b->weight;
}

static void apply_run(struct real_run *run, const struct desired_member *want)
{
	char text[ADDR_TEXT_MAX];

	if (is_same(&run->want, want))
		return;
	run->want = *want;
	/* Not applied: an earlier plan failed half-way, and said so. */
	if (apply_member(run->controller->applied, &run->key, want, run->position))
		log_warning("real changed but is not in the data plane vip=%s real=%s", run->vip,
			    addr_format(&run->spec.address, text));
}

static int weigh_vip(struct controller *c, size_t v)
{
	const struct vip_spec *spec = &c->config->vips[v];
	struct vip_run *vip = &c->runs.vips[v];
	struct real_input *inputs = calloc(vip->n_reals + 1, sizeof(*inputs));
	struct desired_member *members = calloc(vip->n_reals + 1, sizeof(*members));
	struct vip_standing standing;
	int r = inputs && members ? 0 : -ENOMEM;

	if (!r) {
		for (size_t i = 0; i < vip->n_reals; i++)
			inputs[i] = run_input(vip->reals[i]);
		effective_members(spec, inputs, members, &standing);
		for (size_t i = 0; i < vip->n_reals; i++)
			apply_run(vip->reals[i], &members[i]);
		vip->is_stale = false;
		standing_changed(c, vip, spec->name, &standing);
	}
	free(inputs);
	free(members);
	return r;
}

/* What there is no memory for is tried again: the source stays enabled. */
static int on_weigh(sd_event_source *source, void *user)
{
	struct controller *c = user;
	int r = 0;

	for (size_t v = 0; v < c->runs.n_vips && !r; v++) {
		if (c->runs.vips[v].is_stale)
			r = weigh_vip(c, v);
	}
	if (r)
		log_error("cannot weigh reals error=\"%s\"", strerror(-r));
	else
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	controller_start_rings(c);
	return 0;
}

/* Down, but maybe used all the same: until that is worked out its flows are left alone. */
static bool may_stay_in_use(const struct real_run *run)
{
	const struct vip_spec *vip = &run->controller->config->vips[run->vip_position];

	return run->admin == ADMIN_ENABLED && effective_may_ignore_health(vip);
}

void weigh_changed(struct real_run *run)
{
	struct controller *c = run->controller;
	struct desired_member alone = effective_member(&run->spec, run_input(run));

	ramp_update(run);
	if ((alone.state & MEMBER_STATE_MASK) == MEMBER_DOWN && !may_stay_in_use(run))
		apply_run(run, &alone);
	c->runs.vips[run->vip_position].is_stale = true;
	sd_event_source_set_enabled(c->weigh, SD_EVENT_ON);
	controller_start_rings(c);
}

int weigh_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_defer(c->event, &c->weigh, on_weigh, c);

	if (r < 0)
		return err_errno(err, -r, "event loop");
	sd_event_source_set_priority(c->weigh, PRIORITY);
	sd_event_source_set_enabled(c->weigh, SD_EVENT_OFF);
	return 0;
}

void weigh_stop(struct controller *c)
{
	c->weigh = sd_event_source_disable_unref(c->weigh);
}
