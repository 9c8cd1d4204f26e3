/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cgroups of scripts: see script_cgroups.h. */
#include "script_cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cgroup_path.h"
#include "lib/dataplane_script.h"
#include "log.h"
#include "xdplb/probe_abi.h"

#define SLOT_NAME_MAX	  16
#define REMOVE_TRIES	  100 /* of a millisecond each, for all together */
#define DIRECTORY_PREFIX  "xdplb" /* and the bpffs directory's path, whose slashes it ends with */
#define DIRECTORY_FLAGS	  (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define WRITABLE_BY_OWNER 0755

struct slot {
	int fd; /* -1: not made yet */
	uint64_t id; /* the kernel's, of the cgroup */
	bool is_taken;
};

struct script_cgroups {
	char *name; /* the directory's */
	int dir_fd; /* -1: not made yet */
	struct script_hook *hook; /* NULL: not attached */
	struct slot slots[PROBE_SCRIPTS];
	bool is_lost_said;
};

/* ---- where ----------------------------------------------------------------------------------- */

/* The directory's path; it need not be there. */
static int find_path(const char *name, char *ret_path, size_t size, struct err *err)
{
	FILE *own = fopen("/proc/self/cgroup", "re"), *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *own_line = NULL, path[PATH_MAX];
	const char *cgroup = NULL;
	size_t room = 0, own_room = 0;
	bool is_found = false;

	while (own && !cgroup && getline(&own_line, &own_room, own) > 0)
		cgroup = cgroup_of_line(own_line);
	while (mounts && cgroup && !is_found && getline(&line, &room, mounts) > 0)
		is_found = cgroup_path_of_mount(line, cgroup, path, sizeof(path));
	free(line);
	free(own_line);
	if (own)
		fclose(own);
	if (mounts)
		fclose(mounts);
	if (!is_found)
		return err_set(err, ENOENT, "no cgroup for scripts: none of version 2 is mounted");
	if (snprintf(ret_path, size, "%s/%s", path, name) >= (int)size)
		return err_set(err, ENAMETOOLONG, "no cgroup for scripts: too long a path");
	return 0;
}

/* "/sys/fs/bpf/xdplb" is "xdplb-sys-fs-bpf-xdplb": one of its own for every balancer. */
static char *directory_name(const char *bpffs)
{
	char *name;

	if (asprintf(&name, DIRECTORY_PREFIX "%s%s", *bpffs == '/' ? "" : "/", bpffs) < 0)
		return NULL;
	for (char *c = name; *c; c++) {
		if (*c == '/')
			*c = '-';
	}
	return name;
}

/* ---- removal --------------------------------------------------------------------------------- */

static void kill_all(int cgroup_fd)
{
	int fd = openat(cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* Linux before 5.14, or gone */
	(void)!write(fd, "1", 1);
	close(fd);
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* What was killed takes a moment to end. What still does not go is the next daemon's to remove. */
static void remove_slots(int dir_fd)
{
	char name[SLOT_NAME_MAX];
	int tries = REMOVE_TRIES;

	kill_all(dir_fd);
	for (int i = 0; i < PROBE_SCRIPTS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		while (unlinkat(dir_fd, name, AT_REMOVEDIR) && errno == EBUSY && tries-- > 0)
			wait_a_little();
	}
}

static void remove_all(const char *name)
{
	char path[PATH_MAX];
	struct err err;
	int fd;

	if (find_path(name, path, sizeof(path), &err))
		return;
	fd = open(path, DIRECTORY_FLAGS);
	if (fd < 0)
		return;
	remove_slots(fd);
	close(fd);
	rmdir(path);
}

/* ---- the directory --------------------------------------------------------------------------- */

static int make_directory(struct script_cgroups *c, struct err *err)
{
	char path[PATH_MAX];
	int r = find_path(c->name, path, sizeof(path), err);

	if (r)
		return r;
	if (!mkdir(path, WRITABLE_BY_OWNER) || errno == EEXIST)
		c->dir_fd = open(path, DIRECTORY_FLAGS);
	if (c->dir_fd < 0)
		return err_set(err, errno, "no cgroup for scripts: %s: %s", strerror(errno), path);
	return 0;
}

/* Once, until there were some. */
static void say_lost(struct script_cgroups *c, const struct err *err)
{
	if (!c->is_lost_said)
		log_warning("no scripts through the data path reason=\"%s\"", err->text);
	c->is_lost_said = true;
}

int script_cgroups_prepare(struct script_cgroups *c, struct err *err)
{
	int r;

	if (c->hook)
		return 0;
	r = c->dir_fd < 0 ? make_directory(c, err) : 0;
	r = r ? r : script_hook_new(&c->hook, c->dir_fd, err);
	if (r)
		say_lost(c, err);
	else
		c->is_lost_said = false;
	return r;
}

/* ---- a slot ---------------------------------------------------------------------------------- */

static int open_slot(const struct script_cgroups *c, int i, struct slot *slot)
{
	char name[SLOT_NAME_MAX];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%d", i);
	if (mkdirat(c->dir_fd, name, WRITABLE_BY_OWNER) && errno != EEXIST)
		return -errno;
	fd = openat(c->dir_fd, name, DIRECTORY_FLAGS);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		int err = -errno;

		close(fd);
		return err;
	}
	slot->fd = fd;
	slot->id = st.st_ino; /* the same, where inodes have 64 bits */
	return 0;
}

int script_cgroups_take(struct script_cgroups *c, uint32_t mark, int *ret_slot, int *ret_fd)
{
	struct slot *slot;
	int i = 0, r;

	while (i < PROBE_SCRIPTS && c->slots[i].is_taken)
		i++;
	if (!c->hook || i == PROBE_SCRIPTS)
		return -EAGAIN;
	slot = &c->slots[i];
	r = slot->fd < 0 ? open_slot(c, i, slot) : 0;
	r = r ? r : script_hook_mark(c->hook, slot->id, mark);
	if (r) {
		script_cgroups_forget(c);
		return r;
	}
	slot->is_taken = true;
	*ret_slot = i;
	*ret_fd = slot->fd;
	return 0;
}

void script_cgroups_give_back(struct script_cgroups *c, int slot)
{
	kill_all(c->slots[slot].fd);
	c->slots[slot].is_taken = false;
}

void script_cgroups_forget(struct script_cgroups *c)
{
	bool is_used = false;

	for (int i = 0; i < PROBE_SCRIPTS; i++) {
		is_used |= c->slots[i].is_taken;
		if (c->slots[i].fd >= 0 && !c->slots[i].is_taken) {
			close(c->slots[i].fd);
			c->slots[i].fd = -1;
		}
	}
	if (is_used)
		return; /* a script's next socket would go anywhere */
	script_hook_free(c->hook);
	c->hook = NULL;
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	c->dir_fd = -1;
}

/* ---- all ------------------------------------------------------------------------------------- */

int script_cgroups_new(struct script_cgroups **ret_cgroups, const char *bpffs)
{
	struct script_cgroups *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->dir_fd = -1;
	for (int i = 0; i < PROBE_SCRIPTS; i++)
		c->slots[i].fd = -1;
	c->name = directory_name(bpffs);
	if (!c->name) {
		free(c);
		return -ENOMEM;
	}
	remove_all(c->name);
	*ret_cgroups = c;
	return 0;
}

void script_cgroups_free(struct script_cgroups *c)
{
	if (!c)
		return;
	script_cgroups_forget(c);
	remove_all(c->name);
	free(c->name);
	free(c);
}
