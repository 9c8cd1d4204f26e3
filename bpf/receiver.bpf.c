// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real's side: takes the outer header off IP-in-IP and GUE packets that a balancer sent (all
 * four combinations of IPv4 and IPv6) and hands the inner packet to the host's stack.
 *
 *   outer header -> for this host? -> inner header -> for a VIP? -> from a balancer? -> checksum
 *   of GUE -> ECN -> strip
 *
 * What is not ours passes untouched, so that a kernel tunnel can live on the same interface. Each
 * stage returns GO_ON or says why the packet goes no further; each checks its own bounds.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "csum_frame.h"
#include "xdplb/receiver_abi.h"

#define GO_ON (-1)

#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV4_OFFSET   0x1fff
#define ECN_MASK      3

enum ecn { ECN_NOT_ECT = 0, ECN_ECT_1 = 1, ECN_ECT_0 = 2, ECN_CE = 3 };

/* Whether --from was given; without it every source is a balancer. */
const volatile bool knob_has_from = false;
/* Where GUE comes in; 0: nowhere. */
const volatile __be16 knob_gue_port = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RECEIVER_MAX_VIPS);
	__type(key, struct receiver_addr);
	__type(value, __u32);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RECEIVER_MAX_LOCALS);
	__type(key, struct receiver_addr);
	__type(value, __u32);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, RECEIVER_MAX_FROM);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct receiver_prefix);
	__type(value, __u32);
} from SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct receiver_stats);
} receiver_stats SEC(".maps");

/* What the stages hand on. */
struct packet {
	void *data;
	void *data_end; /* of the linear part: headers are always in it */
	__u32 frame_len; /* with the fragments of a multi-buffer frame */
	/* Of the outer headers: what is stripped. 64 bits: 6.1 forgets the range of less in a
	 * spill. */
	__u64 outer_len;
	__u32 inner_room; /* bytes that the outer headers say they carry */
	__u32 udp_len; /* of a GUE packet with a checksum; 0: nothing to check */
	struct receiver_prefix source; /* outer */
	__u8 inner_protocol; /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 outer_ecn;
	__u8 inner_ecn;
};

static __always_inline void set_v4(struct ip_addr *addr, __be32 v4)
{
	addr->w[0] = 0;
	addr->w[1] = 0;
	addr->w[2] = bpf_htonl(0xffff);
	addr->w[3] = v4;
}

static __always_inline void set_v6(struct ip_addr *addr, const struct in6_addr *v6)
{
	__builtin_memcpy(addr, v6, sizeof(*addr));
}

static __always_inline bool is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

/* Whether a UDP header for our port stands behind an outer IP header of this length. */
static __always_inline bool is_gue(const struct packet *p, __u8 protocol, __u64 ip_len)
{
	struct udphdr *udp = p->data + sizeof(struct ethhdr) + ip_len;

	return knob_gue_port && protocol == IPPROTO_UDP && (void *)(udp + 1) <= p->data_end &&
	       udp->dest == knob_gue_port;
}

/*
 * The UDP header that is_gue() saw, and GUE's variant: 1 has no header of its own, so the first
 * four bits are the inner packet's IP version. p says what the outer IP header says.
 */
static __always_inline int parse_gue(struct packet *p)
{
	struct udphdr *udp = p->data + sizeof(struct ethhdr) + p->outer_len;
	__u8 *first = (__u8 *)(udp + 1);
	__u32 udp_len;

	if ((void *)first > p->data_end)
		return RECEIVER_drop_outer_length;
	udp_len = bpf_ntohs(udp->len);
	if (udp_len < sizeof(*udp) || udp_len > p->inner_room)
		return RECEIVER_drop_outer_length;
	if (udp_len == sizeof(*udp) || (void *)(first + 1) > p->data_end)
		return RECEIVER_drop_inner_truncated;
	if (*first >> 4 != 4 && *first >> 4 != 6)
		return RECEIVER_pass_gue_variant;
	p->inner_protocol = *first >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	p->udp_len = udp->check ? udp_len : 0;
	p->outer_len += sizeof(*udp);
	p->inner_room = udp_len - sizeof(*udp);
	return GO_ON;
}

