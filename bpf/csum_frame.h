/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Internet checksum over a piece of a frame of any length, multi-buffer frames included: the
 * packet is copied in pieces (bpf_xdp_load_bytes, Linux 5.18), since bpf_csum_diff() takes no more
 * than 512 bytes and no fragments.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CSUM_PIECE    128 /* bytes on the stack */
#define CSUM_MAX_SIZE 65536

/*
 * Sum of 16-bit words, not folded, of bytes offset ... offset + len - 1; of what is beyond the
 * frame's end: nothing. Not static: the verifier goes through it once.
 */
__noinline __u32 csum_frame(struct xdp_md *ctx, __u32 offset, __u32 len)
{
	__u32 piece[CSUM_PIECE / 4];
	__u32 end = offset + len;
	__u32 sum = 0;
	__u64 rest_less_one;

	for (__u32 i = 0; i < CSUM_MAX_SIZE / CSUM_PIECE && offset + CSUM_PIECE <= end; i++) {
		if (bpf_xdp_load_bytes(ctx, offset, piece, sizeof(piece)))
			return sum;
		sum = bpf_csum_diff(NULL, 0, piece, sizeof(piece), sum);
		offset += CSUM_PIECE;
	}
	__builtin_memset(piece, 0, sizeof(piece));
	/* For Linux 6.1 "not 0" is no bound. One less has one: and none left is then too many. */
	rest_less_one = end - offset - 1;
	barrier_var(rest_less_one);
	if (rest_less_one >= sizeof(piece) ||
	    bpf_xdp_load_bytes(ctx, offset, piece, rest_less_one + 1))
		return sum;
	return bpf_csum_diff(NULL, 0, piece, sizeof(piece), sum);
}
