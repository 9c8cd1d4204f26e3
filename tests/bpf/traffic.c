/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See traffic.h. */
#include "traffic.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "traffic.skel.h"
#include "xdplb.skel.h"

/* Packets in one system call, which waits for a grace period beside them. */
#define AT_ONCE 250000

#define STALL_LOOPS_PER_US 600

struct traffic_private {
	struct traffic_bpf *skel;
	uint32_t stall_every_us;
	void *maps[3];
	size_t map_len[3];
	uint8_t frame[TRAFFIC_FRAME + TRAFFIC_OUTER];
	uint32_t frame_len;
	pthread_t thread;
	bool is_running;
	bool must_stop; /* atomic */
	uint64_t packets;
	const char *failed; /* what, in the thread */
	int error;
};

/* ---- Maps of the bed --------------------------------------------------------------------- */

/* What is pinned: variables of a section ".data.NAME" under NAME; the constants are not. */
static const char *pinned_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	const char *section = ".data.";

	if (!strncmp(name, section, strlen(section)))
		return name + strlen(section);
	return bpf_map__is_internal(map) ? NULL : name;
}

static void share_map(const struct bed *bed, struct bpf_map *map)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", bed->bpffs, pinned_name(map));
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	assert_int_equal(bpf_map__reuse_fd(map, fd), 0);
	close(fd);
}

static void *map_memory(struct traffic_private *p, int i, const struct bpf_map *map)
{
	size_t len = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7u);
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory;

	p->map_len[i] = (len + page - 1) / page * page;
	memory = mmap(NULL, p->map_len[i], PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	assert_true(memory != MAP_FAILED);
	p->maps[i] = memory;
	return memory;
}

static void size_map(struct bpf_map *map, uint32_t rows)
{
	assert_int_equal(bpf_map__set_max_entries(map, rows ? rows : 1), 0);
}

struct traffic *traffic_new(const struct bed *bed, const struct traffic_options *options)
{
	struct traffic *t = calloc(1, sizeof(*t));
	struct traffic_private *p = calloc(1, sizeof(*p));
	struct traffic_bpf *skel = traffic_bpf__open();

	assert_true(t && p && skel);
	share_map(bed, skel->maps.flows);
	share_map(bed, skel->maps.members);
	share_map(bed, skel->maps.vip_state);
	size_map(skel->maps.picks, options->picks);
	size_map(skel->maps.lives, options->lives);
	skel->rodata->knob_hash_key = bed->knobs.hash_key;
	skel->rodata->knob_flow_buckets = bed->dp->control->flow_buckets;
	skel->rodata->knob_stall_loops = options->stall_us * STALL_LOOPS_PER_US;
	assert_int_equal(traffic_bpf__load(skel), 0);
	p->skel = skel;
	p->stall_every_us = options->stall_every_us;
	t->private = p;
	t->cpu = options->cpu;
	t->state = &skel->bss->state;
	t->picks = map_memory(p, 0, skel->maps.picks);
	t->lives = map_memory(p, 1, skel->maps.lives);
	t->rings = map_memory(p, 2, skel->maps.switches);
	traffic_aim(t, dataplane_prog_fd(bed->dataplane));
	return t;
}

void traffic_free(struct traffic *traffic)
{
	if (!traffic)
		return;
	for (int i = 0; i < 3; i++)
		munmap(traffic->private->maps[i], traffic->private->map_len[i]);
	traffic_bpf__destroy(traffic->private->skel);
	free(traffic->private);
	free(traffic);
}

void traffic_aim(struct traffic *traffic, int prog_fd)
{
	int fd = bpf_map__fd(traffic->private->skel->maps.balancer);
	uint32_t row = 0;

	assert_int_equal(bpf_map_update_elem(fd, &row, &prog_fd, BPF_ANY), 0);
}

/* ---- The thread: nothing here may fail the test by itself ---------------------------------- */

