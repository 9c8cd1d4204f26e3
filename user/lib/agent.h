/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an agent says: HAProxy's agent-check protocol (configuration manual, "agent-check"). One
 * line of words, separated by blanks and commas; what comes behind a '#' is for people. What a line
 * leaves unsaid stays as it was. Pure.
 *
 *   up                      the service is there
 *   down, fail, stopped     it is not
 *   ready                   ends drain and maint
 *   drain                   no new flows
 *   maint                   no flows at all
 *   75%                     so much of the configured weight; 0%: no new flows; above 100%: 100%
 *   maxconn:N               ignored: a packet balancer opens no connections
 */
#pragma once

#include <stdbool.h>

#include "snapshot.h"

/* All 0: nothing has been said yet, and so nothing is against the real. */
struct agent_state {
	bool is_down;
	enum admin_state admin;
	uint32_t lowered_percent;
};

enum agent_answer {
	AGENT_NOTHING, /* no word that is known */
	AGENT_WORDS,
	AGENT_HEALTH, /* among them one that says whether the service is there */
};

/* Takes a line in, without its end. */
enum agent_answer agent_take(struct agent_state *state, const char *line);

/* What follows for the real, beside up or down. */
struct health_advice agent_advice(const struct agent_state *state);
