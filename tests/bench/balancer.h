/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balancer as it is shipped: loaded and filled by the daemon's own code from a configuration
 * text, in a bpffs directory of its own. Its packets come in on loopback (BPF_PROG_TEST_RUN) or on
 * an interface of the caller's.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "lib/applied.h"
#include "lib/snapshot.h"
#include "lib/config.h"
#include "lib/dataplane.h"
#include "lib/err.h"

#define BALANCER_REALS 100
#define BALANCER_PORT  80
#define IFINDEX_LO     1

struct balancer_options {
	enum xdplb_family family;
	uint8_t protocol;
	enum xdplb_encap encap;
	uint32_t vips; /* a power of two */
	const char *ports; /* that BALANCER_PORT is among; NULL: it alone */
	uint32_t flows; /* capacity.flows */
	bool has_entropy; /* in the outer IPv4 source */
	uint32_t features; /* others that are in use, too, by VIPs that get no packets */
	uint32_t ifindex; /* where packets come in and leave */
};

struct balancer {
	struct balancer_options options;
	char bpffs[96];
	struct config *config;
	struct grace *grace;
	struct dataplane *dataplane;
	const struct dp *dp;
	struct applied *applied;
	struct dataplane_knobs knobs;
};

/* All rings built, every real up and its next hop known. */
int balancer_open(const struct balancer_options *options, struct balancer **ret_balancer,
		  struct err *err);
void balancer_close(struct balancer *balancer);

/* Forgets all flows. */
void balancer_clear_flows(struct balancer *balancer);

/* Configuration text with these VIPs, each with the same BALANCER_REALS reals. Caller frees. */
char *balancer_yaml(const struct balancer_options *options);

/* Names with commas between them; "all": but entropy and all-syns. -EINVAL. */
int balancer_parse_features(const char *text, uint32_t *ret_features);
void balancer_list_features(FILE *f);

/* Pieces of balancer_open() for those that measure them one by one. */
int balancer_load(const struct balancer_options *options, struct balancer **ret_balancer,
		  struct err *err);
/* `down` is taken for down in every VIP; NULL: all are up. */
int balancer_apply(struct balancer *balancer, const struct ip_addr *down, struct err *err);
/* As the daemon at a verdict, for a real in all VIPs; the words are in force, rings are not built.
 */
int balancer_set_health(struct balancer *balancer, uint32_t real, enum health_verdict health,
			struct err *err);
int balancer_build_rings(struct balancer *balancer, struct err *err);

/* Bytes that the balancer puts between Ethernet header and inner packet. */
uint32_t balancer_outer_len(const struct balancer_options *options);

struct ip_addr balancer_vip(const struct balancer_options *options, uint32_t vip);
struct ip_addr balancer_real(const struct balancer_options *options, uint32_t real);

/* Next hop of every real, and the balancer's own address there. */
extern const uint8_t balancer_gateway_mac[6];
extern const uint8_t balancer_mac[6];
