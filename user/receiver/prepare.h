/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `up` has to change on this host: decided here, done by cmd_up.c. */
#pragma once

#include <stdio.h>

#include "lib/err.h"
#include "options.h"
#include "state.h"

/*
 * Turns the state of the last up (all zero: none) into the wanted one: adds the command line's
 * wishes and the interface's addresses, and brings the list of changes up to date. What has to be
 * made is marked is_made_now. Notes for a person go to `notes` as lines that begin with #. On
 * failure the state is to be thrown away.
 */
int prepare_up(const struct options *options, struct receiver_state *state, FILE *notes,
	       struct err *err);
