/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Millions of packets a second over a veth pair, everything on one CPU and run to completion:
 * live frames from a generator into one end, the program under test at the other, what it sends
 * back ends in a sink. A JSON line a case on stdout. The pair is in a network namespace of its own
 * that ends with this process.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch.h"
#include "measure.h"

#define BATCH	    64
#define PACKETS	    1000000u
#define ROUNDS	    9
#define ATTEMPTS    20 /* a round, until no frame is lost */
#define N_CASES	    6
#define GOAL_OF_TX  0.8
#define MAX_LOST    0.001
#define CHECKS	    64 /* packets, before and after */
#define GENERATOR   "gen0"
#define BALANCED_IF "lb0"

enum under_test {
	TEST_DROP,
	TEST_TX,
	TEST_BARE_HEADER, /* a constant outer header: what growing the frame alone costs */
	TEST_BALANCER,
};

static const struct live_case {
	const char *name;
	enum under_test test;
	uint32_t flows;
} cases[N_CASES] = {
	{"live-drop", TEST_DROP, 1000},
	{"live-tx", TEST_TX, 1000},
	{"live-bare-header", TEST_BARE_HEADER, 1000},
	{"live-tcp4-1", TEST_BALANCER, 1},
	{"live-tcp4-1k", TEST_BALANCER, 1000},
	{"live-tcp4-100k", TEST_BALANCER, 100000},
};

struct live {
	struct balancer *balancer;
	struct batch batch;
	int generator; /* ifindex */
	int balanced; /* ifindex */
};

static int run_command(const char *const argv[])
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

static int make_pair(struct live *live, struct err *err)
{
	static const char *const add[] = {"ip",	  "link", "add",  GENERATOR,   "type",
					  "veth", "peer", "name", BALANCED_IF, NULL};
	static const char *const up1[] = {"ip", "link", "set", GENERATOR, "up", NULL};
	static const char *const up2[] = {"ip", "link", "set", BALANCED_IF, "up", NULL};

	if (unshare(CLONE_NEWNET))
		return err_errno(err, errno, "a network namespace");
	if (run_command(add) || run_command(up1) || run_command(up2))
		return err_set(err, EIO, "the veth pair could not be made");
	live->generator = (int)if_nametoindex(GENERATOR);
	live->balanced = (int)if_nametoindex(BALANCED_IF);
	return 0;
}

static int open_balancer(struct live *live, struct err *err)
{
	struct balancer_options o = {
		.family = FAMILY_V4,
		.protocol = IPPROTO_TCP,
		.vips = 1,
		.flows = 1000000,
		.ifindex = (uint32_t)live->balanced,
	};
	int r = balancer_open(&o, &live->balancer, err);

	r = r ? r : batch_open(live->balancer, &live->batch, err);
	if (!r &&
	    bpf_xdp_attach(live->generator, bpf_program__fd(live->batch.skel->progs.sink), 0, NULL))
		r = err_set(err, EIO, "attach the sink");
	return r;
}

static int aim(struct live *live, enum under_test test, struct err *err)
{
	const int programs[] = {
		[TEST_DROP] = bpf_program__fd(live->batch.skel->progs.sink),
		[TEST_TX] = bpf_program__fd(live->batch.skel->progs.floor_tx),
		[TEST_BARE_HEADER] = bpf_program__fd(live->batch.skel->progs.floor_encap4),
		[TEST_BALANCER] = dataplane_prog_fd(live->balancer->dataplane),
	};
	int r = bpf_xdp_attach(live->balanced, programs[test], 0, NULL);

	return r ? err_errno(err, -r, "attach the program under test") : 0;
}

static struct traffic case_traffic(const struct live_case *c)
{
	return (struct traffic){.flows = c->flows, .tcp_flags = SEND_ACK};
}

/* What a frame is when it comes to the sink. */
static uint32_t sunk_len(const struct live *live, enum under_test test)
{
	bool has_outer = test == TEST_BARE_HEADER || test == TEST_BALANCER;

	return WRAPPER_FRAME + (has_outer ? balancer_outer_len(&live->balancer->options) : 0);
}

/* Sends a case's packets in a scattered order; all must end in the sink, as long as they must be.
 */
