/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A data plane in plain memory: what the pinned maps are to the daemon, with a grace period that
 * ends when the test says so, and calls that fail, or stop the process, when it says so. The memory
 * is shared, so it outlives a child that is killed while it applies a plan.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "lib/dp.h"

#define FAKE_VIPS 64

struct fake_vip {
	struct vip_key key;
	uint32_t id;
};

struct fake_addr {
	struct vip_addr_key key;
	struct vip_addr value;
};

#define FAKE_SERVERS 64

/* What a killed daemon leaves behind is all in here. */
struct fake_maps {
	struct quic_server_row servers[FAKE_SERVERS];
	size_t n_servers;
	struct quic_config configs[FAKE_VIPS][QUIC_UNROUTABLE]; /* length 0: none */
	struct control control;
	struct fake_vip vips[FAKE_VIPS];
	size_t n_vips;
	struct fake_addr addrs[FAKE_VIPS];
	size_t n_addrs;
};

struct fake {
	struct dp dp;
	struct fake_maps *maps;
	struct member_stats *stats;
	size_t mapped;
	void *memory;
	uint64_t drawn; /* last grace ticket */
	uint64_t passed; /* tickets up to here are done */
	unsigned int calls;
	unsigned int fail_from; /* calls number fail_from ... fail_from + n_failing - 1 fail */
	unsigned int n_failing;
	unsigned int stop_at; /* call before which the process stops; 0: never */
	uint64_t ring_at_publish; /* of the VIP that vip_set() was called for last */
	char log[256]; /* a letter a call: V, v: VIP set, deleted; A, a: address; g: grace */
};

static inline bool fake_call(struct fake *f, char letter)
{
	size_t len = strlen(f->log);

	f->calls++;
	if (len + 1 < sizeof(f->log))
		f->log[len] = letter;
	if (f->stop_at && f->calls == f->stop_at)
		raise(SIGSTOP);
	return !f->n_failing || f->calls < f->fail_from || f->calls >= f->fail_from + f->n_failing;
}

static inline struct fake_vip *fake_find_vip(const struct fake *f, const struct vip_key *key)
{
	for (size_t i = 0; i < f->maps->n_vips; i++) {
		if (memcmp(&f->maps->vips[i].key, key, sizeof(*key)) == 0)
			return &f->maps->vips[i];
	}
	return NULL;
}

static inline struct fake_addr *fake_find_addr(const struct fake *f, const struct vip_addr_key *key)
{
	for (size_t i = 0; i < f->maps->n_addrs; i++) {
		if (memcmp(&f->maps->addrs[i].key, key, sizeof(*key)) == 0)
			return &f->maps->addrs[i];
	}
	return NULL;
}

static inline int fake_vip_set(void *user, const struct vip_key *key, uint32_t id)
{
	struct fake *f = user;
	struct fake_vip *row = fake_find_vip(f, key);

	if (!fake_call(f, 'V'))
		return -EIO;
	f->ring_at_publish = f->dp.vip_state[id].ring;
	if (!row) {
		assert_true(f->maps->n_vips < FAKE_VIPS);
		row = &f->maps->vips[f->maps->n_vips];
	}
	*row = (struct fake_vip){*key, id};
	if (row == &f->maps->vips[f->maps->n_vips])
		f->maps->n_vips++;
	return 0;
}

static inline int fake_vip_del(void *user, const struct vip_key *key)
{
	struct fake *f = user;
	struct fake_vip *row = fake_find_vip(f, key);

	if (!fake_call(f, 'v'))
		return -EIO;
	if (!row)
		return -ENOENT;
	*row = f->maps->vips[f->maps->n_vips - 1];
	f->maps->n_vips--;
	return 0;
}

static inline int fake_addr_set(void *user, const struct vip_addr_key *key,
				const struct vip_addr *value)
{
	struct fake *f = user;
	struct fake_addr *row = fake_find_addr(f, key);

	if (!fake_call(f, 'A'))
		return -EIO;
	if (!row) {
		assert_true(f->maps->n_addrs < FAKE_VIPS);
		row = &f->maps->addrs[f->maps->n_addrs];
	}
	*row = (struct fake_addr){*key, *value};
	if (row == &f->maps->addrs[f->maps->n_addrs])
		f->maps->n_addrs++;
	return 0;
}

static inline int fake_addr_del(void *user, const struct vip_addr_key *key)
{
	struct fake *f = user;
	struct fake_addr *row = fake_find_addr(f, key);

	if (!fake_call(f, 'a'))
		return -EIO;
	if (!row)
		return -ENOENT;
	*row = f->maps->addrs[--f->maps->n_addrs];
	return 0;
}

static inline int fake_quic_config_set(void *user, const struct quic_config_key *key,
				       const struct quic_config *value)
{
	struct fake *f = user;

	if (!fake_call(f, 'Q'))
		return -EIO;
	f->maps->configs[key->vip_id][key->rotation] = *value;
	return 0;
}

static inline int fake_quic_config_del(void *user, const struct quic_config_key *key)
{
	struct fake *f = user;
	struct quic_config *config = &f->maps->configs[key->vip_id][key->rotation];
	bool was_there = config->length;

	if (!fake_call(f, 'q'))
		return -EIO;
	*config = (struct quic_config){};
	return was_there ? 0 : -ENOENT;
}

