/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The real that a QUIC connection ID names (draft-ietf-quic-load-balancers): its server made the ID
 * and wrote its own in there, so a client keeps its real when its address changes. Only what all
 * versions of QUIC have in common is read (RFC 8999), but for the packets of versions 1 and 2 whose
 * connection ID the client may have made up.
 */
#pragma once

#include <linux/in.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "aes.h"
#include "flow.h"
#include "maps.h"
#include "pkt.h"
#include "ring.h"
#include "stats.h"
#include "vip.h"

#define QUIC_LONG	     0x80 /* first bit: a long header */
#define QUIC_SHORT_CID	     1 /* where the destination connection ID is */
#define QUIC_LONG_CID	     6
#define QUIC_LONG_CID_LENGTH 5
#define QUIC_VERSION_1	     0x00000001 /* RFC 9000 */
#define QUIC_VERSION_2	     0x6b3343cf /* RFC 9369 */
#define QUIC_TYPE(first)     ((first) >> 4 & 3)
#define QUIC_ROTATION(octet) ((octet) >> 5)

/* What a packet's connection ID says, if it is not the id of a member. */
enum quic_names {
	QUIC_NAMES_NOBODY = -1, /* there is none, or it is not looked at */
	QUIC_UNREADABLE = -2,
	QUIC_NO_SERVER = -3, /* or one that is down */
};

/* A destination connection ID in the frame. */
struct quic_cid {
	__u32 offset;
	__u32 room; /* its length, or that of all that may belong to it; 0: it is not all here */
	__u32 rotation;
};

/* Initial and 0-RTT: until the server has answered, the client's own choice. */
static __always_inline bool quic_is_clients_choice(__u32 version, __u8 first)
{
	if (version == QUIC_VERSION_1)
		return QUIC_TYPE(first) <= 1;
	return version == QUIC_VERSION_2 && (QUIC_TYPE(first) == 1 || QUIC_TYPE(first) == 2);
}

/* False: there is none, or none that a server has made. */
static __always_inline bool quic_find_cid(const struct pkt *pkt, struct quic_cid *ret_cid)
{
	__u32 offset = pkt->l4_offset + sizeof(struct udphdr);
	const __u8 *quic = pkt_at(pkt, offset, QUIC_LONG_CID + 1);

	if (!quic || pkt->payload_len < QUIC_LONG_CID + 1)
		return false;
	if (!(quic[0] & QUIC_LONG)) {
		ret_cid->offset = offset + QUIC_SHORT_CID;
		ret_cid->room = pkt->payload_len - QUIC_SHORT_CID;
		ret_cid->rotation = QUIC_ROTATION(quic[QUIC_SHORT_CID]);
		return true;
	}
	ret_cid->offset = offset + QUIC_LONG_CID;
	ret_cid->room = quic[QUIC_LONG_CID_LENGTH];
	if (QUIC_LONG_CID + ret_cid->room > pkt->payload_len)
		ret_cid->room = 0;
	ret_cid->rotation = QUIC_ROTATION(quic[QUIC_LONG_CID]);
	return !quic_is_clients_choice(bpf_ntohl(*(const __be32 *)(quic + 1)), quic[0]);
}

/* ---- Decoding ------------------------------------------------------------------------------ */

static __always_inline struct quic_bits quic_and(struct quic_bits a, struct quic_bits b)
{
	return (struct quic_bits){{a.word[0] & b.word[0], a.word[1] & b.word[1]}};
}

static __always_inline void quic_add(struct quic_bits *to, struct quic_bits bits)
{
	to->word[0] ^= bits.word[0];
	to->word[1] ^= bits.word[1];
}

static __always_inline struct aes_block quic_to_block(struct quic_bits bits)
{
	return (struct aes_block){
		{bits.word[0] >> 32, bits.word[0], bits.word[1] >> 32, bits.word[1]}};
}

static __always_inline struct quic_bits quic_from_block(const struct aes_block *block)
{
	return (struct quic_bits){{(__u64)block->column[0] << 32 | block->column[1],
				   (__u64)block->column[2] << 32 | block->column[3]}};
}

static __always_inline const struct aes_key *quic_key(const struct quic_config *config)
{
	return (const struct aes_key *)config->round_key;
}

/* One pass of the Feistel network: `half` decides what is added to the other half. */
static __always_inline void quic_pass(const struct quic_config *config, struct quic_bits half,
				      __u32 pass, struct quic_bits *other)
{
	struct aes_block block;

	half.word[1] |= config->length << 8 | pass; /* both are in octets that no half reaches */
	block = quic_to_block(half);
	aes_encrypt(&block, quic_key(config));
	quic_add(other, quic_and(quic_from_block(&block), pass % 2 ? config->right : config->left));
}

/* bits[] moved by so many bits towards the first; 24 octets in, 16 out. */
static __always_inline struct quic_bits quic_shift_up(const __u64 *word, __u32 bits)
{
	__u64 a = word[0], b = word[1], c = word[2];

	if (bits >= 64) {
		a = b;
		b = c;
		c = 0;
		bits -= 64;
	}
	if (!bits)
		return (struct quic_bits){{a, b}};
	return (struct quic_bits){{a << bits | b >> (64 - bits), b << bits | c >> (64 - bits)}};
}

static __always_inline struct quic_bits quic_shift_down(struct quic_bits in, __u32 bits)
{
	__u64 a = in.word[0], b = in.word[1];

	if (bits >= 64) {
		b = a;
		a = 0;
		bits -= 64;
	}
	if (!bits)
		return (struct quic_bits){{a, b}};
	return (struct quic_bits){{a >> bits, b >> bits | a << (64 - bits)}};
}

