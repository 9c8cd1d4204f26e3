/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of scripts' sockets (bpf/script.bpf.c), attached to a directory of cgroup v2: they
 * see the sockets that are made in it and in all below. The links are not pinned, so they end with
 * the process.
 */
#pragma once

#include <stdint.h>

#include "err.h"

struct script_hook;

/* Loads the programs and attaches them. */
int script_hook_new(struct script_hook **ret_hook, int cgroup_fd, struct err *err);
/* Detaches. NULL-safe. */
void script_hook_free(struct script_hook *hook);

/* Sockets that are made in the cgroup get this mark from now on. 0 or -errno. */
int script_hook_mark(const struct script_hook *hook, uint64_t cgroup_id, uint32_t mark);
