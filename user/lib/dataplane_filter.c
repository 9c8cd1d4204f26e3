/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The VIP filter: see struct vip_filter in include/xdplb/abi.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane_private.h"

static void store_bit(struct dataplane *d, uint32_t bit)
{
	uint64_t mask = 1ULL << (bit % 64);
	uint64_t word = d->filter->word[bit / 64];
	bool is_set = d->filter_uses[bit] || d->filter_fills;

	dp_store(d->filter->word[bit / 64], is_set ? word | mask : word & ~mask);
}

static void store_all(struct dataplane *d)
{
	for (uint32_t bit = 0; bit < VIP_FILTER_BITS; bit++)
		store_bit(d, bit);
}

static bool is_too_large(const struct vip_addr_key *key)
{
	return key->host_bits > VIP_FILTER_HOST_BITS;
}

/* Bit of address number i of the prefix. */
static uint32_t bit_of(const struct vip_addr_key *key, uint32_t i)
{
	struct ip_addr address = key->address;

	address.w[3] |= htonl(i);
	return vip_filter_bit(&address);
}

/* Notes another use, or one less, of the bits of the address or prefix, without storing them. */
static void count_uses(struct dataplane *d, const struct vip_addr_key *key, int change)
{
	if (is_too_large(key)) {
		d->filter_fills += change;
		return;
	}
	for (uint32_t i = 0; i < 1u << key->host_bits; i++)
		d->filter_uses[bit_of(key, i)] += change;
}

static void store_uses(struct dataplane *d, const struct vip_addr_key *key)
{
	if (is_too_large(key)) {
		store_all(d);
		return;
	}
	for (uint32_t i = 0; i < 1u << key->host_bits; i++)
		store_bit(d, bit_of(key, i));
}

void dataplane_filter_add(struct dataplane *dataplane, const struct vip_addr_key *key)
{
	count_uses(dataplane, key, 1);
	store_uses(dataplane, key);
}

void dataplane_filter_remove(struct dataplane *dataplane, const struct vip_addr_key *key)
{
	count_uses(dataplane, key, -1);
	store_uses(dataplane, key);
}

static int count_prefixes(struct dataplane *d, struct err *err)
{
	int fd = bpf_map__fd(d->skel->maps.vip_prefixes);
	struct vip_prefix_key prefix, *previous = NULL;

	while (!bpf_map_get_next_key(fd, previous, &prefix)) {
		struct vip_addr_key key = {
			.address = prefix.address,
			.family = (uint16_t)prefix.family,
			.host_bits = (uint16_t)(VIP_PREFIX_ONE_LEN - prefix.prefix_len),
		};

		count_uses(d, &key, 1);
		previous = &prefix;
	}
	return errno == ENOENT ? 0 : err_errno(err, errno, "read map vip_prefixes");
}

/* A packet path that an earlier daemon attached may be reading it: no bit goes 0 in between. */
int dataplane_filter_init(struct dataplane *dataplane, struct err *err)
{
	int fd = bpf_map__fd(dataplane->skel->maps.vip_addrs);
	struct vip_addr_key key, *previous = NULL;
	int r;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		count_uses(dataplane, &key, 1);
		previous = &key;
	}
	if (errno != ENOENT)
		return err_errno(err, errno, "read map vip_addrs");
	r = count_prefixes(dataplane, err);
	if (!r)
		store_all(dataplane);
	return r;
}
