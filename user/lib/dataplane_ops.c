/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The operations of struct dp that are system calls, and reading counters. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane_private.h"

static int vip_del(void *user, const struct vip_key *key)
{
	struct dataplane *d = user;
	int fd = bpf_map__fd(d->skel->maps.vips);
	uint32_t id;

	if (!bpf_map_lookup_elem(fd, key, &id)) {
		dataplane_index_remove(d, key, id);
		dataplane_ports_remove(d, key, id);
	}
	return bpf_map_delete_elem(fd, key);
}

static int vip_set(void *user, const struct vip_key *key, uint32_t vip_id)
{
	struct dataplane *d = user;
	int r = bpf_map_update_elem(bpf_map__fd(d->skel->maps.vips), key, &vip_id, BPF_ANY);

	if (r)
		return r;
	r = dataplane_ports_add(d, key, vip_id);
	if (r)
		vip_del(d, key);
	else
		dataplane_index_add(d, key, vip_id);
	return r;
}

/* The map that has the address or prefix, and its key there, in memory of the caller's. */
static int addr_map(const struct dataplane *d, const struct vip_addr_key *key,
		    struct vip_prefix_key *prefix, const void **ret_key)
{
	*ret_key = key;
	if (!key->host_bits)
		return bpf_map__fd(d->skel->maps.vip_addrs);
	*prefix = (struct vip_prefix_key){
		.prefix_len = VIP_PREFIX_ONE_LEN - key->host_bits,
		.family = key->family,
		.address = key->address,
	};
	*ret_key = prefix;
	return bpf_map__fd(d->skel->maps.vip_prefixes);
}

/* Tries heed BPF_EXIST since Linux 6.13 only, and look up a shorter prefix where this one is not.
 */
static int vip_addr_set(void *user, const struct vip_addr_key *key, const struct vip_addr *value)
{
	struct dataplane *d = user;
	struct vip_addr row = *value, have;
	struct vip_prefix_key prefix;
	const void *map_key;
	int fd = addr_map(d, key, &prefix, &map_key);
	bool is_there = !bpf_map_lookup_elem(fd, map_key, &have) &&
			have.host_bits == key->host_bits;
	int r;

	row.host_bits = key->host_bits;
	r = bpf_map_update_elem(fd, map_key, &row, BPF_ANY);
	if (!r && !is_there)
		dataplane_filter_add(d, key);
	return r;
}

static int vip_addr_del(void *user, const struct vip_addr_key *key)
{
	struct dataplane *d = user;
	struct vip_prefix_key prefix;
	const void *map_key;
	int fd = addr_map(d, key, &prefix, &map_key);
	int r = bpf_map_delete_elem(fd, map_key);

	if (!r)
		dataplane_filter_remove(d, key);
	return r;
}

static int quic_config_set(void *user, const struct quic_config_key *key,
			   const struct quic_config *value)
{
	struct dataplane *d = user;

	return bpf_map_update_elem(bpf_map__fd(d->skel->maps.quic_configs), key, value, BPF_ANY);
}

static int quic_config_del(void *user, const struct quic_config_key *key)
{
	struct dataplane *d = user;

	return bpf_map_delete_elem(bpf_map__fd(d->skel->maps.quic_configs), key);
}

static int quic_server_set(void *user, const struct quic_server_key *key, uint32_t member_id)
{
	struct dataplane *d = user;

	return bpf_map_update_elem(bpf_map__fd(d->skel->maps.quic_servers), key, &member_id,
				   BPF_ANY);
}

static int quic_server_del(void *user, const struct quic_server_key *key, uint32_t member_id)
{
	struct dataplane *d = user;
	int fd = bpf_map__fd(d->skel->maps.quic_servers);
	uint32_t now;
	int r = bpf_map_lookup_elem(fd, key, &now);

	return r || now != member_id ? r : bpf_map_delete_elem(fd, key);
}

