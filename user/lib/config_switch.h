/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A running configuration with other pools in one VIP. Pure. */
#pragma once

#include "err.h"
#include "model.h"

/*
 * A variant of `config` (config_variant.h) in which vips[vip] has these pools, and all reals of
 * theirs. `uses` may name pools that have reals in common if `allows_shared`: such a real is in the
 * first of them. -EINVAL: the pools do not go with the VIP or each other; -ENOMEM.
 */
int config_switch(const struct config *config, size_t vip, const struct pool_use *uses, size_t n,
		  bool allows_shared, struct config **ret_config, struct err *err);

/* The same check for a VIP by itself: addresses, families, QUIC server IDs. -EINVAL, -ENOMEM. */
int config_check_vip_pools(const struct config *config, const struct vip_spec *vip,
			   struct err *err);
