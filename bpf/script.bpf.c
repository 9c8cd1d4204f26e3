// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sockets of scripts that probe through the data path. A script has no capabilities, so it cannot
 * mark its packets itself: it runs in a cgroup of its own, and whatever socket is made there gets
 * the mark of the tunnel (probe.bpf.c) that the script is for.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/tcp.h>

#include <bpf/bpf_helpers.h>

#include "xdplb/probe_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROBE_SCRIPTS);
	__type(key, __u64); /* a cgroup's id */
	__type(value, __u32);
} script_marks SEC(".maps");

SEC("cgroup/sock_create")
int xdplb_mark(struct bpf_sock *sk)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	__u32 *mark = bpf_map_lookup_elem(&script_marks, &cgroup);

	if (mark)
		sk->mark = *mark;
	return 1;
}

/* Before the SYN is made: segments leave room for any outer header, as of the daemon's own probes.
 */
SEC("sockops")
int xdplb_mss(struct bpf_sock_ops *ops)
{
	int mss = PROBE_MSS;

	if (ops->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		bpf_setsockopt(ops, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
