/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many packets through one BPF_PROG_TEST_RUN. Its repetitions feed a program its own output, so
 * this wrapper cuts each packet back to its length, makes it the next flow's and calls what is
 * measured. The two floors that are called the same way say what that alone costs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <stdbool.h>

#include "wrapper_abi.h"

struct wrapper_state state;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, WRAPPER_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* And the IP header's first two bytes, to have two wide stores. */
static __always_inline void write_ethernet(__u64 *words)
{
	words[0] = state.header[0];
	words[1] = state.header[1];
}

/*
 * What differs from flow to flow. Each field is a store of its own and none is read back: a load of
 * what two stores wrote waits until both have left the store buffer, which a frame from a card
 * never makes it do.
 */
static __always_inline void write_flow(__u8 *data, __u32 flow, const bool is_ipv6)
{
	const __u32 l4 = sizeof(struct ethhdr) +
			 (is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	const __u32 addr_len = is_ipv6 ? 16 : 4;

	*(__be32 *)(data + l4 - addr_len - 4) = wrapper_client(flow);
	*(__be32 *)(data + l4 - 4) = state.vip | bpf_htonl(flow & state.vip_mask);
	*(__u32 *)(data + l4) = state.dport << 16 | wrapper_port(flow);
}

static __always_inline void write_ack(__u8 *data, const bool is_ipv6)
{
	const __u32 l3_len = is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	data[sizeof(struct ethhdr) + l3_len + 13] = SEND_ACK;
}

/* The end of this target's packets: the next one's turn. */
static __noinline int next_turn(void)
{
	__u32 round = state.round % WRAPPER_MAX_ROUNDS;

	state.ns[round][state.target % 4] = bpf_ktime_get_ns() - state.start_ns;
	state.done = 0;
	if (state.target < state.last_target) {
		state.target++;
	} else {
		state.target = state.first_target;
		state.round++;
	}
	return 0;
}

static __always_inline void next_flow(void)
{
	__u32 position = state.position + state.stride;

	state.position = position >= state.flows ? position - state.flows : position;
}

static __always_inline void packet_done(void)
{
	if (state.done == state.warm)
		state.start_ns = bpf_ktime_get_ns();
	state.done++;
	if (state.done == state.packets)
		next_turn();
}

/* Fixed slots: the kernel makes these calls direct jumps, without a retpoline to wait for. */
static __always_inline int call_target(struct xdp_md *ctx, __u32 target)
{
	if (target == WRAPPER_BALANCER)
		bpf_tail_call_static(ctx, &programs, WRAPPER_BALANCER);
	else if (target == WRAPPER_ENCAP_FLOOR)
		bpf_tail_call_static(ctx, &programs, WRAPPER_ENCAP_FLOOR);
	else
		bpf_tail_call_static(ctx, &programs, WRAPPER_FLOOR);
	return XDP_ABORTED;
}

/* The inner packet comes back as it went, but for its Ethernet header: the rest is still there. */
static __always_inline int wrap(struct xdp_md *ctx, const bool is_ipv6, const bool is_learning)
{
	__u32 grown = ctx->data_end - ctx->data - WRAPPER_FRAME;
	__u32 target = state.target;
	__u8 *data;

	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if ((void *)(data + WRAPPER_FRAME) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_ethernet((__u64 *)data);
	write_flow(data, state.offset + state.position, is_ipv6);
	if (is_learning)
		write_ack(data, is_ipv6);
	state.grown += grown;
	if (!is_learning || state.done % 2)
		next_flow();
	packet_done();
	return call_target(ctx, target);
}

SEC("xdp.frags")
int wrap_ipv4(struct xdp_md *ctx)
{
	return wrap(ctx, false, false);
}

SEC("xdp.frags")
int wrap_ipv6(struct xdp_md *ctx)
{
	return wrap(ctx, true, false);
}

/* Each flow twice: segments of a connection; SYNs at this speed would not be recorded. */
SEC("xdp.frags")
int learn_ipv4(struct xdp_md *ctx)
{
	return wrap(ctx, false, true);
}

SEC("xdp.frags")
int learn_ipv6(struct xdp_md *ctx)
{
	return wrap(ctx, true, true);
}

SEC("xdp.frags")
int floor_tx(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* The least that any encapsulation does, in the widest stores there are. */
static __always_inline int encap_constant(struct xdp_md *ctx, const __u32 outer_len)
{
	const __u32 len = sizeof(struct ethhdr) + outer_len;
	__u8 *data;

	if (bpf_xdp_adjust_head(ctx, -(int)outer_len))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if ((void *)(data + len) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (__u32 i = 0; i < len / 8; i++)
		((volatile __u64 *)data)[i] = 0x0102030405060708ULL + i;
	if (len & 4)
		*(volatile __u32 *)(data + (len & ~7u)) = 0x01020304;
	if (len & 2)
		*(volatile __u16 *)(data + (len & ~3u)) = 0x0102;
	return XDP_TX;
}

SEC("xdp.frags")
int floor_encap4(struct xdp_md *ctx)
{
	return encap_constant(ctx, sizeof(struct iphdr));
}

SEC("xdp.frags")
int floor_encap6(struct xdp_md *ctx)
{
	return encap_constant(ctx, sizeof(struct ipv6hdr));
}

SEC("xdp.frags")
int floor_gue4(struct xdp_md *ctx)
{
	return encap_constant(ctx, sizeof(struct iphdr) + sizeof(struct udphdr));
}

SEC("xdp.frags")
int floor_gue6(struct xdp_md *ctx)
{
	return encap_constant(ctx, sizeof(struct ipv6hdr) + sizeof(struct udphdr));
}

/* For live frames, over IPv4: they come with their length restored, but not their bytes. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if ((void *)(data + WRAPPER_FRAME) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < WRAPPER_HEADER_WORDS; i++)
		((__u64 *)data)[i] = state.header[i];
	write_flow(data, state.offset + state.position, false);
	next_flow();
	packet_done();
	return XDP_TX;
}

SEC("xdp.frags")
int sink(struct xdp_md *ctx)
{
	state.sunk += ctx->data_end - ctx->data;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
