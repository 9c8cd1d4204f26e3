/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The receiver's program, packet by packet (BPF_PROG_TEST_RUN, repeat 1). Two instances are loaded:
 * without and with a list of balancers.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/bpf.h>

#include "receiver.skel.h"
#include "receiver_packets.h"
#include "xdplb/receiver_abi.h"

#define VIP4	  "192.0.2.10"
#define VIP6	  "2001:db8:f::10"
#define REAL4	  "10.0.1.2"
#define REAL6	  "2001:db8:1::2"
#define BALANCER4 "10.0.9.1"
#define BALANCER6 "2001:db8:9::1"
#define ETH_LEN	  14

struct receiver_bed {
	struct receiver_bpf *open; /* any source */
	struct receiver_bpf *listed; /* BALANCER4/24 and BALANCER6/64 */
};

/* What one run gave. */
struct receiver_run {
	uint32_t verdict;
	uint8_t out[RECEIVER_FRAME_MAX];
	size_t out_len;
	struct receiver_stats rise;
};

/* cmocka fixtures. */
int receiver_bed_setup(void **state);
int receiver_bed_teardown(void **state);

void receiver_bed_run(struct receiver_bpf *skel, uint8_t *in, size_t len,
		      struct receiver_run *ret_run);

/* Exactly one counter rose, by one, and it is this one. */
void receiver_check_counter(const char *what, const struct receiver_run *run,
			    enum receiver_counter counter);
void receiver_check_frame(const char *what, const struct receiver_run *run, const uint8_t *frame,
			  size_t len);

/* A balancer's packet for a VIP; families are 4 or 6. */
struct receiver_frame receiver_frame_of(int outer, int inner);
