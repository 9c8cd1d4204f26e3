/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by the files dataplane*.c only. */
#pragma once

#include "dataplane.h"
#include "xdplb.skel.h"

#define DATAPLANE_MAPPED 9

struct dataplane {
	char *bpffs;
	struct xdplb_bpf *skel;
	struct grace *grace;
	struct dp dp;
	void *mapped[DATAPLANE_MAPPED];
	size_t mapped_len[DATAPLANE_MAPPED];
	unsigned int n_cpus;
	bool is_adopted;
	struct vip_filter *filter;
	struct vip_index *index;
	uint32_t filter_uses[VIP_FILTER_BITS]; /* addresses that share a bit */
	uint32_t filter_fills; /* prefixes too large for a bit of each address */
	int lock_fd; /* on the bpffs directory */
};

extern const struct dp_ops dataplane_ops;

void dataplane_unlink_maps(const char *bpffs);

/* Makes DIR and DIR/maps, which must be on a bpffs. */
int dataplane_make_dirs(const char *bpffs, struct err *err);
/* Before loading: the maps that are pinned, or new ones to pin. */
int dataplane_set_pin_paths(struct xdplb_bpf *skel, const char *bpffs);
/* Before loading: the maps of a skeleton that is loaded, pinned or not. */
int dataplane_share_maps(struct xdplb_bpf *skel, const struct xdplb_bpf *old);
/* Of the two ways in: the one that was loaded. */
const struct bpf_program *dataplane_program(const struct xdplb_bpf *skel);
/* By a rename, so that DIR/prog is never missing. */
int dataplane_pin_program(const char *bpffs, const struct xdplb_bpf *skel, struct err *err);

/* The filter from what is in "vip_addrs" and "vip_prefixes", before a program that asks it is
 * attached. */
int dataplane_filter_init(struct dataplane *dataplane, struct err *err);
void dataplane_filter_add(struct dataplane *dataplane, const struct vip_addr_key *key);
void dataplane_filter_remove(struct dataplane *dataplane, const struct vip_addr_key *key);

/* What is in "vips" and has room in the index: an earlier daemon may have been killed in between.
 */
int dataplane_index_init(struct dataplane *dataplane, struct err *err);
/* After it has come into "vips", and before it leaves. */
void dataplane_index_add(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id);
void dataplane_index_remove(struct dataplane *dataplane, const struct vip_key *key,
			    uint32_t vip_id);

/* The same for "vip_ports", which has the VIPs of many ports and of prefixes. */
int dataplane_ports_init(struct dataplane *dataplane, struct err *err);
int dataplane_ports_add(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id);
void dataplane_ports_remove(struct dataplane *dataplane, const struct vip_key *key,
			    uint32_t vip_id);
