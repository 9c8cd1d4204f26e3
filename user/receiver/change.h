/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One thing about the host that `up` wants to be so: a kernel setting, lo up, a VIP on lo, an
 * advertised MSS on a default route. It knows whether it is in force, makes itself so and undoes
 * itself, and says all that as the shell command a person would have typed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "netlink.h"
#include "sysctl.h"
#include "xdplb/abi.h"

enum change_kind {
	CHANGE_SYSCTL, /* the setting is at least `value` */
	CHANGE_RP_FILTER, /* the interface's effective rp_filter is not 1 (strict) */
	CHANGE_LO_UP,
	CHANGE_VIP, /* on lo */
	CHANGE_ADVMSS, /* of a default route, at most `value` */
};

struct change {
	enum change_kind kind;
	bool is_made; /* by up; otherwise it was so before, and down leaves it */
	bool is_made_now; /* in this call; not recorded */
	char sysctl[SYSCTL_NAME_MAX]; /* CHANGE_SYSCTL, CHANGE_RP_FILTER */
	struct ip_addr vip; /* CHANGE_VIP */
	struct route_id route; /* CHANGE_ADVMSS */
	char route_text[ROUTE_TEXT_MAX];
	uint32_t value; /* what up wants */
	uint32_t old_value; /* before the first up */
	uint32_t found_value; /* before this call; not recorded */
};

/* The same thing, whatever the values. */
bool change_same(const struct change *a, const struct change *b);

/* Whether it is so; ret_found, if not NULL, gets the present value. */
int change_check(const struct change *c, bool *ret_in_force, uint32_t *ret_found, struct err *err);

int change_make(const struct change *c, struct err *err);

/*
 * Puts back `value` (old_value or found_value). What is gone or was changed by others since is
 * left; then *ret_undone is false.
 */
int change_undo(const struct change *c, uint32_t value, bool *ret_undone, struct err *err);

/* The shell command that makes or undoes it, without newline, into text. */
void change_describe(const struct change *c, char *text, size_t size);
void change_describe_undo(const struct change *c, uint32_t value, char *text, size_t size);

json_t *change_to_json(const struct change *c);
int change_from_json(const json_t *json, struct change *ret_change);
