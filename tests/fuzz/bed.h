/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balancer's program for the fuzzer: loaded and filled by the daemon's own code from a
 * configuration text, then changed by short commands. What it holds can be written down for the
 * model, which is told everything that is not a matter of the packet path: ids and rings.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "lib/applied.h"
#include "lib/config.h"
#include "lib/dataplane.h"
#include "lib/err.h"

struct bed {
	char bpffs[96];
	struct config *config;
	struct grace *grace;
	struct dataplane *dataplane;
	const struct dp *dp;
	struct applied *applied;
	struct dataplane_knobs knobs;
	/* By VIP and real of the configuration; what the commands said last. */
	char (*states)[256];
	int reply_limit_fd;
};

/* Loaded, every real up, all rings built; no next hop yet. */
int bed_open(const char *yaml, size_t len, struct bed **ret_bed, struct err *err);
void bed_close(struct bed *bed);

/*
 * Carries out commands, one a line:
 *   real VIP REAL u|d|r|x    a real's state: up, down, drained, disabled (places in the file)
 *   apply                    makes the states known to the packet path
 *   rings                    builds the rings that follow
 *   hop ADDRESS ROW [gateway]
 *                            next hop of a real: row of out_interfaces, 0 for none
 *   out ROW IFINDEX MTU [TAG [TAG]]
 *                            a way out; tags as on the wire, 8 hexadecimal digits each
 *   forget                   empties the flow table, forgets all fragments
 *   forget-fragments         only these
 *   slot INDEX WORD          writes one word of the flow table
 */
int bed_command(struct bed *bed, const char *line, struct err *err);

/* The state as JSON. */
void bed_dump(const struct bed *bed, FILE *f);

/* All replies that the rate limit allows at once, or none. Of the calling CPU. */
int bed_set_replies(struct bed *bed, int are_allowed);

/* Where commands lead: the next hop's MAC, the way out's in row 1 (the row is in the last octet).
 */
extern const uint8_t bed_gateway_mac[6];
extern const uint8_t bed_mac[6];
