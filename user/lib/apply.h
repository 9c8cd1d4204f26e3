/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only writer of the maps. Members' states are in force at once, one store each; the rings that
 * follow from them are built afterwards, one at a time, so that the event loop never waits long.
 */
#pragma once

#include "plan.h"

/*
 * Carries the plan out but for the rings. Cannot fail for want of room; -ENOMEM and errors of the
 * kernel are reported, with what was done so far left consistent (a later plan continues there).
 */
int apply_plan(struct applied *applied, const struct plan *plan, struct err *err);

/*
 * One real changed state or weight (a probe, the operator): its word is in force at once, its VIP's
 * ring is out of date from now on. Nothing else is done here: one real may be in many VIPs. `hint`:
 * its likely position among the VIP's members. -ENOENT: the VIP is not applied or has no such real.
 */
int apply_member(struct applied *applied, const struct vip_key *key,
		 const struct desired_member *want, size_t hint);

/* Ticks of every member after the clock changed; in the order of `vips`, found by key. */
void apply_timeouts(struct applied *applied, const struct desired *desired,
		    const struct flow_clock *clock, uint32_t hz);

/* Publishes a next hop in every member with this real address. */
void apply_next_hop(struct applied *applied, const struct ip_addr *real, uint64_t next_hop);
/*
 * The same where the next hop is a gateway: members with L2 DSR, which ends at it, get
 * NEXT_HOP_NOT_ON_LINK instead. Returns how many those are.
 */
size_t apply_gateway(struct applied *applied, const struct ip_addr *real, uint64_t next_hop);

enum ring_progress {
	RINGS_DONE, /* every ring in use says what is wanted */
	RINGS_MORE, /* call again */
	RINGS_WAIT, /* a grace period must pass first */
};

/* Builds at most one ring that is out of date and switches to it. */
enum ring_progress apply_next_ring(struct applied *applied, struct err *err);

/* Takes removed members towards reuse after a complete scan; frees ring blocks that nobody reads.
 */
void apply_retire(struct applied *applied, const struct flow_scan *scan);

/*
 * Rebuilds the mirror from the maps of an earlier daemon. keys[i] has id ids[i]. What is half done
 * there (killed in the middle) is taken back or left for the next plan.
 */
int apply_adopt(struct applied *applied, const struct vip_key *keys, const uint32_t *ids, size_t n,
		struct err *err);
