/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The reason a call failed, for a person. A function that takes a struct err fills it where it
 * returns a negative errno; every layer may put its context in front ("open PATH: cause").
 */
#pragma once

#include <stdarg.h>

#define ERR_TEXT_MAX 1024

struct err {
	char text[ERR_TEXT_MAX];
};

/* Sets the text; returns -errnum. err may be NULL. */
int err_set(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and strerror(errnum) appended. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " in front of the text there is. */
void err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
