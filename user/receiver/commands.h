/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The commands. What they did goes to stdout, the reason of a failure to err: 0 or -errno. */
#pragma once

#include "lib/err.h"
#include "options.h"

int command_up(const struct options *options, struct err *err);
int command_down(const struct options *options, struct err *err);

/* -ENODATA: shown, but something that up made is missing (already said on stderr). */
int command_status(const struct options *options, struct err *err);
