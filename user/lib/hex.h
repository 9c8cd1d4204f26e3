/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Octets as hex digits. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Exactly two digits an octet, up to `max` octets. Their number, or -EINVAL. */
int hex_parse(const char *text, uint8_t *ret_bytes, size_t max);

/* buf has room for 2 * n + 1. Returns buf. */
char *hex_format(const uint8_t *bytes, size_t n, char *buf);
