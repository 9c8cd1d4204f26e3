/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps and program: create or adopt, load, pin. See dataplane.h; links are in dataplane_link.c. */
#include "dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dataplane_private.h"
#include "dir_lock.h"
#include "quic_map.h"
#include "sizing.h"

/* What libbpf said last; part of our message when loading fails. */
static __thread char libbpf_text[ERR_TEXT_MAX];

static int keep_libbpf_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN)
		vsnprintf(libbpf_text, sizeof(libbpf_text), fmt, ap);
	return 0;
}

/* The sizes of maps that are there; -ENOENT if there are none that can be adopted. */
static int read_control(const char *bpffs, struct control *ret_control, struct err *err)
{
	char path[512];
	uint32_t row = 0;
	int fd, r;

	snprintf(path, sizeof(path), "%s/maps/vips", bpffs);
	if (access(path, F_OK))
		return -ENOENT; /* what the others say of VIPs has lost its owners */
	snprintf(path, sizeof(path), "%s/maps/control", bpffs);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_errno(err, errno, "open %s", path);
	r = bpf_map_lookup_elem(fd, &row, ret_control);
	close(fd);
	if (r)
		return err_errno(err, -r, "read %s", path);
	if (!ret_control->layout_version)
		return -ENOENT; /* its maker was killed before it was done */
	if (ret_control->layout_version != XDPLB_LAYOUT_VERSION)
		return err_set(
			err, EPROTO,
			"%s has layout version %u and this program knows %u: run the version "
			"of xdplbd that made it, or `xdplbd --detach` to remove it (drops its "
			"flows)",
			path, ret_control->layout_version, XDPLB_LAYOUT_VERSION);
	return 0;
}

static void control_for(const struct capacity *capacity, struct control *ret_control)
{
	*ret_control = (struct control){
		.flow_buckets = sizing_flow_buckets(capacity->flows),
		.members = capacity->members,
		.vips = capacity->vips,
		.ring_blocks = sizing_ring_blocks(capacity->ring_slots),
	};
}

static int size_maps(struct xdplb_bpf *skel, const struct control *c)
{
	int r = bpf_map__set_max_entries(skel->maps.flows, c->flow_buckets);

	r = r ? r : bpf_map__set_max_entries(skel->maps.members, c->members);
	r = r ? r : bpf_map__set_max_entries(skel->maps.member_stats, c->members);
	r = r ? r : bpf_map__set_max_entries(skel->maps.member_load, c->members);
	r = r ? r : bpf_map__set_max_entries(skel->maps.turns, c->vips);
	r = r ? r : bpf_map__set_max_entries(skel->maps.vips, sizing_vip_keys(c->vips));
	r = r ? r : bpf_map__set_max_entries(skel->maps.vip_addrs, c->vips);
	r = r ? r : bpf_map__set_max_entries(skel->maps.vip_prefixes, c->vips);
	r = r ? r : bpf_map__set_max_entries(skel->maps.vip_ports, sizing_vip_ports(c->vips));
	r = r ? r : bpf_map__set_max_entries(skel->maps.vip_state, c->vips);
	r = r ? r : bpf_map__set_max_entries(skel->maps.quic_configs, c->vips * QUIC_UNROUTABLE);
	r = r ? r : bpf_map__set_max_entries(skel->maps.quic_servers, c->members);
	return r ? r : bpf_map__set_max_entries(skel->maps.rings, c->ring_blocks);
}

static void set_knobs(struct xdplb_bpf *skel, const struct dataplane_knobs *knobs,
		      uint32_t flow_buckets)
{
	skel->rodata->knob_hash_key = knobs->hash_key;
	skel->rodata->knob_flow_buckets = flow_buckets;
	skel->rodata->knob_clock = knobs->clock;
	skel->rodata->knob_hz = knobs->hz;
	skel->rodata->knob_syn_window_shift = knobs->syn_window_shift;
	skel->rodata->knob_syn_window_limit = knobs->syn_window_limit;
	skel->rodata->knob_source4 = knobs->source4;
	skel->rodata->knob_source4_sum = (knobs->source4 & 0xffff) + (knobs->source4 >> 16);
	skel->rodata->knob_source4_entropy = knobs->source4_entropy;
	skel->rodata->knob_source6 = knobs->source6;
	skel->rodata->knob_source6_entropy = knobs->source6_entropy;
	skel->rodata->knob_encaps = knobs->encaps;
	skel->rodata->knob_schedulers = knobs->schedulers;
	skel->rodata->knob_gue_port = knobs->gue_port;
	skel->rodata->knob_gue_checksum6 = knobs->gue_checksum6;
	skel->rodata->knob_quic = knobs->is_quic_on;
	if (knobs->is_quic_on)
		quic_map_aes_tables(&skel->rodata->knob_aes);
}

