/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is pinned in the bpffs directory: put there, and put back if somebody else removed it. Links
 * are in dataplane_link.c.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "dataplane_private.h"
#include "dir_lock.h"

#define BPFFS_ROOT "/sys/fs/bpf"

/* ---- the directory --------------------------------------------------------------------------- */

static int mkdirs(const char *path, struct err *err)
{
	char part[512];

	for (const char *p = strchr(path + 1, '/');; p = strchr(p + 1, '/')) {
		size_t len = p ? (size_t)(p - path) : strlen(path);

		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		if (mkdir(part, 0755) && errno != EEXIST)
			return err_errno(err, errno, "mkdir %s", part);
		if (!p)
			return 0;
	}
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* Said before anything is made there. */
static bool will_be_on_bpffs(const char *dir)
{
	char part[512];
	char *slash;

	snprintf(part, sizeof(part), "%s", dir);
	while (access(part, F_OK) && (slash = strrchr(part, '/')))
		*slash = 0;
	return is_bpffs(part);
}

int dataplane_make_dirs(const char *dir, struct err *err)
{
	char maps[512];
	size_t root_len = strlen(BPFFS_ROOT);

	if (!strncmp(dir, BPFFS_ROOT "/", root_len + 1) && !is_bpffs(BPFFS_ROOT) &&
	    mount("bpffs", BPFFS_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return err_errno(err, errno, "mount a bpffs at " BPFFS_ROOT);
	if (!will_be_on_bpffs(dir))
		return err_set(err, EINVAL, "bpffs: %s is not on a bpffs (mount -t bpf)", dir);
	snprintf(maps, sizeof(maps), "%s/maps", dir);
	return mkdirs(maps, err);
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* Variables of the section ".data.NAME" are a map, too. NULL: the program's own constants. */
static const char *pin_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	const char *section = ".data.";

	if (!strncmp(name, section, strlen(section)))
		return name + strlen(section);
	return bpf_map__is_internal(map) ? NULL : name;
}

int dataplane_set_pin_paths(struct xdplb_bpf *skel, const char *bpffs)
{
	struct bpf_map *map;
	char path[512];
	int r;

	bpf_object__for_each_map(map, skel->obj)
	{
		const char *name = pin_name(map);

		if (!name)
			continue;
		snprintf(path, sizeof(path), "%s/maps/%s", bpffs, name);
		r = bpf_map__set_pin_path(map, path);
		if (r)
			return r;
	}
	return 0;
}

int dataplane_share_maps(struct xdplb_bpf *skel, const struct xdplb_bpf *old)
{
	const struct bpf_map *have = NULL;
	struct bpf_map *map;
	int r = 0;

	/* Both are of one object file: the maps are in the same order. */
	bpf_object__for_each_map(map, skel->obj)
	{
		have = bpf_object__next_map(old->obj, have);
		if (!r && pin_name(map))
			r = bpf_map__reuse_fd(map, bpf_map__fd(have));
	}
	return r;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* 1: it was not there. */
static int restore_map(const struct bpf_map *map, const char *path, struct err *err)
{
	int fd = bpf_obj_get(path);
	bool is_ours;

	if (fd < 0 && errno != ENOENT)
		return err_errno(err, errno, "open %s", path);
	if (fd >= 0) {
		is_ours = map_id(fd) == map_id(bpf_map__fd(map));
		close(fd);
		if (is_ours)
			return 0;
		unlink(path);
	}
	return bpf_obj_pin(bpf_map__fd(map), path) ? err_errno(err, errno, "pin %s", path) : 1;
}

static int restore_maps(const struct dataplane *d, struct err *err)
{
	const struct bpf_map *map;
	char path[512];
	int restored = 0, r;

	bpf_object__for_each_map(map, d->skel->obj)
	{
		if (!pin_name(map))
			continue;
		snprintf(path, sizeof(path), "%s/maps/%s", d->bpffs, pin_name(map));
		r = restore_map(map, path, err);
		if (r < 0)
			return r;
		restored |= r;
	}
	return restored;
}

/* ---- the program ----------------------------------------------------------------------------- */

const struct bpf_program *dataplane_program(const struct xdplb_bpf *skel)
{
	return bpf_program__autoload(skel->progs.xdplb) ? skel->progs.xdplb
							: skel->progs.xdplb_stages;
}

int dataplane_pin_program(const char *bpffs, const struct xdplb_bpf *skel, struct err *err)
{
	char path[512], fresh[520];

	snprintf(path, sizeof(path), "%s/prog", bpffs);
	snprintf(fresh, sizeof(fresh), "%s_new", path); /* bpffs takes no dot */
	unlink(fresh);
	if (bpf_obj_pin(bpf_program__fd(dataplane_program(skel)), fresh))
		return err_errno(err, errno, "pin %s", fresh);
	if (rename(fresh, path))
		return err_errno(err, errno, "rename %s", fresh);
	return 0;
}

static int restore_program(const struct dataplane *d, struct err *err)
{
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/prog", d->bpffs);
	if (!access(path, F_OK))
		return 0;
	r = dataplane_pin_program(d->bpffs, d->skel, err);
	return r ? r : 1;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* A directory that was made again is not the one that we hold. */
static int restore_lock(struct dataplane *d, struct err *err)
{
	struct stat held, now;
	int fd, r;

	if (!fstat(d->lock_fd, &held) && !stat(d->bpffs, &now) && held.st_dev == now.st_dev &&
	    held.st_ino == now.st_ino)
		return 0;
	r = dir_lock(d->bpffs, &fd, err);
	if (r)
		return r;
	close(d->lock_fd);
	d->lock_fd = fd;
	return 0;
}

int dataplane_restore_pins(struct dataplane *dataplane, struct err *err)
{
	int r = dataplane_make_dirs(dataplane->bpffs, err), maps, program;

	r = r ? r : restore_lock(dataplane, err);
	if (r)
		return r;
	maps = restore_maps(dataplane, err);
	program = maps < 0 ? maps : restore_program(dataplane, err);
	return program < 0 ? program : maps | program;
}
