/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reals that the operator took out of a VIP which the file still lists: they are parked behind the
 * VIP's others (struct vip_spec's n_removed), so that who goes by n_reals does not see them. Pure.
 */
#pragma once

#include "err.h"
#include "model.h"

/* NULL: no such real is parked. */
const struct real_spec *vip_find_removed(const struct vip_spec *vip, const struct ip_addr *address);
/* Parks it. False: the VIP has no such real. */
bool vip_remove_real(struct vip_spec *vip, const struct ip_addr *address);
/* Puts it back where the file has it. False: no such real is parked. */
bool vip_add_real(struct vip_spec *vip, const struct ip_addr *address);

/* The same in a variant of a running configuration: see config_variant.h. -ENOENT, -ENOMEM. */
int config_remove_real(const struct config *config, size_t vip, const struct ip_addr *address,
		       struct config **ret_config, struct err *err);
int config_add_real(const struct config *config, size_t vip, const struct ip_addr *address,
		    struct config **ret_config, struct err *err);
