/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program of probes through the data path (bpf/probe.bpf.c), its maps, and where it is
 * attached: clsact's egress of the interfaces that routes to VIPs name. A filter holds its program,
 * so it outlives the daemon; DIR/probe_<interface> says where one is, and
 * DIR/probeqdisc_<interface> that its clsact is ours to remove.
 */
#pragma once

#include <stdint.h>

#include "dataplane.h"
#include "err.h"
#include "xdplb/probe_abi.h"

struct probe_hook;

/* Knows the directory; nothing is loaded yet. */
int probe_hook_new(struct probe_hook **ret_hook, const char *bpffs);
/* Forgets it in this process: what is attached goes on. */
void probe_hook_free(struct probe_hook *hook);

/*
 * Loads the program; loaded again with other knobs it has the same maps, and interfaces take it
 * over by probe_hook_attach().
 */
int probe_hook_load(struct probe_hook *hook, const struct dataplane_knobs *knobs, struct err *err);

int probe_hook_prog_fd(const struct probe_hook *hook);

/* What sockets whose packets are for tunnel `id` have as SO_MARK. */
uint32_t probe_hook_mark(const struct probe_hook *hook, uint32_t id);

/* 0 or -errno. */
int probe_hook_set(const struct probe_hook *hook, uint32_t id, const struct probe_tunnel *tunnel);
/* Packets since probe_hook_set(). */
uint64_t probe_hook_sent(const struct probe_hook *hook, uint32_t id);
void probe_hook_remove(const struct probe_hook *hook, uint32_t id);

/* Attaches the loaded program, in the place of an older one. */
int probe_hook_attach(const struct probe_hook *hook, uint32_t ifindex, struct err *err);

/* Detaches from every interface but those of `keep`. */
void probe_hook_detach_others(const char *bpffs, const uint32_t *keep, size_t n_keep);
