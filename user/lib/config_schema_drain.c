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

static const struct schema_field ejection_fields[] = {
	[EJECTION_KEY_ENABLED] = {.key = "enabled",
				  .type = SCHEMA_BOOL,
				  .offset = offsetof(struct doc_ejection, enabled),
				  .initial = 0,
				  .text = "whether reals are ejected; `protocol: tcp` only, others "
					  "have no SYNs"},
	[EJECTION_KEY_INTERVAL] = {.key = "interval",
				   .type = SCHEMA_DURATION,
				   .offset = offsetof(struct doc_ejection, interval),
				   .min = 1 * SECOND,
				   .max = 10 * MINUTE,
				   .initial = 10 * SECOND,
				   .text = "time from one look at the SYNs to the next"},
	[EJECTION_KEY_MIN_FLOWS] = {.key = "min_flows",
				    .type = SCHEMA_NUMBER,
				    .offset = offsetof(struct doc_ejection, min_flows),
				    .min = 5,
				    .max = 1000000,
				    .initial = 20,
				    .text = "SYNs that a real must have got in an interval to be "
					    "judged, or to be what others are judged by"},
	[EJECTION_KEY_TIME] = {.key = "time",
			       .type = SCHEMA_DURATION,
			       .offset = offsetof(struct doc_ejection, time),
			       .min = 1 * SECOND,
			       .max = 1 * HOUR,
			       .initial = 30 * SECOND,
			       .text = "how long a real is ejected at first; doubles with each "
				       "ejection, and is halved for each such time without one"},
	[EJECTION_KEY_MAX_TIME] = {.key = "max_time",
				   .type = SCHEMA_DURATION,
				   .offset = offsetof(struct doc_ejection, max_time),
				   .min = 1 * SECOND,
				   .max = 24 * HOUR,
				   .initial = 5 * MINUTE,
				   .text = "how long at most"},
	[EJECTION_KEY_MAX_EJECTED] = {.key = "max_ejected",
				      .type = SCHEMA_PERCENT,
				      .offset = offsetof(struct doc_ejection, max_ejected),
				      .min = 1,
				      .max = 90,
				      .initial = 10,
				      .text = "share of the VIP's reals that are up which may be "
					      "ejected; at least one, if more than one is up"},
	[EJECTION_KEY_TRIAL] = {.key = "trial",
				.type = SCHEMA_PERCENT,
				.offset = offsetof(struct doc_ejection, trial),
				.min = 1,
				.max = 100,
				.initial = 5,
				.text = "share of its weight that an ejected real gets afterwards, "
					"until it has proven itself"},
};

const struct schema_section schema_ejection = {
	.title = "ejection",
	.text = "In `defaults` and in a VIP, key by key. A real whose clients repeat their SYNs "
		"far "
		"more often than those of the VIP's other reals gets no new flows for a time.",
	.fields = ejection_fields,
	.n_fields = COUNT_OF(ejection_fields),
	.size = sizeof(struct doc_ejection),
};
