/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who of a VIP's reals gets new flows: backups and their levels, panic, all down. How many:
 * test_pool_shares.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pool_scene.h"

static const struct {
	const char *reals;
	uint32_t panic;
	enum all_down on_all_down;
	const char *result;
	enum vip_condition state;
} rows[] = {
	{"", 0, ALL_DOWN_DROP, "", VIP_DOWN},
	{"u u", 0, ALL_DOWN_DROP, "++", VIP_UP},
	{"u d", 0, ALL_DOWN_DROP, "+-", VIP_UP},
	{"d d", 0, ALL_DOWN_DROP, "--", VIP_DOWN},
	/* backups: while nobody else is up */
	{"u u bu", 0, ALL_DOWN_DROP, "++s", VIP_UP},
	{"u d bu", 0, ALL_DOWN_DROP, "+-s", VIP_UP},
	{"d d bu bu", 0, ALL_DOWN_DROP, "--++", VIP_DEGRADED},
	{"d d bu bd", 0, ALL_DOWN_DROP, "--+-", VIP_DEGRADED},
	{"D bu", 0, ALL_DOWN_DROP, "s+", VIP_DEGRADED},
	{"x bu", 0, ALL_DOWN_DROP, "-+", VIP_DEGRADED},
	{"0u bu", 0, ALL_DOWN_DROP, "s+", VIP_DEGRADED},
	{"? bu", 0, ALL_DOWN_DROP, "-+", VIP_DEGRADED},
	{"bu bu", 0, ALL_DOWN_DROP, "++", VIP_DEGRADED},
	/* panic: fewer than this share of those not taken out by the operator are up, but one is */
	{"u u d d", 50, ALL_DOWN_ALL, "++--", VIP_UP},
	{"u d d d", 50, ALL_DOWN_ALL, "++++", VIP_PANIC},
	{"u d d d", 25, ALL_DOWN_ALL, "+---", VIP_UP},
	{"u d d d", 0, ALL_DOWN_ALL, "+---", VIP_UP},
	{"u u u d", 100, ALL_DOWN_ALL, "++++", VIP_PANIC},
	{"u D d d", 50, ALL_DOWN_ALL, "+s++", VIP_PANIC},
	{"u x d d", 50, ALL_DOWN_ALL, "+-++", VIP_PANIC},
	{"u 0d d d", 50, ALL_DOWN_ALL, "+-++", VIP_PANIC},
	{"u x x d", 50, ALL_DOWN_ALL, "+---", VIP_UP},
	{"u u d", 66, ALL_DOWN_ALL, "++-", VIP_UP},
	{"u u d", 67, ALL_DOWN_ALL, "+++", VIP_PANIC},
	{"u d d d bu", 50, ALL_DOWN_ALL, "++++s", VIP_PANIC},
	{"u d d d bd", 50, ALL_DOWN_ALL, "++++-", VIP_PANIC},
	{"d d bu bd bd", 50, ALL_DOWN_ALL, "--+++", VIP_PANIC},
	/* nobody is up at all */
	{"d d d", 50, ALL_DOWN_DROP, "---", VIP_DOWN},
	{"d d d", 50, ALL_DOWN_ALL, "+++", VIP_PANIC},
	{"d d bd", 0, ALL_DOWN_ALL, "++-", VIP_PANIC},
	{"d d bd", 0, ALL_DOWN_BACKUP, "--+", VIP_PANIC},
	{"d d", 0, ALL_DOWN_BACKUP, "--", VIP_DOWN},
	{"d d", 50, ALL_DOWN_RESET, "--", VIP_DOWN},
	{"d d bd", 0, ALL_DOWN_UNREACHABLE, "---", VIP_DOWN},
	{"bd bd", 0, ALL_DOWN_ALL, "++", VIP_PANIC},
	{"x bbd bbbd", 0, ALL_DOWN_ALL, "-+-", VIP_PANIC},
	{"d bx bbd bbbd", 0, ALL_DOWN_BACKUP, "--+-", VIP_PANIC},
	{"d bb?", 0, ALL_DOWN_BACKUP, "--", VIP_DOWN},
	/* levels of backups, one after the other */
	{"u bu bbu", 0, ALL_DOWN_DROP, "+ss", VIP_UP},
	{"d bu bbu", 0, ALL_DOWN_DROP, "-+s", VIP_DEGRADED},
	{"d bd bbu", 0, ALL_DOWN_DROP, "--+", VIP_DEGRADED},
	{"d bbbbbbbu bbbbbbu", 0, ALL_DOWN_DROP, "-s+", VIP_DEGRADED},
	{"d d bd bbu bbd bbd bbbd", 50, ALL_DOWN_ALL, "---+++-", VIP_PANIC},
	{"d D x", 0, ALL_DOWN_ALL, "+s-", VIP_PANIC},
	{"D x", 0, ALL_DOWN_ALL, "s-", VIP_DOWN},
	{"0d", 0, ALL_DOWN_ALL, "-", VIP_DOWN},
	/* ejected: not while anybody else is up, but rather than who is down */
	{"u e", 0, ALL_DOWN_DROP, "+s", VIP_UP},
	{"d e", 0, ALL_DOWN_DROP, "-+", VIP_PANIC},
	{"e e d", 50, ALL_DOWN_ALL, "++-", VIP_PANIC},
	{"D e", 0, ALL_DOWN_DROP, "s+", VIP_PANIC},
	{"? e", 0, ALL_DOWN_DROP, "-+", VIP_PANIC},
	{"0u e", 0, ALL_DOWN_DROP, "s+", VIP_PANIC},
	{"u 0e", 0, ALL_DOWN_DROP, "+s", VIP_UP},
	{"d 0e", 0, ALL_DOWN_DROP, "-s", VIP_DOWN},
	{"e bu", 0, ALL_DOWN_DROP, "s+", VIP_DEGRADED},
	{"e bd", 0, ALL_DOWN_BACKUP, "+-", VIP_PANIC},
	{"e be", 0, ALL_DOWN_DROP, "+s", VIP_PANIC},
	{"d be", 0, ALL_DOWN_DROP, "-+", VIP_PANIC},
	{"u E", 0, ALL_DOWN_DROP, "+-", VIP_UP},
	{"d E", 0, ALL_DOWN_DROP, "--", VIP_DOWN},
	{"d E", 0, ALL_DOWN_ALL, "++", VIP_PANIC},
	{"E bd", 0, ALL_DOWN_BACKUP, "-+", VIP_PANIC},
	/* who is not proven is never used; most of them: health is not ignored yet */
	{"? ? ? d", 0, ALL_DOWN_ALL, "----", VIP_DOWN},
	{"? ? d d", 0, ALL_DOWN_ALL, "--++", VIP_PANIC},
	{"? ?", 0, ALL_DOWN_ALL, "--", VIP_DOWN},
	{"u ? ? d", 80, ALL_DOWN_ALL, "+--+", VIP_PANIC},
	{"u u ? d", 66, ALL_DOWN_ALL, "++--", VIP_UP},
	{"u u ? d", 67, ALL_DOWN_ALL, "++-+", VIP_PANIC},
	{"u ? ? ? d", 80, ALL_DOWN_ALL, "+----", VIP_UP},
};