static __always_inline int parse_outer_v4(struct packet *p)
{
	struct iphdr *ip = p->data + sizeof(struct ethhdr);
	struct receiver_addr dst = {.family = FAMILY_V4};
	__u32 header_len, total_len;
	bool has_l4_header;

	if ((void *)(ip + 1) > p->data_end)
		return RECEIVER_pass_truncated;
	header_len = ip->ihl * 4;
	has_l4_header = !(ip->frag_off & bpf_htons(IPV4_OFFSET));
	if (!is_tunnel(ip->protocol) && !(has_l4_header && is_gue(p, ip->protocol, header_len)))
		return RECEIVER_pass_not_tunnel;
	set_v4(&dst.address, ip->daddr);
	if (!bpf_map_lookup_elem(&locals, &dst))
		return RECEIVER_pass_not_local;

	total_len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header_len < sizeof(*ip))
		return RECEIVER_drop_outer_header;
	if (total_len < header_len || sizeof(struct ethhdr) + total_len > p->frame_len)
		return RECEIVER_drop_outer_length;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return RECEIVER_pass_fragment;

	set_v4(&p->source.address, ip->saddr);
	p->source.family = FAMILY_V4;
	p->outer_len = header_len;
	p->inner_room = total_len - header_len;
	p->inner_protocol = ip->protocol;
	p->outer_ecn = ip->tos & ECN_MASK;
	return ip->protocol == IPPROTO_UDP ? parse_gue(p) : GO_ON;
}

/* The low half of the traffic class is the top of what Linux calls the flow label. */
static __always_inline __u8 ipv6_ecn(const struct ipv6hdr *ip)
{
	return (ip->flow_lbl[0] >> 4) & ECN_MASK;
}

static __always_inline int parse_outer_v6(struct packet *p)
{
	struct ipv6hdr *ip = p->data + sizeof(struct ethhdr);
	struct receiver_addr dst = {.family = FAMILY_V6};
	__u32 payload_len;

	if ((void *)(ip + 1) > p->data_end)
		return RECEIVER_pass_truncated;
	if (!is_tunnel(ip->nexthdr) && !is_gue(p, ip->nexthdr, sizeof(*ip)))
		return RECEIVER_pass_not_tunnel;
	set_v6(&dst.address, &ip->daddr);
	if (!bpf_map_lookup_elem(&locals, &dst))
		return RECEIVER_pass_not_local;

	payload_len = bpf_ntohs(ip->payload_len);
	if (ip->version != 6)
		return RECEIVER_drop_outer_header;
	if (sizeof(struct ethhdr) + sizeof(*ip) + payload_len > p->frame_len)
		return RECEIVER_drop_outer_length;

	set_v6(&p->source.address, &ip->saddr);
	p->source.family = FAMILY_V6;
	p->outer_len = sizeof(*ip);
	p->inner_room = payload_len;
	p->inner_protocol = ip->nexthdr;
	p->outer_ecn = ipv6_ecn(ip);
	return ip->nexthdr == IPPROTO_UDP ? parse_gue(p) : GO_ON;
}

static __always_inline int parse_outer(struct packet *p)
{
	struct ethhdr *eth = p->data;

	if ((void *)(eth + 1) > p->data_end)
		return RECEIVER_pass_truncated;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_outer_v4(p);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_outer_v6(p);
	return RECEIVER_pass_not_ip;
}

static __always_inline void *inner_header(const struct packet *p)
{
	return p->data + p->outer_len + sizeof(struct ethhdr);
}

static __always_inline int parse_inner_v4(struct packet *p)
{
	struct iphdr *ip = inner_header(p);
	struct receiver_addr dst = {.family = FAMILY_V4};
	__u32 header_len, total_len;

	if (p->inner_room < sizeof(*ip) || (void *)(ip + 1) > p->data_end)
		return RECEIVER_drop_inner_truncated;
	set_v4(&dst.address, ip->daddr);
	if (!bpf_map_lookup_elem(&vips, &dst))
		return RECEIVER_pass_not_vip;

	header_len = ip->ihl * 4;
	total_len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header_len < sizeof(*ip))
		return RECEIVER_drop_inner_header;
	if (total_len < header_len || total_len > p->inner_room)
		return RECEIVER_drop_inner_length;
	p->inner_ecn = ip->tos & ECN_MASK;
	return GO_ON;
}

static __always_inline int parse_inner_v6(struct packet *p)
{
	struct ipv6hdr *ip = inner_header(p);
	struct receiver_addr dst = {.family = FAMILY_V6};

	if (p->inner_room < sizeof(*ip) || (void *)(ip + 1) > p->data_end)
		return RECEIVER_drop_inner_truncated;
	set_v6(&dst.address, &ip->daddr);
	if (!bpf_map_lookup_elem(&vips, &dst))
		return RECEIVER_pass_not_vip;

	if (ip->version != 6)
		return RECEIVER_drop_inner_header;
	if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > p->inner_room)
		return RECEIVER_drop_inner_length;
	p->inner_ecn = ipv6_ecn(ip);
	return GO_ON;
}

static __always_inline int parse_inner(struct packet *p)
{
	return p->inner_protocol == IPPROTO_IPIP ? parse_inner_v4(p) : parse_inner_v6(p);
}

static __always_inline int check_sender(const struct packet *p)
{
	/* A copy: a struct packet whose address goes to a helper could not live in registers. */
	struct receiver_prefix source = p->source;

	if (!knob_has_from)
		return GO_ON;
	source.prefix_len = RECEIVER_PREFIX_FULL;
	return bpf_map_lookup_elem(&from, &source) ? GO_ON : RECEIVER_drop_not_a_balancer;
}