static int quic_servers_read(void *user, struct quic_server_row **ret_rows, size_t *ret_n)
{
	struct dataplane *d = user;
	int fd = bpf_map__fd(d->skel->maps.quic_servers);
	uint32_t max = bpf_map__max_entries(d->skel->maps.quic_servers);
	struct quic_server_row *rows = NULL;
	size_t n = 0, room = 0;

	for (;;) {
		if (n == room) {
			struct quic_server_row *more;

			room = room ? 2 * room : 64;
			more = reallocarray(rows, room, sizeof(*rows));
			if (!more) {
				free(rows);
				return -ENOMEM;
			}
			rows = more;
		}
		if (n == max ||
		    bpf_map_get_next_key(fd, n ? &rows[n - 1].key : NULL, &rows[n].key) ||
		    bpf_map_lookup_elem(fd, &rows[n].key, &rows[n].member_id))
			break;
		n++;
	}
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

unsigned int dataplane_n_cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? n : 1;
}

int dataplane_read_member_stats(const struct dataplane *dataplane, uint32_t id,
				struct member_stats *ret_per_cpu)
{
	return bpf_map_lookup_elem(bpf_map__fd(dataplane->skel->maps.member_stats), &id,
				   ret_per_cpu);
}

int dataplane_read_stats(const struct dataplane *dataplane, struct stats *ret_stats)
{
	uint32_t row = 0;

	return bpf_map_lookup_elem(bpf_map__fd(dataplane->skel->maps.stats), &row, ret_stats);
}

static int member_stats_read(void *user, uint32_t id, struct member_stats *ret_sum)
{
	struct dataplane *d = user;
	struct member_stats *per_cpu = calloc(d->n_cpus, sizeof(*per_cpu));
	struct member_stats sum = {};
	int r = per_cpu ? dataplane_read_member_stats(d, id, per_cpu) : -ENOMEM;

	for (unsigned int i = 0; i < d->n_cpus && !r; i++) {
		sum.packets += per_cpu[i].packets;
		sum.bytes += per_cpu[i].bytes;
		sum.new_flows += per_cpu[i].new_flows;
		sum.repeated_syns += per_cpu[i].repeated_syns;
	}
	free(per_cpu);
	if (!r)
		*ret_sum = sum;
	return r;
}

static int member_stats_zero(void *user, uint32_t id)
{
	struct dataplane *d = user;
	struct member_stats *zero = calloc(d->n_cpus, sizeof(*zero));
	int r = -ENOMEM;

	if (zero)
		r = bpf_map_update_elem(bpf_map__fd(d->skel->maps.member_stats), &id, zero,
					BPF_ANY);
	free(zero);
	return r;
}

static uint64_t request(void *user)
{
	return grace_request(((struct dataplane *)user)->grace);
}

static bool done(void *user, uint64_t ticket)
{
	return grace_done(((struct dataplane *)user)->grace, ticket);
}

const struct dp_ops dataplane_ops = {
	.vip_set = vip_set,
	.vip_del = vip_del,
	.vip_addr_set = vip_addr_set,
	.vip_addr_del = vip_addr_del,
	.quic_config_set = quic_config_set,
	.quic_config_del = quic_config_del,
	.quic_server_set = quic_server_set,
	.quic_server_del = quic_server_del,
	.quic_servers_read = quic_servers_read,
	.member_stats_read = member_stats_read,
	.member_stats_zero = member_stats_zero,
	.grace_request = request,
	.grace_done = done,
};

int dataplane_read_vips(const struct dataplane *dataplane, struct vip_key **ret_keys,
			uint32_t **ret_ids, size_t *ret_n, struct err *err)
{
	int fd = bpf_map__fd(dataplane->skel->maps.vips);
	uint32_t max = bpf_map__max_entries(dataplane->skel->maps.vips);
	struct vip_key *keys = calloc(max + 1, sizeof(*keys));
	uint32_t *ids = calloc(max + 1, sizeof(*ids));
	size_t n = 0;

	if (!keys || !ids) {
		free(keys);
		free(ids);
		return err_set(err, ENOMEM, "out of memory");
	}
	while (n < max && !bpf_map_get_next_key(fd, n ? &keys[n - 1] : NULL, &keys[n])) {
		if (bpf_map_lookup_elem(fd, &keys[n], &ids[n]))
			break;
		n++;
	}
	*ret_keys = keys;
	*ret_ids = ids;
	*ret_n = n;
	return 0;
}

int dataplane_read_jiffies(const struct dataplane *dataplane, uint64_t *ret_jiffies)
{
	uint64_t reply = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &reply, .ctx_size_in = sizeof(reply));
	int r = bpf_prog_test_run_opts(bpf_program__fd(dataplane->skel->progs.read_clock), &opts);

	if (!r)
		*ret_jiffies = reply;
	return r;
}
