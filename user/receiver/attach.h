/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP program of one interface: a pinned bpf_link and pinned maps, which live on when
 * xdplb-receiver has ended. Pins: link, vips, locals, from, receiver_stats, in one directory
 * (bpffs.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "options.h"
#include "state.h"
#include "xdplb/receiver_abi.h"

/* A hash of the program that this binary carries: another build, another number. */
uint64_t attach_program(void);

enum attach_fact {
	ATTACH_NONE, /* nothing of ours, and no other program */
	ATTACH_OURS, /* our link holds the interface */
	ATTACH_DEAD, /* our link is pinned, its interface is gone (or was made anew) */
	ATTACH_FOREIGN, /* another program holds the interface: prog_id */
};

struct attach_status {
	enum attach_fact fact;
	uint32_t prog_id;
	bool is_generic;
};

/* -EEXIST if the link in `pins` belongs to an interface of another network namespace. */
int attach_query(const char *pins, const char *interface, struct attach_status *ret_status,
		 struct err *err);

/* -EBUSY with a text that names the program, if another one holds the interface. */
int attach_check_free(const char *interface, const struct attach_status *status, struct err *err);

/*
 * Brings program and maps to what `want` says. A program that is attached is replaced without
 * losing a packet, its counters go on. On failure everything is as before.
 */
int attach_apply(const struct receiver_state *want, struct err *err);

/* Detaches and removes all pins; fine if there are none. */
int attach_remove(const char *pins, struct err *err);

/* Sums over all CPUs. */
int attach_stats(const char *pins, struct receiver_stats *ret_stats, struct err *err);
