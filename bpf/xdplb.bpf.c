/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's way through the balancer. The express lane forwards nearly all; for the others a known
 * flow goes parse, vip_filter, flow, forward; an unknown one finds its VIP, picks from the ring and
 * is recorded in between. One stage a header.
 */
#include "express.h"
#include "flow.h"
#include "forward.h"
#include "fragment.h"
#include "parse.h"
#include "quic.h"
#include "refuse.h"
#include "sched.h"
#include "vip.h"

static __always_inline int pick(struct pkt *pkt)
{
	struct vip vip = {};
	int verdict = vip_find(pkt, &vip);

	if (verdict == NEXT)
		verdict = sched_pick(pkt, &vip);
	if (verdict == NO_REAL)
		verdict = refuse_empty(pkt, READ_WORD(vip.state->on_empty));
	return verdict;
}

/*
 * A connection ID that names a real wins over the flow table, which then follows it; but not for
 * the flow of a VIP without them, which the express lane forwards, too.
 */
static __always_inline int find_member(struct pkt *pkt)
{
	int verdict = vip_filter_pass(pkt);
	bool is_known;
	long named;

	if (verdict != NEXT)
		return verdict;
	named = quic_named(pkt);
	is_known = flow_lookup(pkt);
	if (is_known && !(READ_WORD(pkt->member->encap) & MEMBER_NO_EXPRESS))
		return NEXT;
	quic_count(named);
	if (is_known && (named < 0 || named == pkt->member_id))
		return NEXT;
	if (pkt->is_to_reset)
		return REFUSE_FLOW;
	verdict = named < 0 ? pick(pkt) : quic_take(pkt, named);
	return verdict == NEXT ? sched_record(pkt) : verdict;
}

/* Any packet. Not static: the verifier goes through it once, and the lane keeps its registers. */
__noinline int balance(struct xdp_md *ctx)
{
	struct pkt pkt = {.ctx = ctx};
	int verdict = parse(&pkt);

	if (verdict == NEXT && !pkt.member)
		verdict = find_member(&pkt);
	if (verdict < NO_REAL)
		return refuse(&pkt, verdict);
	if (verdict == NEXT && pkt.fragment_offset)
		verdict = fragment_record(&pkt);
	return verdict == NEXT ? forward(&pkt) : verdict;
}

SEC("xdp.frags")
int xdplb(struct xdp_md *ctx)
{
	int verdict = express(ctx);

	return verdict == NEXT ? balance(ctx) : verdict;
}

/* Without the express lane. The daemon loads one of the two. */
SEC("xdp.frags")
int xdplb_stages(struct xdp_md *ctx)
{
	return balance(ctx);
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
