/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the packet path's maps say of QUIC connection IDs, made from what the operator said. Pure.
 */
#pragma once

#include "model.h"

void quic_map_config(const struct quic_spec *spec, struct quic_config *ret_config);

/* ret_configs[QUIC_UNROUTABLE], by rotation; length 0: none. */
void quic_map_configs(const struct vip_spec *spec, struct quic_config *ret_configs);

struct quic_server_key quic_map_server_key(uint32_t vip_id, const struct server_id *server_id);

/* FIPS 197, worked out from the field's arithmetic. */
void quic_map_aes_tables(struct aes_tables *ret_tables);
