/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum's last step (RFC 1071). */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Of a sum of 16-bit words; not complemented. */
static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return sum + (sum >> 16);
}

static __always_inline __u16 csum_fold64(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return csum_fold((__u32)sum + (__u32)(sum >> 32));
}
