/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Program, maps and pins of the receiver: see attach.h. */
#include "attach.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpffs.h"
#include "lib/addr.h"
#include "receiver.skel.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_fd_ __attribute__((cleanup(close_fd)))

static void close_skeleton(struct receiver_bpf **skel)
{
	receiver_bpf__destroy(*skel);
}

static void pin_path(const char *pins, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", pins, name);
}

/* FNV-1a: a number to compare, nothing secret. */
uint64_t attach_program(void)
{
	size_t size;
	const uint8_t *elf = receiver_bpf__elf_bytes(&size);
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ elf[i]) * 0x100000001b3ULL;
	return hash;
}

/* ---- Facts -------------------------------------------------------------------------------- */

static int query_interface(const char *interface, struct attach_status *ret_status, struct err *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int r = bpf_xdp_query((int)if_nametoindex(interface), 0, &opts);

	if (r)
		return err_errno(err, -r, "query XDP on %s", interface);
	ret_status->prog_id = opts.prog_id;
	if (opts.attach_mode == XDP_ATTACHED_MULTI) /* one in the driver, one generic */
		ret_status->prog_id = opts.drv_prog_id;
	ret_status->is_generic = opts.attach_mode == XDP_ATTACHED_SKB;
	ret_status->fact = ret_status->prog_id ? ATTACH_FOREIGN : ATTACH_NONE;
	return 0;
}

int attach_query(const char *pins, const char *interface, struct attach_status *ret_status,
		 struct err *err)
{
	struct attach_status status = {};
	struct bpf_link_info info = {};
	uint32_t info_len = sizeof(info);
	char path[PATH_MAX];
	_cleanup_fd_ int link = -1;
	int r = 0;

	/* The interface may be gone: then only the link can say something. */
	if (if_nametoindex(interface))
		r = query_interface(interface, &status, err);
	if (r)
		return r;
	pin_path(pins, "link", path, sizeof(path));
	link = bpf_obj_get(path);
	if (link < 0 && errno != ENOENT)
		return err_errno(err, errno, "open %s", path);
	if (link < 0) {
		*ret_status = status;
		return 0;
	}
	if (bpf_obj_get_info_by_fd(link, &info, &info_len))
		return err_errno(err, errno, "read %s", path);
	if (status.prog_id && info.prog_id == status.prog_id)
		status.fact = ATTACH_OURS;
	else if (info.xdp.ifindex && info.xdp.ifindex != if_nametoindex(interface))
		return err_set(err, EEXIST,
			       "%s holds another interface (index %u; another network "
			       "namespace?): give this one a directory of its own with --bpffs",
			       path, info.xdp.ifindex);
	else if (status.fact == ATTACH_NONE)
		status.fact = ATTACH_DEAD;
	*ret_status = status;
	return 0;
}

int attach_check_free(const char *interface, const struct attach_status *status, struct err *err)
{
	if (status->fact != ATTACH_FOREIGN)
		return 0;
	return err_set(err, EBUSY,
		       "%s already runs the XDP program with id %u: see `bpftool prog show id %u`, "
		       "detach it first (ip link set dev %s xdp%s off, unless a bpf_link holds it)",
		       interface, status->prog_id, status->prog_id, interface,
		       status->is_generic ? "generic" : "");
}

/* ---- Maps --------------------------------------------------------------------------------- */

/* The keys that one map should have. */
struct key_set {
	struct bpf_map *map;
	uint8_t *keys;
	size_t key_size;
	size_t n;
};

enum { SET_VIPS, SET_LOCALS, SET_FROM, SETS };

static void free_sets(struct key_set *sets)
{
	for (size_t i = 0; i < SETS; i++)
		free(sets[i].keys);
}

static int add_addresses(struct key_set *set, const struct ip_addr *addrs, size_t n)
{
	struct receiver_addr *keys = calloc(n + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		keys[i].address = addrs[i];
		keys[i].family = addr_family(&addrs[i]);
	}
	set->keys = (uint8_t *)keys;
	set->key_size = sizeof(*keys);
	set->n = n;
	return 0;
}

static int add_prefixes(struct key_set *set, const struct prefix *prefixes, size_t n)
{
	struct receiver_prefix *keys = calloc(n + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		keys[i].address = prefixes[i].address;
		keys[i].family = addr_family(&prefixes[i].address);
		keys[i].prefix_len = RECEIVER_PREFIX_BITS(keys[i].family, prefixes[i].bits);
	}
	set->keys = (uint8_t *)keys;
	set->key_size = sizeof(*keys);
	set->n = n;
	return 0;
}

static int wanted_sets(struct receiver_bpf *skel, const struct receiver_state *want,
		       struct key_set *sets)
{
	int r;

