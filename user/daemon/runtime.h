/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runtime changes that outlive the daemon: which real the operator drained or disabled. Kept in
 * DIR/runtime.json, written whole and renamed into place at every change.
 */
#pragma once

#include <jansson.h>

#include "lib/err.h"
#include "lib/snapshot.h"

struct runtime;

int runtime_open(struct runtime **ret_runtime, const char *state_dir, struct err *err);
void runtime_free(struct runtime *runtime);

enum admin_state runtime_get(const struct runtime *runtime, const char *vip,
			     const struct ip_addr *real);
/* Remembers and writes; on an error nothing has changed. ADMIN_ENABLED forgets. */
int runtime_set(struct runtime *runtime, const char *vip, const struct ip_addr *real,
		enum admin_state admin, struct err *err);
