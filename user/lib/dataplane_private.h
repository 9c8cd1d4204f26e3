/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by dataplane.c, dataplane_link.c and dataplane_ops.c only. */
#pragma once

#include "dataplane.h"
#include "xdplb.skel.h"

#define DATAPLANE_MAPPED 6

struct dataplane {
	char *bpffs;
	struct xdplb_bpf *skel;
	struct grace *grace;
	struct dp dp;
	void *mapped[DATAPLANE_MAPPED];
	size_t mapped_len[DATAPLANE_MAPPED];
	unsigned int n_cpus;
	bool is_adopted;
	int lock_fd; /* on the bpffs directory */
};

extern const struct dp_ops dataplane_ops;

void dataplane_unlink_maps(const char *bpffs);
