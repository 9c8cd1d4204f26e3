/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who gets a slot: a table of one pair of buckets that the test fills by hand. Contents are written
 * as a letter a slot, in the order in which the flow in question tries them, the home bucket's
 * eight and then its neighbour's:
 *   -  never used     f  freed            x  established, expired     o  the same, marked old
 *   s  SYN            k  lone ACK         u  first datagram           t  SYN, expired
 *   T  established    F  FIN              R  RST                      U  datagrams
 */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/sizing.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define SLOTS	  (2 * FLOW_SLOTS)
#define FIRST_TAG 0x70000000u /* of the slots put in by hand */
#define UNTRACKED (-1)

static const struct bed_vip vips[] = {
	{.address = "192.0.2.10", .port = 80, .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	{.address = "192.0.2.10",
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .reals = {{"10.0.1.1"}, {"10.0.1.2"}}},
	{.address = "192.0.2.11", .port = 80, .reals = {{"10.0.2.1"}}},
};

static int setup(void **state)
{
	*state = bed_new(&(struct bed_options){.flows = 2 * SIZING_FLOWS_PER_BUCKET});
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	assert_int_equal(((struct bed *)*state)->dp->control->flow_buckets, 2);
	return 0;
}

static uint64_t word_for(const struct bed *bed, char letter, unsigned int i)
{
	static const char letters[] = "skuTFRU";
	static const enum flow_state states[] = {FLOW_SYN, FLOW_ACK, FLOW_UDP_FIRST, FLOW_TCP,
						 FLOW_FIN, FLOW_RST, FLOW_UDP};
	uint32_t member = bed_member_id(bed, &vips[0], "10.0.1.1");
	const struct flow_clock *clock = &bed->knobs.clock;
	const char *at = strchr(letters, letter);

	switch (letter) {
	case '-':
		return FLOW_SLOT_NEVER;
	case 'f':
		return FLOW_SLOT_FREED;
	case 'o':
		return SLOT_WORD(FIRST_TAG + i, member, FLOW_TCP, FLOW_AGE_OLD);
	case 'x':
		return bed_slot_word(bed, FIRST_TAG + i, member, FLOW_TCP,
				     clock->timeout_ticks[FLOW_TCP] + 2u);
	case 't':
		return bed_slot_word(bed, FIRST_TAG + i, member, FLOW_SYN,
				     clock->timeout_ticks[FLOW_SYN] + 2u);
	default:
		assert_non_null(at);
		return bed_slot_word(bed, FIRST_TAG + i, member, states[at - letters], 0);
	}
}

/* Where a flow looks first: bucket and slot. */
struct home {
	uint32_t bucket;
	uint32_t slot;
};

static uint64_t *slot_at(const struct bed *bed, struct home home, unsigned int i)
{
	struct flow_bucket *bucket = &bed->dp->flows[home.bucket ^ (i / FLOW_SLOTS)];

	return (uint64_t *)&bucket->slot[(home.slot ^ i) % FLOW_SLOTS];
}

static void fill(const struct bed *bed, struct home home, const char *contents)
{
	assert_int_equal(strlen(contents), SLOTS);
	for (unsigned int i = 0; i < SLOTS; i++)
		*slot_at(bed, home, i) = word_for(bed, contents[i], i);
}

static struct home home_of(const struct bed *bed, const struct packet *p)
{
	uint64_t hash = bed_hash(bed, p);

	return (struct home){flow_hash_bucket(hash, 2), flow_hash_slot(hash)};
}

/* Where the flow is, or UNTRACKED. */
static int place_of(const struct bed *bed, const struct packet *p)
{
	const uint64_t *slot = bed_slot(bed, p);
	struct home home = home_of(bed, p);

	for (unsigned int i = 0; slot && i < SLOTS; i++) {
		if (slot_at(bed, home, i) == slot)
			return (int)i;
	}
	return UNTRACKED;
}

/* ---- Newcomers --------------------------------------------------------------------------- */

static const struct newcomer {
	const char *what;
	const char *contents;
	int place;
	bool evicts;
} newcomers[] = {
	{"an empty table", "----------------", 0, false},
	{"the first empty slot", "T---------------", 1, false},
	{"the last slot", "TTTTTTT---------", 7, false},
	{"empty before expired and unproven", "xsTTTTT---------", 7, false},
	{"a freed slot is empty", "TsxTTTTf--------", 7, false},
	{"expired before unproven", "TsxTTTTT--------", 2, false},
	{"marked old is expired", "TTsTToTT--------", 5, false},
	{"the first of the expired", "TTxTTxTT--------", 2, false},
	{"an expired SYN is no eviction", "TTTtTTTT--------", 3, false},
	{"unproven: SYN", "TTTTTTTs--------", 7, true},
	{"unproven: lone ACK", "kTTTTTTT--------", 0, true},
	{"unproven: first datagram", "TTuTTTTT--------", 2, true},
	{"unproven before the neighbour", "TTTTTTsT--------", 6, true},
	{"expired before the neighbour", "TTTTTTxT--------", 6, false},
	{"the neighbour when all are live", "TFRUTFRU--------", 8, false},
	{"a lone slot of the neighbour", "TTTTTTTTTTTTTTT-", 15, false},
	{"expired in the neighbour", "TTTTTTTTTTTxTTTT", 11, false},
	{"unproven in the neighbour", "TTTTTTTTTTTTTsTT", 13, true},
	{"established, both full", "TTTTTTTTTTTTTTTT", UNTRACKED, false},
	{"closing flows are not evicted", "FRFRFRFRFRFRFRFR", UNTRACKED, false},
	{"datagrams, both full", "UUUUUUUUUUUUUUUU", UNTRACKED, false},
};

static const struct packet newcomer_packets[] = {
	{.flags = SEGMENT_SYN, .dport = 80},
	{.flags = SEGMENT_ACK, .dport = 80},
	{.flags = SEGMENT_ACK, .dport = 80, .payload = 9},
	{.protocol = IPPROTO_UDP, .dport = 53},
};

/* What was there stays, but the newcomer's slot, and expired slots may be marked old. */
static void expect_others_unchanged(const struct bed *bed, struct home home, const uint64_t *before,
				    int place, const struct newcomer *row)
{
	for (int i = 0; i < SLOTS; i++) {
		uint64_t now = *slot_at(bed, home, i);

		if (i == place || now == before[i])
			continue;
		if (!strchr("xt", row->contents[i]) || now != (before[i] | FLOW_AGE_OLD))
			fail_msg("%s: slot %d has become 0x%llx", row->what, i,
				 (unsigned long long)now);
	}
}

static void try_newcomer(struct bed *bed, const struct newcomer *row, const struct packet *p)
{
	struct home home = home_of(bed, p);
	bool is_tracked = row->place != UNTRACKED;
	uint64_t before[SLOTS];
	struct run run;

	fill(bed, home, row->contents);
	for (unsigned int i = 0; i < SLOTS; i++)
		before[i] = *slot_at(bed, home, i);
	bed_send(bed, p, &run);
	run_real(&run);
	if (place_of(bed, p) != row->place)
		fail_msg("%s: slot %d, not %d", row->what, place_of(bed, p), row->place);
	expect_others_unchanged(bed, home, before, row->place, row);
	assert_int_equal(run.rise.flow_inserted, is_tracked);
	assert_int_equal(run.rise.flow_untracked, !is_tracked);
	if (run.rise.flow_evicted_unproven != row->evicts)
		fail_msg("%s: evicted_unproven rose by %llu", row->what,
			 (unsigned long long)run.rise.flow_evicted_unproven);
	assert_int_equal(run.rise.flow_lost_race, 0);
	/* And it is found again there. */
	bed_send(bed, p, &run);
	assert_int_equal(run.rise.flow_inserted, 0);
	assert_int_equal(place_of(bed, p), row->place);
}

static void a_newcomer_takes_empty_then_expired_then_unproven_then_the_neighbour(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(newcomers); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(newcomer_packets); k++) {
			struct packet p = newcomer_packets[k];

			p.src = "198.51.100.7";
			p.dst = "192.0.2.10";
			p.sport = (uint16_t)(3000 + i);
			try_newcomer(*state, &newcomers[i], &p);
		}
	}
}

