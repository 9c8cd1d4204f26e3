/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, prefixes and ports of VIPs as text. Pure. */
#pragma once

#include <stdint.h>

#include "xdplb/abi.h"

/* Room for "[IPv6 prefix]:8000-8099" and its end. */
#define SERVICE_TEXT_MAX 72

/* "192.0.2.10", "192.0.2.0/24", "2001:db8::/64". Returns buf (SERVICE_TEXT_MAX). */
const char *network_format(const struct ip_addr *address, unsigned int host_bits, char *buf);

/* "192.0.2.10:80", "[2001:db8::/64]:any". Returns buf. */
const char *service_format(const struct ip_addr *address, unsigned int host_bits, uint16_t port,
			   uint16_t port_last, char *buf);

/* "80", "8000-8099" or "any", of ports as struct vip_spec has them. Returns buf. */
const char *ports_format(uint16_t port, uint16_t port_last, char *buf);
