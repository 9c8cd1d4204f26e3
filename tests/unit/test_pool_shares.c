/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many new flows pools and their reals get, and how many flows a change of that moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/maglev.h"
#include "pool_scene.h"

/* ---- Shares ---------------------------------------------------------------------------------- */

/* Gives the VIP pools of so many reals each, all up. */
static void pools(struct scene *s, struct pool_use *uses, size_t n, const size_t *sizes)
{
	static char words[2 * MAX_REALS + 1];
	size_t all = 0;

	words[0] = '\0';
	for (size_t p = 0; p < n; p++) {
		for (size_t r = 0; r < sizes[p]; r++)
			strcat(words, "u ");
	}
	scene(s, words);
	s->vip.pools = uses;
	s->vip.n_pools = n;
	for (size_t p = 0; p < n; p++) {
		for (size_t r = 0; r < sizes[p]; r++)
			s->reals[all++].pool = (uint16_t)p;
	}
}

static double share_of(const struct scene *s, size_t real)
{
	double sum = 0;

	for (size_t r = 0; r < s->vip.n_reals; r++)
		sum += s->members[r].ring_weight;
	return s->members[real].ring_weight / sum;
}

static double share_of_pool(const struct scene *s, size_t pool)
{
	double share = 0;

	for (size_t r = 0; r < s->vip.n_reals; r++)
		share += s->reals[r].pool == pool ? share_of(s, r) : 0;
	return share;
}

static void assert_near(double is, double due)
{
	if (is < due - 5e-4 || is > due + 5e-4)
		fail_msg("share %f, not %f", is, due);
}

static void pools_share_by_their_weights_however_many_reals_they_have(void **state)
{
	struct pool_use uses[] = {{.weight = 90}, {.weight = 10}};
	struct scene s;

	for (size_t blue = 1; blue < 40; blue += 6) {
		for (size_t green = 1; green < 40; green += 7) {
			pools(&s, uses, 2, (size_t[]){blue, green});
			work_out(&s);
			assert_near(share_of_pool(&s, 0), 0.9);
			assert_near(share_of_pool(&s, 1), 0.1);
		}
	}
}

static void reals_share_what_their_pool_has_by_their_own_weights(void **state)
{
	struct pool_use uses[] = {{.weight = 90}, {.weight = 10}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 2});
	s.reals[0].weight = 1;
	s.reals[1].weight = 2;
	s.reals[2].weight = 3000;
	s.reals[3].weight = 1000;
	work_out(&s);
	assert_near(share_of(&s, 0), 0.3);
	assert_near(share_of(&s, 1), 0.6);
	assert_near(share_of(&s, 2), 0.075);
	assert_near(share_of(&s, 3), 0.025);
}

static void
the_share_of_a_dead_real_goes_to_its_pool_and_that_of_a_dead_pool_to_the_others(void **state)
{
	struct pool_use uses[] = {{.weight = 60}, {.weight = 30}, {.weight = 10}};
	struct scene s;

	pools(&s, uses, 3, (size_t[]){2, 2, 2});
	s.inputs[0].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of(&s, 1), 0.6);
	assert_near(share_of(&s, 2), 0.15);
	s.inputs[1].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of_pool(&s, 1), 0.75);
	assert_near(share_of_pool(&s, 2), 0.25);
	s.inputs[4].health = s.inputs[5].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of_pool(&s, 1), 1);
	assert_int_equal(s.members[2].ring_weight, 100); /* one pool: the weights themselves */
}

static void a_pool_of_weight_0_is_kept_ready_and_a_backup_pool_waits(void **state)
{
	struct pool_use uses[] = {{.weight = 1}, {.weight = 0}, {.weight = 5, .backup_level = 1}};
	char result[8];
	struct scene s;

	pools(&s, uses, 3, (size_t[]){1, 1, 1});
	s.reals[2].backup_level = 1;
	work_out(&s);
	describe(&s, result);
	assert_string_equal(result, "+ss");
	s.inputs[0].health = HEALTH_DOWN;
	work_out(&s);
	describe(&s, result);
	assert_string_equal(result, "-s+");
}

