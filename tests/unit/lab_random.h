/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Random changes of what the lab's balancer should do; the same for the same seed. */
#pragma once

#include "lab.h"

/* 0 ... n-1 */
static inline uint32_t lab_random(uint64_t *random, uint32_t n)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*random >> 33) % n;
}

static inline uint32_t lab_unused_host(struct lab *lab, uint64_t *random, size_t v)
{
	for (;;) {
		uint32_t host = 1 + lab_random(random, 40);
		bool is_used = false;

		for (size_t r = 0; r < lab->vips[v].n_reals; r++)
			is_used |= lab->reals[v][r].address.w[3] == lab_addr(host).w[3];
		if (!is_used)
			return host;
	}
}

static inline void lab_change_vips(struct lab *lab, uint64_t *random)
{
	uint32_t address = lab_random(random, 4), port = 80 + lab_random(random, 3);

	if (lab->n_vips > 2 && lab_random(random, 2)) {
		lab_remove_vip(lab, lab_random(random, lab->n_vips));
		return;
	}
	for (size_t v = 0; v < lab->n_vips; v++) {
		if (lab->vips[v].port == port &&
		    lab->vips[v].address.w[3] == lab_addr(0x10000 + address).w[3])
			return;
	}
	if (lab->n_vips < 8)
		lab_add_vip(lab, address, port);
}

/* Ports of a VIP that no other of the address has: one, from 80 on, or some from 1000 on. */
static inline void lab_change_ports(struct lab *lab, uint64_t *random, size_t v)
{
	struct vip_spec *vip = &lab->vips[v];
	uint32_t first = 1000 + lab_random(random, 40), last = first + lab_random(random, 20);

	for (size_t other = 0; other < lab->n_vips; other++) {
		const struct vip_spec *o = &lab->vips[other];
		uint32_t o_last = o->port_last ? o->port_last : o->port;

		if (other != v && o->address.w[3] == vip->address.w[3] && o->port <= last &&
		    o_last >= first)
			return;
	}
	vip->port = (uint16_t)first;
	vip->port_last = last > first ? (uint16_t)last : 0;
}

static inline void lab_change_reals(struct lab *lab, uint64_t *random, size_t v)
{
	uint32_t n = 1 + lab_random(random, 12);

	for (uint32_t i = 0; i < n; i++) {
		if (lab->vips[v].n_reals < 30 && lab_random(random, 5) < 3)
			lab_add_real(lab, v, lab_unused_host(lab, random, v),
				     lab_random(random, 4));
		else if (lab->vips[v].n_reals)
			lab_remove_real(lab, v, lab_random(random, lab->vips[v].n_reals));
	}
}

static inline void lab_change_inputs(struct lab *lab, uint64_t *random, size_t v)
{
	static const enum health_verdict verdicts[] = {HEALTH_UP, HEALTH_DOWN, HEALTH_UNKNOWN};
	static const enum admin_state admins[] = {ADMIN_ENABLED, ADMIN_DRAIN, ADMIN_DISABLED};
	size_t r;

	if (!lab->vips[v].n_reals)
		return;
	r = lab_random(random, lab->vips[v].n_reals);
	lab->reals[v][r].weight = lab_random(random, 4) * 5;
	lab->inputs[v][r].health = verdicts[lab_random(random, 3)];
	lab->inputs[v][r].admin = admins[lab_random(random, 5) % 3];
}

static inline void lab_change_scheduler(struct lab *lab, uint64_t *random, size_t v)
{
	struct vip_spec *vip = &lab->vips[v];

	vip->source = (struct source_spec){};
	vip->scheduler = lab_random(random, 3) ? lab_random(random, SCHEDULER_P2C + 1)
					       : SCHEDULER_RR;
	if (vip->scheduler == SCHEDULER_SOURCE)
		vip->source = (struct source_spec){
			.tuple = 1, .prefix4 = 24, .affinity_ms = lab_random(random, 3) * 1000};
}

static inline void lab_change(struct lab *lab, uint64_t *random)
{
	static const uint32_t rings[] = {251, 509, 1021};
	size_t v;

	if (!lab->n_vips || lab_random(random, 8) == 0) {
		lab_change_vips(lab, random);
		return;
	}
	v = lab_random(random, lab->n_vips);
	switch (lab_random(random, 8)) {
	case 0:
		lab->vips[v].ring = rings[lab_random(random, 3)];
		break;
	case 1:
		lab->vips[v].timeouts.tcp_ms = 1000 + lab_random(random, 100000);
		break;
	case 2:
		lab_change_ports(lab, random, v);
		break;
	case 3:
		lab_change_scheduler(lab, random, v);
		break;
	case 4:
	case 5:
		lab_change_reals(lab, random, v);
		break;
	default:
		lab_change_inputs(lab, random, v);
	}
}
