/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon shows: a plain copy of its state at one moment, taken by the controller and
 * turned into JSON by render.c. Strings point into the controller and live until the next event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ejection.h"
#include "health_state.h"
#include "lateness.h"
#include "model.h"
#include "xdplb/counters.h"

enum admin_state {
	ADMIN_ENABLED = 0,
	ADMIN_DRAIN = 1, /* keeps its flows, gets no new ones */
	ADMIN_DISABLED = 2, /* its flows move at once */
	ADMIN_REMOVED = 3, /* no longer in its VIP; of no real that runs */
};

/* What a check says of a real beside up or down; all 0: nothing. */
struct health_advice {
	enum admin_state admin; /* as if the operator had said so */
	uint32_t lowered_percent; /* so much less of its weight; at most 100 */
};

/* What the health engine says of a real. */
struct health_standing {
	enum health_verdict verdict;
	struct health_advice advice;
	bool is_assumed; /* up, but never proven */
};

/* What `real list` calls state. */
enum real_state {
	REAL_UP = 0,
	REAL_DOWN = 1,
	REAL_DRAINING = 2,
	REAL_DRAINED = 3,
	REAL_DISABLED = 4,
	REAL_UNKNOWN = 5, /* no probe has answered yet */
	REAL_EJECTED = 6, /* up, but clients get no answer: no new flows */
	REAL_REMOVED = 7, /* not in `real list`; its flows finish */
};

/* What `vip list` calls it. */
enum vip_condition {
	VIP_UP = 0,
	VIP_DEGRADED = 1, /* served by backups (too), or fewer reals are up than min_healthy */
	VIP_PANIC = 2, /* health is ignored, or that reals are ejected */
	VIP_DOWN = 3, /* no real for a new flow */
};

/* How a VIP does, over all its reals. */
struct vip_standing {
	enum vip_condition state;
	bool is_on_backup; /* new flows go to backups, with or without primaries */
	uint8_t first_level; /* of those that new flows go to; 0: the primaries */
	uint8_t last_level; /* likewise; 0 for both if they go nowhere */
	bool is_proven; /* health of every real is known */
	bool is_below_min; /* fewer reals are up than min_healthy says */
	size_t up; /* of those counted, how many are up and not held back by the operator */
	size_t slow; /* of those up, how many start slowly */
	size_t counted; /* reals that are no backups and have a weight */
	size_t wanted; /* min_healthy in reals */
	size_t needed; /* backup_below in reals */
};

struct snapshot_health {
	uint64_t target; /* the same for all who share the probe */
	uint32_t shared_by; /* reals of VIPs */
	enum health_type type;
	enum probe_via via;
	struct ip_addr address; /* of the real that is probed */
	uint16_t port;
	struct health_state state;
	uint32_t flaps; /* that are remembered now */
	uint64_t transitions; /* up or down, since the daemon started */
	bool has_result;
	bool last_ok;
	char last_text[128]; /* "connected", "status 503", "connect: Connection refused", ... */
	uint32_t last_duration_ms;
	uint64_t last_at_ms; /* CLOCK_MONOTONIC */
	uint64_t next_at_ms;
	uint64_t probes;
	uint64_t probe_failures;
};

/* While the operator drains a real. */
struct snapshot_drain {
	bool has_deadline;
	uint64_t left_ms;
	enum drain_rest then;
	bool disables; /* once it is drained */
	bool removes;
	const char *waits_for; /* "count", "flows", "handshakes"; NULL: it is over */
};

struct snapshot_real {
	const char *vip;
	struct ip_addr address;
	uint32_t weight;
	uint32_t effective_weight; /* what the ring gives it: 0 unless it takes new flows */
	double share; /* of the VIP's new flows */
	const char *pool; /* NULL: the VIP has reals of its own */
	uint8_t backup_level; /* 0: a primary */
	enum real_state state;
	enum admin_state admin;
	bool has_admin_since; /* it is known when the operator said so */
	uint64_t admin_for_ms; /* since then */
	struct snapshot_drain drain;
	struct circuit circuit;
	uint64_t repeated_syns;
	bool is_removed; /* by the operator, or no longer in the configuration */
	uint32_t member_id;
	bool has_next_hop;
	char interface[IF_NAMESIZE]; /* way out; empty without a next hop */
	uint8_t mac[6];
	uint64_t active_flows;
	uint64_t new_flows;
	uint64_t packets;
	uint64_t bytes;
	const char *reason; /* of the verdict and the advice; NULL: none was told yet */
	uint64_t reason_since_ms; /* CLOCK_MONOTONIC; of the one that came last */
	uint32_t held_back_percent; /* of its weight, by slow start */
	struct health_advice advice;
	struct snapshot_health health;
};

struct snapshot_vip {
	const struct vip_spec *spec;
	uint32_t vip_id;
	size_t reals_up;
	struct vip_standing standing;
	uint64_t state_since_ms; /* CLOCK_MONOTONIC */
	bool is_alarmed; /* min_healthy */
	uint64_t alarms; /* how often it was since the daemon started */
	uint64_t joins; /* of levels of backups, since the daemon started */
	uint64_t active_flows;
	uint64_t new_flows;
	uint64_t packets;
	uint64_t bytes;
	uint64_t fingerprint;
	size_t first_real; /* its reals are reals[first_real ... first_real + n_reals - 1] */
	size_t n_reals; /* one that is removed comes last */
};

struct snapshot_interface {
	const struct interface_spec *spec;
	bool is_present;
	bool is_attached;
	bool has_link; /* up, with carrier */
	uint32_t ifindex;
	uint32_t prog_id;
};

/* All probes together. */
struct snapshot_probes {
	uint64_t targets;
	uint64_t started; /* checks */
	uint64_t not_made; /* for want of something of our own */
	uint32_t under_way;
	struct lateness_summary lateness; /* against their schedule */
};

struct snapshot {
	const struct config *config;
	uint64_t now_ms; /* CLOCK_MONOTONIC */
	uint64_t started_at_ms; /* CLOCK_MONOTONIC */
	uint64_t generation; /* configurations applied since start */
	bool is_adopted; /* the data plane was there when the daemon started */
	uint64_t flows; /* active */
	uint64_t flows_unproven;
	uint64_t flows_closing;
	uint64_t flow_slots;
	uint64_t flows_scanned_at_ms;
	uint64_t map_bytes;
	struct snapshot_probes probes;
	struct snapshot_interface *interfaces;
	size_t n_interfaces;
	struct snapshot_vip *vips;
	size_t n_vips;
	struct snapshot_real *reals;
	size_t n_reals;
	unsigned int n_cpus;
	struct stats *stats; /* one per possible CPU */
	struct stats stats_total;
	uint64_t *forwarded; /* one per possible CPU */
	uint64_t forwarded_total;
};

void snapshot_free(struct snapshot *snapshot);

bool health_advice_equal(const struct health_advice *a, const struct health_advice *b);

const char *real_state_name(enum real_state state);
const char *vip_condition_name(enum vip_condition state);
const char *admin_state_name(enum admin_state state);
