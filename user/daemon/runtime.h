/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runtime changes that outlive the daemon: which real the operator drained, disabled or removed,
 * and which pools a VIP was given. Kept in DIR/runtime.json, written whole and renamed into place
 * at every change.
 */
#pragma once

#include <jansson.h>

#include "lib/err.h"
#include "lib/snapshot.h"

struct runtime;

/* The pools that the operator gave the VIP, as pool_text.h; NULL: those of the file. */
const char *runtime_get_pools(const struct runtime *runtime, const char *vip);
/* Remembers and writes; on an error nothing has changed. NULL forgets. */
int runtime_set_pools(struct runtime *runtime, const char *vip, const char *pools, struct err *err);

int runtime_open(struct runtime **ret_runtime, const char *state_dir, struct err *err);
void runtime_free(struct runtime *runtime);

/* A drain beside its state; all zero where the operator said nothing of it. */
struct drain {
	uint64_t deadline_ms; /* CLOCK_REALTIME; 0: none */
	enum drain_rest then; /* what becomes of the flows that are left at the deadline */
	bool disables; /* once it is drained */
	bool removes; /* the same; not both */
};

struct admin_order {
	enum admin_state admin;
	struct drain drain; /* also of a real that its drain has disabled */
	uint64_t since_ms; /* CLOCK_REALTIME; 0: an older daemon did not record it */
};

struct admin_order runtime_get(const struct runtime *runtime, const char *vip,
			       const struct ip_addr *real);
/* Remembers and writes; on an error nothing has changed. ADMIN_ENABLED forgets. */
int runtime_set(struct runtime *runtime, const char *vip, const struct ip_addr *real,
		const struct admin_order *order, struct err *err);

/* Each real that is recorded with ADMIN_REMOVED; fn changes no record. */
void runtime_for_each_removed(const struct runtime *runtime,
			      void (*fn)(void *user, const char *vip, const struct ip_addr *real),
			      void *user);
/* Forgets those of them that `keeps` does not want. On an error nothing has changed. */
int runtime_forget_removed(struct runtime *runtime,
			   bool (*keeps)(void *user, const char *vip, const struct ip_addr *real),
			   void *user, struct err *err);
