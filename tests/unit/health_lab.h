/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The health engine in an event loop of its own, and what listeners have heard. */
#pragma once

#include <time.h>

#include "daemon/health.h"
#include "lib/addr.h"
#include "probe_server.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define TIMEOUT_MS    800
#define DEADLINE_MS   20000

struct seen {
	int changes;
	int said;
	enum health_verdict was;
	enum health_verdict verdict;
	struct health_advice advice;
	char reason[128];
};

struct lab {
	sd_event *event;
	struct health *health;
	sd_event_source *ticker;
	uint64_t ticked_at_ms;
	uint64_t waited_ms; /* waited_ms() at the last tick */
	uint64_t gap_ms; /* the ticker's widest, but for waits for a CPU */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* How long this process was ready to run and had no CPU. */
static uint64_t waited_ms(void)
{
	unsigned long long ran_ns, waited_ns = 0;
	FILE *f = fopen("/proc/self/schedstat", "re");

	if (f) {
		if (fscanf(f, "%llu %llu", &ran_ns, &waited_ns) != 2)
			waited_ns = 0;
		fclose(f);
	}
	return waited_ns / 1000000;
}

static void on_changed(void *user, const struct health_news *news)
{
	struct seen *seen = user;

	assert_non_null(seen);
	seen->changes++;
	seen->verdict = news->standing.verdict;
	seen->advice = news->standing.advice;
	snprintf(seen->reason, sizeof(seen->reason), "%s", news->reason);
}

static void on_said(void *user, const struct health_news *news)
{
	struct seen *seen = user;

	seen->said++;
	seen->was = news->was.verdict;
}

static const struct health_callbacks callbacks = {on_changed, on_said};

static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
	struct lab *lab = user;
	uint64_t now = now_ms(), waited = waited_ms();
	uint64_t gap = now - lab->ticked_at_ms, excused = waited - lab->waited_ms;

	if (gap > lab->gap_ms + excused)
		lab->gap_ms = gap - excused;
	lab->ticked_at_ms = now;
	lab->waited_ms = waited;
	sd_event_source_set_time_relative(source, 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void lab_open(struct lab *lab, const struct health_callbacks *calls)
{
	memset(lab, 0, sizeof(*lab));
	assert_true(sd_event_new(&lab->event) >= 0);
	assert_int_equal(health_new(&lab->health, lab->event, calls, NULL), 0);
	lab->ticked_at_ms = now_ms();
	lab->waited_ms = waited_ms();
	assert_true(sd_event_add_time_relative(lab->event, &lab->ticker, CLOCK_MONOTONIC, 1000, 1,
					       on_tick, lab) >= 0);
}

static void lab_close(struct lab *lab)
{
	health_free(lab->health);
	sd_event_source_disable_unref(lab->ticker);
	sd_event_unref(lab->event);
}

static void lab_turn(struct lab *lab)
{
	assert_true(sd_event_run(lab->event, 20000) >= 0);
}

/* Runs the loop until cond holds; fails after the deadline. */
#define lab_until(lab, cond)                                                                       \
	do {                                                                                       \
		uint64_t end = now_ms() + DEADLINE_MS;                                             \
		while (!(cond)) {                                                                  \
			if (now_ms() > end)                                                        \
				fail_msg("never: %s", #cond);                                      \
			lab_turn(lab);                                                             \
		}                                                                                  \
	} while (0)

static inline void lab_run_ms(struct lab *lab, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		lab_turn(lab);
}

static struct health_spec spec_of(enum health_type type)
{
	return (struct health_spec){
		.type = type,
		.interval_ms = 100,
		.fast_interval_ms = 100,
		.timeout_ms = TIMEOUT_MS,
		.fall = 3,
		.rise = 2,
		.jitter_percent = 10,
	};
}

static struct health_listener *add(struct lab *lab, const struct server *server,
				   const struct health_spec *spec, enum health_verdict initial,
				   struct seen *seen)
{
	struct health_standing known = {.verdict = initial};
	struct ip_addr address;
	struct health_listener *probe = NULL;
	struct err err;

	addr_parse(server->family == AF_INET6 ? "::1" : "127.0.0.1", &address);
	if (health_add(lab->health, &address, server->port, spec, &known, seen, &probe, &err) < 0)
		fail_msg("%s", err.text);
	return probe;
}

static struct snapshot_health reading(const struct health_listener *probe)
{
	struct snapshot_health h;

	health_read(probe, now_ms(), &h);
	return h;
}

static inline bool all_seen(const struct seen *seen, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (seen[i].changes == 0)
			return false;
	}
	return true;
}
