/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proofs come in two sizes: seconds in `make test`, minutes in `make proofs` (XDPLB_PROOFS=long).
 * What they find is printed as rows of the table in docs/reliability.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "harness.h"

bool proof_is_long(void);
uint64_t proof_size(uint64_t quick, uint64_t in_full);

/* One row: what was done, and what came of it. */
void proof_says(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The real that the VIP's present ring names for this hash, as 10.v.x.y in host order. */
uint32_t proof_ring_pick(const struct bed *bed, const struct bed_vip *vip, uint64_t hash);
/* The ring slots of the VIP, as the same. Caller frees; *ret_n of them. */
uint32_t *proof_ring(const struct bed *bed, const struct bed_vip *vip, uint32_t *ret_n);
/* Share of slots in which two rings differ. */
double proof_moved_share(const uint32_t *before, const uint32_t *after, uint32_t n);

/* The slot of a flow; NULL: the table does not know it. */
uint64_t *proof_slot(const struct bed *bed, const struct flow_tuple *tuple);

/* What every proof has at least; and the share of the flow table's slots that have a proven flow.
 */
#define PROOF_LOAD 0.5
double proof_load(const struct bed *bed);

uint64_t proof_ms(void);

/* Skips the test where what it needs, two CPUs at once, is not to be had. */
void proof_needs_two_cpus(void);

/* The calling thread stays there from here on. */
void proof_pin_to_cpu(int cpu);
