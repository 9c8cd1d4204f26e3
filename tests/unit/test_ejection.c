// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Circuit breakers: who is ejected, for how long, how many, and how they come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/ejection.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define N	      10

static const struct ejection_spec usual = {
	.is_on = true,
	.interval_ms = 1000,
	.min_flows = 20,
	.time_ms = 30000,
	.max_time_ms = 300000,
	.max_ejected_percent = 10,
	.trial_percent = 5,
};

struct vip {
	struct ejection_spec spec;
	struct circuit circuits[N];
	struct circuit *pointers[N];
	struct circuit_sample samples[N];
	bool changed[N];
	uint64_t now_ms;
	size_t n;
};

/* n reals that answer. */
static struct vip *vip_of(struct vip *vip, size_t n)
{
	*vip = (struct vip){.spec = usual, .n = n, .now_ms = 1000000};
	for (size_t i = 0; i < n; i++) {
		vip->pointers[i] = &vip->circuits[i];
		vip->samples[i] = (struct circuit_sample){100, 1, true};
	}
	return vip;
}

static void look(struct vip *vip, uint64_t after_ms)
{
	vip->now_ms += after_ms;
	ejection_look(&vip->spec, vip->pointers, vip->samples, vip->n, vip->now_ms, vip->changed);
}

static size_t count(const struct vip *vip, enum circuit_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < vip->n; i++)
		n += vip->circuits[i].state == state;
	return n;
}

static void sample(struct vip *vip, size_t i, uint64_t new_flows, uint64_t repeated)
{
	vip->samples[i].new_flows = new_flows;
	vip->samples[i].repeated_syns = repeated;
}

static const struct {
	const char *what;
	size_t n;
	struct circuit_sample first; /* the others: `others` */
	struct circuit_sample others;
	bool is_ejected;
} rows[] = {
	{"deaf", 3, {50, 100, true}, {100, 0, true}, true},
	{"deaf, one of two", 2, {50, 100, true}, {100, 0, true}, true},
	{"alone", 1, {50, 100, true}, {}, false},
	{"deaf, and down", 3, {50, 100, false}, {100, 0, true}, false},
	{"the only one that is up", 2, {50, 100, true}, {100, 0, false}, false},
	{"usual losses", 3, {1000, 1, true}, {1000, 1, true}, false},
	{"many losses, of all clients alike", 3, {100, 60, true}, {100, 50, true}, false},
	{"worse than others, but less than five times", 3, {100, 60, true}, {100, 10, true}, false},
	{"five times as bad", 3, {100, 100, true}, {90, 10, true}, true},
	{"a little under a fifth", 3, {81, 19, true}, {100, 0, true}, false},
	{"a fifth", 3, {80, 20, true}, {100, 0, true}, true},
	{"too few SYNs", 3, {9, 10, true}, {100, 0, true}, false},
	{"just enough", 3, {10, 10, true}, {100, 0, true}, true},
	{"others too few to compare with", 3, {50, 100, true}, {19, 0, true}, false},
	{"others just enough", 3, {50, 100, true}, {20, 0, true}, true},
	{"no traffic", 3, {0, 0, true}, {0, 0, true}, false},
	{"repetitions of flows from before", 3, {0, 40, true}, {100, 0, true}, true},
};

static void a_real_is_ejected_if_it_stands_out_from_the_others(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vip v;

		vip_of(&v, rows[i].n);
		for (size_t k = 1; k < v.n; k++)
			v.samples[k] = rows[i].others;
		v.samples[0] = rows[i].first;
		look(&v, 1000);
		if ((v.circuits[0].state == CIRCUIT_OPEN) != rows[i].is_ejected ||
		    v.changed[0] != rows[i].is_ejected ||
		    count(&v, CIRCUIT_OPEN) != rows[i].is_ejected)
			fail_msg("%s", rows[i].what);
	}
}

