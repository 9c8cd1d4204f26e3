/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets at full speed, each of them judged. The repetitions of BPF_PROG_TEST_RUN feed a program
 * its own output, so before this generator writes the next packet over the last one and calls the
 * balancer, it sees where the balancer sent the last one.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <stdbool.h>

#include "traffic_abi.h"
#include "xdplb/hash.h"

#define READ_WORD(x) (*(volatile typeof(x) *)&(x))
#define TCP_SYN	     0x02
#define TCP_RST	     0x04
#define TCP_ACK	     0x10

const volatile struct flow_hash_key knob_hash_key = {};
const volatile __u32 knob_flow_buckets = 2;

struct traffic_state state;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} balancer SEC(".maps");

/* Real by flow, or by flow and ring. As 64 bits, since that is an array's stride in any case. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} picks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic_life);
} lives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic_rings);
} switches SEC(".maps");

/* The balancer's own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_bucket);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct member);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vip_state);
} vip_state SEC(".maps");

static __always_inline __u32 incarnation_of(__u32 flow)
{
	struct traffic_life *life;

	if (state.check != CHECK_LIFE)
		return 0;
	life = bpf_map_lookup_elem(&lives, &flow);
	return life ? life->incarnation : 0;
}

/* ---- Judging ----------------------------------------------------------------------------- */

static __always_inline void judge_keep(__u32 real)
{
	__u64 *pick = bpf_map_lookup_elem(&picks, &state.last_flow);

	if (!pick)
		return;
	if (state.check == CHECK_LEARN)
		*pick = real;
	else if (*pick && *pick != real)
		state.result.moved++;
}

static __always_inline struct traffic_rings *find_rings(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&switches, &row);
}

/* The newest ring that the last packet can have seen: one may be in force and not yet published. */
static __always_inline __u32 last_ring(struct traffic_rings *r)
{
	struct vip_state *v = bpf_map_lookup_elem(&vip_state, &r->vip_id);
	__u64 word = v ? READ_WORD(v->ring) : 0;
	__u32 newest = READ_WORD(r->newest);

	return r->word[newest % TRAFFIC_PICKS] == word ? newest : newest + 1;
}

static __always_inline void judge_ring(__u32 real)
{
	struct traffic_rings *r = find_rings();
	__u32 last = r ? last_ring(r) : 0;

	if (last - state.first_ring >= TRAFFIC_PICKS - 1) {
		state.result.unjudged++;
		return;
	}
	for (__u32 i = 0; i < TRAFFIC_PICKS; i++) {
		__u32 index = state.last_flow * TRAFFIC_PICKS +
			      (state.first_ring + i) % TRAFFIC_PICKS;
		__u64 *pick = bpf_map_lookup_elem(&picks, &index);

		if (state.first_ring + i <= last && pick && *pick == real)
			return;
	}
	state.result.moved++;
}

static __always_inline __u64 find_slot(const struct flow_tuple *t)
{
	__u64 hash = flow_hash(t, &knob_hash_key);

	for (__u32 i = 0; i < 2 * FLOW_SLOTS; i++) {
		__u32 index = flow_hash_bucket(hash, knob_flow_buckets) ^ (i / FLOW_SLOTS);
		struct flow_bucket *bucket = bpf_map_lookup_elem(&flows, &index);
		__u64 word = bucket ? READ_WORD(bucket->slot[i % FLOW_SLOTS]) : 0;

		if (word >> FLOW_TAG_SHIFT == flow_hash_tag(hash))
			return word;
	}
	return 0;
}

