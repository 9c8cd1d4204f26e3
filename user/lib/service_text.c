/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VIPs as text: see service_text.h. */
#include "service_text.h"

#include <stdio.h>

#include "addr.h"

const char *network_format(const struct ip_addr *address, unsigned int host_bits, char *buf)
{
	char text[ADDR_TEXT_MAX];
	unsigned int max = addr_is_v4(address) ? 32 : 128;

	addr_format(address, text);
	if (host_bits)
		snprintf(buf, SERVICE_TEXT_MAX, "%s/%u", text, max - host_bits);
	else
		snprintf(buf, SERVICE_TEXT_MAX, "%s", text);
	return buf;
}

const char *ports_format(uint16_t port, uint16_t port_last, char *buf)
{
	if (!port)
		snprintf(buf, SERVICE_TEXT_MAX, "any");
	else if (port_last)
		snprintf(buf, SERVICE_TEXT_MAX, "%u-%u", port, port_last);
	else
		snprintf(buf, SERVICE_TEXT_MAX, "%u", port);
	return buf;
}

const char *service_format(const struct ip_addr *address, unsigned int host_bits, uint16_t port,
			   uint16_t port_last, char *buf)
{
	char network[SERVICE_TEXT_MAX], ports[SERVICE_TEXT_MAX];

	snprintf(buf, SERVICE_TEXT_MAX, addr_is_v4(address) ? "%.20s:%.12s" : "[%.50s]:%.12s",
		 network_format(address, host_bits, network), ports_format(port, port_last, ports));
	return buf;
}
