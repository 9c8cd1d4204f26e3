/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* real drain --wait. */
#pragma once

#include "ctl.h"

/*
 * Waits until the real's flows have ended, with --remove until it is removed, and says how far that
 * is on stderr: a bar on a terminal, else a line whenever it has changed. Fails if flows stay at
 * the deadline, or somebody ends the drain.
 */
enum exit_status drain_wait(const struct invocation *invocation, const char *vip, const char *real);