static void no_more_are_ejected_than_allowed_and_the_worst_first(void **state)
{
	static const struct {
		uint32_t percent;
		size_t n, deaf, ejected;
	} cases[] = {{10, 10, 3, 1}, {20, 10, 3, 2}, {50, 10, 4, 4}, {10, 3, 1, 1},
		     {10, 2, 1, 1},  {50, 4, 3, 2},  {10, 5, 2, 1},  {90, 10, 9, 9}};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct vip v;

		vip_of(&v, cases[c].n);
		v.spec.max_ejected_percent = cases[c].percent;
		for (size_t i = 0; i < cases[c].deaf; i++)
			sample(&v, i, 100, 500 + 200 * i); /* the last is the worst */
		look(&v, 1000);
		/* With most of them deaf the median is that of deaf ones: nobody stands out. */
		if (2 * cases[c].deaf > cases[c].n + 1)
			continue;
		assert_int_equal(count(&v, CIRCUIT_OPEN), cases[c].ejected);
		for (size_t i = 0; i < cases[c].ejected; i++)
			assert_int_equal(v.circuits[cases[c].deaf - 1 - i].state, CIRCUIT_OPEN);
		look(&v, 1000);
		assert_int_equal(count(&v, CIRCUIT_OPEN), cases[c].ejected);
	}
}

static void the_worst_is_ejected_wherever_it_stands(void **state)
{
	for (size_t worst = 0; worst < 4; worst++) {
		struct vip v;

		vip_of(&v, N);
		for (size_t i = 0; i < 4; i++)
			sample(&v, i, 100, i == worst ? 900 : 500);
		look(&v, 1000);
		assert_int_equal(v.circuits[worst].state, CIRCUIT_OPEN);
		assert_int_equal(count(&v, CIRCUIT_OPEN), 1);
	}
}

static void an_ejection_says_when_and_why(void **state)
{
	static const struct {
		uint64_t others[5]; /* repeated of 1000 SYNs */
		size_t n;
		uint32_t median;
	} cases[] = {
		{{50, 0, 20}, 3, 20},
		{{50, 0, 20, 10}, 4, 10},
		{{1, 2, 100, 30, 20}, 5, 20},
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		const struct circuit *circuit;
		struct vip v;

		vip_of(&v, 1 + cases[c].n);
		circuit = &v.circuits[cases[c].n];
		sample(&v, cases[c].n, 10, 90);
		for (size_t i = 0; i < cases[c].n; i++)
			sample(&v, i, 1000 - cases[c].others[i], cases[c].others[i]);
		look(&v, 1000);
		assert_int_equal(circuit->state, CIRCUIT_OPEN);
		assert_int_equal(circuit->since_ms, v.now_ms);
		assert_int_equal(circuit->permille, 900);
		assert_int_equal(circuit->others_permille, cases[c].median);
	}
}

/* Ejects the first; on trial afterwards. */
static void eject_and_wait(struct vip *v)
{
	uint64_t wait;

	sample(v, 0, 10, 100);
	look(v, 1000);
	assert_int_equal(v->circuits[0].state, CIRCUIT_OPEN);
	wait = v->circuits[0].until_ms - v->now_ms;
	sample(v, 0, 0, 0);
	look(v, wait - 1);
	assert_int_equal(v->circuits[0].state, CIRCUIT_OPEN);
	look(v, 1);
	assert_int_equal(v->circuits[0].state, CIRCUIT_HALF_OPEN);
	assert_true(v->changed[0]);
}

static void on_trial_a_real_proves_itself_by_enough_flows_in_two_looks(void **state)
{
	struct vip v;

	eject_and_wait(vip_of(&v, 3));
	for (int i = 0; i < 3; i++) { /* a small weight gets few */
		sample(&v, 0, 5, 0);
		look(&v, 1000);
		assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	}
	look(&v, 1000); /* 20 */
	assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_CLOSED);
	assert_true(v.changed[0]);
	look(&v, 1000);
	assert_false(v.changed[0]);
	look(&v, 28999);
	assert_int_equal(v.circuits[0].ejections, 1);
	look(&v, 1);
	assert_int_equal(v.circuits[0].ejections, 0);
}

