/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes as a text of the configuration file: \n, \r, \t, \\ and \xHH stand for one byte each,
 * everything else for itself. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of text, which are never more than its characters, into ret_bytes. Returns their
 * number, or -EINVAL: a backslash is followed by something else. ret_bytes may then have been
 * written to; NULL: only counted.
 */
int escape_parse(const char *text, uint8_t *ret_bytes);
