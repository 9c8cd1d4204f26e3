/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The data plane as memory: the mapped arrays, and the few operations that need a system call. The
 * real one is made by dataplane.c over pinned maps, a fake one by the tests over plain memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdplb/abi.h"

struct quic_server_row {
	struct quic_server_key key;
	uint32_t member_id;
};

struct dp_ops {
	int (*vip_set)(void *user, const struct vip_key *key, uint32_t vip_id);
	int (*vip_del)(void *user, const struct vip_key *key);
	int (*vip_addr_set)(void *user, const struct vip_addr_key *key,
			    const struct vip_addr *value);
	int (*vip_addr_del)(void *user, const struct vip_addr_key *key);
	int (*quic_config_set)(void *user, const struct quic_config_key *key,
			       const struct quic_config *value);
	int (*quic_config_del)(void *user, const struct quic_config_key *key);
	int (*quic_server_set)(void *user, const struct quic_server_key *key, uint32_t member_id);
	/* Only if it says this member. */
	int (*quic_server_del)(void *user, const struct quic_server_key *key, uint32_t member_id);
	/* All there are; the caller frees. */
	int (*quic_servers_read)(void *user, struct quic_server_row **ret_rows, size_t *ret_n);
	/* Sum over all CPUs. */
	int (*member_stats_read)(void *user, uint32_t id, struct member_stats *ret_sum);
	int (*member_stats_zero)(void *user, uint32_t id);
	/*
	 * A ticket, and whether every packet that was under way when it was drawn has left the
	 * program (an RCU grace period). Never blocks.
	 */
	uint64_t (*grace_request)(void *user);
	bool (*grace_done)(void *user, uint64_t ticket);
};

struct dp {
	struct member *members;
	struct vip_state *vip_state;
	union ring_block *rings;
	struct flow_bucket *flows;
	struct member_load *loads; /* by member id */
	struct out_interface *out;
	struct control *control; /* sizes of the above */
	const struct dp_ops *ops;
	void *user;
};

/* One aligned store that packets see whole. */
#define dp_store(where, value) __atomic_store_n(&(where), (value), __ATOMIC_RELEASE)
#define dp_load(where)	       __atomic_load_n(&(where), __ATOMIC_ACQUIRE)