/* Of the outer addresses, protocol and UDP length: what the checksum has of the IP header. */
static __always_inline int pseudo_sum(const struct packet *p, __u32 *ret_sum)
{
	struct iphdr *v4 = p->data + sizeof(struct ethhdr);
	struct ipv6hdr *v6 = p->data + sizeof(struct ethhdr);
	__u32 sum = bpf_htons(IPPROTO_UDP) + bpf_htons(p->udp_len);

	if ((void *)(v6 + 1) > p->data_end)
		return RECEIVER_drop_inner_truncated; /* so the inner header would be, too */
	if (p->source.family == FAMILY_V4)
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&v4->saddr, 2 * sizeof(v4->saddr), sum);
	else
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&v6->saddr, 2 * sizeof(v6->saddr), sum);
	*ret_sum = sum;
	return GO_ON;
}

static __always_inline int check_checksum(struct xdp_md *ctx, const struct packet *p)
{
	__u32 offset = sizeof(struct ethhdr) + p->outer_len - sizeof(struct udphdr);
	__u32 pseudo = 0;
	int why;

	if (!p->udp_len)
		return GO_ON;
	why = pseudo_sum(p, &pseudo);
	if (why != GO_ON)
		return why;
	if (csum_fold64((__u64)csum_frame(ctx, offset, p->udp_len) + pseudo) != 0xffff)
		return RECEIVER_drop_gue_checksum;
	return GO_ON;
}

/* Changes the ECN bits of an IPv4 header and its checksum with them (RFC 1624, equation 3). */
static __always_inline void ipv4_set_ecn(struct iphdr *ip, __u8 ecn)
{
	__u8 tos = (ip->tos & ~ECN_MASK) | ecn;
	__u32 sum = (__u16)~bpf_ntohs(ip->check) + (__u16) ~(__u16)ip->tos + (__u16)tos;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons((__u16)~sum);
	ip->tos = tos;
}

/* RFC 6040, figure 4: the default behaviour of a tunnel's end. */
static __always_inline int merge_ecn(const struct packet *p)
{
	__u8 ecn = p->inner_ecn;
	void *inner = inner_header(p);

	if (p->outer_ecn == ECN_CE) {
		if (ecn == ECN_NOT_ECT)
			return RECEIVER_drop_ecn;
		ecn = ECN_CE;
	} else if (p->outer_ecn == ECN_ECT_1 && ecn == ECN_ECT_0) {
		ecn = ECN_ECT_1;
	}
	if (ecn == p->inner_ecn)
		return GO_ON;

	if (p->inner_protocol == IPPROTO_IPIP) {
		if (inner + sizeof(struct iphdr) > p->data_end)
			return RECEIVER_drop_inner_truncated;
		ipv4_set_ecn(inner, ecn);
	} else {
		struct ipv6hdr *ip = inner;

		if ((void *)(ip + 1) > p->data_end)
			return RECEIVER_drop_inner_truncated;
		ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | (ecn << 4);
	}
	return GO_ON;
}

/* Moves the Ethernet header up to the inner packet. The outer header is longer: no overlap. */
static __always_inline int strip_outer(struct xdp_md *ctx, const struct packet *p)
{
	struct ethhdr *eth = p->data;
	struct ethhdr *moved = p->data + p->outer_len;

	if ((void *)(eth + 1) > p->data_end || (void *)(moved + 1) > p->data_end)
		return RECEIVER_drop_inner_truncated;
	__builtin_memcpy(moved, eth, 2 * ETH_ALEN);
	moved->h_proto = bpf_htons(p->inner_protocol == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, (int)p->outer_len))
		return RECEIVER_drop_adjust_head;
	return RECEIVER_decapsulated;
}

static __always_inline int count(int why)
{
	__u32 row = 0;
	__u64 *counters = bpf_map_lookup_elem(&receiver_stats, &row);

	if (counters && (__u32)why < RECEIVER_STATS)
		counters[(__u32)why]++;
	switch (why) {
#define X(name, text) case RECEIVER_##name:
		RECEIVER_PASS_COUNTERS(X)
#undef X
		return XDP_PASS;
	default:
		return XDP_DROP;
	}
}

SEC("xdp.frags")
int receiver(struct xdp_md *ctx)
{
	struct packet p = {
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.frame_len = bpf_xdp_get_buff_len(ctx),
	};
	int why = parse_outer(&p);

	if (why == GO_ON)
		why = parse_inner(&p);
	if (why == GO_ON)
		why = check_sender(&p);
	if (why == GO_ON)
		why = check_checksum(ctx, &p);
	if (why == GO_ON)
		why = merge_ecn(&p);
	if (why == GO_ON)
		why = strip_outer(ctx, &p);
	return count(why);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
