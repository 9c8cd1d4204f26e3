/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who hears of a probe: reals of VIPs that are the same target, probed the same way, share one. A
 * probe lives as long as somebody listens, so it outlives a reload that moves its listeners. News
 * reach all listeners before anything is logged.
 */
#include "health_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"

#define TABLE_MIN 64

/* ---- probes by target ----------------------------------------------------------------------- */

/* Stafford's Mix13: hosts of a subnet differ in the last bytes only. */
static uint32_t hash_of(const struct ip_addr *address, uint16_t port)
{
	uint64_t words[2], h;

	memcpy(words, address->b, sizeof(words));
	h = (words[0] * 0x9e3779b97f4a7c15ULL ^ words[1]) + port;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)(h ^ (h >> 31));
}

static void put(struct health *health, struct probe *probe)
{
	uint32_t h = hash_of(&probe->address, probe->port) & health->mask;

	LIST_INSERT_HEAD(&health->table[h], probe, entry);
}

/* A table that does not grow is slower, no more. */
static void grow(struct health *health)
{
	uint32_t n = health->mask + 1;
	struct probe_list *old = health->table;
	struct probe_list *table = calloc(2 * (size_t)n, sizeof(*table));
	struct probe *probe;

	if (!table)
		return;
	health->table = table;
	health->mask = 2 * n - 1;
	for (uint32_t i = 0; i < n; i++) {
		while ((probe = LIST_FIRST(&old[i]))) {
			LIST_REMOVE(probe, entry);
			put(health, probe);
		}
	}
	free(old);
}

static struct probe *find(const struct health *health, const struct ip_addr *address,
			  uint16_t vip_port, const struct health_spec *spec)
{
	struct health_spec wanted = *spec;
	struct probe *probe;

	wanted.port = spec->port ? spec->port : vip_port;
	LIST_FOREACH (probe, &health->table[hash_of(address, wanted.port) & health->mask], entry) {
		if (addr_equal(&probe->address, address) && probe->port == wanted.port &&
		    health_spec_equal(&probe->spec, &wanted))
			return probe;
	}
	return NULL;
}

static int make(struct health *health, const struct ip_addr *address, uint16_t vip_port,
		const struct health_spec *spec, const struct health_standing *initial,
		struct probe **ret_probe)
{
	struct probe *probe;
	int r = probe_new(health, address, spec->port ? spec->port : vip_port, spec, initial,
			  &probe);

	if (r < 0)
		return r;
	if (health->totals.targets > health->mask)
		grow(health);
	put(health, probe);
	health->totals.targets++;
	*ret_probe = probe;
	return 0;
}

static void drop_if_unheard(struct probe *probe)
{
	if (probe->is_telling || !LIST_EMPTY(&probe->listeners))
		return;
	LIST_REMOVE(probe, entry);
	probe->health->totals.targets--;
	probe_free(probe);
}

/* ---- news ----------------------------------------------------------------------------------- */

static bool standing_equal(const struct health_standing *a, const struct health_standing *b)
{
	return a->verdict == b->verdict && a->is_assumed == b->is_assumed &&
	       health_advice_equal(&a->advice, &b->advice);
}

static struct health_standing standing_of(const struct probe *probe)
{
	return (struct health_standing){.verdict = probe->state.verdict,
					.is_assumed = probe->state.is_assumed,
					.advice = probe->advice};
}

static void listener_free(struct health_listener *listener)
{
	if (listener->is_late)
		LIST_REMOVE(listener, late_entry);
	LIST_REMOVE(listener, entry);
	free(listener);
}

static void sweep(struct probe *probe)
{
	struct health_listener *listener, *next;

	for (listener = LIST_FIRST(&probe->listeners); listener; listener = next) {
		next = LIST_NEXT(listener, entry);
		if (listener->is_removed)
			listener_free(listener);
	}
	drop_if_unheard(probe);
}

void listeners_tell(struct probe *probe, const char *reason)
{
	const struct health_callbacks *callbacks = &probe->health->callbacks;
	struct health_standing now = standing_of(probe);
	struct health_news news = {.standing = now, .reason = reason};
	struct health_listener *listener;

	if (now.verdict == HEALTH_UNKNOWN)
		return;
	probe->is_telling = true;
	LIST_FOREACH (listener, &probe->listeners, entry) {
		listener->is_told = !standing_equal(&listener->known, &now);
		listener->was = listener->known;
		listener->known = now;
	}
	LIST_FOREACH (listener, &probe->listeners, entry) {
		if (listener->is_told && !listener->is_removed)
			callbacks->changed(listener->user, &news);
	}
	LIST_FOREACH (listener, &probe->listeners, entry) {
		news.was = listener->was;
		if (listener->is_told && !listener->is_removed)
			callbacks->say(listener->user, &news);
	}
	probe->is_telling = false;
	sweep(probe);
}

static const char *late_reason(const struct probe *probe)
{
	if (!probe->ops)
		return "not probed";
	return probe->has_result ? probe->last_text : "known from another VIP";
}

