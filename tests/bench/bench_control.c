/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long the control plane takes on real maps: 512 VIPs of 100 reals from nothing, one real down
 * in all of them, a restart that adopts what is there, a scan of the flow table. A JSON line a
 * case.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "batch.h"
#include "lib/addr.h"
#include "lib/apply.h"
#include "lib/flow_table.h"
#include "lib/hash_key.h"
#include "measure.h"

#define ROUNDS 5
#define VIPS   512

static void print_ms(const char *name, double ms, double goal_ms)
{
	printf("{\"case\":\"%s\",\"ms\":%.3f", name, ms);
	if (goal_ms > 0)
		printf(",\"goal_ms\":%.1f", goal_ms);
	printf("}\n");
	fprintf(stderr, "%-28s %10.2f ms", name, ms);
	if (goal_ms > 0)
		fprintf(stderr, "   goal %.0f: %s", goal_ms, ms <= goal_ms ? "met" : "not met");
	fputc('\n', stderr);
}

struct moment {
	double wall_ms;
	double cpu_ms; /* of this thread */
	long sleeps;
};

static struct moment now(void)
{
	struct rusage usage;
	struct timespec cpu;

	getrusage(RUSAGE_THREAD, &usage);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	return (struct moment){
		.wall_ms = measure_now_ms(),
		.cpu_ms = (double)cpu.tv_sec * 1e3 + (double)cpu.tv_nsec / 1e6,
		.sleeps = usage.ru_nvcsw,
	};
}

/*
 * What a step takes of the CPU; if it slept, how long it took. Whatever the priority, the kernel
 * gives starved neighbours 50 ms of every second: those are not the step's.
 */
static double step_ms(const struct moment *start)
{
	struct moment end = now();

	return end.sleeps == start->sleeps ? end.cpu_ms - start->cpu_ms
					   : end.wall_ms - start->wall_ms;
}

/* As balancer_build_rings(), saying how long the longest step kept the event loop. */
static int build_rings(struct balancer *b, double *ret_longest_ms, struct err *err)
{
	double longest = 0;

	for (;;) {
		struct moment start = now();
		enum ring_progress progress = apply_next_ring(b->applied, err);
		double took = step_ms(&start);

		longest = took > longest ? took : longest;
		if (progress == RINGS_WAIT && err->text[0])
			return -EIO;
		if (progress == RINGS_WAIT)
			grace_wait(b->grace, grace_request(b->grace));
		if (progress == RINGS_DONE)
			break;
	}
	*ret_longest_ms = longest;
	return 0;
}

/* Whether the real's members, one of each VIP, are all in this state. */
static int check_words(const struct balancer *b, uint32_t real, enum member_state state,
		       struct err *err)
{
	struct ip_addr address = balancer_real(&b->options, real);
	uint32_t n = 0;

	for (uint32_t id = 0; id < b->dp->control->members; id++) {
		const struct member *m = &b->dp->members[id];

		n += addr_equal(&m->real, &address) && (m->state & MEMBER_STATE_MASK) == state;
	}
	return n == VIPS ? 0 : err_set(err, EPROTO, "%u of %d members have the state", n, VIPS);
}

/* Whether a VIP's ring has so many reals and no slot of another. */
static bool is_ring_of(const struct balancer *b, const struct vip_state *vip, uint32_t reals)
{
	uint32_t base = RING_WORD_BASE(vip->ring), size = RING_WORD_SIZE(vip->ring);
	bool is_named[BALANCER_REALS] = {};
	uint32_t n = 0;

	for (uint32_t i = 0; i < size; i++) {
		uint16_t at = b->dp->rings[base + i / RING_SLOTS_PER_BLOCK]
				      .slot[i % RING_SLOTS_PER_BLOCK];

		if (at >= reals)
			return false;
		n += !is_named[at];
		is_named[at] = true;
	}
	return vip->members == reals && n == reals;
}

