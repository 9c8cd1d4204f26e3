/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The controller's parts: controller.c (lifecycle), change.c (a new configuration), runs.c (a
 * running real: verdict, operator state), drains.c (how reals empty), removals.c (reals taken out
 * of their VIP), weigh.c (what a VIP's reals get when one of them changed), remember.c (what the
 * next daemon should know), scanner.c (flow table), ways_out.c (next hops), attachments.c (the
 * program on interfaces), controller_view.c (snapshots). Nobody else includes this.
 */
#pragma once

#include "controller.h"
#include "health.h"
#include "lib/apply.h"
#include "lib/dataplane.h"
#include "lib/remembered.h"
#include "neigh.h"
#include "runtime.h"
#include "tunnels.h"

/* One real of one VIP while the daemon runs. */
struct real_run {
	struct controller *controller;
	char *vip; /* the VIP's name, for the log */
	struct vip_key key; /* the VIP's */
	struct real_spec spec; /* in the running configuration */
	size_t vip_position; /* of the VIP there */
	size_t position; /* of spec among the VIP's reals there */
	struct desired_member want; /* as it was last applied */
	enum admin_state admin;
	uint64_t admin_since_ms; /* CLOCK_REALTIME; 0: not known */
	struct drain drain;
	bool is_drain_over; /* its deadline has passed */
	bool is_drained; /* and said so */
	uint64_t drain_scan; /* flows counted by earlier passes than this may not be all it has */
	bool resets_when_down; /* the VIP's on_down */
	struct circuit circuit;
	uint32_t trial_percent; /* of its weight, while the circuit is half-open */
	uint32_t sampled_id; /* member that the two below are of */
	uint64_t sampled_flows, sampled_repeated;
	enum health_verdict health;
	bool is_assumed; /* up, but never proven */
	bool is_returning; /* see struct real_input */
	struct health_advice advice;
	uint64_t health_since_ms;
	char reason[128]; /* of verdict and advice; empty: none was told yet */
	uint64_t reason_since_ms; /* when one of both last changed */
	uint64_t transitions; /* of the verdict */
	uint64_t was_for_ms; /* how long the verdict before had held */
	struct health_listener *listener;
	bool is_watched; /* its next hop is followed */
	bool is_remembered; /* there is something of it in the file for the next daemon */
	uint32_t slow_start_ms; /* the VIP's */
	bool has_pool_weight; /* its pool gets new flows */
	bool gets_flows; /* could get new flows when last looked at, were it alone */
	bool starts_slowly; /* when it next begins to */
	uint64_t ramp_since_ms; /* slow start is under way; 0: it is not */
	uint32_t ramp_applied; /* percentage held back as of the last look */
	bool is_kept; /* while a new configuration takes over: it goes on */
};

/* Runs of one VIP, in the order of its spec's reals. */
struct vip_run {
	struct real_run **reals;
	size_t n_reals;
	uint64_t ejection_next_ms; /* of the next look at its circuits; 0: none yet */
	bool is_stale; /* what its reals get is to be worked out anew */
	struct vip_standing standing;
	uint64_t state_since_ms; /* its state; at most since the daemon's start */
	enum vip_condition reported; /* the state in the log */
	bool is_alarmed; /* fewer reals are up than min_healthy says, and the log says so */
	uint64_t alarms;
	uint8_t reported_level; /* of backups, the last that serves as the log says; 0: none */
	bool reported_alone; /* without primaries */
	uint64_t joins; /* how often a level joined */
};

struct runs {
	struct vip_run *vips; /* in the order of the configuration's VIPs */
	size_t n_vips;
};

/* The flow-table scan, a slice at a time. */
struct scanner {
	sd_event_source *timer; /* starts a pass */
	sd_event_source *slice; /* runs while a pass is under way */
	struct flow_scan done; /* the last complete pass */
	struct flow_scan current;
	uint32_t next_bucket;
	uint64_t jiffies; /* at the start of the pass */
	uint64_t done_at_ms;
	uint64_t started_at_ms;
	uint64_t begun, ended; /* passes */
	uint64_t requested; /* a pass of this number is waited for */
};

