/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table's rows of `source`: see config_schema.h. */
#include "config_schema_row.h"

static const struct schema_field source_fields[] = {
	[SOURCE_TUPLE] =
		{.key = "tuple",
		 .type = SCHEMA_NUMBER,
		 .offset = offsetof(struct doc_source, tuple),
		 .min = 1,
		 .max = 5,
		 .initial = 1,
		 .text = "how many parts of a flow decide: 1, its source address; 2, and "
			 "its destination address; 3, and its protocol; 5, and both ports"},
	[SOURCE_PREFIX4] = {.key = "prefix4",
			    .type = SCHEMA_NUMBER,
			    .offset = offsetof(struct doc_source, prefix4),
			    .min = 1,
			    .max = 32,
			    .initial = 32,
			    .text = "leading bits of an IPv4 source address that count: with 24, "
				    "clients of one /24 get the same real"},
	[SOURCE_PREFIX6] = {.key = "prefix6",
			    .type = SCHEMA_NUMBER,
			    .offset = offsetof(struct doc_source, prefix6),
			    .min = 1,
			    .max = 128,
			    .initial = 128,
			    .text = "the same for IPv6; 64 is one subnet, 56 one household at many "
				    "providers"},
	[SOURCE_AFFINITY] =
		{.key = "affinity",
		 .type = SCHEMA_DURATION,
		 .offset = offsetof(struct doc_source, affinity),
		 .min = 0,
		 .max = 24 * HOUR,
		 .initial = 0,
		 .text = "a source that started a flow so long ago or less gets the same real "
			 "again, even if the reals have changed; whole seconds; 0: the ring "
			 "decides"},
};

const struct schema_section schema_source = {
	.title = "source",
	.text = "In `defaults` and in a VIP, key by key; for `scheduler: source`.",
	.fields = source_fields,
	.n_fields = COUNT_OF(source_fields),
	.size = sizeof(struct doc_source),
};