/* What an earlier trial has seen counts for nothing. */
static void every_trial_starts_anew(void **state)
{
	struct vip v;

	eject_and_wait(vip_of(&v, 3));
	sample(&v, 0, 30, 0);
	look(&v, 1000);
	sample(&v, 0, 0, 1000);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_OPEN);
	sample(&v, 0, 0, 0);
	look(&v, 60000);
	sample(&v, 0, 20, 0);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_CLOSED);
}

static void losses_on_trial_fade_unless_the_others_have_them_too(void **state)
{
	static const struct {
		uint64_t others; /* SYNs of each, half of them repeated */
		uint64_t syns, repeated; /* what is left */
	} cases[] = {{18, 50, 25}, {20, 0, 0}};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct vip v;

		eject_and_wait(vip_of(&v, 3));
		sample(&v, 0, 50, 50);
		for (size_t k = 1; k < 3; k++)
			sample(&v, k, cases[c].others / 2, cases[c].others / 2);
		look(&v, 1000);
		assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
		assert_int_equal(v.circuits[0].syns, cases[c].syns);
		assert_int_equal(v.circuits[0].repeated, cases[c].repeated);
	}
}

static void without_traffic_a_trial_goes_on(void **state)
{
	struct vip v;

	eject_and_wait(vip_of(&v, 3));
	for (int i = 0; i < 100; i++)
		look(&v, 60000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
}

static void who_fails_his_trial_is_ejected_for_twice_as_long(void **state)
{
	static const uint64_t times[] = {30000, 60000, 120000, 240000, 300000, 300000};
	struct vip v;

	vip_of(&v, 3);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		sample(&v, 0, 10, 20);
		look(&v, 1000);
		assert_int_equal(v.circuits[0].state, CIRCUIT_OPEN);
		assert_int_equal(v.circuits[0].until_ms - v.now_ms, times[i]);
		assert_int_equal(v.circuits[0].ejections, i + 1);
		sample(&v, 0, 0, 0);
		look(&v, times[i]);
		assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	}
}

static void a_trial_is_not_passed_while_every_real_has_losses(void **state)
{
	struct vip v;

	eject_and_wait(vip_of(&v, 3));
	for (int i = 0; i < 10; i++) {
		for (size_t k = 0; k < 3; k++)
			sample(&v, k, 80, 20);
		look(&v, 1000);
		assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	}
}

static void a_trial_is_passed_soon_after_losses_that_all_had(void **state)
{
	struct vip v;
	int looks = 0;

	eject_and_wait(vip_of(&v, 3));
	for (int i = 0; i < 1000; i++) {
		for (size_t k = 0; k < 3; k++)
			sample(&v, k, 50, 50);
		look(&v, 1000);
	}
	for (size_t k = 0; k < 3; k++)
		sample(&v, k, 50, 0);
	for (; v.circuits[0].state == CIRCUIT_HALF_OPEN && looks < 100; looks++)
		look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_CLOSED);
	assert_in_range(looks, 2, 10);
}

static void a_good_look_before_a_bad_one_does_not_count(void **state)
{
	struct vip v;

	eject_and_wait(vip_of(&v, 3));
	sample(&v, 0, 30, 0);
	look(&v, 1000);
	/* Nobody else has enough SYNs to be compared with. */
	for (size_t k = 1; k < 3; k++)
		sample(&v, k, 1, 0);
	sample(&v, 0, 0, 100);
	look(&v, 1000);
	sample(&v, 0, 1000, 0);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_HALF_OPEN);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_CLOSED);
}

