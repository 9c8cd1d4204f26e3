/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a scan counts, marks and clears. The clock ticks every 16 jiffies. */
#include "fake_dp.h"

#include "lib/flow_table.h"

#define SHIFT	4
#define NOW	300u /* ticks */
#define BUCKETS 70 /* no multiple of what the scan takes at once */

enum { UP = 1, SHORT = 2, GONE = 3, REMOVED = 4 };

struct table {
	struct fake *fake;
	struct flow_scan scan;
};

static uint64_t word_of(uint32_t id, enum flow_state state, uint32_t age)
{
	return 9ULL << FLOW_TAG_SHIFT | (uint64_t)id << FLOW_MEMBER_SHIFT |
	       (uint64_t)state << FLOW_STATE_SHIFT | (age & FLOW_AGE_MASK);
}

static int set_up(void **state)
{
	static struct table t;
	struct member *m;

	t.fake = fake_new(8, 4, 16, BUCKETS);
	assert_int_equal(flow_scan_init(&t.scan, 8), 0);
	m = t.fake->dp.members;
	m[UP].state = MEMBER_UP;
	m[SHORT].state = MEMBER_DRAIN;
	m[REMOVED].state = MEMBER_DRAIN | MEMBER_NOTE_REMOVED;
	for (int s = FLOW_SYN; s < FLOW_STATES; s++) {
		t.fake->dp.control->clock.tick_shift[s] = SHIFT;
		t.fake->dp.control->clock.timeout_ticks[s] = 20;
		m[UP].timeout_ticks[s] = m[REMOVED].timeout_ticks[s] = 20;
		m[SHORT].timeout_ticks[s] = 5;
	}
	*state = &t;
	return 0;
}

static int tear_down(void **state)
{
	struct table *t = *state;

	flow_scan_free(&t->scan);
	fake_free(t->fake);
	return 0;
}

/* Scans a table in which there is only this slot; the slot afterwards. */
static uint64_t scan_one(struct table *t, uint64_t word, uint32_t now_ticks)
{
	uint64_t *slot = (uint64_t *)&t->fake->dp.flows[3].slot[7];

	*slot = word;
	flow_scan_reset(&t->scan);
	flow_scan_range(&t->scan, &t->fake->dp, 0, 4, (uint64_t)now_ticks << SHIFT);
	return *slot;
}

static void test_live_flows_are_counted_by_what_they_are(void **state)
{
	static const struct {
		enum flow_state state;
		uint32_t active, unproven, closing;
	} rows[] = {
		{FLOW_SYN, 0, 1, 0}, {FLOW_ACK, 0, 1, 0}, {FLOW_UDP_FIRST, 0, 1, 0},
		{FLOW_TCP, 1, 0, 0}, {FLOW_UDP, 1, 0, 0}, {FLOW_FIN, 0, 0, 1},
		{FLOW_RST, 0, 0, 1},
	};
	struct table *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t word = word_of(UP, rows[i].state, NOW - 20);

		assert_int_equal(scan_one(t, word, NOW), word);
		assert_int_equal(t->scan.members[UP].active, rows[i].active);
		assert_int_equal(t->scan.total_active, rows[i].active);
		assert_int_equal(t->scan.total_unproven, rows[i].unproven);
		assert_int_equal(t->scan.total_closing, rows[i].closing);
		assert_int_equal(t->scan.members[UP].named, 1);
		assert_int_equal(flow_scan_has_handshake(&t->scan.members[UP]),
				 rows[i].state == FLOW_SYN);
	}
}

static void test_a_handshake_is_under_way_until_it_expires(void **state)
{
	struct table *t = *state;

	for (uint32_t age = 19; age < 23; age++) {
		scan_one(t, word_of(UP, FLOW_SYN, NOW - age), NOW);
		assert_int_equal(flow_scan_has_handshake(&t->scan.members[UP]), age <= 20);
	}
	scan_one(t, word_of(UP, FLOW_TCP, NOW), NOW);
	assert_false(flow_scan_has_handshake(&t->scan.members[UP]));
}

