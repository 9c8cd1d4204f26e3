/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How VIPs do, told once per change: their states, their backups, the alarm of min_healthy. */
#include "controller_private.h"
#include "log.h"

static void audit(struct controller *c, const char *what, const char *name,
		  const struct vip_standing *s)
{
	audit_add(c->audit, &actor_health, what,
		  json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:i, s:I}", "vip", name, "state",
			    vip_condition_name(s->state), "reals_up", (json_int_t)s->up, "reals",
			    (json_int_t)s->counted, "min_healthy", (json_int_t)s->wanted,
			    "on_backup", s->is_on_backup, "backup_level", (int)s->last_level,
			    "backup_below", (json_int_t)s->needed));
}

static void report_state(struct controller *c, struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;

	if (s->state == vip->reported)
		return;
	log_line(s->state > vip->reported ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		 "vip %s vip=%s reals_up=%zu reals=%zu on_backup=%d was=%s",
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

/* That they serve, up to which level, and whether alone. */
static void report_backups(struct controller *c, struct vip_run *vip, const char *name)
{
	const struct vip_standing *s = &vip->standing;
	uint8_t was = vip->reported_level;
	bool is_alone = s->first_level > 0, joins = s->last_level > was;
	bool is_worse = joins || (s->last_level == was && is_alone);
	const char *what = is_alone ? "serve alone" : "serve with primaries";

	if (s->last_level == was && is_alone == vip->reported_alone)
		return;
	if (s->last_level != was)
		what = joins ? "joined" : "left";
	vip->joins += joins;
	vip->reported_level = s->last_level;
	vip->reported_alone = is_alone;
	audit(c, "vip_backups", name, s);
	log_line(is_worse ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		 "vip backups %s vip=%s level=%u was=%u reals_up=%zu backup_below=%zu reals=%zu",
		 what, name, s->last_level, was, s->up, s->needed, s->counted);
}

void standing_changed(struct controller *c, struct vip_run *vip, const char *name,
		      const struct vip_standing *standing)
{
	if (vip->standing.state != standing->state)
		vip->state_since_ms = controller_now_ms();
	vip->standing = *standing;
	/* The first results come one by one: what follows from some of them is not news. */
	if (!standing->is_proven)
		return;
	report_state(c, vip, name);
	report_min(c, vip, name);
	report_backups(c, vip, name);
}
