/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From what a file says to what it means: defaults applied, then checked as a whole. Pure. */
#pragma once

#include "config_schema.h"
#include "err.h"

/* The configuration with every default resolved; 0 or -ENOMEM. */
int config_resolve(const char *file, const struct doc_file *doc, struct config **ret_config);

/*
 * What one value alone cannot show: duplicates, families, capacities. config: doc resolved.
 * -EINVAL with "file:line:column: path: reason", -ENOMEM.
 */
int config_check(const struct doc_file *doc, const struct config *config, struct err *err);
