/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table of a bed: see harness.h. */
#include "harness.h"

#include "lib/apply.h"
#include "lib/member_load.h"

uint64_t bed_hash(const struct bed *bed, const struct packet *packet)
{
	struct flow_tuple tuple = packet_tuple(packet);

	return flow_hash(&tuple, &bed->knobs.hash_key);
}

uint64_t *bed_slot(const struct bed *bed, const struct packet *packet)
{
	uint64_t hash = bed_hash(bed, packet);
	uint32_t bucket = flow_hash_bucket(hash, bed->dp->control->flow_buckets);

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t *slots = (uint64_t *)bed->dp->flows[bucket ^ i].slot;

		for (int k = 0; k < FLOW_SLOTS; k++) {
			if (slots[k] >> FLOW_TAG_SHIFT == flow_hash_tag(hash))
				return &slots[k];
		}
	}
	return NULL;
}

enum flow_state bed_state(const struct bed *bed, const struct packet *packet)
{
	const uint64_t *slot = bed_slot(bed, packet);

	return slot ? SLOT_WORD_STATE(*slot) : FLOW_NONE;
}

uint64_t bed_jiffies(const struct bed *bed)
{
	uint64_t jiffies = 0;

	assert_int_equal(dataplane_read_jiffies(bed->dataplane, &jiffies), 0);
	return jiffies;
}

void bed_scan(struct bed *bed)
{
	uint32_t n_members = bed->dp->control->members;
	struct flow_scan scan;

	assert_int_equal(flow_scan_init(&scan, n_members), 0);
	member_load_begin(bed->dp);
	flow_scan_range(&scan, bed->dp, 0, bed->dp->control->flow_buckets, bed_jiffies(bed));
	member_load_end(bed->dp, &scan);
	apply_retire(bed->applied, &scan);
	flow_scan_free(&scan);
}

uint64_t bed_slot_word(const struct bed *bed, uint32_t tag, uint32_t member, enum flow_state state,
		       uint32_t ago)
{
	uint64_t now = bed_jiffies(bed) >> bed->knobs.clock.tick_shift[state];
	uint32_t age = (now - ago) & FLOW_AGE_MASK;

	if (age == FLOW_AGE_OLD)
		age--; /* reserved */
	return SLOT_WORD(tag, member, state, age);
}
