/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How VIPs do, told once per change: their states, and the alarm of min_healthy. */
#include "controller_private.h"
#include "log.h"

static void audit(struct controller *c, const char *what, const char *name,
		  const struct vip_standing *s)
{
	audit_add(c->audit, &actor_health, what,
		  json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "vip", name, "state",
			    vip_condition_name(s->state), "reals_up", (json_int_t)s->up, "reals",
			    (json_int_t)s->counted, "min_healthy", (json_int_t)s->wanted,
			    "on_backup", s->is_on_backup));
}

static void report_state(struct controller *c, struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;

	if (s->state == vip->reported)
		return;
	log_info("vip %s vip=%s reals_up=%zu reals=%zu on_backup=%d was=%s",
		 vip_condition_name(s->state), name, s->up, s->counted, s->is_on_backup,
		 vip_condition_name(vip->reported));
	vip->reported = s->state;
	audit(c, "vip_state", name, s);
}

static void report_min(struct controller *c, struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;

	if (s->is_below_min == vip->is_alarmed)
		return;
	vip->is_alarmed = s->is_below_min;
	vip->alarms += s->is_below_min;
	audit(c, s->is_below_min ? "vip_below_min_healthy" : "vip_min_healthy", name, s);
	if (s->is_below_min)
		log_warning("vip below min_healthy vip=%s reals_up=%zu min_healthy=%zu reals=%zu",
			    name, s->up, s->wanted, s->counted);
	else
		log_info("vip not below min_healthy any more vip=%s reals_up=%zu min_healthy=%zu",
			 name, s->up, s->wanted);
}

void standing_changed(struct controller *c, struct vip_run *vip, const char *name,
		      const struct vip_standing *standing)
{
	vip->standing = *standing;
	/* The first results come one by one: what follows from some of them is not news. */
	if (!standing->is_proven)
		return;
	report_state(c, vip, name);
	report_min(c, vip, name);
}
