/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by dataplane.c, dataplane_link.c and dataplane_ops.c only. */
#pragma once

#include "dataplane.h"
#include "xdplb.skel.h"

#define DATAPLANE_MAPPED 7

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
	uint32_t filter_uses[VIP_FILTER_BITS]; /* addresses that share a bit */
	int lock_fd; /* on the bpffs directory */
};

extern const struct dp_ops dataplane_ops;

void dataplane_unlink_maps(const char *bpffs);

/* The filter from what is in "vip_addrs", before a program that asks it is attached. */
int dataplane_filter_init(struct dataplane *dataplane, struct err *err);
void dataplane_filter_add(struct dataplane *dataplane, const struct ip_addr *address);
void dataplane_filter_remove(struct dataplane *dataplane, const struct ip_addr *address);
