/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of the schema table: reals, pools, and pools' places in a VIP. */
#include "config_schema_row.h"
#include "config_value.h"

static const struct schema_field real_fields[] = {
	[REAL_ADDRESS] = {.key = "address",
			  .type = SCHEMA_ADDRESS,
			  .is_required = true,
			  .offset = offsetof(struct doc_real, address),
			  .text = "where packets for the VIP are sent; either family"},
	[REAL_WEIGHT] = {.key = "weight",
			 .type = SCHEMA_NUMBER,
			 .offset = offsetof(struct doc_real, weight),
			 .min = 0,
			 .max = 65535,
			 .initial = 100,
			 .text = "share of new flows, relative to the other reals of the VIP or "
				 "pool; 0: none"},
	[REAL_BACKUP] = {.key = "backup",
			 .type = SCHEMA_LEVEL,
			 .offset = offsetof(struct doc_real, backup),
			 .min = 1,
			 .max = BACKUP_LEVEL_MAX,
			 .initial_text = "false",
			 .text = "serves when too few others are up, see `backup_below`: its "
				 "level, where 1 (`true`) is the first to join"},
	[REAL_SERVER_ID] = {.key = "server_id",
			    .type = SCHEMA_TEXT,
			    .offset = offsetof(struct doc_real, server_id),
			    .check = check_server_id,
			    .initial_text = "none; needed with `quic`",
			    .text = "what this real writes into its QUIC connection IDs, in hex"},
};

const struct schema_section schema_real = {
	.title = "reals[]",
	.text = "In a VIP or a pool.",
	.fields = real_fields,
	.n_fields = COUNT_OF(real_fields),
	.size = sizeof(struct doc_real),
};

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
			.type = SCHEMA_LEVEL,
			.offset = offsetof(struct doc_use, backup),
			.min = 1,
			.max = BACKUP_LEVEL_MAX,
			.initial_text = "false",
			.text = "all its reals are backups here, of this level at least"},
};

const struct schema_section schema_use = {
	.title = "vips[].pools[]",
	.text = "Pools of a VIP. While no real of a pool is up, its share goes to the others; no "
		"address may be in two of them.",
	.fields = use_fields,
	.n_fields = COUNT_OF(use_fields),
	.size = sizeof(struct doc_use),
};
