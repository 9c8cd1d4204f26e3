/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Batches of packets through the wrapper program, and the check that their output is right. */
#pragma once

#include <stdint.h>

#include "balancer.h"
#include "wrapper_abi.h"
#include "wrapper.skel.h"

/* What a case sends: flow i has number offset + i. */
struct traffic {
	uint32_t flows;
	uint32_t offset;
	uint8_t tcp_flags;
	bool is_foreign; /* to an address that is no VIP */
};

struct batch {
	struct wrapper_bpf *skel;
	const struct balancer *balancer;
};

/* Loads wrapper and floors anew, aimed at the balancer's present program. */
int batch_open(const struct balancer *balancer, struct batch *ret_batch, struct err *err);
void batch_close(struct batch *batch);

/* Headers of the traffic from here on. */
void batch_set_traffic(struct batch *batch, const struct traffic *traffic);

struct batch_order {
	uint32_t first; /* position in traffic.flows */
	uint32_t stride;
	uint32_t packets; /* of each target in each round */
	uint32_t rounds;
};

/* ns per packet of each target, the wrapper's included, in rounds in which they take turns. */
int batch_run(struct batch *batch, const struct batch_order *order,
	      double (*ret_ns)[WRAPPER_TARGETS], struct err *err);

/*
 * Makes flows 0 ... n-1 known and proven, by two packets each (ACKs, datagrams): an error if not.
 * The table was empty.
 */
int batch_learn(struct batch *batch, uint32_t flows, struct err *err);

/*
 * Sends one packet of the flow at this position and checks all of what leaves: verdict, next hop,
 * outer header with its checksum, the real the ring and the flow table name, the inner packet.
 */
int batch_check(struct batch *batch, uint32_t position, struct err *err);

/* Near 0.618 n and without a common divisor: what is next is not what was learnt next. */
uint32_t batch_stride(uint32_t n);
