/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a real beside up and down, and so is not in the maps: since when it is, what its
 * check says of it, its flaps, its circuit. As values, and as they are kept over a restart of the
 * daemon. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent.h"
#include "ejection.h"
#include "err.h"
#include "health_state.h"
#include "snapshot.h"

/* What the health engine knows of a target; all 0: nothing. */
struct health_memory {
	bool is_assumed; /* up, but never proven */
	struct health_advice advice;
	struct agent_state agent;
	struct health_flaps flaps;
};

/* One real of one VIP; times are CLOCK_MONOTONIC. */
struct remembered {
	struct health_memory health;
	struct circuit circuit;
	enum health_verdict verdict; /* what follows is of; HEALTH_UNKNOWN: it was not said */
	uint64_t since_ms; /* of the verdict; 0: not known, as of the next */
	uint64_t reason_since_ms;
	char reason[128]; /* of verdict and advice */
};

/* One moment on both clocks. */
struct moment {
	uint64_t now_ms; /* CLOCK_MONOTONIC */
	uint64_t wall_ms; /* CLOCK_REALTIME */
};

/* Whether it is like any other: there is nothing to say but its verdict, since when and why. */
bool remembered_is_empty(const struct remembered *known);

/* Only what there is to say; times become CLOCK_REALTIME. NULL: no memory. */
json_t *remembered_to_json(const struct remembered *known, const struct moment *moment);

/* What is not there is 0. -EINVAL: not what remembered_to_json() makes; err says which field. */
int remembered_from_json(const json_t *json, const struct moment *moment,
			 struct remembered *ret_known, struct err *err);