static void floods_evict_no_proven_flow(void **state)
{
	static const char *const contents[] = {"TTTTTTTTFFFFRRRR", "UUUUUUUUTTTTTTTT",
					       "TTTTTTTsUUUUUUUk", "TTTTTTT-TTTTTTT-"};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		uint64_t before[SLOTS];

		fill(bed, (struct home){}, contents[i]);
		for (unsigned int k = 0; k < SLOTS; k++)
			before[k] = *slot_at(bed, (struct home){}, k);
		for (unsigned int n = 0; n < 600; n++) {
			struct packet p = newcomer_packets[n % ARRAY_SIZE(newcomer_packets)];

			p.src = "198.51.100.8";
			p.dst = "192.0.2.10";
			p.sport = (uint16_t)(1000 + n);
			bed_real_of(bed, &p);
		}
		for (unsigned int k = 0; k < SLOTS; k++) {
			if (strchr("TUFR", contents[i][k]))
				assert_int_equal(*slot_at(bed, (struct home){}, k), before[k]);
		}
	}
}

static void while_expiry_is_paused_an_old_flow_is_not_given_up(void **state)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 1, .dport = 80};
	struct bed *bed = *state;

	fill(bed, home_of(bed, &p), "xxxxxxxxxxxxxxxx");
	bed->dp->control->expiry_paused = 1;
	bed_real_of(bed, &p);
	assert_int_equal(place_of(bed, &p), UNTRACKED);
	bed->dp->control->expiry_paused = 0;
	bed_real_of(bed, &p);
	assert_int_equal(place_of(bed, &p), 0);
}

