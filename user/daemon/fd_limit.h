/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many descriptors the daemon may have open. */
#pragma once

#include <stddef.h>

/*
 * Makes room for n_probes checks at the same time: up to the hard limit, beyond it with
 * CAP_SYS_RESOURCE. What is missing is said in the log.
 */
void fd_limit_want(size_t n_probes);

/*
 * For a descriptor of a check, -1 with errno if there is none: returns it, or -errno. -EMFILE: it
 * is one of the last ones, closed again, which clients of the API, reloads and files need.
 */
int fd_limit_check(int fd);