static inline struct quic_server_row *fake_find_server(const struct fake *f,
						       const struct quic_server_key *key)
{
	for (size_t i = 0; i < f->maps->n_servers; i++) {
		if (memcmp(&f->maps->servers[i].key, key, sizeof(*key)) == 0)
			return &f->maps->servers[i];
	}
	return NULL;
}

static inline int fake_quic_server_set(void *user, const struct quic_server_key *key,
				       uint32_t member_id)
{
	struct fake *f = user;
	struct quic_server_row *row = fake_find_server(f, key);

	if (!fake_call(f, 'I'))
		return -EIO;
	if (!row) {
		assert_true(f->maps->n_servers < FAKE_SERVERS);
		row = &f->maps->servers[f->maps->n_servers++];
	}
	*row = (struct quic_server_row){*key, member_id};
	return 0;
}

static inline int fake_quic_server_del(void *user, const struct quic_server_key *key,
				       uint32_t member_id)
{
	struct fake *f = user;
	struct quic_server_row *row = fake_find_server(f, key);

	if (!fake_call(f, 'i'))
		return -EIO;
	if (!row)
		return -ENOENT;
	if (row->member_id == member_id)
		*row = f->maps->servers[--f->maps->n_servers];
	return 0;
}

static inline int fake_quic_servers_read(void *user, struct quic_server_row **ret_rows,
					 size_t *ret_n)
{
	const struct fake_maps *maps = ((struct fake *)user)->maps;

	*ret_rows = calloc(maps->n_servers + 1, sizeof(**ret_rows));
	assert_non_null(*ret_rows);
	memcpy(*ret_rows, maps->servers, maps->n_servers * sizeof(**ret_rows));
	*ret_n = maps->n_servers;
	return 0;
}

static inline int fake_stats_read(void *user, uint32_t id, struct member_stats *ret_sum)
{
	struct fake *f = user;

	if (!fake_call(f, 's'))
		return -EIO;
	*ret_sum = f->stats[id];
	return 0;
}

static inline int fake_stats_zero(void *user, uint32_t id)
{
	struct fake *f = user;

	if (!fake_call(f, 'z'))
		return -EIO;
	f->stats[id] = (struct member_stats){};
	return 0;
}

static inline uint64_t fake_grace_request(void *user)
{
	struct fake *f = user;

	fake_call(f, 'g');
	return ++f->drawn;
}

static inline bool fake_grace_done(void *user, uint64_t ticket)
{
	return ticket <= ((struct fake *)user)->passed;
}

static inline void fake_grace_pass(struct fake *f)
{
	f->passed = f->drawn;
}

static inline void fake_log_clear(struct fake *f)
{
	memset(f->log, 0, sizeof(f->log));
}

static inline struct fake *fake_new(uint32_t members, uint32_t vips, uint32_t ring_blocks,
				    uint32_t buckets)
{
	static const struct dp_ops ops = {
		.vip_set = fake_vip_set,
		.vip_del = fake_vip_del,
		.vip_addr_set = fake_addr_set,
		.vip_addr_del = fake_addr_del,
		.quic_config_set = fake_quic_config_set,
		.quic_config_del = fake_quic_config_del,
		.quic_server_set = fake_quic_server_set,
		.quic_server_del = fake_quic_server_del,
		.quic_servers_read = fake_quic_servers_read,
		.member_stats_read = fake_stats_read,
		.member_stats_zero = fake_stats_zero,
		.grace_request = fake_grace_request,
		.grace_done = fake_grace_done,
	};
	struct fake *f = calloc(1, sizeof(*f));
	size_t sizes[] = {
		members * sizeof(struct member),	vips * sizeof(struct vip_state),
		ring_blocks * sizeof(union ring_block), buckets * sizeof(struct flow_bucket),
		members * sizeof(struct member_stats),	sizeof(struct fake_maps),
		members * sizeof(struct member_load),
	};
	char *at;

	assert_non_null(f);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		f->mapped += sizes[i];
	f->memory = mmap(NULL, f->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
	assert_ptr_not_equal(f->memory, MAP_FAILED);
	at = f->memory;
	f->dp.members = (void *)at;
	f->dp.vip_state = (void *)(at += sizes[0]);
	f->dp.rings = (void *)(at += sizes[1]);
	f->dp.flows = (void *)(at += sizes[2]);
	f->stats = (void *)(at += sizes[3]);
	f->maps = (void *)(at += sizes[4]);
	f->dp.loads = (void *)(at += sizes[5]);
	f->dp.control = &f->maps->control;
	f->dp.ops = &ops;
	f->dp.user = f;
	*f->dp.control = (struct control){
		.layout_version = XDPLB_LAYOUT_VERSION,
		.flow_buckets = buckets,
		.members = members,
		.vips = vips,
		.ring_blocks = ring_blocks,
	};
	return f;
}

static inline void fake_free(struct fake *f)
{
	munmap(f->memory, f->mapped);
	free(f);
}