/* ---- Ages -------------------------------------------------------------------------------- */

static void every_expired_slot_met_is_marked_old(void **state)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 2, .dport = 80};
	struct bed *bed = *state;
	struct home home = home_of(bed, &p);

	fill(bed, home, "TxTxtTTx--------");
	bed_real_of(bed, &p);
	assert_int_equal(place_of(bed, &p), 1);
	assert_int_equal(SLOT_WORD_AGE(*slot_at(bed, home, 3)), FLOW_AGE_OLD);
	assert_int_equal(SLOT_WORD_AGE(*slot_at(bed, home, 4)), FLOW_AGE_OLD);
	assert_int_equal(SLOT_WORD_AGE(*slot_at(bed, home, 7)), FLOW_AGE_OLD);
	assert_int_not_equal(SLOT_WORD_AGE(*slot_at(bed, home, 0)), FLOW_AGE_OLD);
}

/* Whether a slot last used `ago` ticks ago is marked old when a newcomer meets it. */
static bool is_expired_after(struct bed *bed, enum flow_state state, uint32_t ago)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 3, .dport = 80};
	struct home home = home_of(bed, &p);

	fill(bed, home, "xTTTTTTT--------");
	*slot_at(bed, home, 5) = bed_slot_word(bed, FIRST_TAG, 0, state, ago);
	bed_real_of(bed, &p);
	return SLOT_WORD_AGE(*slot_at(bed, home, 5)) == FLOW_AGE_OLD;
}

/* Through all 512 values, so also where the clock wraps between stamp and now. */
static void a_flow_expires_after_its_states_timeout(void **state)
{
	struct bed *bed = *state;

	for (enum flow_state s = FLOW_SYN; s <= FLOW_UDP; s++) {
		uint32_t timeout = bed->knobs.clock.timeout_ticks[s];

		/* A tick may begin while it is tried: the two values next to the limit are open. */
		for (uint32_t ago = 0; ago + 2 <= timeout; ago++)
			assert_false(is_expired_after(bed, s, ago));
		for (uint32_t ago = timeout + 1; ago < 505; ago += 3)
			assert_true(is_expired_after(bed, s, ago));
	}
}

static void an_expired_flow_that_goes_on_is_live_again(void **state)
{
	struct packet p = {.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 5, .dport = 80};
	struct bed *bed = *state;
	uint64_t *slot;

	bed_real_of(bed, &p);
	bed_real_of(bed, &p);
	slot = bed_slot(bed, &p);
	*slot |= FLOW_AGE_OLD;
	bed_real_of(bed, &p);
	assert_int_equal(SLOT_WORD_STATE(*slot), FLOW_TCP);
	assert_int_not_equal(SLOT_WORD_AGE(*slot), FLOW_AGE_OLD);
}

/* ---- Slots that say something else ------------------------------------------------------- */

