/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine: see health.h. A probe is a timer that starts a check (check.h), hands its
 * outcome to health_state and arms itself anew: the next check begins an interval after this one
 * began, and never before this one has ended.
 */
#include "health_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/addr.h"
#include "log.h"

#define FIRST_SPREAD_MS 100
#define FIRST_GAP_US	100

uint64_t health_now_us(void)
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
	case HEALTH_TYPE_HTTPS:
		probe->ops = &check_http_ops;
		return 0;
	case HEALTH_TYPE_UDP:
		probe->ops = &check_udp_ops;
		return 0;
	case HEALTH_TYPE_DNS:
		probe->ops = &check_dns_ops;
		return 0;
	case HEALTH_TYPE_ICMP:
		probe->ops = &check_icmp_ops;
		return 0;
	case HEALTH_TYPE_SCRIPT:
		probe->ops = &check_script_ops;
		return 0;
	case HEALTH_TYPE_AGENT:
		probe->ops = &check_agent_ops;
		return 0;
	case HEALTH_TYPE_GRPC:
		probe->ops = &check_grpc_ops;
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

static void arm(struct probe *probe, uint64_t at_us)
{
	due_set(&probe->health->due, probe, at_us);
	probe->next_at_ms = at_us / 1000;
}

static void arm_next(struct probe *probe)
{
	const struct health_spec *spec = &probe->spec;
	uint64_t now = health_now_us();
	uint32_t interval_ms = health_state_is_undecided(&probe->state, now / 1000)
				       ? spec->fast_interval_ms
				       : spec->interval_ms;
	uint32_t wait_ms = health_next_ms(interval_ms, spec->jitter_percent,
					  next_random(probe->health));
	uint64_t at_us = probe->started_at_us + (uint64_t)wait_ms * 1000;

	arm(probe, at_us > now ? at_us : now);
}

struct health_rules health_rules_of(const struct health_spec *spec)
{
	return (struct health_rules){
		.rise = spec->rise,
		.fall = spec->fall,
		.hold_down_ms = spec->hold_down_ms,
		.hold_down_max_ms = spec->hold_down_max_ms,
	};
}

static void log_result(const struct probe *probe, enum check_outcome outcome)
{
	static const char *const outcomes[] = {"passed", "failed", "not_made"};
	char address[ADDR_TEXT_MAX];

	log_debug("probe real=%s outcome=%s reason=\"%s\" ms=%u",
		  addr_format_port(&probe->address, probe->port, address), outcomes[outcome],
		  probe->last_text, probe->last_duration_ms);
}

static void write_text(struct probe *probe, const struct check_result *result)
{
	bool is_tunnels = result->outcome == CHECK_FAILED && probe->tunnel;

	if (result->outcome == CHECK_NOT_MADE)
		snprintf(probe->last_text, CHECK_TEXT_MAX, "not probed: %s", result->text);
	else
		snprintf(probe->last_text, CHECK_TEXT_MAX, "%s%s", result->text,
			 is_tunnels ? " through the tunnel" : "");
}

static void count_result(struct probe *probe, const struct check_result *result, uint64_t now_ms)
{
	struct health_rules rules = health_rules_of(&probe->spec);

	if (result->is_decisive)
		rules.rise = rules.fall = 1;
	probe->probes++;
	probe->failures += result->outcome == CHECK_FAILED;
	probe->transitions += health_state_result(&probe->state, result->outcome == CHECK_PASSED,
						  &rules, now_ms);
	probe->advice = result->advice;
}

/* Takes a result in. The probe may be gone when this returns: a callback may remove it. */
static void take_result(struct probe *probe, const struct check_result *result)
{
	uint64_t now = health_now_us();

	probe->health->totals.under_way--;
	probe->health->totals.not_made += result->outcome == CHECK_NOT_MADE;
	probe->check = NULL;
	write_text(probe, result);
	probe->last_at_ms = now / 1000;
	probe->last_duration_ms = (uint32_t)((now - probe->started_at_us) / 1000);
	probe->last_ok = result->outcome == CHECK_PASSED;
	probe->has_result = true;
	log_result(probe, result->outcome);
	if (result->outcome != CHECK_NOT_MADE)
		count_result(probe, result, now / 1000);
	arm_next(probe);
	listeners_tell(probe, probe->last_text);
}

