/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's way through the balancer. A known flow goes parse, vip_filter, flow, tx, encap; an
 * unknown one finds its VIP, picks from the ring and is recorded in between. One stage a header.
 */
#include "encap.h"
#include "flow.h"
#include "parse.h"
#include "ring.h"
#include "tx.h"
#include "vip.h"

static __always_inline int pick(struct pkt *pkt)
{
	struct vip vip = {};
	int verdict = vip_find(pkt, &vip);

	if (verdict == NEXT)
		verdict = ring_pick(pkt, &vip);
	if (verdict == NEXT)
		flow_record(pkt);
	return verdict;
}

SEC("xdp.frags")
int xdplb(struct xdp_md *ctx)
{
	struct pkt pkt = {.ctx = ctx};
	struct tx tx = {};
	int verdict = parse(&pkt);

	if (verdict == NEXT)
		verdict = vip_filter_pass(&pkt);
	if (verdict == NEXT && !flow_lookup(&pkt))
		verdict = pick(&pkt);
	if (verdict == NEXT)
		verdict = tx_find(&pkt, &tx);
	if (verdict == NEXT)
		verdict = encap(&pkt, &tx);
	if (verdict == NEXT)
		verdict = tx_send(&pkt, &tx);
	return verdict;
}

/* The kernel's jiffies, for the daemon: user space cannot read the clock that stamps flows. */
struct clock_reply {
	__u64 jiffies;
};

SEC("syscall")
int read_clock(struct clock_reply *reply)
{
	reply->jiffies = bpf_jiffies64();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
