/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of the schema table: pools, and their places in a VIP. */
#include "config_schema_row.h"
#include "config_value.h"

static const struct schema_field pool_fields[] = {
	[POOL_NAME] = {.key = "name",
		       .type = SCHEMA_TEXT,
		       .is_required = true,
		       .offset = offsetof(struct doc_pool, name),
		       .check = check_pool_name,
		       .text = "unique; as a VIP's, but not `file`"},
	[POOL_REALS] = {.key = "reals",
			.type = SCHEMA_LIST,
			.section = &schema_real,
			.offset = offsetof(struct doc_pool, reals),
			.max = XDPLB_MAX_VIP_MEMBERS - 1,
			.text = "who is in it; none is allowed"},
};

const struct schema_section schema_pool = {
	.title = "pools[]",
	.text = "Reals that VIPs use by the name of their pool.",
	.fields = pool_fields,
	.n_fields = COUNT_OF(pool_fields),
	.size = sizeof(struct doc_pool),
};

static const struct schema_field use_fields[] = {
	[USE_NAME] = {.key = "name",
		      .type = SCHEMA_TEXT,
		      .is_required = true,
		      .offset = offsetof(struct doc_use, name),
		      .check = check_pool_name,
		      .text = "of a pool"},
	[USE_WEIGHT] = {.key = "weight",
			.type = SCHEMA_NUMBER,
			.offset = offsetof(struct doc_use, weight),
			.min = 0,
			.max = 65535,
			.initial = 100,
			.text = "share of new flows, relative to the VIP's other pools, however "
				"many reals each has; 0: none, but its reals are probed"},
	[USE_BACKUP] = {.key = "backup",
			.type = SCHEMA_BOOL,
			.offset = offsetof(struct doc_use, backup),
			.text = "all its reals are backups here"},
};

const struct schema_section schema_use = {
	.title = "vips[].pools[]",
	.text = "Pools of a VIP. While no real of a pool is up, its share goes to the others; no "
		"address may be in two of them.",
	.fields = use_fields,
	.n_fields = COUNT_OF(use_fields),
	.size = sizeof(struct doc_use),
};