static void new_flows_go_where_the_table_says(void **state)
{
	char result[MAX_REALS + 1];
	struct scene s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene(&s, rows[i].reals);
		s.vip.panic_percent = rows[i].panic;
		s.vip.on_all_down = rows[i].on_all_down;
		work_out(&s);
		describe(&s, result);
		if (strcmp(result, rows[i].result) != 0 || s.standing.state != rows[i].state)
			fail_msg("%s panic %u %s: %s %s", rows[i].reals, rows[i].panic,
				 all_down_name(rows[i].on_all_down), result,
				 vip_condition_name(s.standing.state));
	}
}

static const struct {
	const char *reals;
	struct share below;
	uint32_t panic;
	const char *result;
	enum vip_condition state;
	int first, last;
} level_rows[] = {
	{"u u bu", {2, false}, 0, "++s", VIP_UP, 0, 0},
	{"u d bu", {2, false}, 0, "+-+", VIP_DEGRADED, 0, 1},
	{"d d bu", {2, false}, 0, "--+", VIP_DEGRADED, 1, 1},
	{"u D bu", {2, false}, 0, "+s+", VIP_DEGRADED, 0, 1},
	{"u 0u bu", {2, false}, 0, "+s+", VIP_DEGRADED, 0, 1},
	/* one level at a time, as far as it takes */
	{"u d bu bbu", {2, false}, 0, "+-+s", VIP_DEGRADED, 0, 1},
	{"u d bu bbu", {3, false}, 0, "+-++", VIP_DEGRADED, 0, 2},
	{"d d bu bu bbu", {2, false}, 0, "--++s", VIP_DEGRADED, 1, 1},
	{"d d bu bd bbu", {2, false}, 0, "--+-+", VIP_DEGRADED, 1, 2},
	{"u d bd bbu bbbu", {2, false}, 0, "+--+s", VIP_DEGRADED, 0, 2},
	{"u d bbbu", {2, false}, 0, "+-+", VIP_DEGRADED, 0, 3},
	{"u d bu bbbbbbbu", {9, false}, 0, "+-++", VIP_DEGRADED, 0, 7},
	/* who is not up does not join: there are no backups then */
	{"u d", {2, false}, 0, "+-", VIP_UP, 0, 0},
	{"u d bd", {2, false}, 0, "+--", VIP_UP, 0, 0},
	{"d bd", {2, false}, 0, "--", VIP_DOWN, 0, 0},
	{"u d b0u bx", {2, false}, 0, "+-s-", VIP_UP, 0, 0},
	{"u d bu bbd", {9, false}, 0, "+-+-", VIP_DEGRADED, 0, 1},
	/* of the primaries that have a weight, rounded up */
	{"u u d d bu", {50, true}, 0, "++--s", VIP_UP, 0, 0},
	{"u u d d bu", {51, true}, 0, "++--+", VIP_DEGRADED, 0, 1},
	{"u u d bu", {66, true}, 0, "++-s", VIP_UP, 0, 0},
	{"u u d bu", {67, true}, 0, "++-+", VIP_DEGRADED, 0, 1},
	{"u u 0d 0d bu bu", {100, true}, 0, "++--ss", VIP_UP, 0, 0},
	{"d d d d bu bu bbu", {50, true}, 0, "----++s", VIP_DEGRADED, 1, 1},
	{"d d d d bu bu bbu", {51, true}, 0, "----+++", VIP_DEGRADED, 1, 2},
	{"bu bbu", {100, true}, 0, "+s", VIP_DEGRADED, 1, 1},
	/* who is not proven is not missed yet */
	{"u ? bu", {2, false}, 0, "+-s", VIP_UP, 0, 0},
	{"u ? d bu", {3, false}, 0, "+--+", VIP_DEGRADED, 0, 1},
	{"? ? bu bbu", {2, false}, 0, "--+s", VIP_DEGRADED, 1, 1},
	{"u d b? bbu", {2, false}, 0, "+--s", VIP_UP, 0, 0},
	/* who is ejected is missed */
	{"u e bu", {2, false}, 0, "+s+", VIP_DEGRADED, 0, 1},
	{"e bu bbe", {9, false}, 0, "s+s", VIP_DEGRADED, 1, 1},
	{"d be bbe", {9, false}, 0, "-+s", VIP_PANIC, 1, 1},
	/* panic: all that serve against the first level */
	{"u d d d", {2, false}, 50, "++++", VIP_PANIC, 0, 0},
	{"u d d d bd", {2, false}, 50, "++++-", VIP_PANIC, 0, 0},
	{"u d d d bu", {2, false}, 50, "+---+", VIP_DEGRADED, 0, 1},
	{"u d d d bu bd bx", {2, false}, 75, "++++++-", VIP_PANIC, 0, 1},
	{"u d d d bu bd bbu bbbd", {3, false}, 80, "+++++++-", VIP_PANIC, 0, 2},
};

