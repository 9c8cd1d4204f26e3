/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long the control plane thinks: a JSON line a case. Plain memory in place of the maps, so no
 * system calls; rings are not built.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/apply.h"
#include "lib/flow_clock.h"

#define HZ     250
#define ROUNDS 7

static int no_call(void *user, const struct vip_key *key)
{
	return 0;
}

static int no_vip_set(void *user, const struct vip_key *key, uint32_t id)
{
	return 0;
}

static int no_addr_set(void *user, const struct vip_addr_key *key, const struct vip_addr *value)
{
	return 0;
}

static int no_addr_del(void *user, const struct vip_addr_key *key)
{
	return 0;
}

static uint64_t no_grace(void *user)
{
	return 0;
}

static bool grace_is_done(void *user, uint64_t ticket)
{
	return true;
}

static const struct dp_ops ops = {
	.vip_set = no_vip_set,
	.vip_del = no_call,
	.vip_addr_set = no_addr_set,
	.vip_addr_del = no_addr_del,
	.grace_request = no_grace,
	.grace_done = grace_is_done,
};

struct bench {
	uint32_t n_vips, n_reals;
	struct config config;
	struct dp dp;
	struct applied *applied;
	struct flow_clock clock;
	uint32_t down; /* this real of the middle VIP is down */
};

static struct ip_addr address(uint32_t host)
{
	struct ip_addr a = {};

	a.b[10] = a.b[11] = 0xff;
	a.w[3] = htonl(0x0a000000u + host);
	return a;
}

static struct real_input input(void *user, size_t v, size_t r)
{
	const struct bench *b = user;
	bool is_down = v == b->n_vips / 2 && r == b->down;

	return (struct real_input){.health = is_down ? HEALTH_DOWN : HEALTH_UP};
}

static void make_config(struct bench *b)
{
	b->config.vips = calloc(b->n_vips, sizeof(*b->config.vips));
	b->config.n_vips = b->n_vips;
	for (uint32_t v = 0; v < b->n_vips; v++) {
		struct vip_spec *vip = &b->config.vips[v];

		*vip = (struct vip_spec){
			.name = "bench",
			.address = address(0x800000 + v),
			.port = 80,
			.protocol = IPPROTO_TCP,
			.ring = 1021,
			.timeouts = {60000, 60000, 60000, 60000},
			.reals = calloc(b->n_reals, sizeof(*vip->reals)),
			.n_reals = b->n_reals,
		};
		for (uint32_t r = 0; r < b->n_reals; r++)
			vip->reals[r] = (struct real_spec){.address = address(v * b->n_reals + r),
							   .weight = 10};
	}
	flow_clock_make(b->config.vips, b->n_vips, HZ, &b->clock);
}

/* The file's lines in another order. */
static void reverse_reals(struct bench *b)
{
	for (uint32_t v = 0; v < b->n_vips; v++) {
		struct real_spec *reals = b->config.vips[v].reals;

		for (uint32_t i = 0; i < b->n_reals / 2; i++) {
			struct real_spec swap = reals[i];

			reals[i] = reals[b->n_reals - 1 - i];
			reals[b->n_reals - 1 - i] = swap;
		}
	}
}

static void make_dp(struct bench *b)
{
	struct control *control = calloc(1, sizeof(*control));

	*control = (struct control){
		.members = b->n_vips * b->n_reals,
		.vips = b->n_vips,
		.ring_blocks = b->n_vips * (32 + b->n_reals / 16 + 1) * 2,
	};
	b->dp = (struct dp){
		.members = calloc(control->members, sizeof(struct member)),
		.vip_state = calloc(control->vips, sizeof(struct vip_state)),
		.control = control,
		.ops = &ops,
	};
}

static void free_bench(struct bench *b)
{
	applied_free(b->applied);
	for (uint32_t v = 0; v < b->n_vips; v++)
		free(b->config.vips[v].reals);
	free(b->config.vips);
	free(b->dp.members);
	free(b->dp.vip_state);
	free(b->dp.control);
}

static void change(struct bench *b, size_t *ret_steps)
{
	struct desired desired = {};
	struct plan plan = {};
	struct err err = {};

	if (effective(&b->config, input, b, &desired) ||
	    plan_make(b->applied, &desired, &b->clock, HZ, &plan, &err) ||
	    apply_plan(b->applied, &plan, &err)) {
		fprintf(stderr, "bench_plan: %s\n", err.text);
		exit(1);
	}
	*ret_steps = plan.n_steps;
	plan_free(&plan);
	desired_free(&desired);
}

static void from_nothing(struct bench *b, size_t *ret_steps)
{
	applied_free(b->applied);
	b->applied = NULL;
	if (applied_new(&b->applied, &b->dp, 1))
		exit(1);
	change(b, ret_steps);
}

static void flip(struct bench *b, size_t *ret_steps)
{
	b->down = (b->down + 1) % b->n_reals;
	change(b, ret_steps);
}

static void reorder(struct bench *b, size_t *ret_steps)
{
	reverse_reals(b);
	change(b, ret_steps);
}

static void next_hops(struct bench *b, size_t *ret_steps)
{
	*ret_steps = (size_t)b->n_vips * b->n_reals;
	for (uint32_t i = 0; i < *ret_steps; i++) {
		struct ip_addr real = address(i);

		apply_next_hop(b->applied, &real, 1 + i);
	}
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void measure(struct bench *b, const char *name,
		    void (*run)(struct bench *b, size_t *ret_steps))
{
	double best = 1e9;
	size_t steps = 0;

	for (int i = 0; i < ROUNDS; i++) {
		double start = now_ms(), ms;

		run(b, &steps);
		ms = now_ms() - start;
		best = ms < best ? ms : best;
	}
	printf("{\"case\":\"plan-%s\",\"vips\":%u,\"reals\":%u,\"steps\":%zu,\"ms_min\":%.3f}\n",
	       name, b->n_vips, b->n_reals, steps, best);
}

int main(void)
{
	static const uint32_t sizes[][2] = {{1, 100}, {512, 100}, {4096, 10}, {1, 10000}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench b = {.n_vips = sizes[i][0], .n_reals = sizes[i][1]};

		make_config(&b);
		make_dp(&b);
		measure(&b, "from-nothing", from_nothing);
		measure(&b, "health-flip", flip);
		measure(&b, "reals-reordered", reorder);
		measure(&b, "next-hops", next_hops);
		free_bench(&b);
	}
	return 0;
}