struct controller {
	sd_event *event;
	char *config_file;
	struct config *config;
	struct runs runs;
	struct runtime *runtime;
	struct remember *remember;
	struct audit *audit;
	struct actor actor; /* who makes the changes */
	struct grace *grace;
	struct dataplane *dataplane;
	struct dataplane_knobs knobs;
	struct applied *applied;
	struct neigh *neigh;
	struct health *health;
	struct tunnels *tunnels;
	struct scanner scanner;
	sd_event_source *drains; /* at the next deadline */
	sd_event_source *removals; /* removes a drained real, one an iteration */
	sd_event_source *ramps; /* the next step of a slow start */
	struct pool_switch *pool_switch;
	sd_event_source *ejections; /* looks at VIPs whose interval has passed */
	sd_event_source *weigh; /* works stale VIPs out; before the rings */
	sd_event_source *rings; /* builds stale rings, one an iteration */
	bool has_rings; /* none is stale */
	void (*progressed)(void *user);
	void *progressed_user;
	sd_event_source *grace_io;
	sd_event_source *attachments; /* looks whether the program is where it should be */
	bool has_lost_pins; /* it is not, and cannot be put there; said in the log */
	uint64_t generation;
	uint64_t started_at_ms;
	bool is_detached;
	int state_lock_fd;
};

uint64_t controller_now_ms(void);

/* runs.c */
/* Runs for a new configuration; takes over what goes on (same VIP name, a port shared, same real)
 * by reference. */
int runs_make(struct controller *c, const struct config *config, struct runs *ret_runs);
/* Frees runs that were only made for `fresh` and not taken into use. */
void runs_discard(struct runs *fresh, const struct runs *used);
/* `fresh` takes over from c->runs: probes and watches start, go on or end. `desired` is applied. */
int runs_commit(struct controller *c, const struct desired *desired, struct runs *fresh,
		struct err *err);
void runs_free(struct runs *runs);
struct real_input runs_input(void *user, size_t vip, size_t real);
/* What is known of one. */
struct real_input run_input(const struct real_run *run);
struct runs_lookup {
	const struct runs *runs;
	const struct config *config; /* that they are for */
};
extern const struct health_callbacks runs_health_callbacks;

/* standing.c */
/* How the VIP does now; the log tells it, once per change. */
void standing_changed(struct controller *c, struct vip_run *vip, const char *name,
		      const struct vip_standing *standing);

/* weigh.c */
int weigh_start(struct controller *c, struct err *err);
void weigh_stop(struct controller *c);
/*
 * Something about the real changed. If it is down now, its member says so when this returns; what
 * its VIP's reals get follows in the event loop's next turn, then the ring.
 */
void weigh_changed(struct real_run *run);

/* drains.c */
int drains_start(struct controller *c, struct err *err);
void drains_stop(struct controller *c);
/* What the operator said of the real, now or before this daemon's start. */
void drain_take(struct real_run *run, const struct admin_order *order);
/* What becomes of its flows now. */
enum drain_rest drain_rest_now(const struct real_run *run);
/* Whether flows may be left at a real that is drained. */
bool drain_has_flows(const struct real_run *run);
/* Waits for the first deadline of all; after some changed. */
void drains_wait(struct controller *c);
/* A pass over the flow table has ended. */
void drains_scanned(struct controller *c);
/* That it has, as the last pass counted them. */
uint64_t drain_flows(const struct real_run *run);
extern const struct actor actor_drain;

/* removals.c */
int removals_start(struct controller *c, struct err *err);
void removals_stop(struct controller *c);
/* Some that are to be removed are drained. What the caller iterates over stays as it is. */
void removals_wait(struct controller *c);
/* Takes the reals that the operator removed out of a configuration that is to come in force. */
void removals_restore(const struct controller *c, struct config *config);
/* Says which reals are in the file and not in their VIP. */
void removals_say(const struct controller *c);
/* Forgets those that the file has no longer. */
void removals_forget(struct controller *c);

/* ejections.c */
int ejections_start(struct controller *c, struct err *err);
void ejections_stop(struct controller *c);
/* After a configuration was put in force. */
void ejections_follow(struct controller *c);

