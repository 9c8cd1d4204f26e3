/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lc and p2c compare: each member's active flows as the last scan counted them, and what has
 * come and gone since that scan began, which the packet path keeps.
 */
#pragma once

#include "dp.h"
#include "flow_table.h"

/* Before the first bucket is scanned; what is given from here on is not in its counts. */
void member_load_begin(const struct dp *dp);
/* The scan is complete. */
void member_load_end(const struct dp *dp, const struct flow_scan *scan);

/* A member that is new and has no flows. */
void member_load_reset(const struct dp *dp, uint32_t id, uint32_t weight);