static void a_level_joins_while_too_few_are_up(void **state)
{
	char result[MAX_REALS + 1];
	struct scene s;

	for (size_t i = 0; i < sizeof(level_rows) / sizeof(level_rows[0]); i++) {
		scene(&s, level_rows[i].reals);
		s.vip.backup_below = level_rows[i].below;
		s.vip.panic_percent = level_rows[i].panic;
		work_out(&s);
		describe(&s, result);
		if (strcmp(result, level_rows[i].result) != 0 ||
		    s.standing.state != level_rows[i].state ||
		    s.standing.first_level != level_rows[i].first ||
		    s.standing.last_level != level_rows[i].last ||
		    s.standing.is_on_backup != (level_rows[i].last > 0))
			fail_msg("row %zu, %s: %s %s, levels %u to %u", i, level_rows[i].reals,
				 result, vip_condition_name(s.standing.state),
				 s.standing.first_level, s.standing.last_level);
	}
}

static void a_real_that_starts_slowly_is_missed_still(void **state)
{
	char result[MAX_REALS + 1];
	struct scene s;

	scene(&s, "u u bu bbu");
	s.vip.backup_below = (struct share){2, false};
	s.inputs[1].held_back_percent = 95;
	work_out(&s);
	describe(&s, result);
	assert_string_equal(result, "+++s");
	assert_int_equal(s.standing.up, 2);
	assert_int_equal(s.standing.slow, 1);
	s.inputs[2].held_back_percent = 5;
	work_out(&s);
	describe(&s, result);
	assert_string_equal(result, "++++");
	s.inputs[1].held_back_percent = 0;
	work_out(&s);
	describe(&s, result);
	assert_string_equal(result, "++ss");
}

