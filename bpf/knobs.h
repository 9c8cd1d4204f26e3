/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon fixes before it loads the program. The verifier sees constants, so what is off is
 * not in the loaded program. A change of any of these is a new program in the same link.
 */
#pragma once

#include <stdbool.h>

#include "xdplb/abi.h"
#include "xdplb/hash.h"

const volatile struct flow_hash_key knob_hash_key = {};
const volatile __u32 knob_flow_buckets = 2;
const volatile struct flow_clock knob_clock = {};
const volatile __u32 knob_hz = 250;

/* So many SYNs are recorded in (1 << shift) jiffies on one CPU; 0: all. */
const volatile __u32 knob_syn_window_shift = 0;
const volatile __u32 knob_syn_window_limit = 0;

/* Outer source addresses; the entropy mask has the host bits of a prefix, or is zero. */
const volatile __be32 knob_source4 = 0;
const volatile __be32 knob_source4_entropy = 0;
const volatile __u32 knob_source4_sum = 0; /* of the address's 16-bit words */
const volatile struct ip_addr knob_source6 = {};
const volatile struct ip_addr knob_source6_entropy = {};

/* Bits (1 << enum xdplb_encap) of the encapsulations that a member may have. */
const volatile __u32 knob_encaps = 1u << ENCAP_IPIP;
const volatile __be16 knob_gue_port = 0;
const volatile bool knob_gue_checksum6 = false; /* of the UDP header over IPv6 */

/* Bits (1 << enum xdplb_scheduler) of the schedulers that a VIP may have. */
const volatile __u32 knob_schedulers = 1u << SCHEDULER_MAGLEV;

/* Whether some VIP goes by QUIC connection IDs; then also what AES looks up. */
const volatile bool knob_quic = false;
const volatile struct aes_tables knob_aes = {};
