/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON documents of the state directory, objects with an object "reals" in them: written beside the
 * old one and renamed into its place.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

/* -ENOENT: there is none. */
int json_file_read(const char *path, json_t **ret_root, struct err *err);

/*
 * On an error the old one is still there. is_durable: the new one is on the disk when this returns,
 * which may take as long as the disk likes.
 */
int json_file_write(const char *path, const json_t *root, bool is_durable, struct err *err);