/* The real that a proven flow's slot names; 0: the flow is not there or not proven. */
static __always_inline __u32 find_proven(const struct flow_tuple *t)
{
	__u64 word = find_slot(t);
	__u32 id = (word >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK;
	struct member *member = bpf_map_lookup_elem(&members, &id);

	if (((word >> FLOW_STATE_SHIFT) & FLOW_STATE_MASK) != FLOW_TCP || !member)
		return 0;
	return bpf_ntohl(member->real.w[3]);
}

static __always_inline void start_anew(struct traffic_life *life)
{
	life->age = 0;
	life->real = 0;
	life->incarnation++;
}

static __always_inline void judge_life(const struct flow_tuple *t, __u32 real)
{
	struct traffic_life *life = bpf_map_lookup_elem(&lives, &state.last_flow);
	__u32 proven;

	if (!life)
		return;
	if (++life->age >= state.lengths) {
		start_anew(life);
		return;
	}
	proven = find_proven(t);
	if (life->real && (life->real != proven || life->real != real)) {
		state.result.lost++;
		life->real = 0;
	} else if (!life->real && proven && TRAFFIC_REAL_STAYS(proven)) {
		state.result.proven++;
		life->real = proven;
	}
}

/* The packet was not forwarded, which must not happen to a flow that was proven. */
static __always_inline void judge_dropped(void)
{
	struct traffic_life *life = bpf_map_lookup_elem(&lives, &state.last_flow);

	if (state.check != CHECK_LIFE || !life)
		return;
	if (life->real)
		state.result.lost++;
	start_anew(life);
}

static __always_inline void judge(struct xdp_md *ctx)
{
	struct iphdr *outer = (void *)(long)ctx->data + sizeof(struct ethhdr);
	struct iphdr *inner = outer + 1;
	struct tcphdr *l4 = (void *)(inner + 1);
	struct flow_tuple t = {.family = FAMILY_V4};
	__u32 real;

	if ((void *)(l4 + 1) > (void *)(long)ctx->data_end)
		return;
	real = bpf_ntohl(outer->daddr);
	state.result.forwarded++;
	if ((real >> 16 & 0xff) != (bpf_ntohl(inner->daddr) & 0xff) || real >> 24 != 10)
		state.result.foreign++;
	if (state.check == CHECK_LEARN || state.check == CHECK_KEEP)
		judge_keep(real);
	if (state.check == CHECK_RING)
		judge_ring(real);
	if (state.check != CHECK_LIFE)
		return;
	t.src.w[2] = t.dst.w[2] = bpf_htonl(0xffff);
	t.src.w[3] = inner->saddr;
	t.dst.w[3] = inner->daddr;
	t.protocol = inner->protocol;
	t.sport = l4->source;
	t.dport = l4->dest;
	judge_life(&t, real);
}

/* ---- Sending ----------------------------------------------------------------------------- */

static __always_inline void life_kind(__u32 flow, struct traffic_kind *ret_kind)
{
	struct traffic_life *life = bpf_map_lookup_elem(&lives, &flow);
	__u32 age = life ? life->age : 0;

	ret_kind->protocol = IPPROTO_TCP;
	ret_kind->tcp_flags = age == 0 ? TCP_SYN : TCP_ACK;
	if (age + 1 == state.lengths)
		ret_kind->tcp_flags = TCP_RST;
}

static __always_inline void write_l4(struct tcphdr *l4, __u64 source,
				     const struct traffic_kind *kind)
{
	__builtin_memset(l4, 0, sizeof(*l4));
	l4->source = (__be16)(source >> 32);
	l4->dest = bpf_htons(TRAFFIC_VIP_PORT);
	if (kind->protocol == IPPROTO_TCP) {
		l4->doff = 5;
		((__u8 *)l4)[13] = kind->tcp_flags;
	} else {
		((struct udphdr *)l4)->len =
			bpf_htons(TRAFFIC_FRAME - sizeof(struct ethhdr) - sizeof(struct iphdr));
	}
}

static __always_inline bool write_packet(struct xdp_md *ctx, __u32 flow)
{
	struct traffic_kind kind = state.kind[state.result.packets % state.kinds % TRAFFIC_KINDS];
	__u64 source = traffic_source(state.seed, flow, incarnation_of(flow));
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)eth + TRAFFIC_FRAME > (void *)(long)ctx->data_end)
		return false;
	if (state.check == CHECK_LIFE)
		life_kind(flow, &kind);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(TRAFFIC_FRAME - sizeof(*eth));
	ip->ttl = 60;
	ip->protocol = kind.protocol;
	ip->saddr = (__be32)source;
	ip->daddr = bpf_htonl(TRAFFIC_VIP_NET | (flow & state.vip_mask));
	write_l4((void *)(ip + 1), source, &kind);
	return true;
}

static __always_inline void advance(__u32 flow)
{
	struct traffic_rings *r = find_rings();

	state.last_flow = flow;
	state.has_last = true;
	state.result.packets++;
	if (!state.is_sequence || state.result.packets % state.kinds == 0)
		state.position += state.stride;
	if (state.flows && state.position >= state.flows)
		state.position -= state.flows;
	if (state.check == CHECK_RING && r)
		state.first_ring = READ_WORD(r->newest);
}

SEC("xdp.frags")
int generate(struct xdp_md *ctx)
{
	__u32 grown = ctx->data_end - ctx->data - TRAFFIC_FRAME;
	__u32 flow = state.offset + (__u32)state.position;

	if (state.has_last && grown)
		judge(ctx);
	else if (state.has_last)
		judge_dropped();
	state.has_last = false;
	if (state.is_closing)
		return XDP_DROP;
	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	if (!write_packet(ctx, flow))
		return XDP_ABORTED;
	advance(flow);
	bpf_tail_call(ctx, &balancer, 0);
	return XDP_ABORTED;
}

/* ---- Stalls ------------------------------------------------------------------------------ */

const volatile __u32 knob_stall_loops = 0;

static int idle(__u32 i, void *user)
{
	return 0;
}

/* Interrupts the generator's thread wherever it is, so also between two loads of the balancer. */
SEC("perf_event")
int stall(void *ctx)
{
	bpf_loop(knob_stall_loops, idle, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
