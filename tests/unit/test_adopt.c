/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A daemon over the maps of another that ended at any moment. The moments: a child that applies a
 * plan to the shared maps is stopped before its n-th call, single-stepped a random number of
 * instructions further, and killed.
 */
#include "lab_random.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_adopted_maps_need_no_new_ring(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct lab *lab = lab_new();
		uint64_t random = seed, words[16];

		for (int i = 0; i < 30; i++)
			lab_change(lab, &random);
		lab_settle(lab);
		for (uint32_t id = 0; id < 16; id++)
			words[id] = lab->fake->dp.vip_state[id].ring;

		assert_int_equal(lab_adopt(lab), 0);
		lab_check(lab);
		assert_int_equal(lab_apply(lab), 0);
		assert_int_equal(apply_next_ring(lab->applied, &lab->err), RINGS_DONE);
		for (uint32_t id = 0; id < 16; id++)
			assert_int_equal(lab->fake->dp.vip_state[id].ring, words[id]);
		lab_check_settled(lab);
		lab_free(lab);
	}
}

static void test_adopting_changes_no_state_of_a_member(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 4);
	lab->inputs[web][1].health = HEALTH_DOWN;
	lab->inputs[web][2].admin = ADMIN_DRAIN;
	lab_settle(lab);
	assert_int_equal(lab_adopt(lab), 0);
	assert_int_equal(lab_plan(lab), 0);
	for (size_t i = 0; i < lab->plan.n_steps; i++) {
		const struct plan_step *step = &lab->plan.steps[i];
		struct applied_member *m = applied_find_member(lab_vip(lab, web), &step->real, 0);

		if (step->kind == PLAN_SET_VIP)
			continue;
		assert_int_equal(step->kind, PLAN_SET_MEMBER);
		assert_int_equal(step->member->state, m->state);
	}
	lab_free(lab);
}

static void test_a_ring_from_another_hash_key_is_built_anew(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);
	uint64_t word;

	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	word = lab->fake->dp.vip_state[0].ring;
	assert_int_equal(lab_adopt(lab), 0);
	lab->applied->key_fingerprint++;
	lab_settle(lab);
	assert_int_not_equal(lab->fake->dp.vip_state[0].ring, word);
	lab_free(lab);
}

/* Killed between the ring's word and that of its turns: these are the other half's. */
static void test_turns_of_the_ring_before_are_not_taken_over(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);
	struct vip_state *vip;
	uint64_t before;

	lab->vips[web].scheduler = SCHEDULER_RR;
	lab->vips[web].on_all_down = ALL_DOWN_UNREACHABLE;
	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	vip = &lab->fake->dp.vip_state[lab_vip(lab, web)->id];
	before = vip->order;
	lab->inputs[web][0].health = HEALTH_DOWN;
	lab_settle(lab);
	assert_int_not_equal(vip->order, before);
	vip->order = before;
	vip->fingerprint = 0;
	assert_int_equal(lab_adopt(lab), 0);
	assert_int_equal(vip->order, 0);
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_removed_member_is_kept_until_a_plan_has_said_so(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	lab_remove_real(lab, web, 1);
	assert_int_equal(lab_apply(lab), 0); /* and killed before the ring */
	assert_int_equal(lab_adopt(lab), 0);
	lab_retire_all(lab);
	lab_check_packets(lab);
	assert_non_null(lab_member(lab, web, 2));
	lab_settle(lab);
	lab_retire_all(lab);
	assert_null(lab_member(lab, web, 2));
	lab_check_settled(lab);
	lab_free(lab);
}

/* Killed between the members and what says which ports the VIP shall have. */
static void test_members_have_the_ports_of_their_vip_again(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 2);
	lab_settle(lab);
	lab->fake->dp.members[lab_member(lab, web, 2)->id].port = htons(70);
	lab->fake->dp.members[lab_member(lab, web, 2)->id].port_last = htons(90);
	assert_int_equal(lab_adopt(lab), 0);
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_totals_of_freed_members_survive(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 2);
	lab_settle(lab);
	lab->fake->stats[lab_member(lab, web, 1)->id].packets = 7;
	lab_remove_real(lab, web, 0);
	lab_settle(lab);
	lab_retire_all(lab);
	assert_int_equal(lab_adopt(lab), 0);
	lab_settle(lab);
	assert_int_equal(lab->fake->dp.vip_state[lab_vip(lab, web)->id].freed_packets, 7);
	lab_free(lab);
}

/* ---- killed ---------------------------------------------------------------------------------- */

static void child(struct lab *lab, unsigned int call)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	lab->fake->stop_at = lab->fake->calls + call;
	if (!lab_plan(lab))
		apply_plan(lab->applied, &lab->plan, &lab->err);
	for (int i = 0; i < 40; i++) {
		if (apply_next_ring(lab->applied, &lab->err) != RINGS_MORE)
			fake_grace_pass(lab->fake);
	}
	for (int i = 0; i < 8; i++) {
		fake_grace_pass(lab->fake);
		lab_scan(lab);
	}
	_exit(0);
}

