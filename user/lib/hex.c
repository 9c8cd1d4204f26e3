/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Octets as hex digits: see hex.h. */
#include "hex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int hex_parse(const char *text, uint8_t *ret_bytes, size_t max)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > max)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (digit(text[i]) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < n / 2; i++)
		ret_bytes[i] = (uint8_t)(digit(text[2 * i]) * 16 + digit(text[2 * i + 1]));
	return (int)(n / 2);
}

char *hex_format(const uint8_t *bytes, size_t n, char *buf)
{
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
	return buf;
}
