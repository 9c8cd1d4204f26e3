/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The VIP filter: see struct vip_filter in include/xdplb/abi.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane_private.h"

static void store_bit(struct dataplane *d, uint32_t bit)
{
	uint64_t mask = 1ULL << (bit % 64);
	uint64_t word = d->filter->word[bit / 64];

	dp_store(d->filter->word[bit / 64], d->filter_uses[bit] ? word | mask : word & ~mask);
}

void dataplane_filter_add(struct dataplane *dataplane, const struct ip_addr *address)
{
	uint32_t bit = vip_filter_bit(address);

	if (!dataplane->filter_uses[bit]++)
		store_bit(dataplane, bit);
}

void dataplane_filter_remove(struct dataplane *dataplane, const struct ip_addr *address)
{
	uint32_t bit = vip_filter_bit(address);

	if (!--dataplane->filter_uses[bit])
		store_bit(dataplane, bit);
}

/* A packet path that an earlier daemon attached may be reading it: no bit goes 0 in between. */
int dataplane_filter_init(struct dataplane *dataplane, struct err *err)
{
	int fd = bpf_map__fd(dataplane->skel->maps.vip_addrs);
	struct vip_addr_key key, *previous = NULL;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		dataplane->filter_uses[vip_filter_bit(&key.address)]++;
		previous = &key;
	}
	if (errno != ENOENT)
		return err_errno(err, errno, "read map vip_addrs");
	for (uint32_t bit = 0; bit < VIP_FILTER_BITS; bit++)
		store_bit(dataplane, bit);
	return 0;
}
