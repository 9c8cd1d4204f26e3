/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses: see addr.h. */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const __u8 mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr a = {};

	if (inet_pton(AF_INET, text, &a.w[3]) == 1) {
		memcpy(a.b, mapped_prefix, sizeof(mapped_prefix));
	} else if (inet_pton(AF_INET6, text, a.b) != 1 || addr_is_v4(&a)) {
		return -EINVAL;
	}
	*ret_addr = a;
	return 0;
}

const char *addr_format(const struct ip_addr *addr, char *buf)
{
	const char *text = addr_is_v4(addr) ? inet_ntop(AF_INET, &addr->w[3], buf, ADDR_TEXT_MAX)
					    : inet_ntop(AF_INET6, addr->b, buf, ADDR_TEXT_MAX);

	return text ? text : "?";
}

const char *addr_format_port(const struct ip_addr *addr, unsigned int port, char *buf)
{
	char ip[ADDR_TEXT_MAX];

	snprintf(buf, ADDR_TEXT_MAX, addr_is_v4(addr) ? "%.45s:%u" : "[%.45s]:%u",
		 addr_format(addr, ip), port & 0xffff);
	return buf;
}

bool addr_is_v4(const struct ip_addr *addr)
{
	return memcmp(addr->b, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return addr_compare(a, b) == 0;
}

int addr_compare(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool addr_in_network(const struct ip_addr *addr, const struct ip_addr *network,
		     unsigned int host_bits)
{
	unsigned int bits = 128 - host_bits;

	if (addr_is_v4(addr) != addr_is_v4(network) || memcmp(addr->b, network->b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (addr->b[bits / 8] ^ network->b[bits / 8]) >> (8 - bits % 8) == 0;
}

bool addr_is_zero(const struct ip_addr *addr)
{
	return (addr->w[0] | addr->w[1] | addr->w[2] | addr->w[3]) == 0;
}

enum xdplb_family addr_family(const struct ip_addr *addr)
{
	return addr_is_v4(addr) ? FAMILY_V4 : FAMILY_V6;
}
