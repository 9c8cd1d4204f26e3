/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scheduler source with an affinity timeout: whom a source that comes back gets. */
#include "sched_bed.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define S SEGMENT_SYN
#define R SEGMENT_RST

#define SOURCES 100u

#define AFFINITY_S 300

static struct bed_vip affine_vip(uint32_t seconds)
{
	struct bed_vip vip = sched_source_vip(1, 24, 128);

	vip.source.affinity_ms = seconds * 1000;
	return vip;
}

static size_t start_from(struct bed *bed, unsigned int host, uint16_t sport)
{
	struct packet p = sched_packet_from(host, false);

	p.sport = sport;
	p.flags = S;
	return sched_real_of(bed, &p);
}

/* A change that gives most sources another real by the ring. */
static void change_ring(struct bed *bed, struct bed_vip *vip)
{
	for (size_t i = 0; i < SCHED_REALS; i++)
		vip->reals[i].weight = i < SCHED_REALS / 2 ? 1 : 1000;
	bed_apply(bed, vip, 1);
}

static struct affinity_bucket *map_affinity(const struct bed *bed)
{
	size_t size = AFFINITY_BUCKETS * sizeof(struct affinity_bucket);
	char path[160];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/maps/affinity", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

/* As if all that is remembered had happened so much earlier. */
static void age_sources(const struct bed *bed, uint64_t seconds)
{
	struct affinity_bucket *buckets = map_affinity(bed);

	for (uint32_t i = 0; i < AFFINITY_BUCKETS * AFFINITY_SLOTS; i++) {
		struct affinity *slot = &buckets[i / AFFINITY_SLOTS].slot[i % AFFINITY_SLOTS];

		if (slot->jiffies)
			slot->jiffies -= seconds * bed->knobs.hz;
	}
	munmap(buckets, AFFINITY_BUCKETS * sizeof(*buckets));
}

static void start_all(struct bed *bed, uint16_t sport, size_t *ret_reals)
{
	for (unsigned int host = 0; host < SOURCES; host++)
		ret_reals[host] = start_from(bed, host, sport);
}

static unsigned int count_other(const size_t *a, const size_t *b)
{
	unsigned int n = 0;

	for (unsigned int host = 0; host < SOURCES; host++)
		n += a[host] != b[host];
	return n;
}

static void a_source_that_comes_back_in_time_keeps_its_real_though_the_ring_changed(void **state)
{
	static const struct {
		uint32_t affinity_s, away_s;
		bool keeps;
	} rows[] = {{AFFINITY_S, 0, true},
		    {AFFINITY_S, AFFINITY_S - 10, true},
		    {AFFINITY_S, AFFINITY_S + 1, false},
		    {0, 0, false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bed *bed = sched_bed_new();
		struct bed_vip vip = affine_vip(rows[i].affinity_s);
		size_t before[SOURCES], after[SOURCES];
		unsigned int other;

		bed_apply(bed, &vip, 1);
		start_all(bed, 5000, before);
		change_ring(bed, &vip);
		age_sources(bed, rows[i].away_s);
		start_all(bed, 5001, after);
		other = count_other(before, after);
		if (rows[i].keeps ? other : other < SOURCES / 4)
			fail_msg("affinity %u s, away %u s: %u of %u are elsewhere",
				 rows[i].affinity_s, rows[i].away_s, other, SOURCES);
		bed_remove(bed);
	}
}

/* It is the last new flow that counts, not the first. */
static void each_new_flow_begins_the_time_anew(void **state)
{
	struct bed_vip vip = affine_vip(AFFINITY_S);
	size_t before[SOURCES], after[SOURCES];

	bed_apply(*state, &vip, 1);
	start_all(*state, 5000, before);
	change_ring(*state, &vip);
	for (uint16_t i = 1; i < 4; i++) {
		age_sources(*state, AFFINITY_S - 10);
		start_all(*state, 5000 + i, after);
		assert_int_equal(count_other(before, after), 0);
	}
}

/* What does not start a flow goes the same way and remembers nothing. */
static void a_segment_of_an_unknown_connection_follows_and_does_not_refresh(void **state)
{
	struct bed_vip vip = affine_vip(AFFINITY_S);
	size_t before[SOURCES];
	unsigned int other = 0;

	bed_apply(*state, &vip, 1);
	start_all(*state, 5000, before);
	change_ring(*state, &vip);
	age_sources(*state, AFFINITY_S - 10);
	for (unsigned int host = 0; host < SOURCES; host++) {
		struct packet p = sched_packet_from(host, false);

		p.sport = 5002;
		assert_int_equal(sched_real_of(*state, &p), before[host]);
	}
	age_sources(*state, 11);
	for (unsigned int host = 0; host < SOURCES; host++)
		other += start_from(*state, host, 5001) != before[host];
	assert_true(other > SOURCES / 4);
}

static void a_source_leaves_a_real_that_takes_no_new_flows_and_stays_where_it_went(void **state)
{
	static const bool is_drained[] = {false, true};

	for (size_t i = 0; i < ARRAY_SIZE(is_drained); i++) {
		struct bed *bed = sched_bed_new();
		struct bed_vip vip = affine_vip(AFFINITY_S);
		size_t before[SOURCES], during[SOURCES], after[SOURCES];

		bed_apply(bed, &vip, 1);
		start_all(bed, 5000, before);
		vip.reals[3].is_down = !is_drained[i];
		vip.reals[3].is_drained = is_drained[i];
		bed_apply(bed, &vip, 1);
		start_all(bed, 5001, during);
		for (unsigned int host = 0; host < SOURCES; host++)
			assert_true(before[host] == 3 ? during[host] != 3
						      : during[host] == before[host]);
		vip.reals[3].is_down = vip.reals[3].is_drained = false;
		bed_apply(bed, &vip, 1);
		start_all(bed, 5002, after);
		assert_int_equal(count_other(during, after), 0);
		bed_remove(bed);
	}
}

static void vips_remember_their_own_sources(void **state)
{
	struct bed_vip vips[2] = {affine_vip(AFFINITY_S), affine_vip(AFFINITY_S)};

	vips[1].address = "192.0.2.11";
	for (size_t i = 0; i < SCHED_REALS / 2; i++)
		vips[0].reals[i].is_down = vips[1].reals[SCHED_REALS / 2 + i].is_down = true;
	bed_apply(*state, vips, 2);
	for (unsigned int host = 0; host < SOURCES; host++) {
		struct packet p = sched_packet_from(host, false);
		size_t first = start_from(*state, host, 5000);

		p.dst = vips[1].address;
		p.flags = S;
		assert_in_range(first, SCHED_REALS / 2, SCHED_REALS - 1);
		assert_in_range(sched_real_of(*state, &p), 0, SCHED_REALS / 2 - 1);
		assert_int_equal(start_from(*state, host, 5001), first);
	}
}

/* Where the program looks for a source: the VIP's id goes in, too. */
static uint32_t bucket_of(const struct bed *bed, const struct packet *p, uint32_t vip_id)
{
	struct flow_tuple whole = packet_tuple(p);
	struct flow_tuple t = {.src = whole.src, .family = FAMILY_V4};
	uint64_t hash;

	t.src.b[15] = 0; /* prefix4: 24 */
	hash = flow_hash(&t, &bed->knobs.hash_key) ^ (vip_id + 1) * 0x9e3779b97f4a7c15ULL;
	return hash_reduce((uint32_t)(hash >> 32), AFFINITY_BUCKETS);
}

/* 10.a.b.7 with a new bucket for each, or all in that of 10.0.0.7. */
static unsigned int find_sources(struct bed *bed, uint32_t vip_id, char (*ret_src)[16],
				 unsigned int n)
{
	struct packet p = {.src = "10.0.0.7", .dst = SCHED_VIP, .dport = 80};
	uint32_t wanted = bucket_of(bed, &p, vip_id);
	unsigned int found = 0;

	for (uint32_t i = 0; i < 1u << 20 && found < n; i++) {
		char *src = ret_src[found];

		snprintf(src, sizeof(ret_src[0]), "%u.%u.%u.7", 10 + (i >> 16), i >> 8 & 255,
			 i & 255);
		p.src = src;
		found += bucket_of(bed, &p, vip_id) == wanted;
	}
	return found;
}

/* The table is bounded: a fifth source in a bucket takes the place of who was away longest. */
static void a_full_bucket_forgets_the_source_that_was_away_longest(void **state)
{
	struct bed *bed = *state;
	struct bed_vip vip = affine_vip(AFFINITY_S);
	char src[AFFINITY_SLOTS + 1][16];
	struct affinity_bucket *buckets;
	uint64_t words[AFFINITY_SLOTS];
	uint32_t vip_id, bucket;
	struct packet p = {.dst = SCHED_VIP, .sport = 5000, .dport = 80, .flags = S};

	bed_apply(bed, &vip, 1);
	vip_id = bed->dp->members[bed_member_id(bed, &vip, "10.0.1.1")].vip_id;
	assert_int_equal(find_sources(bed, vip_id, src, AFFINITY_SLOTS + 1), AFFINITY_SLOTS + 1);
	for (int i = 0; i < AFFINITY_SLOTS; i++) {
		p.src = src[i];
		sched_real_of(bed, &p);
		age_sources(bed, 1);
	}
	bucket = bucket_of(bed, &p, vip_id);
	buckets = map_affinity(bed);
	for (int i = 0; i < AFFINITY_SLOTS; i++) {
		words[i] = buckets[bucket].slot[i].word;
		assert_int_not_equal(words[i], 0);
	}
	/* The first comes back, so that the second is the one. */
	p.src = src[0];
	p.sport = 5001;
	sched_real_of(bed, &p);
	p.src = src[AFFINITY_SLOTS];
	sched_real_of(bed, &p);
	for (int i = 0; i < AFFINITY_SLOTS; i++)
		assert_int_equal(buckets[bucket].slot[i].word != words[i], i == 1);
	munmap(buckets, AFFINITY_BUCKETS * sizeof(*buckets));
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, sched_bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_source_that_comes_back_in_time_keeps_its_real_though_the_ring_changed),
		BED_TEST(each_new_flow_begins_the_time_anew),
		BED_TEST(a_segment_of_an_unknown_connection_follows_and_does_not_refresh),
		cmocka_unit_test(
			a_source_leaves_a_real_that_takes_no_new_flows_and_stays_where_it_went),
		BED_TEST(vips_remember_their_own_sources),
		BED_TEST(a_full_bucket_forgets_the_source_that_was_away_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
