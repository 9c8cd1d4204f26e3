/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's state and its one writer: configuration, runtime changes and health come in, the
 * difference to what is applied is planned and applied. The API calls these functions; each returns
 * 0 or a negative errno with the reason in err, and has either done all of it or nothing.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "audit.h"
#include "lib/err.h"
#include "lib/snapshot.h"

struct controller;

struct controller_options {
	const char *config_file;
	const char *state_dir;
	/* All rings are built, or a scan of the flow table has ended; from the event loop. */
	void (*progressed)(void *user);
	void *user;
};

/* What a configuration change did, for the reply and the log. */
struct change_report {
	bool is_in_force; /* also beside an error: then not all of it could be applied */
	uint64_t generation;
	size_t vips_added, vips_removed, vips_changed;
	size_t reals_added, reals_removed, reals_changed;
	const struct text_list *warnings; /* of what is in force, until that changes; or NULL */
};

int controller_new(struct controller **ret_controller, sd_event *event,
		   const struct controller_options *options, struct err *err);
/* Whether program, links and maps are gone, by controller_detach(). */
bool controller_is_detached(const struct controller *controller);
/* Ends the daemon's part; the data plane goes on. */
void controller_free(struct controller *controller);

/* Who makes the changes that follow, for the audit log. */
void controller_act_as(struct controller *controller, const struct actor *who);
/* See audit_events(). */
json_t *controller_events(const struct controller *controller, uint64_t after, size_t limit);

/* Reads the configuration file again. */
int controller_reload(struct controller *controller, bool force, struct change_report *ret_report,
		      struct err *err);
/* Applies this YAML text; `name` stands for the file in messages. Holds until the next reload. */
int controller_apply_text(struct controller *controller, const char *name, const char *text,
			  size_t len, bool force, struct change_report *ret_report,
			  struct err *err);
/*
 * In force at once, in the rings when controller_has_rings() says so. ENOENT: no such VIP or real;
 * EEXIST: the real is removed. Recorded in the state directory.
 */
int controller_set_admin(struct controller *controller, const char *vip, const struct ip_addr *real,
			 enum admin_state admin, struct err *err);
/* What is not said is as the VIP's configuration has it. */
struct drain_request {
	bool has_timeout;
	uint32_t timeout_ms; /* 0: none */
	bool has_then;
	enum drain_rest then;
	bool disables; /* once it is drained */
	bool removes; /* the same; not both */
};

/* As controller_set_admin() with ADMIN_DRAIN. */
int controller_drain(struct controller *controller, const char *vip, const struct ip_addr *real,
		     const struct drain_request *request, struct err *err);
/*
 * Takes the real out of its VIP as a reload without it does, whatever `guard` says: its flows
 * finish, it gets no new ones. ENOENT, EEXIST as above. Recorded in the state directory for as long
 * as the file has it.
 */
int controller_remove_real(struct controller *controller, const char *vip,
			   const struct ip_addr *real, struct err *err);
/* Puts it back, enabled. ENOENT: the file does not have it; EEXIST: it is not removed. */
int controller_add_real(struct controller *controller, const char *vip, const struct ip_addr *real,
			struct err *err);
/*
 * Gives the VIP other pools: `pools` as in lib/pool_text.h, or "file"; of `pool`, one in place of
 * all that are no backups. It happens once a real of theirs has been proven up, those that nobody
 * knows are probed first; at once with force. controller_pools_result() then says what came of it.
 * Recorded in the state directory. ENOENT: no such VIP or pool; EBUSY: another switch is under way.
 */
int controller_set_pools(struct controller *controller, const char *vip, const char *pools,
			 bool is_one, bool force, uint64_t *ret_ticket, struct err *err);
/* 0: done, -EAGAIN: under way, -ECANCELED: refused, err says why. */
int controller_pools_result(const struct controller *controller, uint64_t ticket, struct err *err);
/* Whether every ring says what is wanted. */
bool controller_has_rings(const struct controller *controller);

/* Asks for a scan of the flow table that begins now or later; and whether it has ended. */
uint64_t controller_request_scan(struct controller *controller);
bool controller_has_scanned(const struct controller *controller, uint64_t request);

/* Removes program, links and pins; afterwards the daemon ends. */
int controller_detach(struct controller *controller, struct err *err);

/* Position of the VIP in the running configuration; SIZE_MAX: there is none of that name. */
size_t controller_find_vip(const struct controller *controller, const char *name);

/* And of a real of the VIP at that position. */
size_t controller_find_real(const struct controller *controller, size_t vip,
			    const struct ip_addr *address);
/* Whether the operator has removed it, or a reload has and it still has flows. */
bool controller_has_removed(const struct controller *controller, size_t vip,
			    const struct ip_addr *address);

/* A part of the state. What is beyond its end is left out. */
struct snapshot_scope {
	size_t first_vip, n_vips;
	size_t first_real, n_reals; /* of each of these VIPs; its totals are of these reals only */
	const struct ip_addr *removed; /* after them: this one; see controller_has_removed() */
	bool has_counters; /* packets, flows and next hops of reals: they cost most */
	bool has_totals; /* what is of no VIP: interfaces, verdicts, the flow table, probes */
};

extern const struct snapshot_scope snapshot_all;

/*
 * A copy of this part of the state now, flows as the last scan counted them. It takes some
 * microseconds for each real. Free: snapshot_free().
 */
int controller_snapshot(struct controller *controller, const struct snapshot_scope *scope,
			struct snapshot **ret_snapshot, struct err *err);