/* As long as backups serve with them, who is left of a pool does not carry what its others had. */
static void a_pool_whose_backups_have_joined_has_the_share_of_the_reals_that_are_left(void **state)
{
	struct pool_use uses[] = {{.weight = 100}, {.weight = 100, .backup_level = 1}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){10, 10});
	s.vip.backup_below = (struct share){.value = 50, .is_percent = true};
	for (size_t r = 10; r < 20; r++)
		s.reals[r].backup_level = 1;
	for (size_t down = 1; down < 10; down++) {
		double due = down <= 5 ? 1 : (10 - (double)down) / (20 - (double)down);

		s.inputs[down - 1].health = HEALTH_DOWN;
		work_out(&s);
		assert_near(share_of_pool(&s, 0), due);
		assert_near(share_of(&s, 9), due / (10 - (double)down));
		assert_int_equal(s.members[9].weight, 100);
	}
	s.inputs[9].admin = ADMIN_DRAIN;
	s.inputs[19].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of_pool(&s, 1), 1);
	assert_near(share_of(&s, 10), 1. / 9); /* alone again: the whole of it */
}

/* Whatever the order of the pools, and though one has reals that do not serve yet. */
static void only_the_levels_that_serve_have_a_part_of_their_pools_share(void **state)
{
	struct pool_use uses[] = {{.weight = 100, .backup_level = 1}, {.weight = 100}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 4});
	s.reals[0].backup_level = s.reals[1].backup_level = 1;
	s.vip.backup_below = (struct share){.value = 3};
	s.inputs[2].health = s.inputs[3].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of_pool(&s, 0), 2. / 3);
	s.reals[1].backup_level = s.reals[5].backup_level = 2;
	s.inputs[2].health = HEALTH_UP;
	work_out(&s);
	assert_near(share_of(&s, 0), 0.6); /* joined */
	assert_near(share_of(&s, 1), 0); /* waits */
	assert_near(share_of(&s, 2), 0.2);
	assert_near(share_of(&s, 4), 0.2);
}

static void a_dead_backup_leaves_its_share_to_its_pool_where_backups_serve_alone(void **state)
{
	struct pool_use uses[] = {{.weight = 100, .backup_level = 1},
				  {.weight = 100, .backup_level = 1}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 2});
	for (size_t r = 0; r < 4; r++)
		s.reals[r].backup_level = 1;
	s.inputs[0].health = HEALTH_DOWN;
	work_out(&s);
	assert_near(share_of(&s, 1), 0.5);
}

static void shares_are_rounded_to_the_nearest_weight(void **state)
{
	static const struct {
		uint32_t pool_weight, ring_weight; /* of the second pool; of each of its 3 reals */
	} rows[] = {{1, 5461}, {2, 10923}, {3, 16384}};
	struct scene s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pool_use uses[] = {{.weight = 2}, {.weight = rows[i].pool_weight}};

		pools(&s, uses, 2, (size_t[]){1, 3});
		for (size_t r = 0; r < 4; r++)
			s.reals[r].weight = 1;
		work_out(&s);
		assert_int_equal(s.members[0].ring_weight, 32768);
		assert_int_equal(s.members[1].ring_weight, rows[i].ring_weight);
	}
}

static void no_share_is_too_small_for_a_weight(void **state)
{
	struct pool_use uses[] = {{.weight = 65535}, {.weight = 1}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){1, 200});
	for (size_t r = 1; r < 200; r++)
		s.reals[r].weight = 65535;
	s.reals[200].weight = 1;
	work_out(&s);
	for (size_t r = 0; r < s.vip.n_reals; r++)
		assert_in_range(s.members[r].ring_weight, 1, 65535);
	assert_int_equal(s.members[200].ring_weight, 1);
}

static void a_share_that_is_rounded_up_is_still_a_weight(void **state)
{
	struct pool_use uses[] = {{.weight = 5}, {.weight = 1}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 1});
	s.reals[0].weight = 65535;
	s.reals[1].weight = 16384;
	work_out(&s);
	assert_int_equal(s.members[0].ring_weight, 65535);
}

static void shown_weights_give_the_same_shares_and_sum_up_to_the_same(void **state)
{
	struct pool_use uses[] = {{.weight = 90}, {.weight = 10}};
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 2});
	work_out(&s);
	assert_int_equal(s.members[0].weight, 180);
	assert_int_equal(s.members[3].weight, 20);
	scene(&s, "u u");
	s.inputs[1].lowered_percent = 60;
	work_out(&s);
	assert_int_equal(s.members[0].weight, 100);
	assert_int_equal(s.members[1].weight, 40);
	s.inputs[1].lowered_percent = 100; /* who is up gets a share */
	work_out(&s);
	assert_int_equal(s.members[1].weight, 1);
	assert_true(s.members[1].ring_weight > 0);
}

