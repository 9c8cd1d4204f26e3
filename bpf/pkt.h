/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet on its way through the stages, and the only arithmetic on ctx->data. A stage returns
 * NEXT to hand the packet on, or an XDP action when the packet's fate is decided (and counted).
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <stdbool.h>

#include "xdplb/hash.h"

#define NEXT (-1)
/* To be answered by who called, from a smaller stack; nothing is counted yet. */
#define TOO_BIG (-2) /* does not fit once encapsulated */
#define ECHO	(-3) /* a ping */
#define NO_REAL (-4) /* no real of the VIP can take it */
/* Its sender is to be told: */
#define REFUSE_PORT	   (-5) /* RST or port unreachable: no VIP serves the port */
#define REFUSE_RESET	   (-6) /* the same: no real can take the flow */
#define REFUSE_UNREACHABLE (-7) /* port unreachable, TCP too: no real can take the flow */
#define REFUSE_FLOW	   (-8) /* RST: the flow ends with its real */

/* A word that others write: read once, and not twice. */
#define READ_WORD(x) (*(volatile typeof(x) *)&(x))

#define PKT_MAX_OFFSET 1023 /* of any header: tags, IPv4 options, extension headers */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct pkt {
	struct xdp_md *ctx;
	/* parse */
	struct flow_tuple tuple;
	__u32 l3_offset; /* length of the Ethernet header with its tags */
	__u32 l3_len; /* of the IP packet: header and payload */
	__u32 l4_offset; /* from the start of the frame; of a later fragment: its data */
	__u32 fragment_offset; /* of the header (IPv4, IPv6 Fragment) that makes it one; or 0 */
	__u32 payload_len; /* behind the TCP or UDP header */
	__u8 tos; /* DSCP and ECN */
	__u8 tcp_flags;
	/* flow, ring */
	__u64 hash;
	struct member *member;
	__u32 member_id;
	__u32 slot_index; /* of the flow's own slot in `bucket` */
	struct flow_bucket
		*bucket; /* holds the flow's own slot; NULL: the table does not know it */
	__u64 slot_word; /* what that slot held */
	bool is_later_fragment;
	bool is_recordable;
	bool is_new_flow;
	bool is_scheduled; /* the pick was not the ring's: a packet that follows would not get it */
	bool is_repeated_syn;
	bool is_to_reset; /* its flow ends here */
};

static __always_inline void ip_addr_map_ipv4(struct ip_addr *ret_addr, __be32 addr)
{
	ret_addr->w[0] = 0;
	ret_addr->w[1] = 0;
	ret_addr->w[2] = bpf_htonl(0xffff);
	ret_addr->w[3] = addr;
}

static __always_inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

/* Bytes offset ... offset + len - 1 of the frame's linear part, or NULL. */
static __always_inline void *pkt_at(const struct pkt *pkt, __u32 offset, __u32 len)
{
	void *data = (void *)(long)pkt->ctx->data;
	void *data_end = (void *)(long)pkt->ctx->data_end;

	/* The verifier wants to know how far (MAX_PACKET_OFF); constants cost nothing. */
	if (offset > PKT_MAX_OFFSET || data + offset + len > data_end)
		return NULL;
	return data + offset;
}

/* Whether the frame, fragments of a multi-buffer frame included (Linux 5.18), has this many bytes.
 */
static __always_inline bool pkt_has_bytes(const struct pkt *pkt, __u32 len)
{
	__u32 linear = pkt->ctx->data_end - pkt->ctx->data;

	return len <= linear || len <= bpf_xdp_get_buff_len(pkt->ctx);
}
