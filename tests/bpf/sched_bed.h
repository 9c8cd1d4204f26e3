/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For the tests of schedulers: a VIP whose real number i is 10.0.1.(i + 1), flows by number, and
 * how often which real got one.
 */
#pragma once

#include "harness.h"

#define SCHED_VIP "192.0.2.10"

/* The bed that these tests run in: room for many flows, all schedulers in the program. */
struct bed *sched_bed_new(void);
int sched_bed_setup(void **state);

/* All of them. */
#define SCHEDULERS 6u
extern const struct sched_named {
	const char *name;
	enum xdplb_scheduler scheduler;
} sched_all[SCHEDULERS];

/* Runs a test with each of them, in a bed of its own. */
typedef void (*sched_test)(struct bed *bed, enum xdplb_scheduler scheduler, const char *name);
void sched_for_each(sched_test test);

/* SCHED_VIP port 80 with n reals of these weights (NULL: equal). */
struct bed_vip sched_vip(enum xdplb_scheduler scheduler, size_t n, const uint32_t *weights);

/* Packet of flow number `flow`: of its own source address and port. The next but three takes its
 * place. */
struct packet sched_packet(uint32_t flow, uint8_t flags);
/* SCHED_VIP port 80 with scheduler source and SCHED_REALS reals. */
#define SCHED_REALS 8u
struct bed_vip sched_source_vip(uint8_t tuple, uint8_t prefix4, uint8_t prefix6);
/*
 * From 10.0.HOST.7, or 2001:db8:0:HOST::7, port 5000; recorded nowhere. The next but three takes
 * its place.
 */
struct packet sched_packet_from(unsigned int host, bool is_v6);

/* Sends it; number of the real that got it. */
size_t sched_send(struct bed *bed, uint32_t flow, uint8_t flags);
size_t sched_real_of(struct bed *bed, const struct packet *packet);

/* SYNs of flows first ... first + n - 1; adds to ret_counts of their reals. */
void sched_start_flows(struct bed *bed, uint32_t first, uint32_t n, uint32_t *ret_counts);

/* CPUs that the test may use, SCHED_CPUS at most; how many. */
#define SCHED_CPUS 64
size_t sched_cpus(int *ret_cpus);
/* From here on this thread runs there. Skips the test where there is no such CPU. */
void sched_pin(int cpu);
void sched_unpin(void);

/*
 * Pearson's statistic of counts against shares, by its normal approximation (Wilson-Hilferty): how
 * many standard deviations it is above what chance alone gives.
 */
double sched_chi_deviations(const uint32_t *counts, const uint32_t *weights, size_t n);