static void what_a_real_is_denied_changes_the_weight_of_no_other(void **state)
{
	struct pool_use uses[] = {{.weight = 90}, {.weight = 10}};
	uint32_t other[4];
	struct scene s;

	pools(&s, uses, 2, (size_t[]){2, 3});
	work_out(&s);
	for (size_t r = 0; r < 4; r++)
		other[r] = s.members[r].ring_weight;
	for (uint32_t percent = 5; percent < 100; percent += 5) {
		uint32_t full = other[3];

		s.inputs[4].held_back_percent = percent;
		work_out(&s);
		for (size_t r = 0; r < 4; r++)
			assert_int_equal(s.members[r].ring_weight, other[r]);
		assert_in_range(s.members[4].ring_weight, full * (100 - percent) / 100 - 1,
				full * (100 - percent) / 100 + 1);
	}
}

static void
what_a_real_is_left_is_its_part_but_a_slot_at_least_if_the_whole_would_be_one(void **state)
{
	static const struct {
		size_t reals, denied;
		uint32_t size, weight; /* of the ring; of those denied, 100 of the others */
		uint32_t lowered, held_back;
		uint32_t least, most; /* slots of each */
	} rows[] = {
		{100, 1, 251, 100, 95, 95, 1, 1},  {100, 1, 251, 100, 95, 0, 1, 1},
		{100, 1, 251, 100, 0, 95, 1, 1},   {100, 100, 251, 100, 95, 95, 2, 3},
		{100, 60, 251, 100, 95, 95, 1, 2}, {200, 199, 251, 100, 95, 95, 1, 2},
		{250, 1, 251, 100, 95, 95, 1, 1},  {50, 5, 251, 21, 95, 95, 1, 1},
		{200, 50, 251, 1, 95, 95, 0, 0},   {10, 2, 65537, 100, 95, 95, 20, 21},
	};
	static uint16_t slots[RING];
	struct scene s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pool_use uses[] = {{.weight = 100}};
		uint32_t counts[MAX_REALS] = {};
		struct maglev_real reals[MAX_REALS];

		pools(&s, uses, 1, (size_t[]){rows[i].reals});
		s.vip.ring = rows[i].size;
		for (size_t r = 0; r < rows[i].denied; r++) {
			s.reals[r].weight = rows[i].weight;
			s.inputs[r].held_back_percent = rows[i].held_back;
			s.inputs[r].lowered_percent = rows[i].lowered;
		}
		work_out(&s);
		for (size_t r = 0; r < rows[i].reals; r++)
			reals[r] = (struct maglev_real){s.reals[r].address,
							s.members[r].ring_weight};
		assert_int_equal(maglev_build(reals, rows[i].reals, rows[i].size, slots), 0);
		for (size_t slot = 0; slot < rows[i].size; slot++)
			counts[slots[slot]]++;
		for (size_t r = 0; r < rows[i].denied; r++) {
			if (counts[r] < rows[i].least || counts[r] > rows[i].most)
				fail_msg("row %zu: real %zu has %u slots", i, r, counts[r]);
		}
	}
}

static void the_slot_that_is_left_is_one_of_those_in_the_ring(void **state)
{
	struct pool_use uses[] = {{.weight = 100}};
	struct scene s;

	pools(&s, uses, 1, (size_t[]){150});
	s.vip.ring = 251;
	s.inputs[0].held_back_percent = 95;
	for (size_t r = 100; r < 150; r++)
		s.inputs[r].health = HEALTH_DOWN;
	work_out(&s);
	assert_int_equal(s.members[1].ring_weight, 51200);
	assert_int_equal(s.members[0].ring_weight, (100 * 51200 + 250) / 251);
}

/* ---- Flows that move ------------------------------------------------------------------------- */

static uint16_t ring_before[RING], ring_after[RING];

static void build_ring(const struct scene *s, uint16_t *slots)
{
	struct maglev_real reals[MAX_REALS];

	for (size_t r = 0; r < s->vip.n_reals; r++)
		reals[r] = (struct maglev_real){s->reals[r].address, s->members[r].ring_weight};
	assert_int_equal(maglev_build(reals, s->vip.n_reals, RING, slots), 0);
}

struct moves {
	double moved; /* share of the slots with another real */
	double least; /* what has to move for the shares to be right */
};

static struct moves measure(struct scene *s, void (*change)(struct scene *s))
{
	double least[MAX_REALS];
	struct moves moves = {};
	size_t moved = 0;

