// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probes through the data path: the daemon's own packets to a VIP, on their way out of the host,
 * get the outer header that a client's packet gets for one real, and leave by that real's next hop.
 * Which real that is, says the socket's mark.
 *
 *   mark -> tunnel -> for its VIP? -> inner header -> outer header -> out
 *
 * A filter of clsact's egress on the interface that the route to the VIP names. What has no mark of
 * ours is not touched. A mark of ours that is not known is a connection's end whose probe is gone:
 * dropped, since beyond this host it would reach the VIP, and any real of it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "outer_gue.h"
#include "xdplb/probe_abi.h"

#define IPV4_FRAGMENT  0x3fff /* more fragments, or an offset */
#define IPV6_FRAGMENTS 44

/* Marks of ours, without the id. */
const volatile __u32 knob_probe_mark = PROBE_MARK;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROBE_TUNNELS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct probe_tunnel);
} probe_tunnels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct probe_stats);
} probe_stats SEC(".maps");

/* In front of the inner packet; aligned, since the stack is read by words. */
struct headers {
	struct ethhdr eth;
	__u16 pad;
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	} outer;
	struct udphdr udp;
} __attribute__((aligned(8)));

_Static_assert(__builtin_offsetof(struct headers, outer) % 8 == 0, "written by words of 64 bits");

#define count(field) count_at(__builtin_offsetof(struct probe_stats, field) / sizeof(__u64))

static __always_inline void count_at(__u32 index)
{
	__u32 row = 0;
	__u64 *all = bpf_map_lookup_elem(&probe_stats, &row);

	if (all && index < sizeof(struct probe_stats) / sizeof(__u64))
		all[index]++;
}

#define DROP(field) (count(field), TC_ACT_SHOT)

/* ---- the inner packet ---------------------------------------------------------------------- */

/* Of the host's own packets the kernel has made the headers: they are what they say. */
static __always_inline bool parse_ipv4(struct __sk_buff *skb, struct pkt *pkt, __u32 *ret_sum)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return false;
	ip_addr_map_ipv4(&pkt->tuple.src, ip.saddr);
	ip_addr_map_ipv4(&pkt->tuple.dst, ip.daddr);
	pkt->tuple.family = FAMILY_V4;
	pkt->tuple.protocol = ip.protocol;
	pkt->tos = ip.tos;
	pkt->l4_offset = ETH_HLEN + ip.ihl * 4;
	pkt->is_later_fragment = ip.frag_off & bpf_htons(IPV4_FRAGMENT);
	*ret_sum = 0; /* the header's own checksum makes it so */
	return true;
}

static __always_inline bool parse_ipv6(struct __sk_buff *skb, struct pkt *pkt, __u32 *ret_sum)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return false;
	__builtin_memcpy(&pkt->tuple.src, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(&pkt->tuple.dst, &ip.daddr, sizeof(ip.daddr));
	pkt->tuple.family = FAMILY_V6;
	pkt->tuple.protocol = ip.nexthdr;
	pkt->tos = (__u8)(ip.priority << 4 | ip.flow_lbl[0] >> 4);
	pkt->l4_offset = ETH_HLEN + sizeof(ip);
	pkt->is_later_fragment = ip.nexthdr == IPV6_FRAGMENTS;
	*ret_sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0);
	return true;
}

/*
 * The sum of the whole inner packet, without a look at it: the transport checksum makes its part
 * the complement of the pseudo header's, and if it is left to the interface it will. Only ICMP has
 * no pseudo header.
 */
static __always_inline __u32 add_transport_sum(struct pkt *pkt, __u32 header_sum)
{
	__u64 pseudo = bpf_htons(pkt->tuple.protocol);
	__u32 addresses;

	if (pkt->tuple.protocol == IPPROTO_ICMP)
		return header_sum;
	/* What a mapped IPv4 address has in front, 0xffff, is nothing in this arithmetic. */
	addresses = bpf_csum_diff(NULL, 0, pkt->tuple.src.w, 2 * sizeof(struct ip_addr), 0);
	pseudo += bpf_htons(pkt->l3_len - (pkt->l4_offset - ETH_HLEN)) + (__u64)addresses;
	return (__u32)(__u16)~csum_fold64(pseudo) + csum_fold64(header_sum);
}

static __always_inline bool parse(struct __sk_buff *skb, struct pkt *pkt, __u32 *ret_sum)
{
	bool is_ip = false;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		is_ip = parse_ipv4(skb, pkt, ret_sum);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		is_ip = parse_ipv6(skb, pkt, ret_sum);
	pkt->l3_len = skb->len - ETH_HLEN;
	return is_ip;
}

/* As the packet path hashes the flow: the same entropy. Echo has none of ports. */
static __always_inline void hash(struct __sk_buff *skb, struct pkt *pkt)
{
	__be16 ports[2] = {};

	if (pkt->tuple.protocol == IPPROTO_TCP || pkt->tuple.protocol == IPPROTO_UDP)
		bpf_skb_load_bytes(skb, pkt->l4_offset, ports, sizeof(ports));
	pkt->tuple.sport = ports[0];
	pkt->tuple.dport = ports[1];
	pkt->hash = flow_hash(&pkt->tuple, &knob_hash_key);
}