/* One at a time: telling may take any listener away. */
static int on_late(sd_event_source *source, void *user)
{
	struct health *health = user;
	struct health_listener *listener = LIST_FIRST(&health->late);

	if (!listener)
		return 0;
	LIST_REMOVE(listener, late_entry);
	listener->is_late = false;
	if (!LIST_EMPTY(&health->late))
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	listeners_tell(listener->probe, late_reason(listener->probe));
	return 0;
}

static void tell_later(struct health_listener *listener)
{
	struct health *health = listener->probe->health;

	listener->is_late = true;
	LIST_INSERT_HEAD(&health->late, listener, late_entry);
	sd_event_source_set_enabled(health->late_source, SD_EVENT_ONESHOT);
}

/* ---- listeners ------------------------------------------------------------------------------ */

int health_add(struct health *health, const struct ip_addr *address, uint16_t port,
	       const struct health_spec *spec, const struct health_standing *initial, void *user,
	       struct health_listener **ret_listener, struct err *err)
{
	struct health_listener *listener = calloc(1, sizeof(*listener));
	struct probe *probe = find(health, address, port, spec);
	struct health_standing now;
	char text[ADDR_TEXT_MAX];
	int r = listener ? 0 : -ENOMEM;

	if (!r && !probe)
		r = make(health, address, port, spec, initial, &probe);
	if (r) {
		free(listener);
		return err_errno(err, -r, "probe of %s", addr_format(address, text));
	}
	listener->probe = probe;
	listener->user = user;
	listener->known = *initial;
	LIST_INSERT_HEAD(&probe->listeners, listener, entry);
	probe->n_listeners++;
	now = standing_of(probe);
	if (now.verdict != HEALTH_UNKNOWN && !standing_equal(initial, &now))
		tell_later(listener);
	*ret_listener = listener;
	return 0;
}

void health_remove(struct health_listener *listener)
{
	struct probe *probe = listener ? listener->probe : NULL;

	if (!listener || listener->is_removed)
		return;
	probe->n_listeners--;
	listener->is_removed = true;
	if (probe->is_telling)
		return;
	listener_free(listener);
	drop_if_unheard(probe);
}

bool health_known(const struct health *health, const struct ip_addr *address, uint16_t port,
		  const struct health_spec *spec, struct health_standing *ret_standing)
{
	const struct probe *probe = find(health, address, port, spec);

	if (!probe || probe->state.verdict == HEALTH_UNKNOWN)
		return false;
	*ret_standing = standing_of(probe);
	return true;
}

void health_recall(struct health_listener *listener, const struct health_memory *memory)
{
	struct probe *probe = listener->probe;
	struct health_rules rules = health_rules_of(&probe->spec);

	if (!probe->ops || probe->has_result)
		return;
	probe->advice = memory->advice;
	probe->agent = memory->agent;
	health_state_recall(&probe->state, &memory->flaps, &rules, health_now_us() / 1000);
}

struct health_memory health_remember(const struct health_listener *listener)
{
	const struct probe *probe = listener->probe;
	struct health_rules rules = health_rules_of(&probe->spec);

	return (struct health_memory){
		.is_assumed = probe->state.is_assumed,
		.advice = probe->advice,
		.agent = probe->agent,
		.flaps = health_state_remember(&probe->state, &rules, health_now_us() / 1000),
	};
}

void health_read(const struct health_listener *listener, uint64_t now_ms,
		 struct snapshot_health *ret_health)
{
	const struct probe *probe = listener->probe;
	struct health_rules rules = health_rules_of(&probe->spec);
	struct snapshot_health h = {
		.target = probe->id,
		.shared_by = probe->n_listeners,
		.type = probe->spec.type,
		.via = probe->spec.via,
		.address = probe->address,
		.port = probe->port,
		.state = probe->state,
		.flaps = health_state_flaps(&probe->state, &rules, now_ms),
		.transitions = probe->transitions,
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

int listeners_start(struct health *health, struct err *err)
{
	int r;

	LIST_INIT(&health->late);
	health->table = calloc(TABLE_MIN, sizeof(*health->table));
	if (!health->table)
		return err_errno(err, ENOMEM, "health engine");
	health->mask = TABLE_MIN - 1;
	r = sd_event_add_defer(health->event, &health->late_source, on_late, health);
	if (r < 0)
		return err_errno(err, -r, "health engine");
	sd_event_source_set_enabled(health->late_source, SD_EVENT_OFF);
	return 0;
}

static void free_with_listeners(struct probe *probe)
{
	struct health_listener *listener, *next;

	for (listener = LIST_FIRST(&probe->listeners); listener; listener = next) {
		next = LIST_NEXT(listener, entry);
		free(listener);
	}
	probe_free(probe);
}

void listeners_stop(struct health *health)
{
	struct probe *probe, *next;

	for (uint32_t i = 0; health->table && i <= health->mask; i++) {
		for (probe = LIST_FIRST(&health->table[i]); probe; probe = next) {
			next = LIST_NEXT(probe, entry);
			free_with_listeners(probe);
		}
	}
	sd_event_source_disable_unref(health->late_source);
	free(health->table);
}