static void good_conduct_is_rewarded(void **state)
{
	struct vip v;

	vip_of(&v, 3);
	v.circuits[0].ejections = 3;
	v.circuits[0].until_ms = v.now_ms + 120000;
	sample(&v, 0, 100, 0);
	look(&v, 119999);
	assert_int_equal(v.circuits[0].ejections, 3);
	look(&v, 1);
	assert_int_equal(v.circuits[0].ejections, 2);
	look(&v, 59999);
	assert_int_equal(v.circuits[0].ejections, 2);
	look(&v, 1);
	assert_int_equal(v.circuits[0].ejections, 1);
	look(&v, 29999);
	assert_int_equal(v.circuits[0].ejections, 1);
	look(&v, 1);
	assert_int_equal(v.circuits[0].ejections, 0);
	look(&v, 1000000);
	assert_int_equal(v.circuits[0].ejections, 0);
}

static void when_others_go_down_an_ejected_real_serves_again(void **state)
{
	struct vip v;

	vip_of(&v, 3);
	sample(&v, 0, 10, 100);
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_OPEN);
	v.samples[1].is_up = false;
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_OPEN); /* one of two may be */
	v.samples[2].is_up = false;
	look(&v, 1000);
	assert_int_equal(v.circuits[0].state, CIRCUIT_CLOSED);
	assert_true(v.changed[0]);
}

#define CIRCUIT(state_, ejections_, since, until)                                                  \
	{                                                                                          \
		.state = (state_), .ejections = (ejections_), .since_ms = (since),                 \
		.until_ms = (until)                                                                \
	}

static void of_too_many_that_are_ejected_the_first_serves_again(void **state)
{
	struct vip v;

	vip_of(&v, N);
	v.spec.max_ejected_percent = 20;
	v.samples[7].is_up = false;
	v.circuits[2] = (struct circuit)CIRCUIT(CIRCUIT_OPEN, 1, 900300, 2000000);
	v.circuits[5] = (struct circuit)CIRCUIT(CIRCUIT_HALF_OPEN, 1, 900200, 2000000);
	v.circuits[6] = (struct circuit)CIRCUIT(CIRCUIT_CLOSED, 0, 900000, 0);
	v.circuits[7] = (struct circuit)CIRCUIT(CIRCUIT_OPEN, 1, 900100, 2000000);
	look(&v, 1000);
	assert_int_equal(v.circuits[2].state, CIRCUIT_OPEN);
	assert_int_equal(v.circuits[5].state, CIRCUIT_CLOSED);
	assert_int_equal(v.circuits[7].state, CIRCUIT_OPEN); /* down: it serves nobody */
}

