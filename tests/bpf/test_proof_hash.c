/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proof: flows as real clients number them (ports, addresses one after the other) fill buckets,
 * tags and ring slots no worse than random ones would.
 */
#include "proof.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/sizing.h"
#include "xdplb/hash.h"

#define PAIR  (2 * FLOW_SLOTS)
#define CELLS 4099u /* of the chi-square counts; a ring's size too */
#define KEYS  2

typedef __u64 (*hash_fn)(const struct flow_tuple *t, const volatile struct flow_hash_key *key);

static struct flow_tuple v4(uint32_t src, uint16_t sport)
{
	struct flow_tuple t = {.family = FAMILY_V4, .protocol = IPPROTO_TCP, .dport = htons(443)};

	t.src.w[2] = t.dst.w[2] = htonl(0xffff);
	t.src.w[3] = htonl(src);
	t.dst.w[3] = htonl(0xc000020a);
	t.sport = htons(sport);
	return t;
}

/* Client `client` of network `net`, which is a /64. */
static struct flow_tuple v6(uint32_t net, uint32_t client, uint16_t sport)
{
	struct flow_tuple t = {.family = FAMILY_V6, .protocol = IPPROTO_TCP, .dport = htons(443)};

	t.src.w[0] = t.dst.w[0] = htonl(0x20010db8);
	t.src.w[1] = htonl(net);
	t.src.w[3] = htonl(client);
	t.dst.w[3] = htonl(0x10);
	t.sport = htons(sport);
	return t;
}

static struct flow_tuple ports4(uint32_t i)
{
	return v4(0x0a000001 + i / 64512, 1024 + i % 64512);
}

static struct flow_tuple addresses4(uint32_t i)
{
	return v4(0x0a000000 + i, 40000);
}

static struct flow_tuple net24(uint32_t i)
{
	return v4(0xc6336400 + i % 256, 1024 + i / 256);
}

static struct flow_tuple ports6(uint32_t i)
{
	return v6(1, 1 + i / 64512, 1024 + i % 64512);
}

static struct flow_tuple addresses6(uint32_t i)
{
	return v6(1, i, 40000);
}

static struct flow_tuple networks6(uint32_t i)
{
	return v6(i, 1, 40000);
}

static const struct pattern {
	const char *name;
	struct flow_tuple (*tuple)(uint32_t i);
} patterns[] = {
	{"IPv4, sequential ports", ports4},
	{"IPv4, sequential addresses", addresses4},
	{"IPv4, one /24", net24},
	{"IPv6, sequential ports", ports6},
	{"IPv6, sequential addresses", addresses6},
	{"IPv6, sequential /64", networks6},
};

/* What random flows would give, as 1; deviations of chi-square in standard deviations. */
struct fill {
	double bucket_overflow; /* share beyond 8 in a bucket, by the expected share */
	double pair_overflow; /* share beyond 16 in a pair */
	double deviation; /* the worst of buckets, low and high tag bits, ring slots */
};

static struct flow_hash_key key_number(unsigned int k)
{
	struct flow_hash_key key;
	uint64_t word = 77 + k;

	for (size_t i = 0; i < sizeof(key); i++) {
		word = word * 0xd1342543de82ef95ULL + 0x9e3779b97f4a7c15ULL;
		((uint8_t *)&key)[i] = (uint8_t)(word >> 56);
	}
	return key;
}

/* Expected share of flows that find `slots` taken in cells with `mean` flows each (Poisson). */
static double poisson_overflow(double mean, unsigned int slots)
{
	double p = exp(-mean), sum = 0;

	for (unsigned int k = 1; k < 200; k++) {
		p *= mean / k;
		if (k > slots)
			sum += (k - slots) * p;
	}
	return sum / mean;
}

static double overflow(const uint8_t *load, uint32_t cells, unsigned int slots)
{
	uint64_t n = 0, over = 0;

	for (uint32_t i = 0; i < cells; i++) {
		n += load[i];
		over += load[i] > slots ? load[i] - slots : 0;
	}
	return (double)over / n / poisson_overflow((double)n / cells, slots);
}

