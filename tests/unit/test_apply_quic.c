/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* QUIC connection IDs in the maps: what is published when, and what a successor makes of it. */
#include "lab.h"

#include "lib/quic_map.h"

static struct quic_spec two_octets[] = {{.rotation = 0, .server_id_length = 2, .nonce_length = 6}};

static void set_id(struct lab *lab, size_t v, size_t r, uint8_t id)
{
	lab->reals[v][r].server_id = (struct server_id){.length = 2, .bytes = {0, id}};
}

static size_t add_quic_vip(struct lab *lab, size_t n_reals)
{
	size_t v = lab_add_vip(lab, 1, 443);

	lab->vips[v].protocol = IPPROTO_UDP;
	lab->vips[v].quic = two_octets;
	lab->vips[v].n_quic = 1;
	lab_add_reals(lab, v, 1, n_reals);
	for (size_t r = 0; r < n_reals; r++)
		set_id(lab, v, r, (uint8_t)(r + 1));
	return v;
}

static const struct quic_server_row *find(const struct lab *lab, size_t v, uint8_t id)
{
	const struct server_id server_id = {.length = 2, .bytes = {0, id}};
	struct quic_server_key key = quic_map_server_key(lab_vip(lab, v)->id, &server_id);

	return fake_find_server(lab->fake, &key);
}

/* The server ID leads to the real with this host number, or to nobody (0). */
static void leads_to(const struct lab *lab, size_t v, uint8_t id, uint32_t host)
{
	const struct quic_server_row *row = find(lab, v, id);

	if (!host) {
		assert_null(row);
		return;
	}
	assert_non_null(row);
	assert_int_equal(row->member_id, lab_member(lab, v, host)->id);
}

/* Each wanted real by its ID, and by no other. */
static void check_all(const struct lab *lab, size_t v)
{
	const struct quic_config *configs = lab->fake->maps->configs[lab_vip(lab, v)->id];

	for (size_t r = 0; r < lab->vips[v].n_reals; r++) {
		const struct applied_member *m = applied_find_member(lab_vip(lab, v),
								     &lab->reals[v][r].address, r);
		const struct quic_server_row *row = find(lab, v,
							 lab->reals[v][r].server_id.bytes[1]);

		assert_non_null(row);
		assert_int_equal(row->member_id, m->id);
	}
	assert_int_equal(lab->fake->dp.vip_state[lab_vip(lab, v)->id].flags, VIP_QUIC);
	assert_int_equal(configs[0].length, 8);
	for (int rotation = 1; rotation < QUIC_UNROUTABLE; rotation++)
		assert_int_equal(configs[rotation].length, 0);
}

static void test_a_quic_vip_is_published_with_all_its_server_ids(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);

	lab_settle(lab);
	check_all(lab, v);
	assert_int_equal(lab->fake->maps->n_servers, 3);
	for (size_t r = 0; r < 3; r++)
		assert_true(lab->fake->dp.members[lab_vip(lab, v)->members[r].id].encap &
			    MEMBER_NO_EXPRESS);
	lab_free(lab);
}

static void test_nothing_is_written_when_nothing_has_changed(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);

	lab_settle(lab);
	fake_log_clear(lab->fake);
	lab->inputs[v][1].health = HEALTH_DOWN;
	lab_settle(lab);
	assert_null(strpbrk(lab->fake->log, "QqIi"));
	lab_free(lab);
}

static void test_without_quic_nothing_is_left(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);

	lab_settle(lab);
	lab_remove_real(lab, v, 2);
	lab_settle(lab);
	lab->vips[v].n_quic = 0;
	for (size_t r = 0; r < 2; r++)
		lab->reals[v][r].server_id = (struct server_id){};
	lab_settle(lab);
	assert_int_equal(lab->fake->maps->n_servers, 0);
	assert_int_equal(lab->fake->maps->configs[lab_vip(lab, v)->id][0].length, 0);
	assert_int_equal(lab->fake->dp.vip_state[lab_vip(lab, v)->id].flags, 0);
	assert_int_equal(lab->fake->dp.members[lab_vip(lab, v)->members[0].id].encap, ENCAP_IPIP);
	assert_false(applied_has_quic(lab->applied));
	lab_free(lab);
}

static void test_two_reals_may_change_places(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 2);

	lab_settle(lab);
	set_id(lab, v, 0, 2);
	set_id(lab, v, 1, 1);
	fake_log_clear(lab->fake);
	lab_settle(lab);
	check_all(lab, v);
	assert_int_equal(lab->fake->maps->n_servers, 2);
	lab_free(lab);
}

