/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A VIP's address and ports as the configuration file writes them. */
#pragma once

#include <jansson.h>

#include "model.h"

/* "192.0.2.10" or "192.0.2.0/24". */
json_t *vip_address_to_json(const struct vip_spec *vip);
/* 80, "8000-8099", or 0: any. */
json_t *vip_port_to_json(const struct vip_spec *vip);
