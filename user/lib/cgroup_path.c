/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Paths of cgroups: see cgroup_path.h. */
#include "cgroup_path.h"

#include <stdio.h>
#include <string.h>

#define ROOT_FIELD  3 /* of a mount, as cgroups(7) and proc(5) count from 0 */
#define POINT_FIELD 4

const char *cgroup_of_line(char *line)
{
	static const char prefix[] = "0::";
	char *path = line + sizeof(prefix) - 1;

	if (strncmp(line, prefix, sizeof(prefix) - 1) != 0 || *path != '/')
		return NULL;
	path[strcspn(path, "\n")] = '\0';
	return strncmp(path, "/..", 3) == 0 ? NULL : path;
}

/* What of the cgroup's path is below root; NULL: it is not. */
static const char *below(const char *root, const char *cgroup)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(root, cgroup, len) != 0 || (cgroup[len] && cgroup[len] != '/'))
		return NULL;
	return strcmp(cgroup + len, "/") == 0 ? "" : cgroup + len;
}

bool cgroup_path_of_mount(char *line, const char *cgroup, char *ret_path, size_t size)
{
	char *fields[POINT_FIELD + 1], *rest = strstr(line, " - "), *save = NULL;
	const char *tail;

	if (!rest || strncmp(rest, " - cgroup2 ", strlen(" - cgroup2 ")) != 0)
		return false;
	*rest = '\0';
	for (size_t i = 0; i <= POINT_FIELD; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	tail = below(fields[ROOT_FIELD], cgroup);
	if (!tail)
		return false;
	return snprintf(ret_path, size, "%s%s", fields[POINT_FIELD], tail) < (int)size;
}
