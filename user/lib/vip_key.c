/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys of VIPs: see vip_key.h. */
#include "vip_key.h"

#include <arpa/inet.h>
#include <string.h>

#include "addr.h"

struct vip_key vip_key_of_state(const struct vip_state *state)
{
	return (struct vip_key){
		.address = state->address,
		.port = state->port,
		.protocol = state->protocol,
		.family = state->family,
		.port_last = state->port_last,
		.host_bits = state->host_bits,
	};
}

bool vip_key_equal(const struct vip_key *a, const struct vip_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool vip_key_same_address(const struct vip_key *a, const struct vip_key *b)
{
	return a->family == b->family && a->host_bits == b->host_bits &&
	       addr_equal(&a->address, &b->address);
}

static uint16_t last_port(const struct vip_key *key)
{
	return ntohs(key->port_last ? key->port_last : key->port);
}

bool vip_key_shares_port(const struct vip_key *a, const struct vip_key *b)
{
	return vip_key_same_address(a, b) && a->protocol == b->protocol &&
	       ntohs(a->port) <= last_port(b) && ntohs(b->port) <= last_port(a);
}
