/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table seen from user space: counting flows by member, ageing out what is idle, clearing
 * slots of members that are gone. Pure but for the mapped memory; slots change by compare-and-swap
 * against the packet path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp.h"

/* What a pass notes of a member beside counting: bits. */
enum flow_scan_note {
	FLOW_SCAN_IN_USE = 1, /* when the pass began */
	FLOW_SCAN_HANDSHAKE = 2, /* a flow of which only a SYN was seen has not expired */
};

struct flow_scan_member {
	uint32_t active; /* flows proven, not closing, not expired */
	uint32_t named; /* slots of any state that still name it */
	/* The member's, when the pass began; [FLOW_NONE], which no flow has: enum flow_scan_note.
	 */
	uint8_t timeout_ticks[FLOW_STATES];
};

struct flow_scan {
	uint32_t n_members;
	struct flow_scan_member *members; /* by id */
	bool is_begun; /* timeout_ticks are there */
	uint64_t total_active;
	uint64_t total_unproven;
	uint64_t total_closing;
};

/* Whether connections may be about to begin there. */
static inline bool flow_scan_has_handshake(const struct flow_scan_member *member)
{
	return member->timeout_ticks[FLOW_NONE] & FLOW_SCAN_HANDSHAKE;
}

int flow_scan_init(struct flow_scan *scan, uint32_t n_members);
void flow_scan_free(struct flow_scan *scan);
void flow_scan_reset(struct flow_scan *scan);

/*
 * Takes buckets first ... end-1 into the counts; the first call after a reset begins a pass.
 * Expired slots are marked FLOW_AGE_OLD; those of freed or removed members are cleared.
 */
void flow_scan_range(struct flow_scan *scan, const struct dp *dp, uint32_t first, uint32_t end,
		     uint64_t jiffies);

/*
 * After the clock changed: stamps every slot that is not FLOW_AGE_OLD as used now. The packet path
 * must not expire anything meanwhile (control.expiry_paused).
 */
void flow_table_restamp(const struct dp *dp, const struct flow_clock *clock, uint64_t jiffies);
