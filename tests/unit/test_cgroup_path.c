/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a process finds its cgroup, from what /proc says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/cgroup_path.h"

#define MOUNT(root, point, type)                                                                   \
	"31 23 0:26 " root " " point " rw,nosuid shared:9 master:1 - " type " none "               \
	"rw,nsdelegate\n"

static const struct {
	const char *line;
	const char *cgroup; /* NULL: none */
} cgroups[] = {
	{"0::/\n", "/"},
	{"0::/system.slice/xdplbd.service\n", "/system.slice/xdplbd.service"},
	{"0::/a", "/a"},
	{"4:memory:/a\n", NULL},
	{"1:name=systemd:/a\n", NULL},
	{"0::\n", NULL},
	{"0::/../a\n", NULL}, /* outside of the namespace */
	{"\n", NULL},
	{"", NULL},
};

static const struct {
	const char *line;
	const char *cgroup;
	const char *path; /* NULL: it is not there */
} mounts[] = {
	{MOUNT("/", "/sys/fs/cgroup", "cgroup2"), "/a.slice/b", "/sys/fs/cgroup/a.slice/b"},
	{MOUNT("/", "/sys/fs/cgroup/unified", "cgroup2"), "/", "/sys/fs/cgroup/unified"},
	{MOUNT("/a", "/cg", "cgroup2"), "/a/b", "/cg/b"},
	{MOUNT("/a", "/cg", "cgroup2"), "/a", "/cg"},
	{MOUNT("/a", "/cg", "cgroup2"), "/ab", NULL},
	{MOUNT("/a", "/cg", "cgroup2"), "/", NULL},
	{MOUNT("/..", "/cg", "cgroup2"), "/a", NULL},
	{MOUNT("/", "/sys/fs/cgroup/cpu", "cgroup"), "/a", NULL},
	{MOUNT("/", "/sys/fs/cgroup", "cgroup2"), "/far/too/long/for/the/room/that/there/is", NULL},
	{"31 23 0:26 - cgroup2 none rw\n", "/a", NULL},
	{"31 23 0:26 / /cg rw - cgroup2 none rw\n", "/a", "/cg/a"},
	{"\n", "/a", NULL},
};

static void the_own_cgroup_is_the_one_of_version_2(void **state)
{
	for (size_t i = 0; i < sizeof(cgroups) / sizeof(cgroups[0]); i++) {
		char line[256];
		const char *cgroup;

		snprintf(line, sizeof(line), "%s", cgroups[i].line);
		cgroup = cgroup_of_line(line);
		if (!cgroups[i].cgroup != !cgroup ||
		    (cgroup && strcmp(cgroup, cgroups[i].cgroup) != 0))
			fail_msg("%s: %s", cgroups[i].line, cgroup);
	}
}

static void a_mount_shows_what_is_below_its_root(void **state)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		char line[256], path[40] = "";
		bool is_there;

		snprintf(line, sizeof(line), "%s", mounts[i].line);
		is_there = cgroup_path_of_mount(line, mounts[i].cgroup, path, sizeof(path));
		if (is_there != (mounts[i].path != NULL) ||
		    (is_there && strcmp(path, mounts[i].path) != 0))
			fail_msg("%s of %s: %s", mounts[i].cgroup, mounts[i].line, path);
	}
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(the_own_cgroup_is_the_one_of_version_2),
		cmocka_unit_test(a_mount_shows_what_is_below_its_root),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
