/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The health engine: one probe per real of a VIP, run from the event loop, never blocking. It
 * counts results with health_state and calls back when a verdict changes; what follows from it is
 * decided by the controller, the only place where a real's state changes.
 */
#pragma once

#include <systemd/sd-event.h>

#include "lib/err.h"
#include "lib/model.h"
#include "lib/snapshot.h"

struct health;
struct probe;

/* Verdict or advice changed. reason: why, for the log ("connect_timeout", "status 503", ...). */
typedef void (*health_changed_fn)(void *user, struct probe *probe,
				  const struct health_standing *standing, const char *reason);

int health_new(struct health **ret_health, sd_event *event, health_changed_fn changed,
	       struct err *err);
/* Removes all probes. Not from inside the callback. */
void health_free(struct health *health);

/*
 * Starts probing address:port as spec says (spec is copied; spec->port 0 means `port`). The first
 * probe starts at once, spread over at most 100 ms. `initial` is what was known before (restart,
 * reload).
 *
 * `user` is handed to the callback. HEALTH_TYPE_NONE: up, told from the event loop, unless
 * `initial` is that already. A probe that could not be made for want of something of our own
 * (descriptors, memory) says so in the snapshot's last_text and counts for nothing.
 */
int health_add(struct health *health, const struct ip_addr *address, uint16_t port,
	       const struct health_spec *spec, const struct health_standing *initial, void *user,
	       struct probe **ret_probe, struct err *err);
/* Cancels a probe that is under way; NULL-safe. May be called from inside the callback. */
void health_remove(struct probe *probe);

/* next_at_ms is 0 while a probe is under way. */
void health_read(const struct probe *probe, struct snapshot_health *ret_health);