/*
 * Whatever a check says of which no packet left for the real is not the real's answer: while a
 * route changes, the socket's packets may go elsewhere, or this host may answer itself.
 */
static void on_done(void *user, const struct check_result *result)
{
	struct probe *probe = user;

	if (probe->tunnel && result->outcome != CHECK_NOT_MADE &&
	    tunnel_sent(probe->tunnel) == probe->sent)
		take_result(probe,
			    &(struct check_result){.outcome = CHECK_NOT_MADE,
						   .text = "nothing went through the tunnel"});
	else
		take_result(probe, result);
}

static int get_tunnel(struct probe *probe)
{
	struct health *health = probe->health;
	const struct health_spec *spec = &probe->spec;

	if (spec->via != VIA_TUNNEL || probe->tunnel)
		return 0;
	if (!health->tunnels)
		return -EOPNOTSUPP;
	return tunnels_get(health->tunnels, &spec->vip, &probe->address, spec->encap,
			   health_now_us() / 1000, &probe->tunnel);
}

static enum check_outcome prepare_mark(const struct probe *probe, char *text)
{
	struct err err;

	if (!probe->ops->prepare_mark ||
	    probe->ops->prepare_mark(&probe->health->checks, &err) == 0)
		return CHECK_PASSED;
	snprintf(text, CHECK_TEXT_MAX, "%.100s", err.text);
	return CHECK_NOT_MADE;
}

/* What becomes of the check if it cannot even begin; CHECK_PASSED: it can. */
static enum check_outcome aim(struct probe *probe, struct check_request *request, char *text)
{
	int err = get_tunnel(probe);
	const char *why;

	if (err < 0) {
		snprintf(text, CHECK_TEXT_MAX, "tunnel: %s", strerror(-err));
		return CHECK_NOT_MADE;
	}
	if (!probe->tunnel)
		return CHECK_PASSED;
	request->address = probe->spec.vip;
	request->mark = tunnel_mark(probe->tunnel);
	probe->sent = tunnel_sent(probe->tunnel);
	switch (tunnel_state(probe->tunnel, health_now_us() / 1000, &why)) {
	case TUNNEL_NOT_READY:
		snprintf(text, CHECK_TEXT_MAX, "%s", why);
		return CHECK_NOT_MADE;
	case TUNNEL_BROKEN:
		snprintf(text, CHECK_TEXT_MAX, "%s", why);
		return CHECK_FAILED;
	default:
		return prepare_mark(probe, text);
	}
}

static void start_check(struct probe *probe)
{
	struct health *health = probe->health;
	struct check_request request = {
		.address = probe->address,
		.port = probe->port,
		.real = probe->address,
		.spec = &probe->spec,
		.agent = &probe->agent,
		.done = on_done,
		.user = probe,
	};
	char text[CHECK_TEXT_MAX];
	struct check_result result = {.text = text};
	int err;

	probe->started_at_us = health_now_us();
	health->totals.started++;
	health->totals.under_way++;
	lateness_add(&health->lateness,
		     probe->started_at_us > probe->due_us ? probe->started_at_us - probe->due_us
							  : 0,
		     probe->started_at_us / 1000);
	result.outcome = aim(probe, &request, text);
	if (result.outcome == CHECK_PASSED) {
		err = probe->ops->start(&health->checks, &request, &probe->check);
		if (err == 0)
			return;
		check_say_not_begun(&probe->spec, -err, text);
		result.outcome = CHECK_NOT_MADE;
	}
	take_result(probe, &result);
}

void probe_begin(struct probe *probe)
{
	probe->next_at_ms = 0;
	start_check(probe);
}

