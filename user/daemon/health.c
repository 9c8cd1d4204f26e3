/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine: see health.h. A probe is a timer that starts a check (check.h), hands its
 * outcome to health_state and arms itself anew: the next check begins an interval after this one
 * began, and never before this one has ended.
 */
#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>

#include "check.h"
#include "lib/addr.h"
#include "log.h"

#define ACCURACY_US	1000
#define FIRST_SPREAD_MS 100

struct health {
	sd_event *event;
	struct check_context checks;
	health_changed_fn changed;
	uint64_t random;
	LIST_HEAD(, probe) probes;
};

struct probe {
	LIST_ENTRY(probe) entry;
	struct health *health;
	struct ip_addr address;
	uint16_t port;
	struct health_spec spec;
	const struct check_ops *ops; /* NULL: never probed, always up */
	struct check *check; /* under way, or NULL */
	sd_event_source *timer;
	struct health_state state;
	struct health_advice advice;
	uint64_t started_at_us; /* the last check */
	uint64_t next_at_ms;
	bool has_result;
	bool last_ok;
	char last_text[CHECK_TEXT_MAX];
	uint32_t last_duration_ms;
	uint64_t last_at_ms;
	uint64_t probes;
	uint64_t failures;
	void *user;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* splitmix64: jitter needs to be spread, not secret. */
static uint32_t next_random(struct health *health)
{
	uint64_t h = health->random += 0x9e3779b97f4a7c15ULL;

	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)(h >> 32);
}

static int set_ops(struct probe *probe)
{
	switch (probe->spec.type) {
	case HEALTH_TYPE_TCP:
		probe->ops = &check_tcp_ops;
		return 0;
	case HEALTH_TYPE_HTTP:
		probe->ops = &check_http_ops;
		return 0;
	case HEALTH_TYPE_UDP:
		probe->ops = &check_udp_ops;
		return 0;
	case HEALTH_TYPE_DNS:
		probe->ops = &check_dns_ops;
		return 0;
	case HEALTH_TYPE_NONE:
		probe->ops = NULL;
		return 0;
	default:
		break;
	}
	return -EINVAL;
}

/* ---- one probe ----------------------------------------------------------------------------- */

/* Setting a timer that exists only fails for a bug: the probe would stop, so it is said. */
static void arm(struct probe *probe, uint64_t at_us)
{
	int err = sd_event_source_set_time(probe->timer, at_us);

	if (err >= 0)
		err = sd_event_source_set_enabled(probe->timer, SD_EVENT_ONESHOT);
	if (err < 0)
		log_error("probe timer: %s", strerror(-err));
	probe->next_at_ms = at_us / 1000;
}

static void arm_next(struct probe *probe)
{
	uint32_t wait_ms = health_next_ms(probe->spec.interval_ms, probe->spec.jitter_percent,
					  next_random(probe->health));
	uint64_t at_us = probe->started_at_us + (uint64_t)wait_ms * 1000;
	uint64_t now = now_us();

	arm(probe, at_us > now ? at_us : now);
}

static void log_result(const struct probe *probe, enum check_outcome outcome)
{
	static const char *const outcomes[] = {"passed", "failed", "not_made"};
	char address[ADDR_TEXT_MAX];

	log_debug("probe real=%s outcome=%s reason=\"%s\" ms=%u",
		  addr_format_port(&probe->address, probe->port, address), outcomes[outcome],
		  probe->last_text, probe->last_duration_ms);
}

/* The probe may be gone when this returns. */
static void tell(struct probe *probe, const char *reason)
{
	struct health_standing standing = {.verdict = probe->state.verdict,
					   .advice = probe->advice};

	probe->health->changed(probe->user, probe, &standing, reason);
}

/* Takes a result in. The probe may be gone when this returns: the callback may remove it. */
static void take_result(struct probe *probe, const struct check_result *result)
{
	char reason[CHECK_TEXT_MAX];
	uint64_t now = now_us();
	bool is_changed;

	probe->check = NULL;
	snprintf(reason, sizeof(reason), "%s", result->text);
	memcpy(probe->last_text, reason, sizeof(reason));
	probe->last_at_ms = now / 1000;
	probe->last_duration_ms = (uint32_t)((now - probe->started_at_us) / 1000);
	probe->last_ok = result->outcome == CHECK_PASSED;
	probe->has_result = true;
	log_result(probe, result->outcome);
	arm_next(probe);
	if (result->outcome == CHECK_NOT_MADE)
		return;
	probe->probes++;
	probe->failures += result->outcome == CHECK_FAILED;
	is_changed = health_state_result(&probe->state, result->outcome == CHECK_PASSED,
					 probe->spec.rise, probe->spec.fall, now / 1000);
	is_changed |= !health_advice_equal(&probe->advice, &result->advice);
	probe->advice = result->advice;
	if (is_changed)
		tell(probe, reason);
}