	work_out(s);
	build_ring(s, ring_before);
	for (size_t r = 0; r < s->vip.n_reals; r++)
		least[r] = share_of(s, r);
	change(s);
	work_out(s);
	build_ring(s, ring_after);
	for (size_t r = 0; r < s->vip.n_reals; r++)
		moves.least += share_of(s, r) > least[r] ? share_of(s, r) - least[r] : 0;
	for (size_t i = 0; i < RING; i++)
		moved += ring_before[i] != ring_after[i];
	moves.moved = (double)moved / RING;
	return moves;
}

static void one_more_percent_for_the_canary(struct scene *s)
{
	s->vip.pools[0].weight = 89;
	s->vip.pools[1].weight = 11;
}

static void half_for_the_canary(struct scene *s)
{
	s->vip.pools[0].weight = 50;
	s->vip.pools[1].weight = 50;
}

static void nothing_for_the_canary(struct scene *s)
{
	s->vip.pools[1].weight = 0;
}

static void a_real_dies(struct scene *s)
{
	s->inputs[0].health = HEALTH_DOWN;
}

static void a_real_of_the_canary_dies(struct scene *s)
{
	s->inputs[s->vip.n_reals - 1].health = HEALTH_DOWN;
}

static void a_weight_is_halved(struct scene *s)
{
	s->reals[1].weight = 50;
}

static void a_weight_becomes_0(struct scene *s)
{
	s->reals[1].weight = 0;
}

static void a_real_starts_slowly(struct scene *s)
{
	s->inputs[2].held_back_percent = 95;
}

static void the_last_step_of_a_slow_start(struct scene *s)
{
	s->inputs[2].held_back_percent = s->inputs[2].held_back_percent ? 0 : 5;
}

static void a_change_moves_hardly_more_flows_than_it_must(void **state)
{
	static const struct {
		const char *name;
		void (*change)(struct scene *s);
	} changes[] = {
		{"canary 10 to 11 %", one_more_percent_for_the_canary},
		{"canary 10 to 50 %", half_for_the_canary},
		{"canary 10 to 0 %", nothing_for_the_canary},
		{"a real dies", a_real_dies},
		{"a real of the canary dies", a_real_of_the_canary_dies},
		{"weight 100 to 50", a_weight_is_halved},
		{"weight 100 to 0", a_weight_becomes_0},
		{"slow start: to 5 %", a_real_starts_slowly},
		{"slow start: to 95 %", the_last_step_of_a_slow_start},
	};
	struct scene s;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct pool_use uses[] = {{.weight = 90}, {.weight = 10}};
		struct moves moves;

		pools(&s, uses, 2, (size_t[]){10, 3});
		moves = measure(&s, changes[i].change);
		print_message("%s: %.2f %% of the slots move, %.2f %% have to\n", changes[i].name,
			      100 * moves.moved, 100 * moves.least);
		assert_true(moves.moved < 0.02 + 1.5 * moves.least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_share_by_their_weights_however_many_reals_they_have),
		cmocka_unit_test(reals_share_what_their_pool_has_by_their_own_weights),
		cmocka_unit_test(
			the_share_of_a_dead_real_goes_to_its_pool_and_that_of_a_dead_pool_to_the_others),
		cmocka_unit_test(a_pool_of_weight_0_is_kept_ready_and_a_backup_pool_waits),
		cmocka_unit_test(
			a_pool_whose_backups_have_joined_has_the_share_of_the_reals_that_are_left),
		cmocka_unit_test(only_the_levels_that_serve_have_a_part_of_their_pools_share),
		cmocka_unit_test(
			a_dead_backup_leaves_its_share_to_its_pool_where_backups_serve_alone),
		cmocka_unit_test(shares_are_rounded_to_the_nearest_weight),
		cmocka_unit_test(no_share_is_too_small_for_a_weight),
		cmocka_unit_test(a_share_that_is_rounded_up_is_still_a_weight),
		cmocka_unit_test(shown_weights_give_the_same_shares_and_sum_up_to_the_same),
		cmocka_unit_test(what_a_real_is_denied_changes_the_weight_of_no_other),
		cmocka_unit_test(
			what_a_real_is_left_is_its_part_but_a_slot_at_least_if_the_whole_would_be_one),
		cmocka_unit_test(the_slot_that_is_left_is_one_of_those_in_the_ring),
		cmocka_unit_test(a_change_moves_hardly_more_flows_than_it_must),
	};

	return cmocka_run_group_tests_name("pool_shares", tests, NULL, NULL);
}
