/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A command line as words, without a shell. Pure. */
#pragma once

#include "model.h"

#define COMMAND_WORDS_MAX 64

/*
 * Splits text at blanks. 'single quotes' keep everything as it is; "double quotes" keep blanks; a
 * backslash outside of single quotes keeps the next character. Nothing else is special. Returns 0,
 * -EINVAL (a quote that is not closed, a backslash at the end), -ENOMEM.
 */
int command_split(const char *text, struct text_list *ret_words);
