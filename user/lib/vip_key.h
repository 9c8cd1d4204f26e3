/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys of VIPs compared. Pure. */
#pragma once

#include <stdbool.h>

#include "xdplb/abi.h"

/* What vip_state says of a VIP: its key, also while its ports change. */
struct vip_key vip_key_of_state(const struct vip_state *state);

bool vip_key_equal(const struct vip_key *a, const struct vip_key *b);
/* Whether both have this address or prefix. */
bool vip_key_same_address(const struct vip_key *a, const struct vip_key *b);
/* Whether both have the address or prefix and the protocol, and some port. */
bool vip_key_shares_port(const struct vip_key *a, const struct vip_key *b);
