/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's side: maps and programs loaded, pinned, found again, attached. Offers the maps as
 * struct dp; writes into them only what it made itself (control). Layout in bpffs:
 * DIR/prog, DIR/link_<interface>, DIR/maps/<name>.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dp.h"
#include "err.h"
#include "grace.h"
#include "model.h"
#include "xdplb/counters.h"
#include "xdplb/hash.h"

/* What the loaded program is given as constants. */
struct dataplane_knobs {
	struct flow_hash_key hash_key;
	struct flow_clock clock;
	uint32_t hz;
	uint32_t syn_window_shift; /* so many SYNs in (1 << shift) jiffies of a CPU are recorded */
	uint32_t syn_window_limit; /* 0: all */
	__be32 source4;
	__be32 source4_entropy;
	struct ip_addr source6;
	struct ip_addr source6_entropy;
	uint16_t schedulers; /* bits (1 << enum xdplb_scheduler): what VIPs may have */
	uint16_t encaps; /* bits (1 << enum xdplb_encap): what members may have */
	uint32_t gue_checksum6; /* whether GUE over IPv6 has a UDP checksum */
	__be16 gue_port;
	uint8_t is_express_on;
	uint8_t is_quic_on; /* no padding: knobs are compared as memory */
};

struct dataplane;
struct config;

/* What a configuration wants. */
struct dataplane_knobs dataplane_knobs_of(const struct config *config,
					  const struct flow_hash_key *hash_key, uint32_t hz);

/*
 * Finds the pinned maps of an earlier daemon or makes new ones, then loads the program. Capacities
 * of maps that are there stay as they are; ret_capacity says what holds. -EPROTO: the pinned maps
 * have another layout version. -EBUSY: another daemon runs on this directory.
 */
int dataplane_open(struct dataplane **ret_dataplane, const char *bpffs,
		   const struct capacity *capacity, const struct dataplane_knobs *knobs,
		   struct grace *grace, struct err *err);
/* Forgets it in this process; everything pinned goes on. */
void dataplane_close(struct dataplane *dataplane);

const struct dp *dataplane_dp(const struct dataplane *dataplane);
bool dataplane_is_adopted(const struct dataplane *dataplane);
struct capacity dataplane_capacity(const struct dataplane *dataplane);
uint64_t dataplane_map_bytes(const struct dataplane *dataplane);
int dataplane_prog_fd(const struct dataplane *dataplane);
uint32_t dataplane_prog_id(const struct dataplane *dataplane);

/*
 * Puts back what somebody else removed from the bpffs directory, but links: see dataplane_attach().
 * 1: something was missing. -EBUSY: another daemon runs there by now.
 */
int dataplane_restore_pins(struct dataplane *dataplane, struct err *err);

/* Loads the program anew with these knobs; links take it over by dataplane_attach(). */
int dataplane_load(struct dataplane *dataplane, const struct dataplane_knobs *knobs,
		   struct err *err);

/* VIPs in the map "vips"; caller frees both. */
int dataplane_read_vips(const struct dataplane *dataplane, struct vip_key **ret_keys,
			uint32_t **ret_ids, size_t *ret_n, struct err *err);
/* One struct stats per possible CPU, in an array of dataplane_n_cpus(). */
int dataplane_read_stats(const struct dataplane *dataplane, struct stats *ret_stats);
/* One struct member_stats per possible CPU. */
int dataplane_read_member_stats(const struct dataplane *dataplane, uint32_t id,
				struct member_stats *ret_per_cpu);
unsigned int dataplane_n_cpus(void);
/* The clock that stamps flows. */
int dataplane_read_jiffies(const struct dataplane *dataplane, uint64_t *ret_jiffies);
uint32_t dataplane_hz(void);

/*
 * Attaches the loaded program to an interface by a pinned link, or updates the link that is there.
 * A link to an interface that was deleted is replaced.
 */
int dataplane_attach(struct dataplane *dataplane, const struct interface_spec *interface,
		     struct err *err);
/* Detaches from an interface; quietly nothing if it is not attached. */
void dataplane_detach(const char *bpffs, const char *interface);
/* ifindex that the pinned link is attached to, 0 if none. */
uint32_t dataplane_attached_ifindex(const char *bpffs, const char *interface);
/* Detaches every interface that has a pinned link but `keep` does not list. */
void dataplane_detach_others(const char *bpffs, const struct interface_spec *keep, size_t n_keep);

/* Removes links, program and maps. */
int dataplane_remove(const char *bpffs, struct err *err);
