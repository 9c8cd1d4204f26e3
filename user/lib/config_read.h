/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* YAML text to struct doc_file, driven by the schema table. Pure. */
#pragma once

#include "config_schema.h"
#include "err.h"

/*
 * Fills a zeroed doc, which the caller clears with schema_clear(&schema_file, ...) also after an
 * error: -EINVAL with "file:line:column: path: reason", -ENOMEM.
 */
int config_read(const char *file, const char *text, size_t len, struct doc_file *doc,
		struct err *err);
