/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The audit log: what changed in what gets packets, when and by whom. JSON lines in DIR/audit.log,
 * which is renamed to audit.log.1 at AUDIT_FILE_MAX bytes (an older one is replaced); the last
 * AUDIT_KEPT events are at hand in memory too. Every event has a number; numbers go on after a
 * restart.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define AUDIT_FILE_MAX (1u << 20)
#define AUDIT_KEPT     1000

/* Who does something. */
struct actor {
	char name[32]; /* "health", "drain", "signal", "start", "api", or the user's name */
	bool has_ids; /* a process that spoke to the API */
	uid_t uid;
	pid_t pid;
};

struct audit;

/* Only without memory an error: packets are served without a log, too, and each event tries again.
 */
int audit_open(struct audit **ret_audit, const char *state_dir, struct err *err);
void audit_free(struct audit *audit);

/*
 * Adds an event: details (taken over; an object) behind its number, time, who and what ("real_up",
 * "config_applied", ...). What cannot be written is said in the log once. If somebody moved or
 * removed the file, a new one begins.
 */
void audit_add(struct audit *audit, const struct actor *who, const char *what, json_t *details);

/* The last `limit` events with a number over `after`, the oldest first. */
json_t *audit_events(const struct audit *audit, uint64_t after, size_t limit);