/* controller.c */
/* -ENOENT: no such VIP or real; -EEXIST: the real is removed. */
int controller_find_run(const struct controller *c, const char *vip, const struct ip_addr *real,
			struct real_run **ret_run, struct err *err);
extern const struct actor actor_health;
/* A change to a real, into the audit log; `extra` is taken over, NULL: nothing else. */
void controller_audit_real(struct controller *c, const struct actor *who, const char *what,
			   const struct real_run *run, json_t *extra);
uint64_t controller_wall_ms(void);
void controller_start_rings(struct controller *c);
/*
 * Until every ring says what is wanted, waiting for grace periods: at a start and a reload only.
 * ret_failed: why one could not be built, or no text.
 */
void controller_build_rings(struct controller *c, struct err *ret_failed);

/* change.c */
/* Puts the configuration in force; takes it over whatever the outcome. */
int change_run(struct controller *c, struct config *config, bool force,
	       struct change_report *ret_report, struct err *err);
/*
 * Gives a VIP other pools, whatever `guard` says; see config_switch(). Refused: all is as it was.
 */
int change_pools(struct controller *c, size_t vip, const struct pool_use *uses, size_t n,
		 bool allows_shared, struct err *err);
/*
 * Puts `fresh` in force, a variant of the running configuration in this VIP; takes it over whatever
 * the outcome. Refused: all is as it was.
 */
int change_vip(struct controller *c, size_t vip, struct config *fresh, struct err *err);
int change_check_interfaces(const struct config *config, struct err *err);
/* Whether the capacities are those of the running data plane. */
int change_check_capacity(const struct controller *c, const struct config *config, struct err *err);

/* ramp.c */
/* Whether it begins to get new flows, and so may start slowly; after what is known of it changed.
 */
void ramp_update(struct real_run *run);
/* What run_input() will say of slow start once the real has this place in this VIP. */
uint32_t ramp_held_back(const struct real_run *run, const struct vip_spec *vip,
			const struct real_spec *real);
int ramp_start(struct controller *c, struct err *err);
void ramp_stop(struct controller *c);

/* pool_switch.c */
int pool_switch_start(struct controller *c, struct err *err);
void pool_switch_stop(struct controller *c);
/* Ends the switch that waits for reals to be proven, if one does. */
void pool_switch_cancel(struct controller *c, const char *reason);

/* pool_record.c */
/* Gives VIPs of a new configuration the pools that the operator gave them. */
int pool_record_restore(struct controller *c, struct config *config, bool force, struct err *err);
/* After it came into force: forgets those that the file says by now, and says which others stay. */
void pool_record_settle(struct controller *c);

/* remember.c */
/* Reads what an earlier daemon left; what is damaged is said in the log and forgotten. */
int remember_start(struct controller *c, const char *state_dir, struct err *err);
/* What it knew of a real; false: nothing, or it is taken over. */
bool remember_find(const struct controller *c, const char *vip, const struct ip_addr *real,
		   struct remembered *ret_known);
/* What it left is in use: from now on what is known now is written for the next daemon. */
void remember_take_over(struct controller *c);
/* Something there is to remember has changed, or who there is. */
void remember_changed(struct controller *c);
/* The same of what may be nothing to remember: a real's health. */
void remember_real(struct real_run *run);
/* Writes a last time, if it was in use; before the runs go. */
void remember_stop(struct controller *c);

/* scanner.c */
int scanner_start(struct controller *c, struct err *err);
void scanner_stop(struct controller *c);

/* ways_out.c */
int ways_out_start(struct controller *c, struct err *err);
/* Says the next hops that are known to every member; after members were added. */
void ways_out_refresh(struct controller *c);

/* attachments.c */
int attachments_start(struct controller *c, struct err *err);
void attachments_stop(struct controller *c);
/* The program onto all interfaces of a configuration. */
int attachments_make(struct controller *c, const struct config *config, struct err *err);
void attachments_link_changed(struct controller *c, uint32_t ifindex, const char *name,
			      enum link_news news);