static void a_tag_of_another_vip_leaves_the_pick_to_the_ring(void **state)
{
	struct bed *bed = *state;
	uint32_t foreign[] = {bed_member_id(bed, &vips[1], "10.0.1.1"),
			      bed_member_id(bed, &vips[2], "10.0.2.1")};

	for (unsigned int i = 0; i < 8; i++) {
		struct packet p = {
			.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 6, .dport = 80};
		struct ip_addr want, have;
		uint64_t *slot, forged;
		struct run run;

		p.sport = (uint16_t)(600 + i);
		fill(bed, (struct home){}, "----------------");
		want = bed_real_of(bed, &p);
		slot = bed_slot(bed, &p);
		forged = bed_slot_word(bed, *slot >> FLOW_TAG_SHIFT, foreign[i % 2], FLOW_TCP, 3);
		*slot = forged;
		p.flags = i & 4 ? SEGMENT_SYN : SEGMENT_ACK;
		bed_send(bed, &p, &run);
		have = run_real(&run);
		assert_memory_equal(&have, &want, sizeof(want));
		assert_int_equal(run.rise.flow_mismatch, 1);
		assert_int_equal(run.rise.flow_inserted, 0);
		assert_int_equal(run.forwarded.new_flows, 0);
		assert_int_equal(*slot, forged);
	}
}

static void a_slot_that_names_no_member_is_taken_over(void **state)
{
	static const uint32_t ids[] = {60 /* free */, 64 /* none */, FLOW_MEMBER_MASK};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct packet p = {
			.src = "198.51.100.7", .dst = "192.0.2.10", .sport = 6, .dport = 80};
		struct ip_addr want, have;
		uint64_t *slot;

		fill(bed, (struct home){}, "----------------");
		want = bed_real_of(bed, &p);
		slot = bed_slot(bed, &p);
		*slot = bed_slot_word(bed, *slot >> FLOW_TAG_SHIFT, ids[i], FLOW_TCP, 0);
		have = bed_real_of(bed, &p);
		assert_memory_equal(&have, &want, sizeof(want));
		assert_int_equal(bed_state(bed, &p), FLOW_ACK);
		assert_memory_equal(&bed->dp->members[SLOT_WORD_MEMBER(*slot)].real, &want,
				    sizeof(want));
	}
}

/* An address that no VIP has and that the VIP filter lets through all the same. */
static void address_past_the_filter(const char *vip, char *ret_text)
{
	struct ip_addr have, other;

	assert_int_equal(addr_parse(vip, &have), 0);
	other = have;
	do
		other.w[3] = htonl(ntohl(other.w[3]) + 1);
	while (vip_filter_bit(&other) != vip_filter_bit(&have));
	addr_format(&other, ret_text);
}

static void a_forged_slot_for_no_vip_sends_nothing_there(void **state)
{
	char foreign[ADDR_TEXT_MAX];
	struct packet p = {.src = "198.51.100.7", .dst = foreign, .sport = 6, .dport = 80};
	struct bed *bed = *state;
	struct run run;
	uint64_t hash;

	address_past_the_filter(vips[0].address, foreign);
	hash = bed_hash(bed, &p);
	fill(bed, (struct home){}, "----------------");
	*slot_at(bed, home_of(bed, &p), 0) = bed_slot_word(
		bed, flow_hash_tag(hash), bed_member_id(bed, &vips[0], "10.0.1.1"), FLOW_TCP, 0);
	bed_send(bed, &p, &run);
	assert_string_equal(run_counter(&run), "pass_no_vip");
	assert_int_equal(run.rise.flow_mismatch, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_newcomer_takes_empty_then_expired_then_unproven_then_the_neighbour),
		cmocka_unit_test(floods_evict_no_proven_flow),
		cmocka_unit_test(while_expiry_is_paused_an_old_flow_is_not_given_up),
		cmocka_unit_test(every_expired_slot_met_is_marked_old),
		cmocka_unit_test(a_flow_expires_after_its_states_timeout),
		cmocka_unit_test(an_expired_flow_that_goes_on_is_live_again),
		cmocka_unit_test(a_tag_of_another_vip_leaves_the_pick_to_the_ring),
		cmocka_unit_test(a_slot_that_names_no_member_is_taken_over),
		cmocka_unit_test(a_forged_slot_for_no_vip_sends_nothing_there),
	};

	return cmocka_run_group_tests(tests, setup, bed_teardown);
}
