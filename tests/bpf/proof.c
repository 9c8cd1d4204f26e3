/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See proof.h. */
#include "proof.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool proof_is_long(void)
{
	const char *size = getenv("XDPLB_PROOFS");

	return size && !strcmp(size, "long");
}

uint64_t proof_size(uint64_t quick, uint64_t in_full)
{
	return proof_is_long() ? in_full : quick;
}

void proof_says(const char *what, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_message("# proof | %s | %s |\n", what, text);
}

static uint32_t ring_slot(const struct dp *dp, uint64_t word, uint32_t slot)
{
	const union ring_block *ring = &dp->rings[RING_WORD_BASE(word)];
	const union ring_block *list = ring + RING_SLOT_BLOCKS(RING_WORD_SIZE(word));
	uint16_t at = ring[slot / RING_SLOTS_PER_BLOCK].slot[slot % RING_SLOTS_PER_BLOCK];
	uint32_t id = list[at / RING_MEMBERS_PER_BLOCK].member[at % RING_MEMBERS_PER_BLOCK];

	return ntohl(dp->members[id].real.w[3]);
}

static uint64_t ring_word(const struct bed *bed, const struct bed_vip *vip)
{
	uint32_t id = bed_member_id(bed, vip, vip->reals[0].address);

	return bed->dp->vip_state[bed->dp->members[id].vip_id].ring;
}

uint32_t proof_ring_pick(const struct bed *bed, const struct bed_vip *vip, uint64_t hash)
{
	uint64_t word = ring_word(bed, vip);

	return ring_slot(bed->dp, word, flow_hash_ring(hash, RING_WORD_SIZE(word), 0));
}

uint32_t *proof_ring(const struct bed *bed, const struct bed_vip *vip, uint32_t *ret_n)
{
	uint64_t word = ring_word(bed, vip);
	uint32_t n = RING_WORD_SIZE(word);
	uint32_t *slots = calloc(n, sizeof(*slots));

	assert_non_null(slots);
	for (uint32_t i = 0; i < n; i++)
		slots[i] = ring_slot(bed->dp, word, i);
	*ret_n = n;
	return slots;
}

double proof_moved_share(const uint32_t *before, const uint32_t *after, uint32_t n)
{
	uint32_t moved = 0;

	for (uint32_t i = 0; i < n; i++)
		moved += before[i] != after[i];
	return (double)moved / n;
}

uint64_t *proof_slot(const struct bed *bed, const struct flow_tuple *tuple)
{
	uint64_t hash = flow_hash(tuple, &bed->knobs.hash_key);
	uint32_t bucket = flow_hash_bucket(hash, bed->dp->control->flow_buckets);

	for (uint32_t i = 0; i < 2 * FLOW_SLOTS; i++) {
		uint64_t *slot =
			(uint64_t *)&bed->dp->flows[bucket ^ (i / FLOW_SLOTS)].slot[i % FLOW_SLOTS];

		if (*slot >> FLOW_TAG_SHIFT == flow_hash_tag(hash))
			return slot;
	}
	return NULL;
}

static bool is_proven(uint64_t word)
{
	enum flow_state state = SLOT_WORD_STATE(word);

	return (state == FLOW_TCP || state == FLOW_UDP) && SLOT_WORD_AGE(word) != FLOW_AGE_OLD;
}

double proof_load(const struct bed *bed)
{
	uint32_t slots = bed->dp->control->flow_buckets * FLOW_SLOTS;
	uint32_t proven = 0;

	for (uint32_t i = 0; i < slots; i++)
		proven += is_proven(dp_load(bed->dp->flows[i / FLOW_SLOTS].slot[i % FLOW_SLOTS]));
	return (double)proven / slots;
}

uint64_t proof_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void proof_needs_two_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) >= 2)
		return;
	print_message("needs two CPUs\n");
	skip();
}

void proof_pin_to_cpu(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}
