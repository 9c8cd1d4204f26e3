/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A snapshot as JSON: the only place where field names are chosen. Each returns a new reference. */
#pragma once

#include <jansson.h>

#include "snapshot.h"

json_t *render_status(const struct snapshot *s);
json_t *render_vips(const struct snapshot *s);
json_t *render_vip(const struct snapshot *s, const struct snapshot_vip *vip); /* with its reals */
json_t *render_switch(const struct snapshot *s); /* what came of other pools for the only VIP */
json_t *render_reals(const struct snapshot *s);
json_t *render_real(const struct snapshot *s, const struct snapshot_real *real); /* all there is */
json_t *render_health(const struct snapshot *s);
json_t *render_stats(const struct snapshot *s, bool per_cpu);
json_t *render_flow_count(const struct snapshot *s);
