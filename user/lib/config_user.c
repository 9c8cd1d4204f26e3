/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The users that scripts run as, by this machine's user database: see config_resolve.h. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "config_event.h"
#include "config_resolve.h"

/* Where a VIP's script got its user from. */
static struct mark user_mark(const struct doc_file *doc, const struct doc_vip *vip)
{
	const struct doc_health *own = &vip->policy.health;
	const struct doc_health *defaults = &doc->defaults.policy.health;

	if (schema_is_given(own, HEALTH_KEY_USER))
		return own->at[HEALTH_KEY_USER];
	if (schema_is_given(defaults, HEALTH_KEY_USER))
		return defaults->at[HEALTH_KEY_USER];
	return own->self.line ? own->self : defaults->self;
}

static const char *find_user(const char *name, struct health_spec *health)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		return "an existing user";
	if (user->pw_uid == 0)
		return "a user other than root";
	health->uid = user->pw_uid;
	health->gid = user->pw_gid;
	return NULL;
}

int config_find_users(const struct doc_file *doc, struct config *config, struct err *err)
{
	const struct doc_vip *vips = doc->vips.items;
	const struct health_spec *last = NULL;
	char got[QUOTE_TEXT_MAX], path[PLACE_TEXT_MAX];

	for (size_t i = 0; i < config->n_vips; i++) {
		struct health_spec *health = &config->vips[i].health;
		struct mark mark = user_mark(doc, &vips[i]);
		const char *expected = NULL;

		if (health->type != HEALTH_TYPE_SCRIPT)
			continue;
		if (last && strcmp(last->user, health->user) == 0) {
			health->uid = last->uid;
			health->gid = last->gid;
		} else {
			expected = find_user(health->user, health);
		}
		if (expected) {
			snprintf(path, sizeof(path), "vips[%zu].health.user", i);
			return config_fail(&(struct config_errors){config->file, err, NULL}, mark,
					   path, "expected %s, got \"%s\"", expected,
					   reader_quote(health->user, got));
		}
		last = health;
	}
	return 0;
}