/* False: it came to its end. */
static bool run_and_kill(struct lab *lab, unsigned int call, uint32_t n_instructions)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		child(lab, call);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		return false;
	for (uint32_t i = 0; i < n_instructions && WIFSTOPPED(status); i++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	if (!WIFSTOPPED(status))
		return false;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

/* One more life of a balancer: a change, its end at that moment, a successor that puts it right. */
static bool live_once(struct lab *lab, unsigned int call, uint64_t *random)
{
	bool is_killed = run_and_kill(lab, call, lab_random(random, 1500));

	lab_check_packets(lab);
	assert_int_equal(lab_adopt(lab), 0);
	lab_check(lab);
	lab_scan(lab);
	lab_check(lab);
	while (lab_plan(lab)) {
		assert_non_null(strstr(lab->err.text, "capacity."));
		lab_retire_all(lab);
	}
	lab_settle(lab);
	lab_check_settled(lab);
	return is_killed;
}

static void test_a_daemon_killed_at_any_moment_leaves_what_its_successor_puts_right(void **state)
{
	unsigned int n_killed = 0;

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct lab *lab = lab_new();
		uint64_t random = seed;

		for (int i = 0; i < 10; i++)
			lab_change(lab, &random);
		lab_settle(lab);
		for (unsigned int call = 1; call <= 15; call++) {
			for (int i = 0; i < 6; i++)
				lab_change(lab, &random);
			n_killed += live_once(lab, call, &random);
		}
		lab_retire_all(lab);
		assert_int_equal(lab->applied->n_orphans, 0);
		assert_int_equal(lab->applied->n_pending, 0);
		lab_check_settled(lab);
		lab_free(lab);
	}
	assert_true(n_killed > 40);
}

static void
test_a_ring_switched_right_before_the_end_is_not_taken_for_the_one_of_before(void **state)
{
	struct lab *lab = lab_new();
	size_t web = lab_add_vip(lab, 1, 80);

	lab_add_reals(lab, web, 1, 3);
	lab_settle(lab);
	fake_grace_pass(lab->fake);
	lab->inputs[web][0].health = HEALTH_DOWN;
	/* Its first call comes after the switch: it asks for a grace period. */
	assert_true(run_and_kill(lab, 1, 0));
	assert_int_equal(RING_WORD_BASE(lab->fake->dp.vip_state[0].ring),
			 lab_vip(lab, web)->half[!lab_vip(lab, web)->live].base);
	lab->inputs[web][0].health = HEALTH_UP;
	assert_int_equal(lab_adopt(lab), 0);
	lab_settle(lab);
	lab_check_settled(lab);
	lab_free(lab);
}

static void test_a_call_that_fails_is_made_good_by_the_next_plan(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct lab *lab = lab_new();
		uint64_t random = seed;

		for (int change = 0; change < 20; change++) {
			for (int i = 0; i < 4; i++)
				lab_change(lab, &random);
			lab->fake->fail_from = lab->fake->calls + 1 + lab_random(&random, 12);
			lab->fake->n_failing = 1 + lab_random(&random, 3);
			while (lab_plan(lab))
				lab_retire_all(lab);
			apply_plan(lab->applied, &lab->plan, &lab->err);
			lab_check(lab);
			for (int i = 0; i < 10; i++) {
				apply_next_ring(lab->applied, &lab->err);
				fake_grace_pass(lab->fake);
				lab_scan(lab);
				lab_check(lab);
			}
			lab->fake->n_failing = 0;
			if (lab_random(&random, 2))
				assert_int_equal(lab_adopt(lab), 0);
			lab_settle(lab);
			lab_check_settled(lab);
		}
		lab_free(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopted_maps_need_no_new_ring),
		cmocka_unit_test(test_adopting_changes_no_state_of_a_member),
		cmocka_unit_test(test_a_ring_from_another_hash_key_is_built_anew),
		cmocka_unit_test(test_turns_of_the_ring_before_are_not_taken_over),
		cmocka_unit_test(test_a_removed_member_is_kept_until_a_plan_has_said_so),
		cmocka_unit_test(test_members_have_the_ports_of_their_vip_again),
		cmocka_unit_test(
			test_a_ring_switched_right_before_the_end_is_not_taken_for_the_one_of_before),
		cmocka_unit_test(test_totals_of_freed_members_survive),
		cmocka_unit_test(
			test_a_daemon_killed_at_any_moment_leaves_what_its_successor_puts_right),
		cmocka_unit_test(test_a_call_that_fails_is_made_good_by_the_next_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
