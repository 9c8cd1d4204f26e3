/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The directory of an interface's pins: BPFFS/IF. bpffs takes no dot in a name, so eth0.100 is
 * written eth0:100.
 */
#pragma once

#include <stdbool.h>

#include "lib/err.h"

/* Caller frees; NULL: no memory. */
char *bpffs_pins(const char *bpffs, const char *interface);

/*
 * Sees to it that `pins` is in a bpf file system: mounts one on /sys/fs/bpf if need be (and if
 * that will outlive this process). A dry run only says whether it would.
 */
int bpffs_mount(const char *pins, bool is_dry_run, bool *ret_mounted, struct err *err);

/* Makes the directory and those above it. */
int bpffs_make(const char *pins, struct err *err);
