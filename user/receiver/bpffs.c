/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where pins live: see bpffs.h. */
#include "bpffs.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define BPFFS_MOUNT "/sys/fs/bpf"

char *bpffs_pins(const char *bpffs, const char *interface)
{
	char *pins;

	if (asprintf(&pins, "%s/%s", bpffs, interface) < 0)
		return NULL;
	for (char *p = pins + strlen(bpffs); *p; p++)
		if (*p == '.')
			*p = ':';
	return pins;
}

/* Whether the nearest directory above `path` that exists is in a bpffs. */
static bool is_in_bpffs(const char *path)
{
	char dir[PATH_MAX];
	struct statfs fs;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	while (statfs(dir, &fs)) {
		slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			return false;
		*slash = '\0';
	}
	return fs.f_type == BPF_FS_MAGIC;
}

static bool is_private_mount_namespace(void)
{
	struct stat own, init;

	return !stat("/proc/self/ns/mnt", &own) && !stat("/proc/1/ns/mnt", &init) &&
	       own.st_ino != init.st_ino;
}

int bpffs_mount(const char *pins, bool is_dry_run, bool *ret_mounted, struct err *err)
{
	*ret_mounted = false;
	if (is_in_bpffs(pins))
		return 0;
	if (strncmp(pins, BPFFS_MOUNT "/", sizeof(BPFFS_MOUNT)) != 0)
		return err_set(err, EINVAL, "--bpffs: %s is not in a bpf file system", pins);
	if (is_dry_run) {
		*ret_mounted = true;
		return 0;
	}
	/* Pins in a mount that ends with this process would take the program with them. */
	if (is_private_mount_namespace())
		return err_set(err, EINVAL,
			       "%s is not mounted here: under `ip netns exec` use `nsenter "
			       "--net=/run/netns/NAME` instead; in a container mount bpffs first",
			       BPFFS_MOUNT);
	if (mount("bpf", BPFFS_MOUNT, "bpf", 0, "mode=0700"))
		return err_errno(err, errno, "mount -t bpf bpf %s", BPFFS_MOUNT);
	*ret_mounted = true;
	return 0;
}

int bpffs_make(const char *path, struct err *err)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *p = dir + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(dir, 0700) && errno != EEXIST)
			return err_errno(err, errno, "make the directory %s", dir);
		if (c == '\0')
			return 0;
		*p = c;
	}
}
