/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow-hash key: DIR/flow-hash.key, mode 0600, 128 hexadecimal digits. Made at random where
 * there is none; copied between the balancers of a fleet, whose picks agree then.
 */
#pragma once

#include <stdint.h>

#include "err.h"
#include "xdplb/hash.h"

int hash_key_load(const char *state_dir, struct flow_hash_key *ret_key, struct err *err);

/* For fingerprints: says nothing about the key. */
uint64_t hash_key_fingerprint(const struct flow_hash_key *key);
