/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a removed real to its id's next owner: no flow of one may ever be another's. */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define VIP "192.0.2.10"
#define R1  "10.0.1.1"
#define R2  "10.0.1.2"
#define R5  "10.0.1.5"

#define FLOWS	     60u
#define MEMBERS	     2 /* capacity: one id must be free again before a third real fits */
#define ENOUGH_SCANS 20

static const struct bed_vip both = {.address = VIP, .port = 80, .reals = {{R1}, {R2}}};
static const struct bed_vip without_first = {.address = VIP, .port = 80, .reals = {{R2}}};
static const struct bed_vip newcomer = {.address = VIP, .port = 80, .reals = {{R2}, {R5}}};

static int setup(void **state)
{
	*state = bed_new(&(struct bed_options){.members = MEMBERS});
	bed_apply(*state, &both, 1);
	return 0;
}

static struct packet flow_packet(unsigned int flow)
{
	return (struct packet){
		.src = "198.51.100.7", .dst = VIP, .sport = (uint16_t)(7000 + flow), .dport = 80};
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* Established flows; returns how many of them are at this real. */
static unsigned int establish(struct bed *bed, const char *real)
{
	struct ip_addr want = address(real);
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2 * FLOWS; i++) {
		struct packet p = flow_packet(i / 2);
		struct ip_addr have = bed_real_of(bed, &p);

		n += addr_equal(&have, &want) && i % 2;
	}
	return n;
}

static struct applied_vip *vip_of(const struct bed *bed)
{
	assert_int_equal(bed->applied->n_vips, 1);
	return bed->applied->vips[0];
}

static bool id_is_free(const struct bed *bed)
{
	return id_pool_free_count(&bed->applied->member_ids) > 0;
}

/* As the daemon goes on for a while; returns after how many scans an id was free, 0: never. */
static unsigned int scans_until_free(struct bed *bed)
{
	for (unsigned int n = 1; n <= ENOUGH_SCANS; n++) {
		bed_scan(bed);
		bed_wait_grace(bed);
		if (id_is_free(bed))
			return n;
	}
	return 0;
}

static void expire_all_flows(const struct bed *bed)
{
	for (uint32_t b = 0; b < bed->dp->control->flow_buckets; b++) {
		for (int i = 0; i < FLOW_SLOTS; i++) {
			uint64_t *slot = (uint64_t *)&bed->dp->flows[b].slot[i];

			if (SLOT_WORD_STATE(*slot) != FLOW_NONE)
				*slot |= FLOW_AGE_OLD;
		}
	}
}

static void an_id_is_kept_while_a_flow_names_it(void **state)
{
	struct bed *bed = *state;

	assert_in_range(establish(bed, R1), 10, FLOWS - 10);
	bed_apply(bed, &without_first, 1);
	assert_int_equal(scans_until_free(bed), 0);
	assert_in_range(establish(bed, R1), 10, FLOWS - 10);
}

static void an_id_is_kept_while_a_ring_names_it(void **state)
{
	struct bed *bed = *state;

	bed_apply_members(bed, &without_first, 1);
	assert_int_equal(scans_until_free(bed), 0);
	bed_build_rings(bed);
	assert_in_range(scans_until_free(bed), 1, ENOUGH_SCANS);
}

/* In a ring no more, grace, a scan without it, grace, another such scan. */
static void an_id_is_free_after_two_graces_and_two_scans(void **state)
{
	struct bed *bed = *state;

	establish(bed, R1);
	bed_apply(bed, &without_first, 1);
	expire_all_flows(bed);
	assert_in_range(scans_until_free(bed), 5, 7);
}

/* A packet that saw the old ring may have written a slot after the first scan. */
static void a_flow_that_comes_between_the_two_scans_keeps_the_id(void **state)
{
	struct bed *bed = *state;
	uint32_t id = bed_member_id(bed, &both, R1);
	struct ip_addr first = address(R1);
	struct retirement *r;

	bed_apply(bed, &without_first, 1);
	for (unsigned int n = 0; n < ENOUGH_SCANS; n++) {
		r = &applied_find_member(vip_of(bed), &first, 0)->retirement;
		if (r->stage == RETIRE_SECOND_GRACE)
			break;
		bed_scan(bed);
		bed_wait_grace(bed);
	}
	assert_int_equal(r->stage, RETIRE_SECOND_GRACE);
	((uint64_t *)bed->dp->flows[3].slot)[2] = bed_slot_word(bed, 0x1234567, id, FLOW_TCP, 0);
	assert_int_equal(scans_until_free(bed), 0);
	expire_all_flows(bed);
	assert_in_range(scans_until_free(bed), 1, ENOUGH_SCANS);
}

