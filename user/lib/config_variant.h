/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A running configuration that differs from another in the reals of one VIP. Pure. */
#pragma once

#include "model.h"

/*
 * A configuration that is `config` but for vips[vip], which has neither pools nor reals yet; all
 * else belongs to both. Once it is decided which one goes on, config_variant_free() takes the
 * other. NULL: out of memory.
 */
struct config *config_variant_new(const struct config *config, size_t vip);
/* Frees what is this configuration's own. */
void config_variant_free(struct config *config, size_t vip);
