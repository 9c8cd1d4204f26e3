/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See member_load.h. Sums are modulo 2^32, so nobody has to reset what the packet path adds to. */
#include "member_load.h"

void member_load_begin(const struct dp *dp)
{
	for (uint32_t id = 0; id < dp->control->members; id++)
		dp->loads[id].seen = dp_load(dp->loads[id].delta);
}

void member_load_end(const struct dp *dp, const struct flow_scan *scan)
{
	for (uint32_t id = 0; id < scan->n_members; id++) {
		struct member_load *load = &dp->loads[id];
		uint32_t base = scan->members[id].active - load->seen;

		if (load->base != base)
			dp_store(load->base, base);
	}
}

void member_load_reset(const struct dp *dp, uint32_t id, uint32_t weight)
{
	struct member_load *load = &dp->loads[id];

	load->seen = dp_load(load->delta);
	dp_store(load->base, -load->seen);
	dp_store(load->weight, weight);
}