static bool give_up(struct traffic_private *p, const char *what, int error)
{
	p->failed = what;
	p->error = error;
	return false;
}

static bool run_some(struct traffic_private *p, uint32_t repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->frame, .data_out = p->frame,
		    .data_size_in = p->frame_len, .data_size_out = sizeof(p->frame),
		    .repeat = (int)repeat);
	int r = bpf_prog_test_run_opts(bpf_program__fd(p->skel->progs.generate), &opts);

	if (r)
		return give_up(p, "test run", -r);
	if (opts.retval == XDP_ABORTED)
		return give_up(p, "the generator", EPROTO);
	p->frame_len = opts.data_size_out;
	return true;
}

static bool open_stalls(struct traffic_private *p, struct bpf_link **ret_link)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = p->stall_every_us * 1000ULL,
	};
	int fd;

	if (!p->stall_every_us)
		return true;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return give_up(p, "perf event", errno);
	*ret_link = bpf_program__attach_perf_event(p->skel->progs.stall, fd);
	if (!*ret_link)
		return give_up(p, "attach to the perf event", errno);
	return true;
}

static void send_all(struct traffic_private *p)
{
	struct traffic_state *s = &p->skel->bss->state;
	uint64_t left = p->packets;

	while (!__atomic_load_n(&p->must_stop, __ATOMIC_RELAXED)) {
		uint32_t n = p->packets && left < AT_ONCE ? left : AT_ONCE;

		if (!n || !run_some(p, n))
			break;
		left -= n;
	}
	s->is_closing = true;
	if (!p->failed)
		run_some(p, 1);
	s->is_closing = false;
}

static void *run(void *arg)
{
	struct traffic *t = arg;
	struct traffic_private *p = t->private;
	struct bpf_link *link = NULL;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(t->cpu % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus))
		give_up(p, "run on that CPU", errno);
	else if (open_stalls(p, &link))
		send_all(p);
	bpf_link__destroy(link);
	return NULL;
}

/* ---- Running ----------------------------------------------------------------------------- */

void traffic_start(struct traffic *traffic, uint64_t packets)
{
	struct traffic_private *p = traffic->private;

	assert_false(p->is_running);
	p->packets = packets;
	p->must_stop = false;
	p->frame_len = TRAFFIC_FRAME;
	memset(p->frame, 0, sizeof(p->frame));
	assert_int_equal(pthread_create(&p->thread, NULL, run, traffic), 0);
	p->is_running = true;
}

void traffic_wait(struct traffic *traffic)
{
	struct traffic_private *p = traffic->private;

	assert_int_equal(pthread_join(p->thread, NULL), 0);
	p->is_running = false;
	if (p->failed)
		fail_msg("%s: %s", p->failed, strerror(p->error));
}

void traffic_stop(struct traffic *traffic)
{
	__atomic_store_n(&traffic->private->must_stop, true, __ATOMIC_RELAXED);
	traffic_wait(traffic);
}

uint64_t traffic_sent(const struct traffic *traffic)
{
	return __atomic_load_n(&traffic->state->result.packets, __ATOMIC_RELAXED);
}

struct traffic_result traffic_run(struct traffic *traffic, uint64_t packets)
{
	traffic->state->result = (struct traffic_result){};
	traffic_start(traffic, packets);
	traffic_wait(traffic);
	return traffic->state->result;
}

void traffic_set_kind(struct traffic *traffic, uint8_t protocol, uint8_t tcp_flags)
{
	struct traffic_state *s = traffic->state;

	s->kinds = 1;
	s->kind[0] = (struct traffic_kind){.protocol = protocol, .tcp_flags = tcp_flags};
	s->stride = 1;
	s->is_sequence = false;
	s->flows = 0;
	s->check = CHECK_VIP;
}