	sets[SET_VIPS].map = skel->maps.vips;
	sets[SET_LOCALS].map = skel->maps.locals;
	sets[SET_FROM].map = skel->maps.from;
	r = add_addresses(&sets[SET_VIPS], want->vips, want->n_vips);
	if (!r)
		r = add_addresses(&sets[SET_LOCALS], want->locals, want->n_locals);
	return r ? r : add_prefixes(&sets[SET_FROM], want->from, want->n_from);
}

/* The keys a map has now, in the shape of `like`. */
static int present_set(const struct key_set *like, struct key_set *ret_set)
{
	struct key_set set = {.map = like->map, .key_size = like->key_size};
	size_t room = bpf_map__max_entries(like->map);
	const void *previous = NULL;

	set.keys = calloc(room + 1, set.key_size);
	if (!set.keys)
		return -ENOMEM;
	while (set.n < room && !bpf_map_get_next_key(bpf_map__fd(set.map), previous,
						     set.keys + set.n * set.key_size)) {
		previous = set.keys + set.n * set.key_size;
		set.n++;
	}
	*ret_set = set;
	return 0;
}

static bool set_has(const struct key_set *set, const void *key)
{
	for (size_t i = 0; i < set->n; i++)
		if (!memcmp(set->keys + i * set->key_size, key, set->key_size))
			return true;
	return false;
}

static int add_keys(const struct key_set *want, struct err *err)
{
	const uint32_t one = 1;

	for (size_t i = 0; i < want->n; i++)
		if (bpf_map_update_elem(bpf_map__fd(want->map), want->keys + i * want->key_size,
					&one, BPF_ANY))
			return err_errno(err, errno, "write the map %s", bpf_map__name(want->map));
	return 0;
}

/* Removes what is in `present` and not in `want`. A key that is gone already is fine. */
static void prune_keys(const struct key_set *present, const struct key_set *want)
{
	for (size_t i = 0; i < present->n; i++) {
		const uint8_t *key = present->keys + i * present->key_size;

		if (!set_has(want, key))
			bpf_map_delete_elem(bpf_map__fd(present->map), key);
	}
}

/* A pinned map of another version's layout is let go of: the program gets a new one. */
static int set_map_pin(struct bpf_map *map, const char *pins)
{
	struct bpf_map_info info = {};
	uint32_t info_len = sizeof(info);
	char path[PATH_MAX];
	_cleanup_fd_ int fd = -1;

	if (strchr(bpf_map__name(map), '.')) /* .rodata belongs to its program */
		return 0;
	pin_path(pins, bpf_map__name(map), path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &info_len) &&
	    (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	     info.value_size != bpf_map__value_size(map) ||
	     info.max_entries != bpf_map__max_entries(map)))
		unlink(path);
	return bpf_map__set_pin_path(map, path);
}

/* ---- Program and link --------------------------------------------------------------------- */

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int load(const struct receiver_state *want, struct receiver_bpf **ret_skel, struct err *err)
{
	struct receiver_bpf *skel;
	struct bpf_map *map;
	int r = 0;

	libbpf_set_print(quiet);
	skel = receiver_bpf__open();
	if (!skel) {
		err_errno(err, errno, "open the XDP program");
		return -EINVAL;
	}
	skel->rodata->knob_has_from = want->n_from > 0;
	skel->rodata->knob_gue_port = htons(want->gue_port);
	bpf_object__for_each_map(map, skel->obj) if (!r) r = set_map_pin(map, want->pins);
	if (!r)
		r = receiver_bpf__load(skel);
	if (r) {
		receiver_bpf__destroy(skel);
		err_errno(err, -r,
			  "load the XDP program (kernel 6.1 or newer, root or CAP_BPF and "
			  "CAP_NET_ADMIN are needed)");
		return r;
	}
	*ret_skel = skel;
	return 0;
}

static int create_link(int prog, const struct receiver_state *want, struct err *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = want->mode == ATTACH_GENERIC ? XDP_FLAGS_SKB_MODE
							  : XDP_FLAGS_DRV_MODE);
	char path[PATH_MAX];
	_cleanup_fd_ int link = bpf_link_create(prog, (int)if_nametoindex(want->interface), BPF_XDP,
						&opts);

	if (link < 0)
		return err_errno(err, -link, "attach to %s%s", want->interface,
				 want->mode == ATTACH_GENERIC
					 ? ""
					 : " natively (a driver without XDP: --mode generic)");
	pin_path(want->pins, "link", path, sizeof(path));
	if (bpf_obj_pin(link, path))
		return err_errno(err, errno, "pin %s", path);
	return 0;
}

static int update_link(int prog, const struct receiver_state *want, struct err *err)
{
	char path[PATH_MAX];
	_cleanup_fd_ int link = -1;

	pin_path(want->pins, "link", path, sizeof(path));
	link = bpf_obj_get(path);
	if (link < 0)
		return err_errno(err, errno, "open %s", path);
	if (bpf_link_update(link, prog, NULL))
		return err_errno(err, errno, "replace the program on %s", want->interface);
	return 0;
}

