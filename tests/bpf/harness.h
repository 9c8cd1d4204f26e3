/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balancer's program with maps that the daemon's own code has filled, one packet at a time
 * (BPF_PROG_TEST_RUN, repeat 1; the packet comes in on loopback). Every packet that is run is also
 * checked to have raised exactly one verdict counter. A failure anywhere fails the test.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/bpf.h>
#include <netinet/in.h>

#include "lib/applied.h"
#include "lib/dataplane.h"
#include "packets.h"
#include "xdplb/counters.h"

#define BED_MAX_VIPS  16
#define BED_MAX_REALS 40

#define BED_SOURCE4 "10.255.0.1"
#define BED_SOURCE6 "2001:db8:ffff::1"

#define BED_GUE_PORT 6080

/* Rows of out_interfaces: where packets come in, and another one. */
#define BED_ROW_SAME	  1
#define BED_ROW_OTHER	  2
#define BED_IFINDEX_OTHER 4242

struct bed_real {
	const char *address;
	uint32_t weight; /* 0: 100 */
	bool is_down;
	bool is_drained;
	enum drain_rest rest; /* the drain has taken long enough */
	const char *server_id; /* hex */
};

struct bed_vip {
	const char *address;
	uint16_t port;
	uint16_t port_last; /* of a range; any port: 65535, and port 0 */
	uint8_t host_bits; /* of a prefix */
	uint8_t protocol; /* 0: TCP */
	enum xdplb_on_no_port on_no_port;
	enum echo_policy echo;
	enum on_down on_down;
	enum all_down on_all_down;
	enum xdplb_encap encap;
	enum xdplb_scheduler scheduler;
	struct source_spec source;
	uint32_t ring; /* 0: 1021 */
	const struct quic_spec *quic;
	size_t n_quic;
	struct bed_real reals[BED_MAX_REALS]; /* up to the first without an address */
};

/* What differs from the usual; all zero for the usual. */
struct bed_options {
	uint32_t flows; /* capacity; 0: 4096 */
	uint32_t members; /* capacity; 0: 64 */
	uint64_t key_seed; /* of the flow hash key */
	const char *source4; /* "10.255.0.0" with source4_bits 16; NULL: BED_SOURCE4 */
	unsigned int source4_bits; /* 0: a plain address */
	const char *source6;
	unsigned int source6_bits;
	uint16_t gue_port; /* 0: BED_GUE_PORT */
	bool gue_checksum6;
	bool is_quic_on;
	uint32_t syn_window_shift;
	uint32_t syn_window_limit; /* 0: all SYNs are recorded */
	uint16_t schedulers; /* bits (1 << enum xdplb_scheduler); Maglev is always there */
};

struct bed {
	char bpffs[96];
	struct grace *grace;
	struct dataplane *dataplane;
	const struct dp *dp;
	struct applied *applied;
	struct dataplane_knobs knobs;
};

/* How one packet went. */
struct run {
	uint32_t verdict; /* XDP_* */
	struct frame out;
	struct stats rise;
	struct member_stats forwarded; /* rise of all members' sum */
};

/* Removed and freed by bed_remove(), also after a failure: call that from the teardown. */
struct bed *bed_new(const struct bed_options *options);
void bed_remove(struct bed *bed);

/* Closes the data plane and opens it again, as the next daemon does. */
void bed_reopen(struct bed *bed);

/* cmocka fixtures: the usual bed in *state. */
int bed_setup(void **state);
int bed_teardown(void **state);

/* Applies this configuration, builds all rings and publishes a next hop for every real. */
void bed_apply(struct bed *bed, const struct bed_vip *vips, size_t n_vips);
/* The same without the rings: what holds between a member's change and its ring's switch. */
void bed_apply_members(struct bed *bed, const struct bed_vip *vips, size_t n_vips);
void bed_build_rings(struct bed *bed);

uint64_t bed_next_hop(uint32_t row);
const uint8_t *bed_gateway_mac(void);

/* Runs one frame; the verdict's counter is checked. */
void bed_run(struct bed *bed, const struct frame *in, struct run *ret_run);
/* Builds and runs. */
void bed_send(struct bed *bed, const struct packet *packet, struct run *ret_run);

/* The real (outer destination) that got the packet; fails if it was not forwarded. */
struct ip_addr run_real(const struct run *run);
/* Sends the packet and returns the real that got it. */
struct ip_addr bed_real_of(struct bed *bed, const struct packet *packet);

/* Name of the one verdict counter that rose ("forwarded" for members' packets). */
const char *run_counter(const struct run *run);

/* All counters, summed over the CPUs. */
struct stats bed_stats(const struct bed *bed);

uint64_t bed_hash(const struct bed *bed, const struct packet *packet);
/* The flow's slot, in either of its buckets; NULL if the table does not know it. */
uint64_t *bed_slot(const struct bed *bed, const struct packet *packet);
enum flow_state bed_state(const struct bed *bed, const struct packet *packet);
uint64_t bed_jiffies(const struct bed *bed);
/* Id of a real in a VIP, whatever became of it there; fails if there is none. */
uint32_t bed_member_id(const struct bed *bed, const struct bed_vip *vip, const char *real);

/* What the daemon does from time to time: one scan of all flows, then what follows from it. */
void bed_scan(struct bed *bed);
/* Waits until all packets and grace periods that are under way have ended. */
void bed_wait_grace(struct bed *bed);
/* A slot word of this state, last used `ago` ticks ago. */
uint64_t bed_slot_word(const struct bed *bed, uint32_t tag, uint32_t member, enum flow_state state,
		       uint32_t ago);

#define SLOT_WORD_MEMBER(word) ((uint32_t)((word) >> FLOW_MEMBER_SHIFT) & FLOW_MEMBER_MASK)
#define SLOT_WORD_STATE(word)  ((enum flow_state)((word) >> FLOW_STATE_SHIFT & FLOW_STATE_MASK))
#define SLOT_WORD_AGE(word)    ((uint32_t)((word)&FLOW_AGE_MASK))
#define SLOT_WORD(tag, member, state, age)                                                         \
	((uint64_t)(tag) << FLOW_TAG_SHIFT | (uint64_t)(member) << FLOW_MEMBER_SHIFT |             \
	 (uint64_t)(state) << FLOW_STATE_SHIFT | (age))
