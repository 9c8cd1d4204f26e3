/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine's parts: health.c (probes: what follows from a result), health_due.c (when),
 * health_listeners.c (who hears of it). Nobody else includes this.
 */
#pragma once

#include <sys/queue.h>

#include "check.h"
#include "health.h"
#include "lib/lateness.h"
#include "tunnels.h"

/* A real of a VIP, on the probe that it may share with others. */
struct health_listener {
	LIST_ENTRY(health_listener) entry; /* the probe's */
	LIST_ENTRY(health_listener) late_entry; /* health->late */
	struct probe *probe;
	void *user;
	struct health_standing known; /* what it was told last */
	struct health_standing was; /* before the news that go round */
	bool is_told; /* while news go round: it gets some */
	bool is_late; /* to be told from the event loop what was known before it came */
	bool is_removed; /* while news went round */
};

LIST_HEAD(listener_list, health_listener);
LIST_HEAD(probe_list, probe);

#define NOT_DUE SIZE_MAX

/* Probes by the time of their next check; those under way are not in it. */
struct due {
	struct probe **heap;
	size_t n;
	size_t room;
	sd_event_source *timer;
	bool is_starting; /* the timer is set afterwards */
};

struct health {
	sd_event *event;
	struct check_context checks;
	struct health_callbacks callbacks;
	struct tunnels *tunnels; /* NULL: there are none */
	uint64_t random;
	uint64_t last_id;
	uint64_t next_first_us; /* no new probe begins earlier */
	struct probe_list *table; /* by hash of address and port */
	uint32_t mask; /* of the hash; the table has one more */
	struct due due;
	struct snapshot_probes totals; /* without the lateness's summary */
	struct lateness lateness;
	struct listener_list late;
	sd_event_source *late_source;
};

/* One target: an address, a port and how it is probed. */
struct probe {
	LIST_ENTRY(probe) entry; /* health->table */
	struct health *health;
	struct listener_list listeners;
	uint32_t n_listeners;
	bool is_telling; /* listeners that go now go afterwards */
	uint64_t id; /* for people */
	struct ip_addr address;
	uint16_t port;
	struct health_spec spec;
	const struct check_ops *ops; /* NULL: never probed, always up */
	struct tunnel *tunnel; /* with VIA_TUNNEL; NULL: it could not be had yet */
	uint64_t sent; /* through it, when the check began */
	struct check *check; /* under way, or NULL */
	size_t heap_index; /* in health->due, or NOT_DUE */
	struct health_state state;
	struct health_advice advice;
	struct agent_state agent;
	uint64_t started_at_us; /* the last check */
	uint64_t due_us; /* the next check, or the one under way */
	uint64_t next_at_ms;
	bool has_result;
	bool last_ok;
	char last_text[CHECK_TEXT_MAX];
	uint32_t last_duration_ms;
	uint64_t last_at_ms;
	uint64_t probes;
	uint64_t failures;
	uint64_t transitions; /* of the verdict */
};

/* health.c */
/* port is what is probed, spec->port or the VIP's. */
int probe_new(struct health *health, const struct ip_addr *address, uint16_t port,
	      const struct health_spec *spec, const struct health_standing *initial,
	      struct probe **ret_probe);
/* Cancels a check that is under way. It has no listeners and is in no table. */
void probe_free(struct probe *probe);

/* Starts the check that is due. The probe may be gone when this returns. */
void probe_begin(struct probe *probe);
uint64_t health_now_us(void);

/* health_due.c */
int due_start(struct due *due, sd_event *event);
void due_stop(struct due *due);
/* Makes room for n probes; -ENOMEM. */
int due_reserve(struct due *due, size_t n);
void due_set(struct due *due, struct probe *probe, uint64_t at_us);
void due_remove(struct due *due, struct probe *probe);

/* health_listeners.c */
int listeners_start(struct health *health, struct err *err);
void listeners_stop(struct health *health);
/* Tells all who do not know it yet. The probe may be gone when this returns. */
void listeners_tell(struct probe *probe, const char *reason);
