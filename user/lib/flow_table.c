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
	scan->members = calloc(n_members, sizeof(*scan->members));
	return scan->members ? 0 : -ENOMEM;
}

void flow_scan_free(struct flow_scan *scan)
{
	free(scan->members);
	*scan = (struct flow_scan){};
}

void flow_scan_reset(struct flow_scan *scan)
{
	memset(scan->members, 0, scan->n_members * sizeof(*scan->members));
	scan->is_begun = false;
	scan->total_active = 0;
	scan->total_unproven = 0;
	scan->total_closing = 0;
}

/* What a scan knows about its moment: the present age, by state. */
struct ages {
	uint32_t now[FLOW_STATES];
};

static struct ages ages_at(const struct flow_clock *clock, uint64_t jiffies)
{
	struct ages ages;

	for (int state = 0; state < FLOW_STATES; state++)
		ages.now[state] = (jiffies >> clock->tick_shift[state]) & FLOW_AGE_MASK;
	return ages;
}

static bool is_expired(uint64_t word, const struct ages *ages, const __u8 *timeout_ticks)
{
	enum flow_state state = word_state(word);
	uint32_t age = word & FLOW_AGE_MASK;
	uint32_t elapsed = (ages->now[state] - age) & FLOW_AGE_MASK;

	if (elapsed > FLOW_AGE_MASK - MAX_TICKS_AHEAD)
		elapsed = 0;
	return age == FLOW_AGE_OLD || elapsed > timeout_ticks[state];
}

static bool swap(uint64_t *slot, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

/* Totals of a block of slots, in one register: a live flow adds the word of its state. */
#define TOTAL_ACTIVE   1ULL
#define TOTAL_CLOSING  (1ULL << 20)
#define TOTAL_UNPROVEN (1ULL << 40)
#define TOTAL_MASK     (TOTAL_CLOSING - 1)

static const uint64_t totals_of_state[FLOW_STATES] = {
	[FLOW_SYN] = TOTAL_UNPROVEN, [FLOW_ACK] = TOTAL_UNPROVEN, [FLOW_UDP_FIRST] = TOTAL_UNPROVEN,
	[FLOW_TCP] = TOTAL_ACTIVE,   [FLOW_UDP] = TOTAL_ACTIVE,	  [FLOW_FIN] = TOTAL_CLOSING,
	[FLOW_RST] = TOTAL_CLOSING,
};

static const uint8_t note_of_state[FLOW_STATES] = {[FLOW_SYN] = FLOW_SCAN_HANDSHAKE};

static uint64_t count_live(struct flow_scan_member *member, uint64_t word)
{
	uint64_t totals = totals_of_state[word_state(word)];

	member->named++;
	member->active += totals & TOTAL_MASK;
	member->timeout_ticks[FLOW_NONE] |= note_of_state[word_state(word)];
	return totals;
}

/* By the member's line; returns what the slot adds to the totals. */
static uint64_t scan_closely(struct flow_scan *scan, const struct dp *dp, uint64_t *slot,
			     uint64_t word, const struct ages *ages)
{
	uint32_t id = word_member(word);
	const struct member *member;
	uint32_t state;

	if (word_state(word) == FLOW_NONE || id >= scan->n_members)
		return 0;
	member = &dp->members[id];
	state = dp_load(member->state);
	if ((state & MEMBER_STATE_MASK) == MEMBER_FREE) {
		if (!swap(slot, word, FLOW_SLOT_FREED))
			scan->members[id].named++;
		return 0;
	}
	if (!is_expired(word, ages, member->timeout_ticks))
		return count_live(&scan->members[id], word);
	if (state & MEMBER_NOTE_REMOVED) {
		if (!swap(slot, word, FLOW_SLOT_FREED))
			scan->members[id].named++;
		return 0;
	}
	scan->members[id].named++;
	if ((word & FLOW_AGE_MASK) != FLOW_AGE_OLD)
		swap(slot, word, word | FLOW_AGE_OLD);
	return 0;
}

/*
 * Most flows live, by what their member said when the pass began: these need nothing but counting.
 * If it has said something else since then, the next pass finds out.
 */
static uint64_t scan_slot(struct flow_scan *scan, const struct dp *dp, uint64_t *slot,
			  const struct ages *ages)
{
	uint64_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
	uint32_t id = word_member(word);

	if (id < scan->n_members) {
		struct flow_scan_member *member = &scan->members[id];

		if (word_state(word) != FLOW_NONE &&
		    member->timeout_ticks[FLOW_NONE] & FLOW_SCAN_IN_USE &&
		    !is_expired(word, ages, member->timeout_ticks))
			return count_live(member, word);
	}
	return scan_closely(scan, dp, slot, word, ages);
}

static void begin(struct flow_scan *scan, const struct dp *dp)
{
	for (uint32_t id = 0; id < scan->n_members; id++) {
		const struct member *member = &dp->members[id];
		struct flow_scan_member *m = &scan->members[id];

		memcpy(m->timeout_ticks, member->timeout_ticks, sizeof(m->timeout_ticks));
		m->timeout_ticks[FLOW_NONE] = (dp_load(member->state) & MEMBER_STATE_MASK) ==
							      MEMBER_FREE
						      ? 0
						      : FLOW_SCAN_IN_USE;
	}
	scan->is_begun = true;
}

#define BLOCK_BUCKETS 32u
#define BLOCK_SLOTS   (BLOCK_BUCKETS * FLOW_SLOTS)
#define AHEAD_BUCKETS 64u /* a page: the processor's own prefetching ends at its border */

/* First which slots are taken, without a branch, since that is chance; then these. */
static void scan_block(struct flow_scan *scan, const struct dp *dp, uint64_t *slots, uint32_t n,
		       const struct ages *ages)
{
	uint16_t taken[BLOCK_SLOTS] = {};
	uint64_t totals = 0;
	uint32_t n_taken = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i % FLOW_SLOTS == 0)
			__builtin_prefetch(slots + i + AHEAD_BUCKETS * FLOW_SLOTS);
		taken[n_taken] = (uint16_t)i;
		n_taken += __atomic_load_n(&slots[i], __ATOMIC_RELAXED) > FLOW_SLOT_FREED;
	}
	for (uint32_t i = 0; i < n_taken; i++)
		totals += scan_slot(scan, dp, &slots[taken[i]], ages);
	scan->total_active += totals & TOTAL_MASK;
	scan->total_closing += totals / TOTAL_CLOSING & TOTAL_MASK;
	scan->total_unproven += totals / TOTAL_UNPROVEN & TOTAL_MASK;
}

void flow_scan_range(struct flow_scan *scan, const struct dp *dp, uint32_t first, uint32_t end,
		     uint64_t jiffies)
{
	struct ages ages = ages_at(&dp->control->clock, jiffies);

	if (!scan->is_begun)
		begin(scan, dp);
	for (uint32_t i = first; i < end; i += BLOCK_BUCKETS) {
		uint32_t n = end - i < BLOCK_BUCKETS ? end - i : BLOCK_BUCKETS;

		scan_block(scan, dp, (uint64_t *)dp->flows[i].slot, n * FLOW_SLOTS, &ages);
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
