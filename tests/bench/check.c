/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See check.h. Written from the formats, not from the packet path. */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "lib/addr.h"
#include "wrapper_abi.h"
#include "xdplb/hash.h"
#include "lib/vip_match.h"

static struct flow_tuple read_tuple(const struct balancer *b, const uint8_t *l3)
{
	struct flow_tuple t = {.family = b->options.family, .protocol = b->options.protocol};
	const uint8_t *l4;

	if (t.family == FAMILY_V4) {
		t.src.w[2] = t.dst.w[2] = htonl(0xffff);
		memcpy(&t.src.w[3], l3 + 12, 4);
		memcpy(&t.dst.w[3], l3 + 16, 4);
		l4 = l3 + sizeof(struct iphdr);
	} else {
		memcpy(&t.src, l3 + 8, 16);
		memcpy(&t.dst, l3 + 24, 16);
		l4 = l3 + sizeof(struct ip6_hdr);
	}
	memcpy(&t.sport, l4, 2);
	memcpy(&t.dport, l4 + 2, 2);
	return t;
}

/* Member that the VIP's ring names for this hash; NULL: no such VIP. */
static const struct member *ring_pick(const struct balancer *b, const struct flow_tuple *t,
				      uint64_t hash)
{
	struct vip_key key = {
		.address = t->dst, .port = t->dport, .protocol = t->protocol, .family = t->family};
	const struct applied_vip *vip = vip_match_find(b->applied, &key);
	uint32_t base, slot, position;
	uint64_t word;

	if (!vip)
		return NULL;
	word = b->dp->vip_state[vip->id].ring;
	base = RING_WORD_BASE(word);
	slot = flow_hash_ring(hash, RING_WORD_SIZE(word), 0);
	position =
		b->dp->rings[base + slot / RING_SLOTS_PER_BLOCK].slot[slot % RING_SLOTS_PER_BLOCK];
	base += RING_SLOT_BLOCKS(RING_WORD_SIZE(word));
	return &b->dp->members[b->dp->rings[base + position / RING_MEMBERS_PER_BLOCK]
				       .member[position % RING_MEMBERS_PER_BLOCK]];
}

