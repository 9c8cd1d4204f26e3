/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stands in for libbpf's header of this name when the packet path is compiled for the host
 * (tests/fuzz/host_parse.c): the helpers are ordinary functions over ordinary tables.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#undef __noinline
#define __noinline	      __attribute__((noinline))
#define __uint(name, value)   int(*name)[value]
#define __type(name, value)   typeof(value) *name
#define barrier_var(variable) asm volatile("" : "+r"(variable))
#define barrier()	      asm volatile("" ::: "memory")

void *host_map_lookup(const void *map, const void *key);
long host_map_update(const void *map, const void *key, const void *value, __u64 flags);
long host_map_delete(const void *map, const void *key);

#define bpf_map_lookup_elem(map, key)		    host_map_lookup(map, key)
#define bpf_map_update_elem(map, key, value, flags) host_map_update(map, key, value, flags)
#define bpf_map_delete_elem(map, key)		    host_map_delete(map, key)

__u64 bpf_jiffies64(void);
__u64 bpf_ktime_get_coarse_ns(void);
__u32 bpf_get_smp_processor_id(void);
__u32 bpf_get_prandom_u32(void);
long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta);
long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta);
__u64 bpf_xdp_get_buff_len(struct xdp_md *ctx);
long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *to, __u32 len);
long bpf_xdp_store_bytes(struct xdp_md *ctx, __u32 offset, const void *from, __u32 len);
__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
		    __u32 seed);
long bpf_redirect(__u32 ifindex, __u64 flags);