static int send_frames(struct live *live, const struct live_case *c, uint32_t packets,
		       double *ret_mpps, struct err *err)
{
	const struct traffic t = case_traffic(c);
	uint64_t bytes = (uint64_t)packets * sunk_len(live, c->test);

	uint8_t frame[WRAPPER_FRAME] = {};
	struct xdp_md ctx = {.data_end = sizeof(frame),
			     .ingress_ifindex = (uint32_t)live->generator};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = (int)packets,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	volatile struct wrapper_state *s = &live->batch.skel->bss->state;
	int r;

	batch_set_traffic(&live->batch, &t);
	s->position = 0;
	s->stride = batch_stride(t.flows);
	s->packets = packets;
	s->warm = packets / 8;
	s->first_target = s->last_target = s->target = 0;
	s->done = s->round = 0;
	s->sunk = 0;
	r = bpf_prog_test_run_opts(bpf_program__fd(live->batch.skel->progs.generate), &opts);
	if (r)
		return err_errno(err, -r, "send live frames");
	if (s->sunk < (double)bytes * (1 - MAX_LOST))
		return err_set(err, EAGAIN, "only %llu of %llu bytes came through",
			       (unsigned long long)s->sunk, (unsigned long long)bytes);
	/* The kernel sends a frame of its own now and then. */
	if (s->sunk > (double)bytes * (1 + MAX_LOST))
		return err_set(err, EPROTO, "%llu bytes came through, not %llu",
			       (unsigned long long)s->sunk, (unsigned long long)bytes);
	*ret_mpps = 1e3 * (packets - 1 - s->warm) / (double)s->ns[0][0];
	return 0;
}

static int run_case(struct live *live, const struct live_case *c, double *ret_mpps, struct err *err)
{
	int r = aim(live, c->test, err);

	if (r)
		return r;
	/* A queue overflows when the kernel leaves the second half of the work to its thread. */
	for (int i = 0; i < ATTEMPTS; i++) {
		r = send_frames(live, c, PACKETS, ret_mpps, err);
		if (r != -EAGAIN)
			break;
	}
	if (r)
		err_prefix(err, "%s", c->name);
	return r;
}

static void print_results(double (*mpps)[ROUNDS])
{
	double tx;

	for (int i = 0; i < N_CASES; i++)
		measure_median(mpps[i], ROUNDS);
	tx = mpps[TEST_TX][ROUNDS / 2];
	for (int i = 0; i < N_CASES; i++) {
		double median = mpps[i][ROUNDS / 2];
		bool has_goal = cases[i].test == TEST_BALANCER && cases[i].flows == 1000;

		printf("{\"case\":\"%s\",\"flows\":%u,\"mpps\":%.3f,\"mpps_min\":%.3f,"
		       "\"mpps_max\":%.3f,\"of_tx\":%.3f,\"rounds\":%d}\n",
		       cases[i].name, cases[i].flows, median, mpps[i][0], mpps[i][ROUNDS - 1],
		       median / tx, ROUNDS);
		fprintf(stderr, "%-16s %6.2f Mpps  %4.2f of XDP_TX", cases[i].name, median,
			median / tx);
		if (has_goal)
			fprintf(stderr, "  goal %.2f: %s", GOAL_OF_TX,
				median / tx >= GOAL_OF_TX ? "met" : "not met");
		fputc('\n', stderr);
	}
}

/* Byte by byte, what becomes of some packets of each case for the balancer. */
static int check_some(struct live *live, struct err *err)
{
	int r = 0;

	for (int i = 0; !r && i < N_CASES; i++) {
		struct traffic t = case_traffic(&cases[i]);

		if (cases[i].test != TEST_BALANCER)
			continue;
		batch_set_traffic(&live->batch, &t);
		for (uint64_t k = 0; !r && k < CHECKS; k++)
			r = batch_check(&live->batch, (uint32_t)(t.flows * k / CHECKS), err);
		if (r)
			err_prefix(err, "%s", cases[i].name);
	}
	return r;
}

static int measure(struct live *live, struct err *err)
{
	double mpps[N_CASES][ROUNDS];
	int r = batch_learn(&live->batch, 100000, err);

	r = r ? r : check_some(live, err);

	for (int round = 0; !r && round < ROUNDS; round++) {
		for (int i = 0; !r && i < N_CASES; i++)
			r = run_case(live, &cases[i], &mpps[i][round], err);
	}
	r = r ? r : check_some(live, err);
	if (!r)
		print_results(mpps);
	return r;
}

int main(void)
{
	struct live live = {};
	struct err err = {};
	int r = make_pair(&live, &err);

	measure_undisturbed();
	r = r ? r : open_balancer(&live, &err);
	r = r ? r : measure(&live, &err);
	batch_close(&live.batch);
	balancer_close(live.balancer);
	if (r)
		fprintf(stderr, "bench_live: %s\n", err.text);
	return r ? 1 : 0;
}