/* Section 5.5.2 of the draft. word[]: the connection ID behind its first octet. */
static __always_inline struct quic_bits quic_unravel(const struct quic_config *config,
						     const __u64 *word)
{
	struct quic_bits a = quic_and(quic_shift_up(word, config->right_shift), config->right);
	struct quic_bits b = quic_and((struct quic_bits){{word[0], word[1]}}, config->left);
	__u32 last = config->cipher == QUIC_THREE_PASSES ? 2 : 1;

	/* Not unrolled: one block on the stack, not four. */
#pragma clang loop unroll(disable)
	for (__u32 pass = 4; pass >= last; pass--) {
		struct quic_bits was = a;

		quic_pass(config, a, pass, &b);
		a = b;
		b = was;
	}
	if (last == 2)
		return a; /* the left half; that is all of the server ID */
	/* With an odd length both have half of the octet in the middle, and zeroes beside it. */
	quic_add(&b, quic_shift_down(a, config->right_shift));
	return b;
}

static __always_inline struct quic_bits quic_decode(const struct quic_config *config,
						    const __u64 *word)
{
	struct quic_bits bits = {{word[0], word[1]}};
	struct aes_block block;

	if (config->cipher == QUIC_PLAINTEXT)
		return bits;
	if (config->cipher != QUIC_ONE_PASS)
		return quic_unravel(config, word);
	block = quic_to_block(bits);
	aes_decrypt(&block, quic_key(config));
	return quic_from_block(&block);
}

/* The `length` octets behind the first of a connection ID, where it has so many. */
static __always_inline bool quic_load(struct xdp_md *ctx, __u32 offset, __u32 room, __u32 length,
				      __u64 *ret_words)
{
	/* In two comparisons, which Linux 6.1 needs to see that it is not 0. */
	if (length > QUIC_ID_MAX)
		return false;
	barrier_var(length);
	if (length <= QUIC_NONCE_MIN || length >= room)
		return false;
	return !bpf_xdp_load_bytes(ctx, offset + 1, ret_words, length);
}

static __always_inline const struct quic_config *quic_config_of(__u32 vip_id, __u32 rotation)
{
	struct quic_config_key key = {.vip_id = vip_id, .rotation = rotation};

	return bpf_map_lookup_elem(&quic_configs, &key);
}

/* The member id, or QUIC_NO_SERVER. */
static __always_inline long quic_find_server(__u32 vip_id, struct quic_bits server_id)
{
	struct quic_server_key key = {.server_id = server_id, .vip_id = vip_id};
	__u32 *id = bpf_map_lookup_elem(&quic_servers, &key);
	struct member *member = id ? bpf_map_lookup_elem(&members, id) : NULL;
	__u32 state = ring_state(member, vip_id);

	return state == MEMBER_UP || state == MEMBER_DRAIN ? (long)*id : QUIC_NO_SERVER;
}

/*
 * The member id that a connection ID of this VIP names, or enum quic_names. Not static: the
 * verifier goes through it once, not once for every way that leads here.
 */
__noinline long quic_read(struct xdp_md *ctx, __u32 offset, __u32 room, __u32 vip_id,
			  __u32 rotation)
{
	const struct quic_config *config;
	__u64 word[3] = {};

	if (!knob_quic)
		return QUIC_NAMES_NOBODY;
	config = quic_config_of(vip_id, rotation);
	if (!config || !quic_load(ctx, offset, room, config->length, word))
		return QUIC_UNREADABLE;
	for (__u32 i = 0; i < 3; i++)
		word[i] = bpf_be64_to_cpu(word[i]);
	return quic_find_server(vip_id, quic_and(quic_decode(config, word), config->server_id));
}

static __noinline long quic_named_by(const struct pkt *pkt)
{
	struct quic_cid cid = {};
	struct vip vip = {};

	if (!vip_lookup(&pkt->tuple, &vip) || !(READ_WORD(vip.state->flags) & VIP_QUIC) ||
	    !quic_find_cid(pkt, &cid))
		return QUIC_NAMES_NOBODY;
	return quic_read(pkt->ctx, cid.offset, cid.room, vip.id, cid.rotation);
}

/* The member id that the packet's connection ID names, or enum quic_names. */
static __always_inline long quic_named(const struct pkt *pkt)
{
	if (!knob_quic || pkt->tuple.protocol != IPPROTO_UDP)
		return QUIC_NAMES_NOBODY;
	return quic_named_by(pkt);
}

/* What came of it, once it is known that it matters. Not static, as quic_read(). */
__noinline int quic_count(long named)
{
	if (named >= 0)
		count(quic_by_cid);
	else if (named == QUIC_UNREADABLE)
		count(quic_unroutable);
	else if (named == QUIC_NO_SERVER)
		count(quic_no_server);
	return 0;
}

/*
 * Sets member and member_id where the flow table knew nothing of it, or another real; and what
 * flow_record() is to overwrite, which flow_lookup() may have changed.
 */
static __always_inline int quic_take(struct pkt *pkt, __u32 id)
{
	pkt->member_id = id;
	pkt->member = bpf_map_lookup_elem(&members, &pkt->member_id);
	if (!pkt->member) {
		count(drop_no_real);
		return XDP_DROP;
	}
	if (pkt->bucket) {
		__u64 now = READ_WORD(pkt->bucket->slot[pkt->slot_index % FLOW_SLOTS]);

		if (SLOT_TAG(now) == flow_hash_tag(pkt->hash))
			pkt->slot_word = now;
	}
	return NEXT;
}
