/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow-table scan: counts flows, ages out what is idle, lets ids be reused. A pass runs in
 * slices when the loop has nothing else to do, so that no probe waits for it.
 */
#include <time.h>

#include "controller_private.h"
#include "lib/member_load.h"
#include "log.h"

#define SLICE_BUCKETS 16384u /* 1 MiB: about a millisecond */
#define PASS_EVERY_MS 1000u
#define PASS_SHARE    20u /* a pass takes at most 1/20 of the time */

static void start_timer(struct scanner *s, uint64_t rest_ms)
{
	sd_event_source_set_time_relative(s->timer, rest_ms * 1000);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void finish_pass(struct controller *c)
{
	struct scanner *s = &c->scanner;
	struct flow_scan swap = s->done;
	uint64_t now = controller_now_ms();
	uint64_t rest_ms = (now - s->started_at_ms) * PASS_SHARE;

	s->done = s->current;
	s->current = swap;
	s->done_at_ms = now;
	s->ended = s->begun;
	member_load_end(dataplane_dp(c->dataplane), &s->done);
	apply_retire(c->applied, &s->done);
	controller_start_rings(c);
	sd_event_source_set_enabled(s->slice, SD_EVENT_OFF);
	if (rest_ms < PASS_EVERY_MS)
		rest_ms = PASS_EVERY_MS;
	start_timer(s, s->requested > s->ended ? 0 : rest_ms);
	drains_scanned(c);
	c->progressed(c->progressed_user);
}

static int begin_pass(struct controller *c)
{
	struct scanner *s = &c->scanner;
	int r = dataplane_read_jiffies(c->dataplane, &s->jiffies);

	s->begun++;
	if (r)
		return r;
	s->started_at_ms = controller_now_ms();
	s->next_bucket = 0;
	flow_scan_reset(&s->current);
	member_load_begin(dataplane_dp(c->dataplane));
	return 0;
}

static bool run_slice(struct controller *c)
{
	struct scanner *s = &c->scanner;
	const struct dp *dp = dataplane_dp(c->dataplane);
	uint32_t end = s->next_bucket + SLICE_BUCKETS;

	if (end > dp->control->flow_buckets)
		end = dp->control->flow_buckets;
	flow_scan_range(&s->current, dp, s->next_bucket, end, s->jiffies);
	s->next_bucket = end;
	return end == dp->control->flow_buckets;
}

static int on_slice(sd_event_source *source, void *user)
{
	struct controller *c = user;

	if (run_slice(c))
		finish_pass(c);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;

	if (begin_pass(c)) {
		log_error("cannot read the flow clock; flows are not counted");
		c->scanner.ended = c->scanner.begun;
		start_timer(&c->scanner, PASS_EVERY_MS);
		c->progressed(c->progressed_user);
		return 0;
	}
	sd_event_source_set_enabled(c->scanner.slice, SD_EVENT_ON);
	return 0;
}

int scanner_start(struct controller *c, struct err *err)
{
	struct scanner *s = &c->scanner;
	uint32_t n = dataplane_dp(c->dataplane)->control->members;
	int r = flow_scan_init(&s->done, n);

	r = r ? r : flow_scan_init(&s->current, n);
	if (!r)
		r = sd_event_add_defer(c->event, &s->slice, on_slice, c);
	if (r >= 0) {
		sd_event_source_set_priority(s->slice, SD_EVENT_PRIORITY_IDLE);
		sd_event_source_set_enabled(s->slice, SD_EVENT_OFF);
		r = sd_event_add_time_relative(c->event, &s->timer, CLOCK_MONOTONIC, 0, 10000,
					       on_timer, c);
	}
	return r < 0 ? err_errno(err, -r, "flow-table scan") : 0;
}

void scanner_stop(struct controller *c)
{
	struct scanner *s = &c->scanner;

	sd_event_source_disable_unref(s->slice);
	sd_event_source_disable_unref(s->timer);
	flow_scan_free(&s->done);
	flow_scan_free(&s->current);
	c->scanner = (struct scanner){};
}

uint64_t controller_request_scan(struct controller *controller)
{
	struct scanner *s = &controller->scanner;

	s->requested = s->begun + 1;
	if (s->begun == s->ended)
		start_timer(s, 0);
	return s->requested;
}

bool controller_has_scanned(const struct controller *controller, uint64_t request)
{
	return controller->scanner.ended >= request;
}
