/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pools of a VIP in one line, as `vip set VIP pools=` takes them: "blue:90,green:10", with
 * ":backup" behind a backup pool, or ":backup2" by its level, and without the weight where it is
 * the default of 100. Pure.
 */
#pragma once

#include "err.h"
#include "model.h"

/* One of them, for people. */
#define POOL_TEXT_ITEM "NAME[:WEIGHT][:backup[LEVEL]]"

/* Room for the text of a VIP's pools. */
#define POOL_TEXT_MAX (VIP_POOLS_MAX * 80)

/* Returns buf (POOL_TEXT_MAX). */
const char *pool_text_format(const struct pool_use *pools, size_t n, char *buf);

/* pools: room for VIP_POOLS_MAX. -EINVAL: no such text, or -ENOENT: no such pool in config. */
int pool_text_parse(const struct config *config, const char *text, struct pool_use *ret_pools,
		    size_t *ret_n, struct err *err);
