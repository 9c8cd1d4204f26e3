/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by the files dataplane*.c only. */
#pragma once

#include "dataplane.h"
#include "xdplb.skel.h"

#define DATAPLANE_MAPPED 8

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
	int lock_fd; /* on the bpffs directory */
};

extern const struct dp_ops dataplane_ops;

void dataplane_unlink_maps(const char *bpffs);

/* The filter from what is in "vip_addrs", before a program that asks it is attached. */
int dataplane_filter_init(struct dataplane *dataplane, struct err *err);
void dataplane_filter_add(struct dataplane *dataplane, const struct ip_addr *address);
void dataplane_filter_remove(struct dataplane *dataplane, const struct ip_addr *address);

/* What is in "vips" and has room in the index: an earlier daemon may have been killed in between. */
int dataplane_index_init(struct dataplane *dataplane, struct err *err);
/* Before the VIP comes into "vips". */
void dataplane_index_set_key(struct dataplane *dataplane, const struct vip_key *key,
			     uint32_t vip_id);
/* After it has come into "vips", and before it leaves. */
void dataplane_index_add(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id);
void dataplane_index_remove(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id);
