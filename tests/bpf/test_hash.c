/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash: fixed values (balancers of a fleet must agree, on every machine and in every
 * version), the host and the program agree on picks, and it spreads.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Any addresses, also the mapped ones that no configuration may name. */
static struct flow_tuple tuple(const char *src, const char *dst, uint16_t sport, uint16_t dport,
			       uint8_t protocol)
{
	bool is_v6 = strchr(src, ':');
	struct flow_tuple t = {
		.src = {.w = {0, 0, htonl(0xffff), 0}},
		.dst = {.w = {0, 0, htonl(0xffff), 0}},
		.sport = htons(sport),
		.dport = htons(dport),
		.protocol = protocol,
		.family = is_v6 ? FAMILY_V6 : FAMILY_V4,
	};

	frame_put_addr(is_v6 ? t.src.b : t.src.b + 12, src);
	frame_put_addr(is_v6 ? t.dst.b : t.dst.b + 12, dst);
	return t;
}

static struct packet numbered(unsigned int i, bool is_v6)
{
	static char src[INET6_ADDRSTRLEN];
	struct packet p = {
		.src = src,
		.dst = is_v6 ? "2001:db8:f::10" : "192.0.2.10",
		.sport = (uint16_t)(1024 + i * 7919),
		.dport = 80,
		.flags = SEGMENT_SYN,
	};

	if (is_v6)
		snprintf(src, sizeof(src), "2001:db8:%x:%x::%x", i * 31, i ^ 0x55, i);
	else
		snprintf(src, sizeof(src), "10.%u.%u.%u", i % 3, i / 256 % 256, i % 256);
	return p;
}

/* The values are of a second implementation, not of flow_hash(). */
static void values_never_change(void **state)
{
	static const struct {
		const char *src;
		const char *dst;
		uint16_t sport;
		uint16_t dport;
		uint8_t protocol;
		uint64_t hash;
	} rows[] = {
		{"198.51.100.7", "192.0.2.10", 40000, 80, 6, 0x2ab7e911a3a9ae2dULL},
		{"198.51.100.7", "192.0.2.10", 40001, 80, 6, 0x5a2c8e30c420d826ULL},
		{"198.51.100.7", "192.0.2.10", 40000, 80, 17, 0x06fd7ee97c4715f9ULL},
		{"0.0.0.0", "0.0.0.0", 0, 0, 6, 0x4091369bc3ad86daULL},
		{"255.255.255.255", "255.255.255.255", 65535, 65535, 17, 0xfe53cca39bcbc11bULL},
		{"2001:db8:c::7", "2001:db8:f::10", 40000, 443, 6, 0x5734ff330f21743fULL},
		{"2001:db8:c::7", "2001:db8:f::10", 40000, 443, 17, 0xea9177aa415e0373ULL},
		{"::", "::", 0, 0, 6, 0x6792314aa29de70dULL},
		{"::ffff:198.51.100.7", "::ffff:192.0.2.10", 40000, 80, 6, 0x0acbb400b47cc7ecULL},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 65535, 17,
		 0x9999e9c526b59eedULL},
	};
	struct flow_hash_key key;

	for (size_t i = 0; i < sizeof(key); i++)
		((uint8_t *)&key)[i] = (uint8_t)(i * 37 + 11);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flow_tuple t = tuple(rows[i].src, rows[i].dst, rows[i].sport, rows[i].dport,
					    rows[i].protocol);
		uint64_t hash = flow_hash(&t, &key);

		if (hash != rows[i].hash)
			fail_msg("row %zu: 0x%016llx", i, (unsigned long long)hash);
	}
}

/* ---- Host and program -------------------------------------------------------------------- */

static const struct bed_vip vips[] = {
	{.address = "192.0.2.10",
	 .port = 80,
	 .reals =
		 {{"10.0.1.1"}, {"10.0.1.2"}, {"10.0.1.3"}, {.address = "10.0.1.4", .weight = 20}}},
	{.address = "2001:db8:f::10",
	 .port = 80,
	 .ring = 251,
	 .reals = {{"2001:db8:1::1"}, {"2001:db8:1::2"}, {"2001:db8:1::3"}}},
};

/* As packet path and daemon are meant to agree: the ring's slot names the real. */
static struct ip_addr host_pick(const struct bed *bed, const struct packet *packet,
				const struct bed_vip *vip)
{
	uint32_t id = bed_member_id(bed, vip, vip->reals[0].address);
	uint64_t word = bed->dp->vip_state[bed->dp->members[id].vip_id].ring;
	uint32_t size = RING_WORD_SIZE(word);
	uint32_t slot = flow_hash_ring(bed_hash(bed, packet), size, 0);
	const union ring_block *ring = &bed->dp->rings[RING_WORD_BASE(word)];
	uint16_t position = ring[slot / RING_SLOTS_PER_BLOCK].slot[slot % RING_SLOTS_PER_BLOCK];
	const union ring_block *list = ring + RING_SLOT_BLOCKS(size);

	assert_int_equal(size, vip->ring ? vip->ring : 1021);
	id = list[position / RING_MEMBERS_PER_BLOCK].member[position % RING_MEMBERS_PER_BLOCK];
	return bed->dp->members[id].real;
}