static void test_an_id_leaves_the_map_before_its_member_is_free(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);
	uint32_t id;

	lab_settle(lab);
	id = lab_member(lab, v, 1)->id;
	lab->fake->dp.flows[0].slot[0] = 5ULL << FLOW_TAG_SHIFT |
					 (uint64_t)id << FLOW_MEMBER_SHIFT |
					 (uint64_t)FLOW_UDP << FLOW_STATE_SHIFT;
	lab_remove_real(lab, v, 0);
	lab_settle(lab);
	lab_retire_all(lab);
	leads_to(lab, v, 1, 1); /* while a flow names it */
	lab->fake->dp.flows[0].slot[0] = 0;
	lab_scan(lab);
	leads_to(lab, v, 1, 0);
	assert_non_null(lab_member(lab, v, 1));
	lab_retire_all(lab);
	assert_null(lab_member(lab, v, 1));
	lab_free(lab);
}

static void test_an_id_passes_to_a_new_real_and_comes_back(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);

	lab_settle(lab);
	lab->reals[v][0].address = lab_addr(9);
	lab_settle(lab);
	leads_to(lab, v, 1, 9);
	lab_scan(lab);
	lab->reals[v][0].address = lab_addr(1);
	lab_settle(lab);
	leads_to(lab, v, 1, 1);
	lab_retire_all(lab);
	leads_to(lab, v, 1, 1);
	assert_int_equal(lab->fake->maps->n_servers, 3);
	lab_free(lab);
}

static void test_a_removed_vip_leaves_no_id_behind(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 3);
	uint32_t id;

	lab_settle(lab);
	id = lab_vip(lab, v)->id;
	lab_remove_vip(lab, v);
	lab_settle(lab);
	assert_int_equal(lab->fake->maps->n_servers, 0);
	assert_int_equal(lab->fake->maps->configs[id][0].length, 0);
	lab_free(lab);
}

static void test_a_call_that_fails_is_made_up_for_by_the_next_plan(void **state)
{
	for (unsigned int at = 1; at < 40; at++) {
		struct lab *lab = lab_new();
		size_t v = add_quic_vip(lab, 3);

		lab_settle(lab);
		set_id(lab, v, 0, 2);
		set_id(lab, v, 1, 1);
		set_id(lab, v, 2, 7);
		lab->fake->fail_from = lab->fake->calls + at;
		lab->fake->n_failing = 1;
		lab_apply(lab);
		lab->fake->n_failing = 0;
		lab_settle(lab);
		check_all(lab, v);
		assert_int_equal(lab->fake->maps->n_servers, 3);
		lab_free(lab);
	}
}

/* A successor with another file, over whatever was there; nothing is lost meanwhile. */
static void test_a_successor_keeps_what_is_right_and_deletes_the_rest(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 4);
	struct quic_server_row stray;

	lab_settle(lab);
	stray = lab->fake->maps->servers[0];
	stray.key.server_id.word[0] ^= 1;
	lab->fake->maps->servers[lab->fake->maps->n_servers++] = stray;
	lab_remove_real(lab, v, 3);
	lab_settle(lab);
	assert_int_equal(lab_adopt(lab), 0);
	assert_true(applied_has_quic(lab->applied));
	for (uint8_t id = 1; id <= 4; id++)
		leads_to(lab, v, id, id);
	set_id(lab, v, 2, 8);
	lab_settle(lab);
	check_all(lab, v);
	leads_to(lab, v, 3, 0);
	leads_to(lab, v, 4, 4); /* removed, and not yet free */
	lab_retire_all(lab);
	assert_int_equal(lab->fake->maps->n_servers, 3);
	lab_free(lab);
}

static void test_a_successor_without_quic_takes_it_all_away(void **state)
{
	struct lab *lab = lab_new();
	size_t v = add_quic_vip(lab, 2);

	lab_settle(lab);
	assert_int_equal(lab_adopt(lab), 0);
	lab->vips[v].n_quic = 0;
	for (size_t r = 0; r < 2; r++)
		lab->reals[v][r].server_id = (struct server_id){};
	lab_settle(lab);
	assert_int_equal(lab->fake->maps->n_servers, 0);
	assert_int_equal(lab->fake->dp.vip_state[lab_vip(lab, v)->id].flags, 0);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_quic_vip_is_published_with_all_its_server_ids),
		cmocka_unit_test(test_nothing_is_written_when_nothing_has_changed),
		cmocka_unit_test(test_without_quic_nothing_is_left),
		cmocka_unit_test(test_two_reals_may_change_places),
		cmocka_unit_test(test_an_id_leaves_the_map_before_its_member_is_free),
		cmocka_unit_test(test_an_id_passes_to_a_new_real_and_comes_back),
		cmocka_unit_test(test_a_removed_vip_leaves_no_id_behind),
		cmocka_unit_test(test_a_call_that_fails_is_made_up_for_by_the_next_plan),
		cmocka_unit_test(test_a_successor_keeps_what_is_right_and_deletes_the_rest),
		cmocka_unit_test(test_a_successor_without_quic_takes_it_all_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
