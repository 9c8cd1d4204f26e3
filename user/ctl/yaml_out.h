/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A JSON document as YAML, as a person would write it: plain scalars wherever they are safe. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Whether a plain scalar could be read as something else than this string. */
bool yaml_needs_quotes(const char *text);

/* 0 or a negative errno. */
int yaml_print(FILE *out, const json_t *document);