static int check_rings(const struct balancer *b, uint32_t reals, struct err *err)
{
	for (uint32_t i = 0; i < b->applied->n_vips; i++) {
		const struct vip_state *vip = &b->dp->vip_state[b->applied->vips[i]->id];

		if (!is_ring_of(b, vip, reals))
			return err_set(err, EPROTO, "a ring is not that of %u reals", reals);
	}
	return 0;
}

static int from_nothing(struct balancer **ret_balancer, struct err *err)
{
	const struct balancer_options o = {.family = FAMILY_V4,
					   .protocol = IPPROTO_TCP,
					   .vips = VIPS,
					   .flows = 1000000,
					   .ifindex = IFINDEX_LO};
	double start = measure_now_ms(), loaded, longest;
	struct balancer *b = NULL;
	int r = balancer_load(&o, &b, err);

	loaded = measure_now_ms();
	if (!b)
		return r;
	r = balancer_apply(b, NULL, err);
	r = r ? r : build_rings(b, &longest, err);
	if (r) {
		balancer_close(b);
		return r;
	}
	print_ms("load-512x100", loaded - start, 0);
	print_ms("apply-512x100", measure_now_ms() - loaded, 2000);
	*ret_balancer = b;
	r = check_words(b, BALANCER_REALS - 1, MEMBER_UP, err);
	return r ? r : check_rings(b, BALANCER_REALS, err);
}

/* Decision to member words, to all rings, and the longest that a probe had to wait meanwhile. */
static int one_down(struct balancer *b, struct err *err)
{
	double words[ROUNDS], rings[ROUNDS], longest[ROUNDS];
	int r = 0;

	for (int i = 0; !r && i < ROUNDS; i++) {
		double start = measure_now_ms();

		r = balancer_set_health(b, BALANCER_REALS - 1, HEALTH_DOWN, err);
		words[i] = measure_now_ms() - start;
		r = r ? r : check_words(b, BALANCER_REALS - 1, MEMBER_DOWN, err);
		start = measure_now_ms() - words[i];
		r = r ? r : build_rings(b, &longest[i], err);
		rings[i] = measure_now_ms() - start;
		r = r ? r : check_rings(b, BALANCER_REALS - 1, err);
		r = r ? r : balancer_set_health(b, BALANCER_REALS - 1, HEALTH_UP, err);
		r = r ? r : balancer_build_rings(b, err);
		r = r ? r : check_rings(b, BALANCER_REALS, err);
	}
	if (r)
		return r;
	print_ms("down-512-words", measure_median(words, ROUNDS), 1);
	print_ms("down-512-rings", measure_median(rings, ROUNDS), 1000);
	print_ms("down-512-longest-step", measure_median(longest, ROUNDS), 10);
	return 0;
}

/* The same as a change of the configuration: planned, against all that is applied. */
static int one_down_by_plan(struct balancer *b, struct err *err)
{
	struct ip_addr real = balancer_real(&b->options, BALANCER_REALS - 1);
	double words[ROUNDS];
	int r = 0;

	for (int i = 0; !r && i < ROUNDS; i++) {
		double start = measure_now_ms();

		r = balancer_apply(b, &real, err);
		words[i] = measure_now_ms() - start;
		r = r ? r : check_words(b, BALANCER_REALS - 1, MEMBER_DOWN, err);
		r = r ? r : balancer_apply(b, NULL, err);
	}
	if (!r)
		print_ms("down-512-words-by-plan", measure_median(words, ROUNDS), 0);
	return r ? r : balancer_build_rings(b, err);
}

static int adopt(struct balancer *b, struct err *err)
{
	struct vip_key *keys;
	uint32_t *ids;
	size_t n;
	int r = dataplane_open(&b->dataplane, b->bpffs, &b->config->capacity, &b->knobs, b->grace,
			       err);

	if (r)
		return r;
	b->dp = dataplane_dp(b->dataplane);
	if (!dataplane_is_adopted(b->dataplane))
		return err_set(err, EPROTO, "the maps were not found again");
	r = applied_new(&b->applied, b->dp, hash_key_fingerprint(&b->knobs.hash_key));
	r = r ? r : dataplane_read_vips(b->dataplane, &keys, &ids, &n, err);
	if (r)
		return r;
	r = apply_adopt(b->applied, keys, ids, n, err);
	free(keys);
	free(ids);
	return r;
}