static void a_third_real_waits_for_the_id_and_then_gets_it_clean(void **state)
{
	struct bed *bed = *state;
	uint32_t id = bed_member_id(bed, &both, R1);
	struct ip_addr r2 = address(R2), r5 = address(R5);
	struct member_stats stats;

	establish(bed, R1);
	bed_apply(bed, &without_first, 1);
	expire_all_flows(bed);
	assert_in_range(scans_until_free(bed), 1, ENOUGH_SCANS);
	bed_apply(bed, &newcomer, 1);
	assert_int_equal(bed_member_id(bed, &newcomer, R5), id);
	assert_int_equal(bed->dp->ops->member_stats_read(bed->dp->user, id, &stats), 0);
	assert_int_equal(stats.packets + stats.bytes + stats.new_flows, 0);
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct packet p = flow_packet(i);
		const uint64_t *slot = bed_slot(bed, &p);
		bool was_first = !slot;
		struct ip_addr real = bed_real_of(bed, &p);

		/* Flows of R2 are in the table still, those of R1 pick anew. */
		assert_true(addr_equal(&real, &r2) || (was_first && addr_equal(&real, &r5)));
	}
}

static struct member_stats vip_totals(struct bed *bed)
{
	const struct applied_vip *vip = vip_of(bed);
	const struct vip_state *bank = &bed->dp->vip_state[vip->id];
	struct member_stats sum = {
		.packets = bank->freed_packets,
		.bytes = bank->freed_bytes,
		.new_flows = bank->freed_new_flows,
	};

	for (size_t i = 0; i < vip->n_members; i++) {
		struct member_stats one;

		assert_int_equal(
			bed->dp->ops->member_stats_read(bed->dp->user, vip->members[i].id, &one),
			0);
		sum.packets += one.packets;
		sum.bytes += one.bytes;
		sum.new_flows += one.new_flows;
	}
	return sum;
}

static void counters_of_a_freed_member_are_banked(void **state)
{
	struct bed *bed = *state;
	struct member_stats before, after;

	establish(bed, R1);
	before = vip_totals(bed);
	assert_int_equal(before.packets, 2 * FLOWS);
	assert_int_equal(before.bytes, 2 * FLOWS * 40);
	assert_int_equal(before.new_flows, FLOWS);
	bed_apply(bed, &without_first, 1);
	expire_all_flows(bed);
	assert_in_range(scans_until_free(bed), 1, ENOUGH_SCANS);
	after = vip_totals(bed);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_in_range(bed->dp->vip_state[vip_of(bed)->id].freed_packets, 20, 2 * FLOWS - 20);
}

static void a_real_that_comes_back_in_time_has_its_flows_and_counters(void **state)
{
	struct bed *bed = *state;
	uint32_t id = bed_member_id(bed, &both, R1);
	unsigned int had = establish(bed, R1);
	struct member_stats stats;

	bed_apply(bed, &without_first, 1);
	for (int i = 0; i < 3; i++) {
		bed_scan(bed);
		bed_wait_grace(bed);
	}
	bed_apply(bed, &both, 1);
	assert_int_equal(bed_member_id(bed, &both, R1), id);
	assert_int_equal(scans_until_free(bed), 0);
	assert_int_equal(establish(bed, R1), had);
	assert_int_equal(bed->dp->ops->member_stats_read(bed->dp->user, id, &stats), 0);
	assert_int_equal(stats.packets, 4 * had);
}

static void the_ids_of_a_removed_vip_are_free_again(void **state)
{
	struct bed *bed = *state;
	struct packet p = flow_packet(0);
	struct run run;

	establish(bed, R1);
	bed_apply(bed, NULL, 0);
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "pass_no_vip");
	assert_in_range(scans_until_free(bed), 1, ENOUGH_SCANS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		p = flow_packet(i);
		assert_null(bed_slot(bed, &p));
	}
	assert_int_equal(id_pool_free_count(&bed->applied->member_ids), MEMBERS);
	assert_int_equal(bed->applied->vip_ids.n_used, 0);
	bed_apply(bed, &newcomer, 1);
	establish(bed, R5);
}

#define on_bed(test) cmocka_unit_test_setup_teardown(test, setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bed(an_id_is_kept_while_a_flow_names_it),
		on_bed(an_id_is_kept_while_a_ring_names_it),
		on_bed(an_id_is_free_after_two_graces_and_two_scans),
		on_bed(a_flow_that_comes_between_the_two_scans_keeps_the_id),
		on_bed(a_third_real_waits_for_the_id_and_then_gets_it_clean),
		on_bed(counters_of_a_freed_member_are_banked),
		on_bed(a_real_that_comes_back_in_time_has_its_flows_and_counters),
		on_bed(the_ids_of_a_removed_vip_are_free_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
