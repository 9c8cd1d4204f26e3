/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cgroups of scripts that probe through the data path: what decides which mark their sockets get
 * (lib/dataplane_script.h). A directory below the daemon's own cgroup has one for each script that
 * may run at once, made when it is first needed; the programs are attached to that directory.
 */
#pragma once

#include <stdint.h>

#include "lib/err.h"

struct script_cgroups;

/* Makes nothing yet; removes what an earlier daemon with this bpffs directory left. -errno. */
int script_cgroups_new(struct script_cgroups **ret_cgroups, const char *bpffs);
/* Removes the directories; what is in them is killed. NULL-safe. */
void script_cgroups_free(struct script_cgroups *cgroups);

/* Whether there can be any: makes the directory and attaches the programs if need be. */
int script_cgroups_prepare(struct script_cgroups *cgroups, struct err *err);

/*
 * One for a process whose sockets are to have this mark; *ret_fd, its directory, stays the
 * cgroups'. 0 or -errno.
 */
int script_cgroups_take(struct script_cgroups *cgroups, uint32_t mark, int *ret_slot, int *ret_fd);
/* Kills what is still in it. */
void script_cgroups_give_back(struct script_cgroups *cgroups, int slot);
/* No process could be put there: what no script is in is made anew the next time. */
void script_cgroups_forget(struct script_cgroups *cgroups);
