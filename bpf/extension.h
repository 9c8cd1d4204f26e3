/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What may stand between an IP header and the transport header: IPv6 extension headers (RFC 8200
 * section 4) and, in both families, the Authentication Header (RFC 4302). They leave as they came;
 * here they are only stepped over, so many of them and no more. Cold code, not static: the verifier
 * goes through it once.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pkt.h"
#include "stats.h"

#define EXTENSION_MAX	    8 /* headers */
#define EXTENSION_MAX_BYTES 256 /* all together */

#define AH_MIN_LEN	 12
#define FRAGMENT_OFFSET6 0xfff8
#define FRAGMENT_MORE6	 0x0001

/* A chain of headers; offsets are in the frame. */
struct extensions {
	__u32 offset; /* of the first; then of what is behind the last */
	__u32 end; /* of the IP packet */
	__u32 fragment; /* 0; then the Fragment header's offset if this is a fragment */
	__u32 protocol; /* of what is at `offset` */
	__u32 is_ipv6;
};

/* As much of any header as is looked at. */
struct extension {
	__u8 next;
	__u8 len;
	union {
		struct {
			__u8 routing_type;
			__u8 segments_left;
		};
		__be16 fragment; /* offset and more */
	};
	__be32 fragment_id;
};

static __always_inline bool extension_is_one(const struct extensions *x)
{
	switch (x->protocol) {
	case IPPROTO_AH:
		return true;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
		return x->is_ipv6;
	default:
		return false;
	}
}

/*
 * Hop-by-hop options that are not first (RFC 8200 section 4.1), a source route that does not end
 * here (a VIP is no router; RFC 5095), a fragment of a fragment.
 */
static __always_inline bool extension_is_refused(const struct extensions *x,
						 const struct extension *header, bool is_first)
{
	switch (x->protocol) {
	case IPPROTO_HOPOPTS:
		return !is_first;
	case IPPROTO_ROUTING:
		return header->segments_left;
	case IPPROTO_FRAGMENT:
		return x->fragment;
	default:
		return false;
	}
}

static __always_inline __u32 extension_len(__u32 protocol, const struct extension *header)
{
	if (protocol == IPPROTO_AH)
		return (header->len + 2) * 4;
	return protocol == IPPROTO_FRAGMENT ? sizeof(*header) : (header->len + 1) * 8;
}

/* One of offset 0 without more to come is the whole packet (RFC 6946). */
static __always_inline bool extension_is_fragment(const struct extension *header)
{
	return header->fragment & bpf_htons(FRAGMENT_OFFSET6 | FRAGMENT_MORE6);
}

/*
 * Steps over the headers of a chain. A later fragment's Fragment header is the last: data follows.
 * NEXT, or the counter of the drop.
 */
__noinline int extension_skip(struct xdp_md *ctx, struct extensions *x)
{
	__u32 first, len;

	if (!x)
		return counter_index(drop_extension);
	first = x->offset;
	for (__u32 i = 0; i < EXTENSION_MAX; i++) {
		struct extension header;
		bool is_data_next;

		if (!extension_is_one(x))
			return NEXT;
		if (x->offset + sizeof(header) > x->end ||
		    bpf_xdp_load_bytes(ctx, x->offset, &header, sizeof(header)))
			return counter_index(drop_bad_length);
		if (extension_is_refused(x, &header, i == 0))
			return counter_index(drop_extension);
		len = extension_len(x->protocol, &header);
		if (x->protocol == IPPROTO_AH && len < AH_MIN_LEN)
			return counter_index(drop_bad_header);
		if (x->offset + len > x->end)
			return counter_index(drop_bad_length);
		if (x->offset + len - first > EXTENSION_MAX_BYTES)
			return counter_index(drop_extension);
		is_data_next = false;
		if (x->protocol == IPPROTO_FRAGMENT && extension_is_fragment(&header)) {
			x->fragment = x->offset;
			is_data_next = header.fragment & bpf_htons(FRAGMENT_OFFSET6);
		}
		x->offset += len;
		x->protocol = header.next;
		if (is_data_next)
			return NEXT;
	}
	return extension_is_one(x) ? counter_index(drop_extension) : NEXT;
}
