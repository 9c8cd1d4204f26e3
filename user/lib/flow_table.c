/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scans of the flow table: see flow_table.h. */
#include "flow_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A stamp may be newer than the clock that was read before the scan, which may take its time. */
#define MAX_TICKS_AHEAD 32

static uint32_t word_member(uint64_t word)
{
	return (word >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK;
}

static enum flow_state word_state(uint64_t word)
{
	return (word >> FLOW_STATE_SHIFT) & FLOW_STATE_MASK;
}

int flow_scan_init(struct flow_scan *scan, uint32_t n_members)
{
	*scan = (struct flow_scan){.n_members = n_members};
	scan->active = calloc(n_members, sizeof(*scan->active));
	scan->named = calloc(n_members, sizeof(*scan->named));
	if (scan->active && scan->named)
		return 0;
	flow_scan_free(scan);
	return -ENOMEM;
}

void flow_scan_free(struct flow_scan *scan)
{
	free(scan->active);
	free(scan->named);
	*scan = (struct flow_scan){};
}

void flow_scan_reset(struct flow_scan *scan)
{
	memset(scan->active, 0, scan->n_members * sizeof(*scan->active));
	memset(scan->named, 0, scan->n_members * sizeof(*scan->named));
	scan->total_active = 0;
	scan->total_unproven = 0;
	scan->total_closing = 0;
}

static bool is_expired(uint64_t word, const struct flow_clock *clock, const __u8 *timeout_ticks,
		       uint64_t jiffies)
{
	enum flow_state state = word_state(word);
	uint32_t age = word & FLOW_AGE_MASK;
	uint32_t now = (jiffies >> clock->tick_shift[state]) & FLOW_AGE_MASK;
	uint32_t elapsed = (now - age) & FLOW_AGE_MASK;

	if (elapsed > FLOW_AGE_MASK - MAX_TICKS_AHEAD)
		elapsed = 0;
	return age == FLOW_AGE_OLD || elapsed > timeout_ticks[state];
}

static bool swap(uint64_t *slot, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

static void count_live(struct flow_scan *scan, uint64_t word)
{
	switch (word_state(word)) {
	case FLOW_TCP:
	case FLOW_UDP:
		scan->active[word_member(word)]++;
		scan->total_active++;
		break;
	case FLOW_FIN:
	case FLOW_RST:
		scan->total_closing++;
		break;
	default:
		scan->total_unproven++;
		break;
	}
}

static void scan_slot(struct flow_scan *scan, const struct dp *dp, uint64_t *slot, uint64_t jiffies)
{
	uint64_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
	uint32_t id = word_member(word);
	const struct member *member;
	uint32_t state;

	if (word_state(word) == FLOW_NONE || id >= scan->n_members)
		return;
	member = &dp->members[id];
	state = dp_load(member->state);
	if ((state & MEMBER_STATE_MASK) == MEMBER_FREE) {
		if (!swap(slot, word, FLOW_SLOT_FREED))
			scan->named[id]++;
		return;
	}
	if (!is_expired(word, &dp->control->clock, member->timeout_ticks, jiffies)) {
		scan->named[id]++;
		count_live(scan, word);
		return;
	}
	if (state & MEMBER_NOTE_REMOVED) {
		if (!swap(slot, word, FLOW_SLOT_FREED))
			scan->named[id]++;
		return;
	}
	scan->named[id]++;
	if ((word & FLOW_AGE_MASK) != FLOW_AGE_OLD)
		swap(slot, word, word | FLOW_AGE_OLD);
}

void flow_scan_range(struct flow_scan *scan, const struct dp *dp, uint32_t first, uint32_t end,
		     uint64_t jiffies)
{
	for (uint32_t i = first; i < end; i++) {
		uint64_t *slots = (uint64_t *)dp->flows[i].slot;

		for (int k = 0; k < FLOW_SLOTS; k++) {
			if (__atomic_load_n(&slots[k], __ATOMIC_RELAXED) > FLOW_SLOT_FREED)
				scan_slot(scan, dp, &slots[k], jiffies);
		}
	}
}

/* Until it holds: a packet that wins the race may have stamped by the clock of before. */
static void restamp_slot(uint64_t *slot, const struct flow_clock *clock, uint64_t jiffies)
{
	for (;;) {
		uint64_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
		uint64_t now = (jiffies >> clock->tick_shift[word_state(word)]) & FLOW_AGE_MASK;

		if (word_state(word) == FLOW_NONE || (word & FLOW_AGE_MASK) == FLOW_AGE_OLD)
			return;
		now -= now == FLOW_AGE_OLD;
		if (swap(slot, word, (word & ~(uint64_t)FLOW_AGE_MASK) | now))
			return;
	}
}

void flow_table_restamp(const struct dp *dp, const struct flow_clock *clock, uint64_t jiffies)
{
	for (uint32_t i = 0; i < dp->control->flow_buckets; i++) {
		for (int k = 0; k < FLOW_SLOTS; k++)
			restamp_slot((uint64_t *)&dp->flows[i].slot[k], clock, jiffies);
	}
}
