/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The trie "vip_ports": where packets look for a VIP of many ports or of a prefix, see struct
 * vip_ports_key in include/xdplb/abi.h. What is in it follows from "vips", so it goes in last and
 * out first. While a VIP's ports change it is in "vips" twice; vip_state says what it shall be.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane_private.h"
#include "port_blocks.h"
#include "vip_key.h"

/* The entries of one VIP. */
struct entries {
	struct vip_ports_key keys[PORT_BLOCKS_MAX];
	size_t n;
};

static int trie_fd(const struct dataplane *d)
{
	return bpf_map__fd(d->skel->maps.vip_ports);
}

static void add_entry(const struct vip_key *vip, uint16_t port, uint32_t prefix_len,
		      struct entries *entries)
{
	entries->keys[entries->n++] = (struct vip_ports_key){
		.prefix_len = prefix_len,
		.address = vip->address,
		.host_bits = vip->host_bits,
		.family = vip->family,
		.protocol = vip->protocol,
		.port = htons(port),
	};
}

/* None for a VIP of one port and one address. */
static void entries_of(const struct vip_key *vip, struct entries *ret_entries)
{
	struct port_block blocks[PORT_BLOCKS_MAX];
	size_t n;

	ret_entries->n = 0;
	if (!vip->port_last) {
		if (vip->host_bits)
			add_entry(vip, ntohs(vip->port), VIP_PORTS_ONE_LEN, ret_entries);
		return;
	}
	n = port_blocks(ntohs(vip->port), ntohs(vip->port_last), blocks);
	for (size_t i = 0; i < n; i++)
		add_entry(vip, blocks[i].port, VIP_PORTS_ANY_LEN + blocks[i].bits, ret_entries);
}

static bool has_entry(const struct entries *entries, const struct vip_ports_key *key)
{
	for (size_t i = 0; i < entries->n; i++) {
		if (!memcmp(&entries->keys[i], key, sizeof(*key)))
			return true;
	}
	return false;
}

int dataplane_ports_add(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id)
{
	struct entries entries;
	int r = 0;

	entries_of(key, &entries);
	for (size_t i = 0; i < entries.n && !r; i++)
		r = bpf_map_update_elem(trie_fd(dataplane), &entries.keys[i], &vip_id, BPF_ANY);
	return r;
}

/* Not the entries that another VIP has taken over, nor those that this one goes on to have. */
void dataplane_ports_remove(struct dataplane *dataplane, const struct vip_key *key, uint32_t vip_id)
{
	struct vip_key now = vip_key_of_state(&dataplane->dp.vip_state[vip_id]);
	struct entries entries, kept = {};
	uint32_t id;

	entries_of(key, &entries);
	if (!vip_key_equal(&now, key))
		entries_of(&now, &kept);
	for (size_t i = 0; i < entries.n; i++) {
		if (!has_entry(&kept, &entries.keys[i]) &&
		    !bpf_map_lookup_elem(trie_fd(dataplane), &entries.keys[i], &id) && id == vip_id)
			bpf_map_delete_elem(trie_fd(dataplane), &entries.keys[i]);
	}
}

/* A VIP whose ports an earlier daemon was changing is left out under the key that is not to be. */
int dataplane_ports_init(struct dataplane *dataplane, struct err *err)
{
	struct vip_key *keys;
	uint32_t *ids;
	size_t n;
	int r = dataplane_read_vips(dataplane, &keys, &ids, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n && !r; i++) {
		struct vip_key now;

		if (ids[i] >= dataplane->dp.control->vips)
			continue;
		now = vip_key_of_state(&dataplane->dp.vip_state[ids[i]]);
		if (vip_key_equal(&now, &keys[i]))
			r = dataplane_ports_add(dataplane, &now, ids[i]);
	}
	free(keys);
	free(ids);
	return r ? err_errno(err, -r, "fill map vip_ports") : 0;
}
