/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers under /proc/sys. A name is a path with slashes: an interface's name may have dots. */
#pragma once

#include <stdint.h>

#include "lib/err.h"

#define SYSCTL_NAME_MAX 96

/* 0, -ENOENT (no such setting, e.g. the interface is gone), or another -errno with its text. */
int sysctl_read(const char *name, uint32_t *ret_value, struct err *err);
int sysctl_write(const char *name, uint32_t value, struct err *err);
