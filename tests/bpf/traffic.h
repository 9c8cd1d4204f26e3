/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets at full speed through the bed's program, from a thread on a CPU of its own, each of them
 * judged (traffic_abi.h says how). And variants of the program that lack a protection, with which
 * a proof must fail.
 */
#pragma once

#include "harness.h"
#include "traffic_abi.h"

struct traffic_options {
	int cpu;
	uint32_t picks; /* rows for CHECK_LEARN, CHECK_KEEP, CHECK_RING */
	uint32_t lives; /* flows for CHECK_LIFE */
	uint32_t stall_us; /* the thread is interrupted for about so long ... */
	uint32_t stall_every_us; /* ... so often; 0: never */
};

struct traffic {
	struct traffic_state *state; /* seed, flows, kinds, ... to be set while nothing runs */
	uint64_t *picks;
	struct traffic_life *lives;
	struct traffic_rings *rings;
	int cpu; /* of the next run */
	struct traffic_private *private;
};

struct traffic *traffic_new(const struct bed *bed, const struct traffic_options *options);
void traffic_free(struct traffic *traffic);

/* Sends through this program from now on. */
void traffic_aim(struct traffic *traffic, int prog_fd);

/* Sends so many packets (0: until it is stopped) in a thread. */
void traffic_start(struct traffic *traffic, uint64_t packets);
/* Stops it if need be; all packets are judged when it returns. Fails if the thread failed. */
void traffic_stop(struct traffic *traffic);
/* Waits until it has sent them all. */
void traffic_wait(struct traffic *traffic);
/* Packets so far, while it runs. */
uint64_t traffic_sent(const struct traffic *traffic);

/* Start and wait; the results of this run alone. */
struct traffic_result traffic_run(struct traffic *traffic, uint64_t packets);

/* One kind of packet from here on; CHECK_VIP, no flow twice, stride 1. */
void traffic_set_kind(struct traffic *traffic, uint8_t protocol, uint8_t tcp_flags);

/* The source address and port of a flow, as the bed's packets and the flow hash have them. */
struct flow_tuple traffic_tuple(const struct traffic *traffic, uint32_t flow);

/* ---- Variants of the program ------------------------------------------------------------- */

enum variant_kind {
	VARIANT_PLAIN_STORE, /* every compare-and-swap is a store */
	VARIANT_HALF_TABLE, /* uses half of the flow table */
	VARIANT_OWN_TABLE, /* has a flow table of its own, as a per-CPU one would be */
};

struct variant;

/* The balancer's program, changed in this way, on the bed's maps. */
struct variant *variant_new(const struct bed *bed, enum variant_kind kind);
void variant_free(struct variant *variant);
int variant_prog_fd(const struct variant *variant);
