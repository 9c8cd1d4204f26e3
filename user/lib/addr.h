/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IP addresses of either family as text and as struct ip_addr (IPv4 is IPv4-mapped). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "xdplb/abi.h"

/* Room for "[IPv6]:65535" and its end. */
#define ADDR_TEXT_MAX 56

/* Parses "10.0.0.1" or "2001:db8::1". An IPv4-mapped IPv6 text is refused. 0 or -EINVAL. */
int addr_parse(const char *text, struct ip_addr *ret_addr);

/* Writes the address as a person writes it; returns buf, which holds ADDR_TEXT_MAX. */
const char *addr_format(const struct ip_addr *addr, char *buf);

/* "10.0.0.1:80" or "[2001:db8::1]:80"; port in host order. Returns buf (ADDR_TEXT_MAX). */
const char *addr_format_port(const struct ip_addr *addr, unsigned int port, char *buf);

bool addr_is_v4(const struct ip_addr *addr);
bool addr_equal(const struct ip_addr *a, const struct ip_addr *b);
int addr_compare(const struct ip_addr *a, const struct ip_addr *b);
/* Whether the address is in the network that leaves so many of the last bits open. */
bool addr_in_network(const struct ip_addr *addr, const struct ip_addr *network,
		     unsigned int host_bits);
bool addr_is_zero(const struct ip_addr *addr);
enum xdplb_family addr_family(const struct ip_addr *addr);