static void on_done(void *user, const struct check_result *result)
{
	take_result(user, result);
}

static void start_check(struct probe *probe)
{
	struct check_request request = {
		.address = probe->address,
		.port = probe->port,
		.spec = &probe->spec,
		.done = on_done,
		.user = probe,
	};
	struct check_result result = {.outcome = CHECK_NOT_MADE};
	char text[CHECK_TEXT_MAX];
	int err;

	probe->started_at_us = now_us();
	err = probe->ops->start(&probe->health->checks, &request, &probe->check);
	if (err < 0) {
		snprintf(text, sizeof(text), "not probed: %s", strerror(-err));
		result.text = text;
		take_result(probe, &result);
	}
}

static int on_probe_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct probe *probe = user;

	probe->next_at_ms = 0;
	if (probe->ops) {
		start_check(probe);
	} else if (probe->state.verdict != HEALTH_UP ||
		   !health_advice_equal(&probe->advice, &(struct health_advice){})) {
		probe->advice = (struct health_advice){};
		health_state_init(&probe->state, HEALTH_UP, now_us() / 1000);
		tell(probe, "not probed");
	}
	return 0;
}

static int probe_init(struct probe *probe, const struct health_spec *spec,
		      const struct health_standing *initial)
{
	struct health *health = probe->health;
	uint64_t wait_us = (uint64_t)next_random(health) * FIRST_SPREAD_MS * 1000 >> 32;
	int err;

	err = health_spec_copy(&probe->spec, spec);
	if (err < 0)
		return err;
	if (probe->spec.port)
		probe->port = probe->spec.port;
	err = set_ops(probe);
	if (err < 0)
		return err;
	probe->advice = initial->advice;
	health_state_init(&probe->state, initial->verdict, now_us() / 1000);
	err = sd_event_add_time(health->event, &probe->timer, CLOCK_MONOTONIC, 0, ACCURACY_US,
				on_probe_time, probe);
	if (err < 0)
		return err;
	arm(probe, now_us() + (probe->ops ? wait_us : 0));
	return 0;
}

int health_add(struct health *health, const struct ip_addr *address, uint16_t port,
	       const struct health_spec *spec, const struct health_standing *initial, void *user,
	       struct probe **ret_probe, struct err *err)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	char text[ADDR_TEXT_MAX];
	int ret;

	if (!probe)
		return err_errno(err, ENOMEM, "probe");
	probe->health = health;
	probe->address = *address;
	probe->port = port;
	probe->user = user;
	LIST_INSERT_HEAD(&health->probes, probe, entry);
	ret = probe_init(probe, spec, initial);
	if (ret < 0) {
		health_remove(probe);
		return err_errno(err, -ret, "probe of %s", addr_format(address, text));
	}
	*ret_probe = probe;
	return 0;
}

void health_remove(struct probe *probe)
{
	if (!probe)
		return;
	if (probe->check)
		probe->ops->cancel(probe->check);
	sd_event_source_disable_unref(probe->timer);
	LIST_REMOVE(probe, entry);
	health_spec_clear(&probe->spec);
	free(probe);
}

void health_read(const struct probe *probe, struct snapshot_health *ret_health)
{
	struct snapshot_health h = {
		.type = probe->spec.type,
		.address = probe->address,
		.port = probe->port,
		.state = probe->state,
		.has_result = probe->has_result,
		.last_ok = probe->last_ok,
		.last_duration_ms = probe->last_duration_ms,
		.last_at_ms = probe->last_at_ms,
		.next_at_ms = probe->next_at_ms,
		.probes = probe->probes,
		.probe_failures = probe->failures,
	};

	_Static_assert(sizeof(h.last_text) == sizeof(probe->last_text), "a text is copied whole");
	memcpy(h.last_text, probe->last_text, sizeof(h.last_text));
	*ret_health = h;
}

/* ---- the engine ---------------------------------------------------------------------------- */

int health_new(struct health **ret_health, sd_event *event, health_changed_fn changed,
	       struct err *err)
{
	struct health *health = calloc(1, sizeof(*health));
	int ret;

	if (!health)
		return err_errno(err, ENOMEM, "health engine");
	LIST_INIT(&health->probes);
	health->event = sd_event_ref(event);
	health->changed = changed;
	health->checks.event = event;
	if (getrandom(&health->random, sizeof(health->random), GRND_NONBLOCK) < 0)
		health->random = now_us();
	ret = check_curl_pool_new(&health->checks.curl, event, err);
	if (ret < 0) {
		health_free(health);
		return ret;
	}
	*ret_health = health;
	return 0;
}

void health_free(struct health *health)
{
	struct probe *probe, *next;

	if (!health)
		return;
	for (probe = LIST_FIRST(&health->probes); probe; probe = next) {
		next = LIST_NEXT(probe, entry);
		health_remove(probe);
	}
	check_curl_pool_free(health->checks.curl);
	sd_event_unref(health->event);
	free(health);
}
