/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file: YAML to struct config. One schema table (config_schema.c) says every key,
 * its type, bounds, default and text; it checks files and yields the JSON Schema and the reference.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "model.h"

/*
 * Parses YAML text that came from `file` (used in messages and kept in ret_config->file).
 * Errors are "file:line:column: path: expected ..., got ...": -EINVAL. Reads nothing but the files
 * that keys name (key_file, ca, ...).
 */
int config_parse(const char *file, const char *text, size_t len, struct config **ret_config,
		 struct err *err);

/* Reads a file (at most 64 MiB) and parses it. */
int config_load(const char *file, struct config **ret_config, struct err *err);

/* Bytes that the maps of this configuration take; n_cpus: possible CPUs. */
uint64_t config_memory_bytes(const struct config *config, unsigned int n_cpus);

/* The configuration as JSON, every default shown, field names as in YAML. New reference. */
json_t *config_to_json(const struct config *config);

/* A list of strings. New reference; NULL: an empty one. */
json_t *text_list_to_json(const struct text_list *texts);

/* JSON Schema (draft 2020-12) of the file, from the same table. New reference. */
json_t *config_json_schema(void);

/* The reference for docs/configuration.md, in Markdown, from the same table. Caller frees. */
char *config_reference_markdown(void);