static void test_an_expired_flow_is_marked_old_and_counted_as_named_only(void **state)
{
	struct table *t = *state;
	uint64_t word = word_of(UP, FLOW_TCP, NOW - 21);

	assert_int_equal(scan_one(t, word, NOW), word | FLOW_AGE_OLD);
	assert_int_equal(t->scan.total_active, 0);
	assert_int_equal(t->scan.members[UP].named, 1);
	word |= FLOW_AGE_OLD;
	assert_int_equal(scan_one(t, word, FLOW_AGE_OLD), word); /* whatever the clock says */
	assert_int_equal(t->scan.total_active, 0);
}

static void test_a_vip_with_a_shorter_timeout_loses_its_flows_sooner(void **state)
{
	struct table *t = *state;

	scan_one(t, word_of(SHORT, FLOW_TCP, NOW - 5), NOW);
	assert_int_equal(t->scan.total_active, 1);
	scan_one(t, word_of(SHORT, FLOW_TCP, NOW - 6), NOW);
	assert_int_equal(t->scan.total_active, 0);
}

static void test_ages_are_right_across_the_end_of_the_clock(void **state)
{
	static const struct {
		uint32_t stamp, now;
		bool is_live;
	} rows[] = {
		{505, 512 + 13, true}, {505, 512 + 14, false}, {510, 511, true},
		{510, 512, true},      {0, 512 + 20, true},    {0, 512 + 21, false},
		{0, 512 - 40, false},
	};
	struct table *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scan_one(t, word_of(UP, FLOW_TCP, rows[i].stamp), rows[i].now);
		if (t->scan.total_active != rows[i].is_live)
			fail_msg("stamp %u now %u", rows[i].stamp, rows[i].now);
	}
}

static void test_a_stamp_newer_than_the_scan_is_not_old(void **state)
{
	struct table *t = *state;

	for (uint32_t ahead = 1; ahead <= 31; ahead++) {
		scan_one(t, word_of(UP, FLOW_TCP, NOW + ahead), NOW);
		assert_int_equal(t->scan.total_active, 1);
	}
}

static void test_flows_of_a_freed_member_are_cleared_at_once(void **state)
{
	struct table *t = *state;

	assert_int_equal(scan_one(t, word_of(GONE, FLOW_TCP, NOW), NOW), FLOW_SLOT_FREED);
	assert_int_equal(t->scan.members[GONE].named, 0);
	assert_int_equal(t->scan.total_active, 0);
}

static void test_flows_of_a_removed_member_finish_and_are_cleared_when_idle(void **state)
{
	struct table *t = *state;
	uint64_t word = word_of(REMOVED, FLOW_TCP, NOW - 20);

	assert_int_equal(scan_one(t, word, NOW), word);
	assert_int_equal(t->scan.members[REMOVED].active, 1);
	assert_int_equal(scan_one(t, word - 1, NOW), FLOW_SLOT_FREED);
	assert_int_equal(t->scan.members[REMOVED].named, 0);
}

static void test_slots_without_a_flow_stay_as_they_are(void **state)
{
	struct table *t = *state;

	assert_int_equal(scan_one(t, FLOW_SLOT_NEVER, NOW), FLOW_SLOT_NEVER);
	assert_int_equal(scan_one(t, FLOW_SLOT_FREED, NOW), FLOW_SLOT_FREED);
	scan_one(t, word_of(12345, FLOW_TCP, NOW), NOW); /* no such member */
	assert_int_equal(t->scan.total_active, 0);
}

static void test_slices_add_up_and_stay_within_their_buckets(void **state)
{
	struct table *t = *state;

	for (int b = 0; b < BUCKETS; b++) {
		for (int k = 0; k < FLOW_SLOTS; k++)
			t->fake->dp.flows[b].slot[k] = word_of(UP, FLOW_TCP, NOW);
	}
	flow_scan_reset(&t->scan);
	flow_scan_range(&t->scan, &t->fake->dp, 0, 1, NOW << SHIFT);
	assert_int_equal(t->scan.total_active, FLOW_SLOTS);
	flow_scan_range(&t->scan, &t->fake->dp, 1, BUCKETS, NOW << SHIFT);
	assert_int_equal(t->scan.members[UP].active, BUCKETS * FLOW_SLOTS);
	assert_int_equal(t->scan.members[UP].named, BUCKETS * FLOW_SLOTS);
	assert_int_equal(t->scan.total_active, BUCKETS * FLOW_SLOTS);
}

