/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine: one probe per target and way of probing it, run from the event loop, never
 * blocking. Every real of every VIP that is this target listens to it. The engine counts results
 * with health_state and says when a verdict changes; what follows is decided by the controller,
 * the only place where a real's state changes.
 */
#pragma once

#include <systemd/sd-event.h>

#include "lib/err.h"
#include "lib/model.h"
#include "lib/remembered.h"
#include "lib/snapshot.h"

struct health;
struct health_listener; /* one real of one VIP */
struct tunnels; /* tunnels.h */

struct health_news {
	struct health_standing standing;
	struct health_standing was; /* only for say() */
	const char *reason; /* for the log: "connect_timeout", "status 503", ... */
};

/* Verdict or advice changed. Every listener of the target hears the one before any the other. */
struct health_callbacks {
	void (*changed)(void *user, const struct health_news *news); /* what packets depend on */
	void (*say)(void *user, const struct health_news *news); /* the log */
};

int health_new(struct health **ret_health, sd_event *event,
	       const struct health_callbacks *callbacks, struct err *err);
/* For probes with VIA_TUNNEL, which are not made before. */
int health_use_tunnels(struct health *health, struct tunnels *tunnels, const char *bpffs,
		       struct err *err);
/* Removes all probes. Not from inside a callback. */
void health_free(struct health *health);

/*
 * Listens to the probe of address:port as spec says (spec->port 0 means `port`), and begins it if
 * nobody did: spec is copied, the first check follows within 100 ms, or 100 us after that of the
 * probe that began before, if that is later. `initial` is what was known before (restart, reload).
 * What is proven already and differs is told from the event loop. HEALTH_TYPE_NONE is up.
 *
 * A check that could not be made for want of something of our own (descriptors, memory) says so in
 * the snapshot's last_text and counts for nothing. `user` is handed to the callbacks.
 */
int health_add(struct health *health, const struct ip_addr *address, uint16_t port,
	       const struct health_spec *spec, const struct health_standing *initial, void *user,
	       struct health_listener **ret_listener, struct err *err);
/* The last listener ends the probe, also one under way; NULL-safe; allowed inside a callback. */
void health_remove(struct health_listener *listener);

/*
 * What an earlier daemon knew of the target, on top of what health_add() was told; nothing once it
 * was probed. All listeners of a target are expected to recall the same.
 */
void health_recall(struct health_listener *listener, const struct health_memory *memory);
/* What another daemon may want to recall. */
struct health_memory health_remember(const struct health_listener *listener);
struct health_rules health_rules_of(const struct health_spec *spec);

/* What is proven of a target that somebody listens to; false: nothing. */
bool health_known(const struct health *health, const struct ip_addr *address, uint16_t port,
		  const struct health_spec *spec, struct health_standing *ret_standing);

/* next_at_ms is 0 while a check is under way. */
void health_read(const struct health_listener *listener, uint64_t now_ms,
		 struct snapshot_health *ret_health);
struct snapshot_probes health_totals(const struct health *health);
