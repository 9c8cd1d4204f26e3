/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The program on interfaces: pinned bpf_links, their update, replacement and removal. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane_private.h"
#include "dataplane_probe.h"

#define LINK_PREFIX "link_"

/* bpffs takes no dot in a name, and interface names no colon. */
static void link_path(const char *bpffs, const char *interface, char *buf, size_t size)
{
	int len = snprintf(buf, size, "%s/", bpffs);

	snprintf(buf + len, size - len, LINK_PREFIX "%s", interface);
	for (char *p = buf + len; *p; p++) {
		if (*p == '.')
			*p = ':';
	}
}

static uint32_t link_ifindex(int fd)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.xdp.ifindex;
}

uint32_t dataplane_attached_ifindex(const char *bpffs, const char *interface)
{
	char path[512];
	uint32_t ifindex;
	int fd;

	link_path(bpffs, interface, path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	ifindex = link_ifindex(fd);
	close(fd);
	return ifindex;
}

static bool mode_differs(uint32_t ifindex, enum attach_mode mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	bool is_generic;

	if (bpf_xdp_query(ifindex, 0, &query))
		return false;
	is_generic = query.attach_mode == XDP_ATTACHED_SKB;
	return is_generic != (mode == ATTACH_GENERIC);
}

/* 1: the pinned link was updated; 0: there is none that can be. */
static int update_link(const struct dataplane *d, const struct interface_spec *spec,
		       uint32_t ifindex, const char *path, struct err *err)
{
	int fd = bpf_obj_get(path);
	int r = 0;

	if (fd < 0)
		return 0;
	if (link_ifindex(fd) == ifindex && !mode_differs(ifindex, spec->mode)) {
		r = bpf_link_update(fd, dataplane_prog_fd(d), NULL);
		r = r ? err_errno(err, errno, "update %s", path) : 1;
	} else {
		unlink(path);
	}
	close(fd);
	return r;
}

static int attach_failed(const struct interface_spec *spec, uint32_t ifindex, int errnum,
			 struct err *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	bpf_xdp_query(ifindex, 0, &query);
	if ((errnum == EBUSY || errnum == EEXIST) && query.prog_id)
		return err_set(
			err, errnum,
			"%s already has an XDP program (id %u; see `bpftool prog show id %u`): "
			"detach it first (`ip link set dev %s xdp off`)",
			spec->name, query.prog_id, query.prog_id, spec->name);
	if (errnum == EOPNOTSUPP && spec->mode == ATTACH_NATIVE)
		return err_set(err, errnum,
			       "the driver of %s has no native XDP: use `mode: generic` (slower)",
			       spec->name);
	return err_errno(err, errnum, "attach to %s", spec->name);
}

int dataplane_attach(struct dataplane *dataplane, const struct interface_spec *interface,
		     struct err *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	uint32_t ifindex = if_nametoindex(interface->name);
	char path[512];
	int fd, r;

	if (!ifindex && errno != ENODEV)
		return err_errno(err, errno, "look up interface %s", interface->name);
	if (!ifindex)
		return err_set(err, ENODEV, "no such interface: %s", interface->name);
	link_path(dataplane->bpffs, interface->name, path, sizeof(path));
	r = update_link(dataplane, interface, ifindex, path, err);
	if (r)
		return r < 0 ? r : 0;
	opts.flags = interface->mode == ATTACH_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf_link_create(dataplane_prog_fd(dataplane), ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return attach_failed(interface, ifindex, errno, err);
	r = bpf_obj_pin(fd, path) ? err_errno(err, errno, "pin %s", path) : 0;
	close(fd);
	return r;
}

void dataplane_detach(const char *bpffs, const char *interface)
{
	char path[512];

	/* The pin holds the last reference. */
	link_path(bpffs, interface, path, sizeof(path));
	unlink(path);
}

static bool is_kept(const char *bpffs, const char *entry, const struct interface_spec *keep,
		    size_t n_keep)
{
	char path[512];

	for (size_t i = 0; i < n_keep; i++) {
		link_path(bpffs, keep[i].name, path, sizeof(path));
		if (!strcmp(strrchr(path, '/') + 1, entry))
			return true;
	}
	return false;
}

void dataplane_detach_others(const char *bpffs, const struct interface_spec *keep, size_t n_keep)
{
	DIR *dir = opendir(bpffs);
	struct dirent *entry;
	char path[1024];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, LINK_PREFIX, strlen(LINK_PREFIX)) != 0 ||
		    is_kept(bpffs, entry->d_name, keep, n_keep))
			continue;
		snprintf(path, sizeof(path), "%s/%s", bpffs, entry->d_name);
		unlink(path);
	}
	closedir(dir);
}

static void unlink_all(const char *dir_path)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	char path[1024];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		unlink(path);
	}
	closedir(dir);
}

void dataplane_unlink_maps(const char *bpffs)
{
	char maps[512];

	snprintf(maps, sizeof(maps), "%s/maps", bpffs);
	unlink_all(maps);
}

int dataplane_remove(const char *bpffs, struct err *err)
{
	char path[512];

	dataplane_detach_others(bpffs, NULL, 0);
	probe_hook_detach_others(bpffs, NULL, 0);
	snprintf(path, sizeof(path), "%s/prog", bpffs);
	if (unlink(path) && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	dataplane_unlink_maps(bpffs);
	snprintf(path, sizeof(path), "%s/maps", bpffs);
	rmdir(path);
	rmdir(bpffs);
	return 0;
}