/*
 * With the maps of `old`, whether or not they are still pinned; NULL: those that are pinned, or new
 * ones.
 */
static int choose_maps(struct xdplb_bpf *skel, const char *bpffs, const struct xdplb_bpf *old)
{
	return old ? dataplane_share_maps(skel, old) : dataplane_set_pin_paths(skel, bpffs);
}

static int load_skeleton(const char *bpffs, const struct xdplb_bpf *old,
			 const struct control *sizes, const struct dataplane_knobs *knobs,
			 struct xdplb_bpf **ret_skel, struct err *err)
{
	struct xdplb_bpf *skel;
	int r;

	libbpf_text[0] = 0;
	libbpf_set_print(keep_libbpf_text);
	skel = xdplb_bpf__open();
	if (!skel)
		return err_errno(err, errno, "open the packet program");
	r = size_maps(skel, sizes);
	r = r ? r : choose_maps(skel, bpffs, old);
	set_knobs(skel, knobs, sizes->flow_buckets);
	bpf_program__set_autoload(skel->progs.xdplb, knobs->is_express_on);
	bpf_program__set_autoload(skel->progs.xdplb_stages, !knobs->is_express_on);
	r = r ? r : xdplb_bpf__load(skel);
	if (r) {
		xdplb_bpf__destroy(skel);
		err_errno(err, -r, "load the packet program%s",
			  r == -EPERM ? " (are you root?)" : "");
		if (libbpf_text[0]) {
			libbpf_text[strcspn(libbpf_text, "\n")] = 0;
			err_prefix(err, "%s", libbpf_text);
		}
		return r;
	}
	*ret_skel = skel;
	return 0;
}

static void *map_memory(const struct bpf_map *map, size_t *ret_len)
{
	size_t len = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory;

	len = (len + page - 1) / page * page;
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	*ret_len = len;
	if (memory == MAP_FAILED)
		return NULL;
	/* A script that is about to be one has no use for it; fork() is to copy no page tables. */
	madvise(memory, len, MADV_DONTFORK);
	return memory;
}

static int map_all(struct dataplane *d, struct err *err)
{
	const struct bpf_map *maps[DATAPLANE_MAPPED] = {
		d->skel->maps.members,
		d->skel->maps.vip_state,
		d->skel->maps.rings,
		d->skel->maps.flows,
		d->skel->maps.data_out_interfaces,
		d->skel->maps.control,
		d->skel->maps.data_vip_filter,
		d->skel->maps.vip_index,
		d->skel->maps.member_load,
	};
	int r;

	for (int i = 0; i < DATAPLANE_MAPPED; i++) {
		d->mapped[i] = map_memory(maps[i], &d->mapped_len[i]);
		if (!d->mapped[i])
			return err_errno(err, errno, "mmap map %s", bpf_map__name(maps[i]));
	}
	d->dp = (struct dp){
		.members = d->mapped[0],
		.vip_state = d->mapped[1],
		.rings = d->mapped[2],
		.flows = d->mapped[3],
		.out = d->mapped[4],
		.control = d->mapped[5],
		.loads = d->mapped[8],
		.ops = &dataplane_ops,
		.user = d,
	};
	d->filter = d->mapped[6];
	d->index = d->mapped[7];
	r = dataplane_filter_init(d, err);
	r = r ? r : dataplane_ports_init(d, err);
	return r ? r : dataplane_index_init(d, err);
}

int dataplane_open(struct dataplane **ret_dataplane, const char *bpffs,
		   const struct capacity *capacity, const struct dataplane_knobs *knobs,
		   struct grace *grace, struct err *err)
{
	struct dataplane *d = calloc(1, sizeof(*d));
	struct control sizes = {};
	int r;

