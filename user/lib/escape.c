/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Texts with escapes: see escape.h. */
#include "escape.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* What follows a backslash; returns how many characters it takes, or -EINVAL. */
static int parse_one(const char *text, uint8_t *ret_byte)
{
	static const char letters[] = "nrt\\", bytes[] = "\n\r\t\\";
	const char *letter = text[0] ? strchr(letters, text[0]) : NULL;
	int high, low;

	if (letter) {
		*ret_byte = (uint8_t)bytes[letter - letters];
		return 1;
	}
	if (text[0] != 'x')
		return -EINVAL;
	high = hex_digit(text[1]);
	low = high < 0 ? -1 : hex_digit(text[2]);
	if (low < 0)
		return -EINVAL;
	*ret_byte = (uint8_t)(high << 4 | low);
	return 3;
}

int escape_parse(const char *text, uint8_t *ret_bytes)
{
	int n = 0;

	while (*text) {
		uint8_t byte = (uint8_t)*text;
		int len = 1;

		if (*text == '\\') {
			len = parse_one(++text, &byte);
			if (len < 0)
				return len;
		}
		text += len;
		if (ret_bytes)
			ret_bytes[n] = byte;
		n++;
	}
	return n;
}
