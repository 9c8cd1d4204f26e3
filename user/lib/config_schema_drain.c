/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table's rows of how reals leave: see config_schema.h. */
#include "config_schema_row.h"

static const struct schema_choice rest_choices[] = {
	CHOICE("keep", DRAIN_KEEP), CHOICE("move", DRAIN_MOVE), CHOICE("reset", DRAIN_RESET), {}};

static const struct schema_field drain_fields[] = {
	[DRAIN_KEY_TIMEOUT] = {.key = "timeout",
			       .type = SCHEMA_DURATION,
			       .offset = offsetof(struct doc_drain, timeout),
			       .max = 24 * HOUR,
			       .initial = 0,
			       .text = "time for the flows of a drained real to end; 0s: no limit"},
	[DRAIN_KEY_THEN] =
		{.key = "then",
		 .type = SCHEMA_CHOICE,
		 .offset = offsetof(struct doc_drain, then),
		 .choices = rest_choices,
		 .initial = DRAIN_KEEP,
		 .text = "what becomes of those left after that time: `keep`, they stay; "
			 "`move`, each goes to another real with its next packet; "
			 "`reset`, TCP gets a RST from the balancer, UDP moves"},
};

const struct schema_section schema_drain = {
	.title = "drain",
	.text = "In `defaults` and in a VIP, key by key; `xdplbctl real drain` can say otherwise.",
	.fields = drain_fields,
	.n_fields = COUNT_OF(drain_fields),
	.size = sizeof(struct doc_drain),
};
