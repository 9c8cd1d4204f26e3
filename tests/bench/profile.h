/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a loaded program's time goes, by line of its source: this CPU's clock is sampled while it
 * runs, and an address in the kernel's translation of the program is traced to the line that it was
 * made of. A sample counts for the instruction that had not ended: for a load that missed, itself
 * or the first that needs what it reads.
 */
#pragma once

#include <stdint.h>

#include "lib/err.h"

struct profile;

int profile_new(struct profile **ret_profile, struct err *err);
void profile_free(struct profile *profile);

/* Samples the calling process from here on, and until profile_stop(). */
void profile_start(struct profile *profile);
/* Takes in the samples that are in the program `fd`; those anywhere else are forgotten. */
int profile_stop(struct profile *profile, int fd, struct err *err);

/*
 * A JSON line on stdout for each line of source that has a sample, the most first: "case" and
 * "vips" as given, "file", "line", "source", "share" of the program's samples, 0 ... 1. Forgets.
 */
void profile_print(struct profile *profile, const char *name, uint32_t vips);