/* An id may be given away between two slices: what it is now decides what is cleared. */
static void test_flows_of_a_member_added_in_mid_pass_are_not_cleared(void **state)
{
	struct table *t = *state;
	uint64_t word = word_of(GONE, FLOW_TCP, NOW);
	__u64 *slot = &t->fake->dp.flows[3].slot[0];

	*slot = word;
	flow_scan_reset(&t->scan);
	flow_scan_range(&t->scan, &t->fake->dp, 0, 1, NOW << SHIFT);
	t->fake->dp.members[GONE] = t->fake->dp.members[UP];
	flow_scan_range(&t->scan, &t->fake->dp, 1, 4, NOW << SHIFT);
	assert_int_equal(*slot, word);
	assert_int_equal(t->scan.members[GONE].active, 1);
}

static void test_flows_of_a_member_freed_in_mid_pass_are_named_until_the_next(void **state)
{
	struct table *t = *state;
	__u64 *slot = &t->fake->dp.flows[3].slot[0];

	*slot = word_of(UP, FLOW_TCP, NOW);
	flow_scan_reset(&t->scan);
	flow_scan_range(&t->scan, &t->fake->dp, 0, 1, NOW << SHIFT);
	t->fake->dp.members[UP].state = MEMBER_FREE;
	flow_scan_range(&t->scan, &t->fake->dp, 1, 4, NOW << SHIFT);
	assert_int_equal(t->scan.members[UP].named, 1);
	flow_scan_reset(&t->scan);
	flow_scan_range(&t->scan, &t->fake->dp, 0, 4, NOW << SHIFT);
	assert_int_equal(t->scan.members[UP].named, 0);
	assert_int_equal(*slot, FLOW_SLOT_FREED);
}

static void test_restamping_makes_flows_young_in_the_new_clock_but_not_the_old_ones(void **state)
{
	struct table *t = *state;
	struct flow_clock clock = t->fake->dp.control->clock;
	__u64 *slots = t->fake->dp.flows[0].slot;

	clock.tick_shift[FLOW_TCP] = 10;
	slots[0] = word_of(UP, FLOW_TCP, 17);
	slots[1] = word_of(UP, FLOW_TCP, FLOW_AGE_OLD);
	slots[2] = FLOW_SLOT_FREED;
	flow_table_restamp(&t->fake->dp, &clock, 5 << 10);
	assert_int_equal(slots[0], word_of(UP, FLOW_TCP, 5));
	assert_int_equal(slots[1], word_of(UP, FLOW_TCP, FLOW_AGE_OLD));
	assert_int_equal(slots[2], FLOW_SLOT_FREED);
	flow_table_restamp(&t->fake->dp, &clock, (uint64_t)FLOW_AGE_OLD << 10);
	assert_int_equal(slots[0], word_of(UP, FLOW_TCP, FLOW_AGE_OLD - 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_live_flows_are_counted_by_what_they_are),
		TEST(test_a_handshake_is_under_way_until_it_expires),
		TEST(test_an_expired_flow_is_marked_old_and_counted_as_named_only),
		TEST(test_a_vip_with_a_shorter_timeout_loses_its_flows_sooner),
		TEST(test_ages_are_right_across_the_end_of_the_clock),
		TEST(test_a_stamp_newer_than_the_scan_is_not_old),
		TEST(test_flows_of_a_freed_member_are_cleared_at_once),
		TEST(test_flows_of_a_removed_member_finish_and_are_cleared_when_idle),
		TEST(test_slots_without_a_flow_stay_as_they_are),
		TEST(test_slices_add_up_and_stay_within_their_buckets),
		TEST(test_flows_of_a_member_added_in_mid_pass_are_not_cleared),
		TEST(test_flows_of_a_member_freed_in_mid_pass_are_named_until_the_next),
		TEST(test_restamping_makes_flows_young_in_the_new_clock_but_not_the_old_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
