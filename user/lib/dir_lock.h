/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One daemon per directory. The lock is the kernel's, on the directory itself: nothing is written,
 * bpffs takes it too, and it ends with the process, however that ends.
 */
#pragma once

#include "err.h"

/* A descriptor that holds the lock until it is closed. -EBUSY: another process has it. */
int dir_lock(const char *path, int *ret_fd, struct err *err);