/* ---- the outer header ---------------------------------------------------------------------- */

static __always_inline __u32 outer_length(const struct probe_tunnel *t)
{
	__u32 len = t->real_family == FAMILY_V4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (t->encap == ENCAP_L2DSR)
		return 0;
	return t->encap == ENCAP_GUE ? len + sizeof(struct udphdr) : len;
}

static __always_inline void write_headers(const struct pkt *pkt, const struct probe_tunnel *t,
					  __u32 inner_sum, struct headers *h)
{
	bool is_gue = t->encap == ENCAP_GUE;
	__u8 protocol = is_gue ? IPPROTO_UDP : encap_ipip_protocol(pkt);
	__u32 len = is_gue ? pkt->l3_len + sizeof(h->udp) : pkt->l3_len;

	if (is_gue)
		encap_gue_write_udp(pkt, &h->udp);
	if (t->real_family == FAMILY_V4) {
		encap_write_ipv4(pkt, &h->outer.ip4, protocol, len,
				 encap_sum4(pkt->member, protocol));
		h->eth.h_proto = bpf_htons(ETH_P_IP);
		return;
	}
	encap_write_ipv6(pkt, &h->outer.ip6, protocol, len);
	h->eth.h_proto = bpf_htons(ETH_P_IPV6);
	if (is_gue && knob_gue_checksum6)
		h->udp.check = encap_gue_checksum(&h->outer.ip6, &h->udp, inner_sum);
}

static __always_inline bool make_room(struct __sk_buff *skb, const struct probe_tunnel *t)
{
	__u64 flags = t->real_family == FAMILY_V4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
						  : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;

	if (t->encap == ENCAP_GUE)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	return !bpf_skb_adjust_room(skb, (__s32)outer_length(t), BPF_ADJ_ROOM_MAC, flags);
}

static __always_inline bool put_headers(struct __sk_buff *skb, const struct probe_tunnel *t,
					struct headers *h)
{
	__u32 ip_len = t->real_family == FAMILY_V4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	int failed;

	if (t->encap != ENCAP_L2DSR) {
		if (!make_room(skb, t))
			return false;
		/* Each length a constant: 6.1 loses the bounds of one that is chosen. */
		failed = ip_len == sizeof(struct iphdr)
				 ? bpf_skb_store_bytes(skb, ETH_HLEN, &h->outer.ip4,
						       sizeof(h->outer.ip4), 0)
				 : bpf_skb_store_bytes(skb, ETH_HLEN, &h->outer.ip6,
						       sizeof(h->outer.ip6), 0);
		if (failed ||
		    (t->encap == ENCAP_GUE &&
		     bpf_skb_store_bytes(skb, ETH_HLEN + ip_len, &h->udp, sizeof(h->udp), 0)))
			return false;
	}
	return !bpf_skb_store_bytes(skb, 0, &h->eth, sizeof(h->eth), 0);
}

static __always_inline int send(struct __sk_buff *skb, struct pkt *pkt, struct probe_tunnel *t,
				__u32 header_sum)
{
	struct member member = {.real = t->real};
	struct headers h = {};
	__u32 inner_sum = 0;

	if (!t->ifindex)
		return DROP(drop_no_next_hop);
	if (pkt->is_later_fragment)
		return DROP(drop_fragment);
	/* What the interface is to cut into segments will fit: see check_socket.c. */
	if (!skb->gso_size && pkt->l3_len + outer_length(t) > t->mtu)
		return DROP(drop_too_big);
	pkt->member = &member;
	hash(skb, pkt);
	if (knob_gue_checksum6)
		inner_sum = add_transport_sum(pkt, header_sum);
	h.eth.h_proto = t->vip_family == FAMILY_V4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	__builtin_memcpy(h.eth.h_dest, t->mac, sizeof(t->mac));
	__builtin_memcpy(h.eth.h_source, t->source_mac, sizeof(t->source_mac));
	if (t->encap != ENCAP_L2DSR)
		write_headers(pkt, t, inner_sum, &h);
	if (!put_headers(skb, t, &h))
		return DROP(drop_no_room);
	count(sent);
	__sync_fetch_and_add(&t->sent, 1);
	skb->mark = 0; /* it may leave by the same interface, past this program */
	return bpf_redirect(t->ifindex, 0);
}

SEC("tc")
int xdplb_probe(struct __sk_buff *skb)
{
	__u32 id = skb->mark & PROBE_ID_MASK;
	struct probe_tunnel *tunnel;
	struct pkt pkt = {};
	__u32 header_sum = 0;

	if ((skb->mark & ~PROBE_ID_MASK) != knob_probe_mark)
		return TC_ACT_UNSPEC;
	tunnel = bpf_map_lookup_elem(&probe_tunnels, &id);
	if (!tunnel)
		return DROP(drop_mark);
	if (!parse(skb, &pkt, &header_sum) || !ip_addr_equal(&pkt.tuple.dst, &tunnel->vip) ||
	    pkt.tuple.family != tunnel->vip_family) {
		count(pass_destination);
		return TC_ACT_UNSPEC;
	}
	return send(skb, &pkt, tunnel, header_sum);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
