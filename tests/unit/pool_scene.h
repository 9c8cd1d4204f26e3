/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A VIP in words, and what its reals get. */
#pragma once

#include <string.h>

#include "lib/desired.h"

#define MAX_REALS 256
#define RING	  65537

/* A VIP in words: see scene(). */
struct scene {
	struct vip_spec vip;
	struct real_spec reals[MAX_REALS];
	struct real_input inputs[MAX_REALS];
	struct desired_member members[MAX_REALS];
	struct vip_standing standing;
};

/*
 * One word a real: "u" up, "d" down, "?" not proven, "D" up and drained, "x" up and disabled, "e"
 * up and ejected, "E" down and ejected; before it a "b" for each level of backups and "0" for a
 * weight of 0.
 */
static inline void scene(struct scene *s, const char *words)
{
	size_t n = 0;

	*s = (struct scene){};
	for (const char *c = words; *c; c++) {
		struct real_spec *real = &s->reals[n];

		real->address.w[3] = (uint32_t)n + 1;
		if (!real->weight && (c == words || c[-1] == ' '))
			real->weight = 100;
		if (*c == 'b')
			real->backup_level++;
		if (*c == '0')
			real->weight = 0;
		if (!strchr("ud?DxeE", *c))
			continue;
		s->inputs[n].health = strchr("dE", *c) ? HEALTH_DOWN
				      : *c == '?'      ? HEALTH_UNKNOWN
						       : HEALTH_UP;
		s->inputs[n].admin = *c == 'D'	 ? ADMIN_DRAIN
				     : *c == 'x' ? ADMIN_DISABLED
						 : ADMIN_ENABLED;
		s->inputs[n].is_ejected = strchr("eE", *c);
		n++;
	}
	s->vip.reals = s->reals;
	s->vip.n_reals = n;
	s->vip.ring = RING;
}

static inline void work_out(struct scene *s)
{
	effective_members(&s->vip, s->inputs, s->members, &s->standing);
}

/* One letter a real: + in the ring, s keeps its flows, - is down. */
static inline void describe(const struct scene *s, char *buf)
{
	static const char letters[] = {
		[MEMBER_UP] = '+', [MEMBER_DRAIN] = 's', [MEMBER_DOWN] = '-'};

	for (size_t r = 0; r < s->vip.n_reals; r++) {
		const struct desired_member *m = &s->members[r];

		*buf++ = letters[m->state & MEMBER_STATE_MASK];
		assert_int_equal(m->ring_weight > 0, (m->state & MEMBER_STATE_MASK) == MEMBER_UP);
		assert_int_equal(m->weight > 0, m->ring_weight > 0);
	}
	*buf = '\0';
}