/* Member that the flow table names; NULL: it does not know the flow. */
static const struct member *table_pick(const struct balancer *b, uint64_t hash)
{
	uint32_t index = flow_hash_bucket(hash, b->dp->control->flow_buckets);

	for (uint32_t i = 0; i < 2 * FLOW_SLOTS; i++) {
		uint64_t word = b->dp->flows[index ^ (i / FLOW_SLOTS)].slot[i % FLOW_SLOTS];

		if ((uint32_t)(word >> FLOW_TAG_SHIFT) == flow_hash_tag(hash))
			return &b->dp->members[(word >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK];
	}
	return NULL;
}

static bool differs(const void *a, const void *b, size_t len)
{
	return memcmp(a, b, len) != 0;
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Behind the outer IP header of GUE; without a checksum. */
static int check_udp(const uint8_t *l4, struct err *err)
{
	struct udphdr udp;

	memcpy(&udp, l4, sizeof(udp));
	if (ntohs(udp.uh_sport) < 49152 || udp.uh_dport != htons(6080) || udp.uh_sum ||
	    ntohs(udp.uh_ulen) != WRAPPER_FRAME - ETH_HLEN + sizeof(udp))
		return err_set(err, EPROTO, "wrong UDP header");
	return 0;
}

static int check_outer4(const struct balancer_options *o, const uint8_t *l3,
			const struct member *real, struct err *err)
{
	uint8_t protocol = o->encap == ENCAP_GUE ? IPPROTO_UDP : IPPROTO_IPIP;
	struct iphdr ip;

	memcpy(&ip, l3, sizeof(ip));
	if (ip.version != 4 || ip.ihl != 5 || ip.protocol != protocol || ip.ttl != 64 || ip.tos ||
	    ip.frag_off != htons(0x4000) ||
	    ntohs(ip.tot_len) != WRAPPER_FRAME - ETH_HLEN + balancer_outer_len(o))
		return err_set(err, EPROTO, "wrong outer IPv4 header");
	if (checksum(l3, sizeof(ip)))
		return err_set(err, EPROTO, "wrong outer checksum");
	if ((ntohl(ip.saddr) & 0xffff0000) != 0x0a000000)
		return err_set(err, EPROTO, "outer source is not in encap.source4");
	if (ip.daddr != real->real.w[3])
		return err_set(err, EPROTO, "went to another real than the ring's");
	return o->encap == ENCAP_GUE ? check_udp(l3 + sizeof(ip), err) : 0;
}

static int check_outer6(const struct balancer_options *o, const uint8_t *l3,
			const struct member *real, struct err *err)
{
	uint8_t protocol = o->encap == ENCAP_GUE ? IPPROTO_UDP : IPPROTO_IPV6;
	static const uint8_t source[8] = {0xfd, 0x00, 0x00, 0x01};
	struct ip6_hdr ip;

	memcpy(&ip, l3, sizeof(ip));
	if (ip.ip6_vfc != 0x60 || ip.ip6_nxt != protocol || ip.ip6_hlim != 64 ||
	    ntohs(ip.ip6_plen) != WRAPPER_FRAME - ETH_HLEN + balancer_outer_len(o) - sizeof(ip))
		return err_set(err, EPROTO, "wrong outer IPv6 header");
	if (differs(&ip.ip6_src, source, sizeof(source)))
		return err_set(err, EPROTO, "outer source is not in encap.source6");
	if (differs(&ip.ip6_dst, &real->real, sizeof(ip.ip6_dst)))
		return err_set(err, EPROTO, "went to another real than the ring's");
	return o->encap == ENCAP_GUE ? check_udp(l3 + sizeof(ip), err) : 0;
}

static int check_passed(const uint8_t *in, uint32_t verdict, const uint8_t *out, size_t out_len,
			struct err *err)
{
	if (verdict != XDP_PASS)
		return err_set(err, EPROTO, "foreign packet: verdict %u", verdict);
	if (out_len != WRAPPER_FRAME || differs(in, out, WRAPPER_FRAME))
		return err_set(err, EPROTO, "foreign packet was changed");
	return 0;
}

static int check_ethernet(const struct balancer *b, const uint8_t *out, struct err *err)
{
	uint16_t protocol = htons(b->options.family == FAMILY_V4 ? ETH_P_IP : ETH_P_IPV6);

	if (differs(out, balancer_gateway_mac, 6) || differs(out + 6, balancer_mac, 6) ||
	    differs(out + 12, &protocol, 2))
		return err_set(err, EPROTO, "wrong Ethernet header");
	return 0;
}

int check_output(const struct balancer *balancer, const uint8_t *in, uint32_t verdict,
		 const uint8_t *out, size_t out_len, struct err *err)
{
	bool is_v4 = balancer->options.family == FAMILY_V4;
	size_t outer_len = balancer_outer_len(&balancer->options);
	struct flow_tuple tuple = read_tuple(balancer, in + ETH_HLEN);
	uint64_t hash = flow_hash(&tuple, &balancer->knobs.hash_key);
	const struct member *real = ring_pick(balancer, &tuple, hash);
	const struct member *tracked = table_pick(balancer, hash);
	int r;

	if (!real)
		return check_passed(in, verdict, out, out_len, err);
	if (verdict != XDP_TX || out_len != WRAPPER_FRAME + outer_len)
		return err_set(err, EPROTO, "verdict %u with %zu bytes", verdict, out_len);
	if (tracked && tracked != real)
		return err_set(err, EPROTO, "the flow table names another real than the ring");
	if (differs(in + ETH_HLEN, out + ETH_HLEN + outer_len, WRAPPER_FRAME - ETH_HLEN))
		return err_set(err, EPROTO, "the inner packet was changed");
	r = check_ethernet(balancer, out, err);
	if (r)
		return r;
	return is_v4 ? check_outer4(&balancer->options, out + ETH_HLEN, real, err)
		     : check_outer6(&balancer->options, out + ETH_HLEN, real, err);
}
