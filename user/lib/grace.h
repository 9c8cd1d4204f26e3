/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Grace periods without waiting: a thread runs membarrier(MEMBARRIER_CMD_GLOBAL), which returns
 * after every CPU has left the packet program (an RCU grace period, 5 to 30 ms), once for all
 * requests that came before it. Where the kernel refuses it (nohz_full), the update of a map in a
 * map waits for the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct grace;

int grace_new(struct grace **ret_grace, struct err *err);
void grace_free(struct grace *grace);

/* Readable when a period has ended; grace_clear() makes it unreadable again. */
int grace_fd(const struct grace *grace);
void grace_clear(struct grace *grace);

uint64_t grace_request(struct grace *grace);
bool grace_done(struct grace *grace, uint64_t ticket);
/* Blocks until it is done. */
void grace_wait(struct grace *grace, uint64_t ticket);