static void a_real_used_in_spite_of_its_health_is_still_noted_as_down(void **state)
{
	struct scene s;

	scene(&s, "u d d");
	s.vip.panic_percent = 50;
	work_out(&s);
	assert_int_equal(s.members[1].state, MEMBER_UP | MEMBER_NOTE_HEALTH_DOWN);
	assert_int_equal(s.members[1].ring_weight, 100);
}

static void a_real_that_returns_keeps_its_flows_until_it_is_proven(void **state)
{
	struct scene s;

	scene(&s, "u ? d x");
	for (size_t r = 0; r < 4; r++)
		s.inputs[r].is_returning = true;
	s.inputs[3].health = HEALTH_UNKNOWN;
	work_out(&s);
	assert_int_equal(s.members[0].state, MEMBER_UP | MEMBER_NOTE_HEALTH_UP);
	assert_int_equal(s.members[1].state, MEMBER_DRAIN);
	assert_int_equal(s.members[2].state, MEMBER_DOWN | MEMBER_NOTE_HEALTH_DOWN);
	assert_int_equal(s.members[3].state, MEMBER_DOWN);
}

static void health_may_be_ignored_by_panic_or_when_all_are_down(void **state)
{
	static const struct {
		uint32_t panic;
		enum all_down on_all_down;
		bool may;
	} cases[] = {
		{0, ALL_DOWN_DROP, false},	  {0, ALL_DOWN_RESET, false},
		{0, ALL_DOWN_UNREACHABLE, false}, {0, ALL_DOWN_ALL, true},
		{0, ALL_DOWN_BACKUP, true},	  {50, ALL_DOWN_DROP, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vip_spec vip = {.panic_percent = cases[i].panic,
				       .on_all_down = cases[i].on_all_down};

		if (effective_may_ignore_health(&vip) != cases[i].may)
			fail_msg("panic %u, %s", cases[i].panic,
				 all_down_name(cases[i].on_all_down));
	}
}

static const struct {
	const char *reals;
	struct share min;
	size_t wanted;
	bool is_below, is_proven;
	enum vip_condition state;
} min_rows[] = {
	{"u u u", {0, false}, 0, false, true, VIP_UP},
	{"u u u", {3, false}, 3, false, true, VIP_UP},
	{"u u d", {3, false}, 3, true, true, VIP_DEGRADED},
	{"u u D", {3, false}, 3, true, true, VIP_DEGRADED},
	{"u u x", {3, false}, 3, true, true, VIP_DEGRADED},
	{"u u u", {50, true}, 2, false, true, VIP_UP},
	{"u d d", {50, true}, 2, true, true, VIP_DEGRADED},
	{"u u bu", {3, false}, 3, true, true, VIP_DEGRADED},
	{"u u bu 0u", {100, true}, 2, false, true, VIP_UP},
	{"d d", {1, true}, 1, true, true, VIP_DOWN},
	{"u ?", {2, false}, 2, true, false, VIP_DEGRADED},
};

static void a_vip_is_degraded_below_its_minimum_of_reals(void **state)
{
	struct scene s;

	for (size_t i = 0; i < sizeof(min_rows) / sizeof(min_rows[0]); i++) {
		scene(&s, min_rows[i].reals);
		s.vip.min_healthy = min_rows[i].min;
		work_out(&s);
		if (s.standing.wanted != min_rows[i].wanted ||
		    s.standing.is_below_min != min_rows[i].is_below ||
		    s.standing.is_proven != min_rows[i].is_proven ||
		    s.standing.state != min_rows[i].state)
			fail_msg("row %zu: wanted %zu below %d state %s", i, s.standing.wanted,
				 s.standing.is_below_min, vip_condition_name(s.standing.state));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_that_starts_slowly_is_missed_still),
		cmocka_unit_test(a_level_joins_while_too_few_are_up),
		cmocka_unit_test(new_flows_go_where_the_table_says),
		cmocka_unit_test(health_may_be_ignored_by_panic_or_when_all_are_down),
		cmocka_unit_test(a_real_used_in_spite_of_its_health_is_still_noted_as_down),
		cmocka_unit_test(a_real_that_returns_keeps_its_flows_until_it_is_proven),
		cmocka_unit_test(a_vip_is_degraded_below_its_minimum_of_reals),
	};

	return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