static double deviation(const uint32_t *count, uint32_t n)
{
	double mean = (double)n / CELLS, chi2 = 0;

	for (uint32_t i = 0; i < CELLS; i++)
		chi2 += (count[i] - mean) * (count[i] - mean) / mean;
	return (chi2 - (CELLS - 1)) / sqrt(2.0 * (CELLS - 1));
}

static uint32_t cell_of(uint64_t hash, int what)
{
	switch (what) {
	case 0:
		return flow_hash_bucket(hash, CELLS);
	case 1:
		return flow_hash_tag(hash) % CELLS;
	case 2:
		return hash_reduce(flow_hash_tag(hash), CELLS);
	default:
		return flow_hash_ring(hash, CELLS, 0);
	}
}

static void add(uint8_t *load)
{
	*load += *load < UINT8_MAX;
}

static struct fill fill_with(const struct pattern *pattern, uint32_t n, unsigned int number,
			     hash_fn hash)
{
	struct flow_hash_key key = key_number(number);
	uint32_t buckets = sizing_flow_buckets(n);
	uint8_t *bucket = calloc(buckets, 1), *pair = calloc(buckets / 2, 1);
	uint32_t(*cells)[CELLS] = calloc(4, sizeof(*cells));
	struct fill f = {.deviation = -100};

	assert_true(bucket && pair && cells);
	for (uint32_t i = 0; i < n; i++) {
		struct flow_tuple t = pattern->tuple(i);
		uint64_t h = hash(&t, &key);
		uint32_t at = flow_hash_bucket(h, buckets);

		add(&bucket[at]);
		add(&pair[at / 2]);
		for (int what = 0; what < 4; what++)
			cells[what][cell_of(h, what)]++;
	}
	f.bucket_overflow = overflow(bucket, buckets, FLOW_SLOTS);
	f.pair_overflow = overflow(pair, buckets / 2, PAIR);
	for (int what = 0; what < 4; what++)
		f.deviation = fmax(f.deviation, deviation(cells[what], n));
	free(bucket);
	free(pair);
	free(cells);
	return f;
}

/* A tenth more than expected at most; a million flows leave the pairs' figure to chance. */
static bool is_random(const struct fill *f)
{
	double most_pairs = proof_is_long() ? 1.1 : 1.3;

	return f->bucket_overflow < 1.1 && f->pair_overflow < most_pairs && f->deviation < 5;
}

static struct fill worse(struct fill a, struct fill b)
{
	return (struct fill){
		.bucket_overflow = fmax(a.bucket_overflow, b.bucket_overflow),
		.pair_overflow = fmax(a.pair_overflow, b.pair_overflow),
		.deviation = fmax(a.deviation, b.deviation),
	};
}

static void structured_flows_fill_like_random_ones(void **state)
{
	uint32_t n = proof_size(1000000, 10000000);

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct fill f = fill_with(&patterns[i], n, 0, flow_hash);
		char what[96];

		for (unsigned int k = 1; k < KEYS; k++)
			f = worse(f, fill_with(&patterns[i], n, k, flow_hash));
		snprintf(what, sizeof(what), "hash: %s", patterns[i].name);
		proof_says(what,
			   "%u flows, the worse of %d keys: overflow of buckets %.3f, of pairs "
			   "%.3f times the Poisson expectation; chi-square %.1f deviations above "
			   "the mean",
			   n, KEYS, f.bucket_overflow, f.pair_overflow, f.deviation);
		assert_true(is_random(&f));
	}
}

/* The universal half of the hash alone. */
static __u64 unmixed(const struct flow_tuple *t, const volatile struct flow_hash_key *key)
{
	uint32_t ports = (uint32_t)t->sport << 16 | t->dport;

	return flow_hash_nh(t->src.w[3], key->nh[0], t->dst.w[3], key->nh[1]) +
	       flow_hash_nh(ports, key->nh[2], t->protocol, key->nh[3]);
}

/* Control: what spreads them is the mixing behind the multiplications. */
static void without_mixing_they_do_not(void **state)
{
	struct fill f = fill_with(&patterns[0], 1000000, 0, unmixed);

	proof_says("hash, control: without the mixing",
		   "overflow of buckets %.0f times the expectation; chi-square %.0f deviations "
		   "above the mean",
		   f.bucket_overflow, f.deviation);
	assert_false(is_random(&f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structured_flows_fill_like_random_ones),
		cmocka_unit_test(without_mixing_they_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
