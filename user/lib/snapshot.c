// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The end of a snapshot's life and the names of its states. */
#include "snapshot.h"

#include <stdlib.h>

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->interfaces);
	free(snapshot->vips);
	free(snapshot->reals);
	free(snapshot->stats);
	free(snapshot->forwarded);
	free(snapshot);
}

bool health_advice_equal(const struct health_advice *a, const struct health_advice *b)
{
	return a->admin == b->admin && a->lowered_percent == b->lowered_percent;
}

const char *real_state_name(enum real_state state)
{
	switch (state) {
	case REAL_UP:
		return "up";
	case REAL_DOWN:
		return "down";
	case REAL_DRAINING:
		return "draining";
	case REAL_DRAINED:
		return "drained";
	case REAL_DISABLED:
		return "disabled";
	case REAL_EJECTED:
		return "ejected";
	case REAL_REMOVED:
		return "removed";
	case REAL_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *vip_condition_name(enum vip_condition state)
{
	switch (state) {
	case VIP_UP:
		return "up";
	case VIP_DEGRADED:
		return "degraded";
	case VIP_PANIC:
		return "panic";
	case VIP_DOWN:
		break;
	}
	return "down";
}

const char *admin_state_name(enum admin_state state)
{
	switch (state) {
	case ADMIN_ENABLED:
		return "enabled";
	case ADMIN_DRAIN:
		return "drain";
	case ADMIN_DISABLED:
		return "disabled";
	case ADMIN_REMOVED:
		return "removed";
	}
	return "unknown";
}
