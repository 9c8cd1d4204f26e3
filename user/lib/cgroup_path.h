/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a process finds its cgroup in the file system, from two files of /proc; version 2 only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * A line of /proc/self/cgroup, which is changed: "0::/a" is "/a". NULL: another version's, or a
 * cgroup that this cgroup namespace does not show.
 */
const char *cgroup_of_line(char *line);

/*
 * A line of /proc/self/mountinfo, which is changed: if it is a mount that shows the cgroup, where
 * that is.
 */
bool cgroup_path_of_mount(char *line, const char *cgroup, char *ret_path, size_t size);