/* Many that begin together are spread, so that none waits for the others' first results. */
static uint64_t first_time(struct health *health)
{
	uint64_t now = health_now_us();
	uint64_t spread = (uint64_t)next_random(health) * FIRST_SPREAD_MS * 1000 >> 32;
	uint64_t at = health->next_first_us > now ? health->next_first_us : now;

	health->next_first_us = at + FIRST_GAP_US;
	return at + spread;
}

static int probe_init(struct probe *probe, const struct health_spec *spec,
		      const struct health_standing *initial)
{
	struct health *health = probe->health;
	uint64_t now_ms = health_now_us() / 1000;
	int err;

	err = health_spec_copy(&probe->spec, spec);
	if (err < 0)
		return err;
	probe->spec.port = probe->port;
	err = set_ops(probe);
	if (err < 0)
		return err;
	if (!probe->ops) {
		health_state_init(&probe->state, HEALTH_UP, now_ms);
		return 0;
	}
	probe->advice = initial->advice;
	if (initial->is_assumed)
		health_state_assume_up(&probe->state, now_ms);
	else
		health_state_init(&probe->state, initial->verdict, now_ms);
	err = due_reserve(&health->due, health->totals.targets + 1);
	if (err < 0)
		return err;
	get_tunnel(probe); /* early, so that next hops are known at the first check, which tries
			      again */
	arm(probe, first_time(health));
	return 0;
}

int probe_new(struct health *health, const struct ip_addr *address, uint16_t port,
	      const struct health_spec *spec, const struct health_standing *initial,
	      struct probe **ret_probe)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	int r;

	if (!probe)
		return -ENOMEM;
	LIST_INIT(&probe->listeners);
	probe->health = health;
	probe->heap_index = NOT_DUE;
	probe->id = ++health->last_id;
	probe->address = *address;
	probe->port = port;
	r = probe_init(probe, spec, initial);
	if (r < 0) {
		probe_free(probe);
		return r;
	}
	*ret_probe = probe;
	return 0;
}

void probe_free(struct probe *probe)
{
	if (probe->check) {
		probe->health->totals.under_way--;
		probe->ops->cancel(probe->check);
	}
	tunnel_put(probe->tunnel);
	due_remove(&probe->health->due, probe);
	health_spec_clear(&probe->spec);
	free(probe);
}

struct snapshot_probes health_totals(const struct health *health)
{
	struct snapshot_probes totals = health->totals;

	totals.lateness = lateness_read(&health->lateness);
	return totals;
}

/* ---- the engine ---------------------------------------------------------------------------- */

int health_new(struct health **ret_health, sd_event *event,
	       const struct health_callbacks *callbacks, struct err *err)
{
	struct health *health = calloc(1, sizeof(*health));
	int ret;

	if (!health)
		return err_errno(err, ENOMEM, "health engine");
	health->event = sd_event_ref(event);
	health->callbacks = *callbacks;
	health->checks.event = event;
	if (getrandom(&health->random, sizeof(health->random), GRND_NONBLOCK) < 0)
		health->random = health_now_us();
	ret = due_start(&health->due, event);
	if (ret < 0)
		err_errno(err, -ret, "health engine");
	else
		ret = listeners_start(health, err);
	if (!ret)
		ret = check_curl_pool_new(&health->checks.curl, event, err);
	if (!ret)
		ret = check_icmp_pool_new(&health->checks.icmp, event, err);
	if (!ret)
		ret = check_script_pool_new(&health->checks.script, event, err);
	if (ret < 0) {
		health_free(health);
		return ret;
	}
	*ret_health = health;
	return 0;
}

int health_use_tunnels(struct health *health, struct tunnels *tunnels, const char *bpffs,
		       struct err *err)
{
	int r = check_script_pool_use_cgroups(health->checks.script, bpffs);

	if (r)
		return err_errno(err, -r, "cgroups of scripts");
	health->tunnels = tunnels;
	return 0;
}

void health_free(struct health *health)
{
	if (!health)
		return;
	listeners_stop(health);
	due_stop(&health->due);
	check_curl_pool_free(health->checks.curl);
	check_icmp_pool_free(health->checks.icmp);
	check_script_pool_free(health->checks.script);
	sd_event_unref(health->event);
	free(health);
}