/* After a restart, maybe with another configuration. */
static void a_circuit_from_before_is_taken_over_as_far_as_it_makes_sense(void **state)
{
	static const struct {
		const char *name;
		struct circuit before;
		struct circuit after; /* at 1000000 */
	} cases[] = {
		{"open, for a while yet", CIRCUIT(CIRCUIT_OPEN, 2, 990000, 1050000),
		 CIRCUIT(CIRCUIT_OPEN, 2, 990000, 1050000)},
		{"its time has ended meanwhile: the next look tries it",
		 CIRCUIT(CIRCUIT_OPEN, 1, 900000, 930000),
		 CIRCUIT(CIRCUIT_OPEN, 1, 900000, 930000)},
		{"until a time beyond all bounds", CIRCUIT(CIRCUIT_OPEN, 1, 5000000, 1ULL << 60),
		 CIRCUIT(CIRCUIT_OPEN, 1, 1000000, 1300000)},
		{"on trial", CIRCUIT(CIRCUIT_HALF_OPEN, 1, 990000, 0),
		 CIRCUIT(CIRCUIT_HALF_OPEN, 1, 990000, 0)},
		{"closed, not forgiven yet", CIRCUIT(CIRCUIT_CLOSED, 3, 900000, 1000001),
		 CIRCUIT(CIRCUIT_CLOSED, 3, 900000, 1000001)},
		{"closed, forgiven step by step meanwhile",
		 CIRCUIT(CIRCUIT_CLOSED, 3, 900000, 930000),
		 CIRCUIT(CIRCUIT_CLOSED, 1, 900000, 1020000)},
		{"closed, all forgiven", CIRCUIT(CIRCUIT_CLOSED, 3, 100, 100),
		 CIRCUIT(CIRCUIT_CLOSED, 0, 100, 0)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct circuit *want = &cases[i].after;
		struct circuit have = cases[i].before;

		ejection_recall(&usual, &have, 1000000);
		if (have.state != want->state || have.ejections != want->ejections ||
		    have.since_ms != want->since_ms ||
		    (want->until_ms && have.until_ms != want->until_ms))
			fail_msg("%s: %s, %u ejections, until %lu", cases[i].name,
				 circuit_state_name(have.state), have.ejections, have.until_ms);
	}
}

static void where_ejection_is_off_no_circuit_is_taken_over(void **state)
{
	struct circuit circuit = CIRCUIT(CIRCUIT_OPEN, 1, 990000, 1050000);

	ejection_recall(&(struct ejection_spec){}, &circuit, 1000000);
	assert_int_equal(circuit.state, CIRCUIT_CLOSED);
	assert_int_equal(circuit.ejections, 0);
}

static void a_circuit_from_before_is_tried_when_its_time_has_ended(void **state)
{
	struct vip v;

	vip_of(&v, 3);
	v.circuits[2] = (struct circuit)CIRCUIT(CIRCUIT_OPEN, 2, 900000, v.now_ms + 10000);
	ejection_recall(&v.spec, &v.circuits[2], v.now_ms);
	sample(&v, 2, 0, 0);
	look(&v, 9999);
	assert_int_equal(v.circuits[2].state, CIRCUIT_OPEN);
	look(&v, 1);
	assert_int_equal(v.circuits[2].state, CIRCUIT_HALF_OPEN);
	sample(&v, 2, 10, 20);
	look(&v, 1000);
	assert_int_equal(v.circuits[2].ejections, 3);
	assert_int_equal(v.circuits[2].until_ms - v.now_ms, 120000);
}

static void every_state_has_a_name(void **state)
{
	assert_string_equal(circuit_state_name(CIRCUIT_CLOSED), "closed");
	assert_string_equal(circuit_state_name(CIRCUIT_OPEN), "open");
	assert_string_equal(circuit_state_name(CIRCUIT_HALF_OPEN), "half-open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_is_ejected_if_it_stands_out_from_the_others),
		cmocka_unit_test(no_more_are_ejected_than_allowed_and_the_worst_first),
		cmocka_unit_test(the_worst_is_ejected_wherever_it_stands),
		cmocka_unit_test(an_ejection_says_when_and_why),
		cmocka_unit_test(every_trial_starts_anew),
		cmocka_unit_test(losses_on_trial_fade_unless_the_others_have_them_too),
		cmocka_unit_test(of_too_many_that_are_ejected_the_first_serves_again),
		cmocka_unit_test(on_trial_a_real_proves_itself_by_enough_flows_in_two_looks),
		cmocka_unit_test(without_traffic_a_trial_goes_on),
		cmocka_unit_test(who_fails_his_trial_is_ejected_for_twice_as_long),
		cmocka_unit_test(a_trial_is_not_passed_while_every_real_has_losses),
		cmocka_unit_test(a_trial_is_passed_soon_after_losses_that_all_had),
		cmocka_unit_test(a_good_look_before_a_bad_one_does_not_count),
		cmocka_unit_test(good_conduct_is_rewarded),
		cmocka_unit_test(when_others_go_down_an_ejected_real_serves_again),
		cmocka_unit_test(a_circuit_from_before_is_taken_over_as_far_as_it_makes_sense),
		cmocka_unit_test(where_ejection_is_off_no_circuit_is_taken_over),
		cmocka_unit_test(a_circuit_from_before_is_tried_when_its_time_has_ended),
		cmocka_unit_test(every_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
