/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many packets through one BPF_PROG_TEST_RUN. Its repetitions feed a program its own output, so
 * this wrapper cuts each packet back to its length, writes the next flow's headers and calls what
 * is measured. The two floors that are called the same way say what that alone costs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <stdbool.h>

#include "wrapper_abi.h"

const volatile bool knob_ipv6 = false;

struct wrapper_state state;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, WRAPPER_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

static __always_inline void write_header(void *data, __u32 flow)
{
	__u32 vip = bpf_htonl(flow & state.vip_mask);
	__u32 client = bpf_htonl(wrapper_client(flow));
	__u64 *words = data;

#pragma unroll
	for (int i = 0; i < WRAPPER_HEADER_WORDS; i++)
		words[i] = state.header[i];
	if (knob_ipv6) {
		struct ipv6hdr *ip = data + sizeof(struct ethhdr);
		struct tcphdr *l4 = (void *)(ip + 1);

		ip->saddr.in6_u.u6_addr32[3] = client;
		ip->daddr.in6_u.u6_addr32[3] |= vip;
		l4->source = wrapper_port(flow);
	} else {
		struct iphdr *ip = data + sizeof(struct ethhdr);
		struct tcphdr *l4 = (void *)(ip + 1);

		ip->saddr = client;
		ip->daddr |= vip;
		l4->source = wrapper_port(flow);
	}
}

static __always_inline void write_flags(__u8 *data)
{
	const __u32 l3_len = knob_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	data[sizeof(struct ethhdr) + l3_len + 13] = state.done % 2 ? SEND_ACK : SEND_SYN;
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

static __always_inline void advance(void)
{
	if (!state.is_learning || state.done % 2) {
		__u32 position = state.position + state.stride;

		state.position = position >= state.flows ? position - state.flows : position;
	}
	if (state.done == state.warm)
		state.start_ns = bpf_ktime_get_ns();
	state.done++;
}

SEC("xdp.frags")
int wrapper(struct xdp_md *ctx)
{
	__u32 grown = ctx->data_end - ctx->data - WRAPPER_FRAME;
	__u32 target;
	__u8 *data;

	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if ((void *)(data + WRAPPER_FRAME) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_header(data, state.offset + state.position);
	if (state.is_learning)
		write_flags(data);
	state.grown += grown;
	target = state.target;
	advance();
	if (state.done == state.packets)
		next_turn();
	bpf_tail_call(ctx, &programs, target);
	return XDP_ABORTED;
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

/* For live frames: they come with their length restored, but not their bytes. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if ((void *)(data + WRAPPER_FRAME) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_header(data, state.offset + state.position);
	if (state.is_learning)
		write_flags(data);
	advance();
	if (state.done == state.packets)
		next_turn();
	return XDP_TX;
}

SEC("xdp.frags")
int sink(struct xdp_md *ctx)
{
	state.sunk++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
