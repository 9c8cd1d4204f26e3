/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What up did to one interface's host, kept in STATE_DIR/IF.json so that down can undo it: plain
 * values and a file. The file is written before a change is made, so that a crash loses nothing.
 */
#pragma once

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "change.h"
#include "lib/err.h"
#include "options.h"

struct receiver_state {
	char interface[IF_NAMESIZE];
	enum attach_mode mode;
	uint16_t gue_port; /* 0: no GUE */
	uint64_t program; /* attach_program() of the one attached */
	char *pins; /* directory of program link and maps */
	struct ip_addr *vips;
	size_t n_vips;
	struct prefix *from; /* none: every source */
	size_t n_from;
	struct ip_addr *locals; /* addresses of the interface when up last ran */
	size_t n_locals;
	struct change *changes; /* in the order made */
	size_t n_changes;
};

void state_free(struct receiver_state *state);

/* A deep copy. -ENOMEM. */
int state_copy(const struct receiver_state *state, struct receiver_state *ret_copy);

int state_add_vip(struct receiver_state *state, const struct ip_addr *vip); /* if new; -ENOMEM */
int state_add_change(struct receiver_state *state, const struct change *change); /* -ENOMEM */
struct change *state_find_change(struct receiver_state *state, const struct change *like);

/* -ENOENT if up never ran for the interface; -EINVAL if the file is not one of ours. */
int state_load(const char *dir, const char *interface, struct receiver_state *ret_state,
	       struct err *err);

/* Replaces the file in one step. */
int state_save(const char *dir, const struct receiver_state *state, struct err *err);
int state_remove(const char *dir, const char *interface, struct err *err);

/* The interfaces that have a file, as a JSON array of strings (empty without the directory). */
json_t *state_interfaces(const char *dir);

/*
 * Makes the directory and waits until no other xdplb-receiver works in it. The lock ends with
 * close(*ret_fd).
 */
int state_lock(const char *dir, int *ret_fd, struct err *err);

/*
 * If another interface's state relies on the same change, it takes over to undo it one day:
 * *ret_is_needed says so.
 */
int state_hand_over(const char *dir, const char *interface, const struct change *change,
		    bool *ret_is_needed, struct err *err);
