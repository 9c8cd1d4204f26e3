/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flow table half full, as it is at its rated load, of established flows whose reals are known,
 * and a change of configuration that would give many of them another real.
 */
#pragma once

#include "proof.h"
#include "traffic.h"

struct established {
	struct bed *bed;
	struct traffic *keepers; /* the flows' own packets, CHECK_KEEP */
	uint32_t n; /* flows that were offered: a few more than half of the slots */
	uint32_t tracked; /* of these, half of the slots at least; the others are not judged */
	double load; /* tracked flows to slots */
	uint32_t *ring; /* at the time */
	uint32_t ring_size;
};

/*
 * At least as many flows as the table is rated for made their handshake. syn_limit: how many SYNs
 * are recorded in 16 jiffies; 0: all.
 */
void established_new(struct established *e, uint32_t capacity, uint32_t syn_limit);
void established_free(struct established *e);

/* SYN, ACK and data of flows 0 ... n-1, which are known to the generator's check from then on. */
void established_learn(struct traffic *traffic, uint32_t n);
/* Sends as they do in the midst of their lives, in an order that is not the table's. */
void established_resume(struct traffic *traffic, uint32_t n);

/* Other weights, a real more, a real drained; returns the share of ring slots that moved. */
double established_change_ring(struct established *e);
/* Back to the reals and weights of the beginning. */
void established_restore_ring(struct established *e);
/* Flows whose real is another than the ring's present pick: without the table these would move. */
uint32_t established_off_ring(const struct established *e);
