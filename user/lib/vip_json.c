/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See vip_json.h. */
#include "vip_json.h"

#include "service_text.h"

json_t *vip_address_to_json(const struct vip_spec *vip)
{
	char text[SERVICE_TEXT_MAX];

	return json_string(network_format(&vip->address, vip->host_bits, text));
}

json_t *vip_port_to_json(const struct vip_spec *vip)
{
	char text[SERVICE_TEXT_MAX];

	if (vip->port && vip->port_last)
		return json_string(ports_format(vip->port, vip->port_last, text));
	return json_integer(vip->port);
}