/* Detaches at once (an unlink alone waits for the last holder of the link) and unpins. */
static int drop_link(const char *pins, struct err *err)
{
	char path[PATH_MAX];
	_cleanup_fd_ int link = -1;

	pin_path(pins, "link", path, sizeof(path));
	link = bpf_obj_get(path);
	if (link >= 0)
		bpf_link_detach(link); /* fails on a dead link only */
	if (unlink(path) && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	return 0;
}

/* The kernel allows no second mode beside the first, so there is a gap; on failure the old mode. */
static int change_mode(int prog, const struct receiver_state *want, struct err *err)
{
	struct receiver_state old = *want;
	int r = drop_link(want->pins, err);

	if (!r)
		r = create_link(prog, want, err);
	old.mode = want->mode == ATTACH_GENERIC ? ATTACH_NATIVE : ATTACH_GENERIC;
	if (r)
		create_link(prog, &old, NULL);
	return r;
}

static int attach(int prog, const struct receiver_state *want, const struct attach_status *status,
		  struct err *err)
{
	int r = 0;

	if (status->fact == ATTACH_OURS)
		return status->is_generic == (want->mode == ATTACH_GENERIC)
			       ? update_link(prog, want, err)
			       : change_mode(prog, want, err);
	if (status->fact == ATTACH_DEAD)
		r = drop_link(want->pins, err);
	return r ? r : create_link(prog, want, err);
}

/* Keys are added, then the program changes, then keys go: no moment in which less is served. */
static int switch_over(struct receiver_bpf *skel, const struct receiver_state *want,
		       const struct attach_status *status, struct err *err)
{
	struct key_set wanted[SETS] = {}, present[SETS] = {};
	int prog = bpf_program__fd(skel->progs.receiver);
	int r = wanted_sets(skel, want, wanted);

	for (size_t i = 0; i < SETS && !r; i++)
		r = present_set(&wanted[i], &present[i]);
	if (r)
		err_errno(err, -r, "fill the maps");
	for (size_t i = 0; i < SETS && !r; i++)
		r = add_keys(&wanted[i], err);
	if (!r)
		r = attach(prog, want, status, err);
	for (size_t i = 0; i < SETS; i++) {
		if (r && present[i].keys && wanted[i].keys)
			prune_keys(&wanted[i], &present[i]);
		else if (!r)
			prune_keys(&present[i], &wanted[i]);
	}
	free_sets(wanted);
	free_sets(present);
	return r;
}

int attach_apply(const struct receiver_state *want, struct err *err)
{
	struct receiver_bpf *skel __attribute__((cleanup(close_skeleton))) = NULL;
	struct attach_status status = {.fact = ATTACH_FOREIGN};
	int r = attach_query(want->pins, want->interface, &status, err);

	if (!r)
		r = attach_check_free(want->interface, &status, err);
	if (!r)
		r = bpffs_make(want->pins, err);
	if (!r)
		r = load(want, &skel, err);
	if (!r)
		r = switch_over(skel, want, &status, err);
	if (r && status.fact == ATTACH_NONE)
		attach_remove(want->pins, NULL);
	return r;
}

int attach_remove(const char *pins, struct err *err)
{
	static const char *const names[] = {"vips", "locals", "from", "receiver_stats"};
	char path[PATH_MAX];
	int r = drop_link(pins, err);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !r; i++) {
		pin_path(pins, names[i], path, sizeof(path));
		if (unlink(path) && errno != ENOENT)
			r = err_errno(err, errno, "remove %s", path);
	}
	if (!r && rmdir(pins) && errno != ENOENT)
		r = err_errno(err, errno, "remove %s", pins);
	return r;
}

int attach_stats(const char *pins, struct receiver_stats *ret_stats, struct err *err)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct receiver_stats *rows;
	struct receiver_stats sum = {};
	const uint32_t row = 0;
	char path[PATH_MAX];
	_cleanup_fd_ int fd = -1;
	int r = 0;

	pin_path(pins, "receiver_stats", path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (n_cpus < 0)
		return err_errno(err, -n_cpus, "count the CPUs");
	rows = calloc((size_t)n_cpus, sizeof(*rows));
	if (!rows)
		return err_errno(err, ENOMEM, "read %s", path);
	if (bpf_map_lookup_elem(fd, &row, rows))
		r = err_errno(err, errno, "read %s", path);
	for (int cpu = 0; !r && cpu < n_cpus; cpu++)
		for (size_t i = 0; i < RECEIVER_STATS; i++)
			((uint64_t *)&sum)[i] += ((const uint64_t *)&rows[cpu])[i];
	free(rows);
	if (!r)
		*ret_stats = sum;
	return r;
}
