/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How VIPs do, told once per change: their states, and the alarm of min_healthy. */
#include "controller_private.h"
#include "log.h"

static void report_state(struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;

	if (s->state == vip->reported)
		return;
	log_info("vip %s vip=%s reals_up=%zu reals=%zu on_backup=%d was=%s",
		 vip_condition_name(s->state), name, s->up, s->counted, s->is_on_backup,
		 vip_condition_name(vip->reported));
	vip->reported = s->state;
}

static void report_min(struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;

	if (s->is_below_min == vip->is_alarmed)
		return;
	vip->is_alarmed = s->is_below_min;
	vip->alarms += s->is_below_min;
	if (s->is_below_min)
		log_warning("vip below min_healthy vip=%s reals_up=%zu min_healthy=%zu reals=%zu",
			    name, s->up, s->wanted, s->counted);
	else
		log_info("vip not below min_healthy any more vip=%s reals_up=%zu min_healthy=%zu",
			 name, s->up, s->wanted);
}

void standing_changed(struct vip_run *vip, const char *name, const struct vip_standing *standing)
{
	vip->standing = *standing;
	/* The first results come one by one: what follows from some of them is not news. */
	if (!standing->is_proven)
		return;
	report_state(vip, name);
	report_min(vip, name);
}