struct flow_tuple traffic_tuple(const struct traffic *traffic, uint32_t flow)
{
	const struct traffic_state *s = traffic->state;
	uint32_t incarnation = s->check == CHECK_LIFE ? traffic->lives[flow].incarnation : 0;
	uint64_t source = traffic_source(s->seed, flow, incarnation);
	struct flow_tuple t = {
		.family = FAMILY_V4,
		.protocol = s->kind[0].protocol,
		.sport = (__be16)(source >> 32),
		.dport = htons(TRAFFIC_VIP_PORT),
	};

	t.src.w[2] = t.dst.w[2] = htonl(0xffff);
	t.src.w[3] = (__be32)source;
	t.dst.w[3] = htonl(TRAFFIC_VIP_NET | (flow & s->vip_mask));
	return t;
}

/* ---- Variants ---------------------------------------------------------------------------- */

struct variant {
	struct xdplb_bpf *skel;
};

/* The old value, already in R0, is what a compare-and-swap that succeeds leaves there. */
static int unswap(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	struct bpf_insn *insns = (struct bpf_insn *)bpf_program__insns(prog);
	unsigned int n = 0;

	for (size_t i = 0; i < bpf_program__insn_cnt(prog); i++) {
		if (insns[i].code != (BPF_STX | BPF_ATOMIC | BPF_DW) || insns[i].imm != BPF_CMPXCHG)
			continue;
		insns[i].code = BPF_STX | BPF_MEM | BPF_DW;
		insns[i].imm = 0;
		n++;
	}
	return n ? 0 : -ENOENT;
}

/* libbpf hands over the instructions as they are loaded only to the handler of a section. */
static struct xdplb_bpf *open_skeleton(enum variant_kind kind, int *ret_handler)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = unswap);
	struct xdplb_bpf *skel;

	*ret_handler = -1;
	if (kind == VARIANT_PLAIN_STORE)
		*ret_handler = libbpf_register_prog_handler("xdp.frags", BPF_PROG_TYPE_XDP, BPF_XDP,
							    &opts);
	skel = xdplb_bpf__open();
	assert_non_null(skel);
	if (kind == VARIANT_PLAIN_STORE)
		bpf_program__set_flags(skel->progs.xdplb, BPF_F_XDP_HAS_FRAGS);
	return skel;
}

struct variant *variant_new(const struct bed *bed, enum variant_kind kind)
{
	struct variant *v = calloc(1, sizeof(*v));
	struct xdplb_bpf *skel;
	struct bpf_map *map;
	int handler;

	assert_non_null(v);
	v->skel = skel = open_skeleton(kind, &handler);
	bpf_object__for_each_map(map, skel->obj)
	{
		if (pinned_name(map) && (map != skel->maps.flows || kind != VARIANT_OWN_TABLE))
			share_map(bed, map);
	}
	skel->rodata->knob_flow_buckets = bed->dp->control->flow_buckets;
	if (kind == VARIANT_OWN_TABLE)
		size_map(skel->maps.flows, bed->dp->control->flow_buckets);
	if (kind == VARIANT_HALF_TABLE)
		skel->rodata->knob_flow_buckets /= 2;
	skel->rodata->knob_hash_key = bed->knobs.hash_key;
	skel->rodata->knob_clock = bed->knobs.clock;
	skel->rodata->knob_hz = bed->knobs.hz;
	skel->rodata->knob_source4 = bed->knobs.source4;
	skel->rodata->knob_source4_sum = (bed->knobs.source4 & 0xffff) + (bed->knobs.source4 >> 16);
	assert_int_equal(xdplb_bpf__load(skel), 0);
	if (handler >= 0)
		libbpf_unregister_prog_handler(handler);
	return v;
}

void variant_free(struct variant *variant)
{
	if (!variant)
		return;
	xdplb_bpf__destroy(variant->skel);
	free(variant);
}

int variant_prog_fd(const struct variant *variant)
{
	return bpf_program__fd(variant->skel->progs.xdplb);
}