static void host_and_program_pick_the_same_real(void **state)
{
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	for (unsigned int i = 0; i < 1000; i++) {
		struct packet p = numbered(i, i % 2);
		struct ip_addr want = host_pick(*state, &p, &vips[i % 2]);
		struct ip_addr have = bed_real_of(*state, &p);

		assert_memory_equal(&have, &want, sizeof(want));
	}
}

static void host_and_program_agree_on_bucket_and_tag(void **state)
{
	bed_apply(*state, vips, ARRAY_SIZE(vips));
	for (unsigned int i = 0; i < 200; i++) {
		struct packet p = numbered(i, i % 2);

		bed_real_of(*state, &p);
		assert_int_equal(bed_state(*state, &p), FLOW_SYN);
	}
}

/* ---- Spread ------------------------------------------------------------------------------ */

#define FLOWS	100000u
#define BUCKETS 1000u

static struct flow_tuple flow_number(unsigned int i, bool is_v6)
{
	struct flow_tuple t = {.protocol = IPPROTO_TCP, .dport = htons(80)};

	/* As a few clients behind one gateway come: nearly all bits equal. */
	t.family = is_v6 ? FAMILY_V6 : FAMILY_V4;
	t.dst.w[3] = htonl(0xc000020a);
	t.src.w[3] = htonl(0x0a000000 + i / 1000);
	t.sport = htons((uint16_t)(20000 + i % 1000));
	return t;
}

static struct flow_hash_key some_key(void)
{
	struct flow_hash_key key;

	for (size_t i = 0; i < sizeof(key); i++)
		((uint8_t *)&key)[i] = (uint8_t)(i * 151 ^ (i << 3) ^ 0xa7);
	return key;
}

/* Every cell's load within six standard deviations of the mean of 100. */
static void expect_even(uint32_t (*place)(uint64_t hash))
{
	struct flow_hash_key key = some_key();

	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		unsigned int load[BUCKETS] = {};

		for (unsigned int i = 0; i < FLOWS; i++) {
			struct flow_tuple t = flow_number(i, is_v6);

			load[place(flow_hash(&t, &key))]++;
		}
		for (unsigned int i = 0; i < BUCKETS; i++)
			assert_in_range(load[i], 40, 160);
	}
}

static uint32_t place_bucket(uint64_t hash)
{
	return flow_hash_bucket(hash, BUCKETS);
}

static uint32_t place_ring(uint64_t hash)
{
	return flow_hash_ring(hash, BUCKETS, 0);
}

static uint32_t place_second_pick(uint64_t hash)
{
	return flow_hash_ring(hash, BUCKETS, 1);
}

static uint32_t place_tag(uint64_t hash)
{
	return flow_hash_tag(hash) % BUCKETS;
}

static void flows_spread_over_buckets_rings_and_tags(void **state)
{
	expect_even(place_bucket);
	expect_even(place_ring);
	expect_even(place_second_pick);
	expect_even(place_tag);
}

/* What shares a slot would move together when its real is down. */
static void flows_of_one_ring_slot_part_at_the_second_pick(void **state)
{
	struct flow_hash_key key = some_key();
	unsigned int in_slot = 0, together = 0;
	uint32_t second = 0;

	for (unsigned int i = 0; i < FLOWS; i++) {
		struct flow_tuple t = flow_number(i, false);
		uint64_t hash = flow_hash(&t, &key);

		if (place_ring(hash) != 0)
			continue;
		together += in_slot++ && place_second_pick(hash) == second;
		second = place_second_pick(hash);
	}
	assert_in_range(in_slot, 40, 160);
	assert_in_range(together, 0, 3);
}

static void every_bit_of_a_tuple_changes_about_half_the_hash(void **state)
{
	struct flow_hash_key key = some_key();
	struct flow_tuple t = flow_number(5, true);
	uint64_t hash = flow_hash(&t, &key);

	for (size_t bit = 0; bit < 8 * (sizeof(t.src) + sizeof(t.dst) + 2); bit++) {
		struct flow_tuple other = t;
		int changed;

		((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		changed = __builtin_popcountll(hash ^ flow_hash(&other, &key));
		assert_in_range(changed, 12, 52);
	}
}

static void a_tag_is_never_zero(void **state)
{
	assert_int_equal(flow_hash_tag(0x1234567800000000ULL), 1);
	assert_int_equal(flow_hash_tag(0x12345678deadbeefULL), 0xdeadbeef);
}

#define on_bed(test) cmocka_unit_test_setup_teardown(test, bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_never_change),
		on_bed(host_and_program_pick_the_same_real),
		on_bed(host_and_program_agree_on_bucket_and_tag),
		cmocka_unit_test(flows_spread_over_buckets_rings_and_tags),
		cmocka_unit_test(flows_of_one_ring_slot_part_at_the_second_pick),
		cmocka_unit_test(every_bit_of_a_tuple_changes_about_half_the_hash),
		cmocka_unit_test(a_tag_is_never_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