	if (!d)
		return err_set(err, ENOMEM, "out of memory");
	d->grace = grace;
	d->bpffs = strdup(bpffs);
	d->n_cpus = dataplane_n_cpus();
	d->lock_fd = -1;
	d->is_adopted = true; /* until known otherwise: a failure removes nothing */
	r = dataplane_make_dirs(bpffs, err);
	r = r ? r : dir_lock(bpffs, &d->lock_fd, err);
	if (r)
		goto fail;
	r = read_control(bpffs, &sizes, err);
	d->is_adopted = r != -ENOENT;
	if (r && r != -ENOENT)
		goto fail;
	if (r) {
		control_for(capacity, &sizes);
		dataplane_unlink_maps(bpffs);
	}
	r = load_skeleton(bpffs, NULL, &sizes, knobs, &d->skel, err);
	if (!r)
		r = map_all(d, err);
	if (!r)
		r = dataplane_pin_program(bpffs, d->skel, err);
	if (r)
		goto fail;
	if (!d->is_adopted) {
		sizes.clock = knobs->clock;
		*d->dp.control = sizes;
		dp_store(d->dp.control->layout_version, XDPLB_LAYOUT_VERSION);
	}
	*ret_dataplane = d;
	return 0;
fail:
	if (!d->is_adopted)
		dataplane_remove(bpffs, NULL);
	dataplane_close(d);
	return r;
}

void dataplane_close(struct dataplane *dataplane)
{
	if (!dataplane)
		return;
	for (int i = 0; i < DATAPLANE_MAPPED; i++) {
		if (dataplane->mapped[i])
			munmap(dataplane->mapped[i], dataplane->mapped_len[i]);
	}
	xdplb_bpf__destroy(dataplane->skel);
	if (dataplane->lock_fd >= 0)
		close(dataplane->lock_fd);
	free(dataplane->bpffs);
	free(dataplane);
}

int dataplane_load(struct dataplane *dataplane, const struct dataplane_knobs *knobs,
		   struct err *err)
{
	struct xdplb_bpf *skel = NULL;
	int r = load_skeleton(dataplane->bpffs, dataplane->skel, dataplane->dp.control, knobs,
			      &skel, err);

	if (r)
		return r;
	r = dataplane_pin_program(dataplane->bpffs, skel, err);
	if (r) {
		xdplb_bpf__destroy(skel);
		return r;
	}
	/* The mappings hold the maps; both skeletons' descriptors are of the same maps. */
	xdplb_bpf__destroy(dataplane->skel);
	dataplane->skel = skel;
	return 0;
}

const struct dp *dataplane_dp(const struct dataplane *dataplane)
{
	return &dataplane->dp;
}

bool dataplane_is_adopted(const struct dataplane *dataplane)
{
	return dataplane->is_adopted;
}

struct capacity dataplane_capacity(const struct dataplane *dataplane)
{
	const struct control *c = dataplane->dp.control;

	return (struct capacity){
		.flows = c->flow_buckets * SIZING_FLOWS_PER_BUCKET,
		.members = c->members,
		.vips = c->vips,
		.ring_slots = c->ring_blocks * RING_SLOTS_PER_BLOCK,
	};
}

uint64_t dataplane_map_bytes(const struct dataplane *dataplane)
{
	uint64_t bytes = 0;
	struct bpf_map *map;

	bpf_object__for_each_map(map, dataplane->skel->obj)
	{
		uint64_t copies = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY
					  ? dataplane->n_cpus
					  : 1;

		if (bpf_map__type(map) == BPF_MAP_TYPE_LPM_TRIE)
			continue; /* takes what is in it */
		bytes += copies * bpf_map__max_entries(map) * bpf_map__value_size(map);
	}
	return bytes;
}

int dataplane_prog_fd(const struct dataplane *dataplane)
{
	return bpf_program__fd(dataplane_program(dataplane->skel));
}

uint32_t dataplane_prog_id(const struct dataplane *dataplane)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(dataplane_prog_fd(dataplane), &info, &len) ? 0 : info.id;
}

uint32_t dataplane_hz(void)
{
	struct timespec tick;

	/* The coarse clocks advance once a jiffy. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || !tick.tv_nsec)
		return 250;
	return (1000000000 + tick.tv_nsec / 2) / tick.tv_nsec;
}