/* Changes with every switch of any ring. */
static uint64_t rings_in_use(const struct balancer *b)
{
	uint64_t sum = 0;

	for (uint32_t id = 0; id < b->dp->control->vips; id++)
		sum = sum * 31 + b->dp->vip_state[id].ring;
	return sum;
}

static int restart(struct balancer *b, struct err *err)
{
	uint64_t before = rings_in_use(b);
	double start, adopted, done;
	int r;

	applied_free(b->applied);
	dataplane_close(b->dataplane);
	b->applied = NULL;
	b->dataplane = NULL;
	start = measure_now_ms();
	r = adopt(b, err);
	adopted = measure_now_ms();
	r = r ? r : balancer_apply(b, NULL, err);
	r = r ? r : balancer_build_rings(b, err);
	done = measure_now_ms();
	if (!r && rings_in_use(b) != before)
		r = err_set(err, EPROTO, "a ring was built anew");
	if (r)
		return r;
	print_ms("restart-adopt-512x100", adopted - start, 0);
	print_ms("restart-apply-512x100", done - adopted, 0);
	return 0;
}

static int learn(struct balancer *b, uint32_t flows, struct err *err)
{
	struct batch batch;
	int r = batch_open(b, &batch, err);

	if (r)
		return r;
	r = batch_learn(&batch, flows, err);
	batch_close(&batch);
	return r;
}

static int time_scan(struct balancer *b, uint32_t flows, double *ret_ms, struct err *err)
{
	struct flow_scan scan;
	double ms[ROUNDS];
	uint64_t jiffies;
	int r = dataplane_read_jiffies(b->dataplane, &jiffies);

	r = r ? r : flow_scan_init(&scan, b->dp->control->members);
	if (r)
		return err_errno(err, -r, "scan");
	for (int i = 0; i < ROUNDS; i++) {
		double start = measure_now_ms();

		flow_scan_reset(&scan);
		flow_scan_range(&scan, b->dp, 0, b->dp->control->flow_buckets, jiffies);
		ms[i] = measure_now_ms() - start;
	}
	if (scan.total_active < flows * 0.999)
		r = err_set(err, EPROTO, "the scan found %llu of %u flows",
			    (unsigned long long)scan.total_active, flows);
	flow_scan_free(&scan);
	*ret_ms = measure_median(ms, ROUNDS);
	return r;
}

static int scan(uint32_t flows, const char *name, double goal_ms, struct err *err)
{
	const struct balancer_options o = {.family = FAMILY_V4,
					   .protocol = IPPROTO_TCP,
					   .vips = 1,
					   .flows = flows,
					   .ifindex = IFINDEX_LO};
	struct balancer *b = NULL;
	double ms = 0;
	int r = balancer_open(&o, &b, err);

	r = r ? r : learn(b, flows, err);
	r = r ? r : time_scan(b, flows, &ms, err);
	if (!r)
		print_ms(name, ms, goal_ms);
	balancer_close(b);
	return r;
}

int main(void)
{
	struct balancer *b = NULL;
	struct err err = {};
	int r;

	measure_undisturbed();
	r = from_nothing(&b, &err);

	r = r ? r : one_down(b, &err);
	r = r ? r : one_down_by_plan(b, &err);
	r = r ? r : restart(b, &err);
	balancer_close(b);
	r = r ? r : scan(1000000, "scan-1M", 0, &err);
	r = r ? r : scan(10000000, "scan-10M", 100, &err);
	if (r)
		fprintf(stderr, "bench_control: %s\n", err.text);
	return r ? 1 : 0;
}
