/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See receiver_bed.h. */
#include "receiver_bed.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"

static const char *const counter_names[] = {
#define X(name, text) #name,
	RECEIVER_COUNTERS(X)
#undef X
};

static void add_addr(const struct bpf_map *map, const char *text)
{
	struct receiver_addr key = {};
	__u32 one = 1;

	assert_int_equal(addr_parse(text, &key.address), 0);
	key.family = addr_family(&key.address);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &key, &one, BPF_ANY), 0);
}

static void add_prefix(const struct bpf_map *map, const char *text, unsigned int bits)
{
	struct receiver_prefix key = {};
	__u32 one = 1;

	assert_int_equal(addr_parse(text, &key.address), 0);
	key.family = addr_family(&key.address);
	key.prefix_len = RECEIVER_PREFIX_BITS(key.family, bits);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &key, &one, BPF_ANY), 0);
}

static struct receiver_bpf *load(bool has_from)
{
	struct receiver_bpf *skel = receiver_bpf__open();

	assert_non_null(skel);
	skel->rodata->knob_has_from = has_from;
	skel->rodata->knob_gue_port = htons(RECEIVER_GUE_PORT);
	assert_int_equal(receiver_bpf__load(skel), 0);
	add_addr(skel->maps.vips, VIP4);
	add_addr(skel->maps.vips, VIP6);
	add_addr(skel->maps.locals, REAL4);
	add_addr(skel->maps.locals, REAL6);
	if (has_from) {
		add_prefix(skel->maps.from, BALANCER4, 24);
		add_prefix(skel->maps.from, BALANCER6, 64);
	}
	return skel;
}

int receiver_bed_setup(void **state)
{
	struct receiver_bed *i = calloc(1, sizeof(*i));

	assert_non_null(i);
	i->open = load(false);
	i->listed = load(true);
	*state = i;
	return 0;
}

int receiver_bed_teardown(void **state)
{
	struct receiver_bed *i = *state;

	receiver_bpf__destroy(i->open);
	receiver_bpf__destroy(i->listed);
	free(i);
	return 0;
}

static struct receiver_stats read_stats(struct receiver_bpf *skel)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct receiver_stats *rows = calloc((size_t)n_cpus, sizeof(*rows));
	struct receiver_stats sum = {};
	__u32 row = 0;

	assert_non_null(rows);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.receiver_stats), &row, rows),
			 0);
	for (int cpu = 0; cpu < n_cpus; cpu++)
		for (size_t i = 0; i < RECEIVER_STATS; i++)
			((__u64 *)&sum)[i] += ((__u64 *)&rows[cpu])[i];
	free(rows);
	return sum;
}

void receiver_bed_run(struct receiver_bpf *skel, uint8_t *in, size_t len,
		      struct receiver_run *ret_result)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)len,
		    .data_out = ret_result->out, .data_size_out = sizeof(ret_result->out),
		    .repeat = 1);
	struct receiver_stats before = read_stats(skel);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.receiver), &opts), 0);
	ret_result->verdict = opts.retval;
	ret_result->out_len = opts.data_size_out;
	ret_result->rise = read_stats(skel);
	for (size_t i = 0; i < RECEIVER_STATS; i++)
		((__u64 *)&ret_result->rise)[i] -= ((__u64 *)&before)[i];
}

/* Exactly one counter rose, by one, and it is this one. */
void receiver_check_counter(const char *what, const struct receiver_run *r,
			    enum receiver_counter counter)
{
	for (size_t i = 0; i < RECEIVER_STATS; i++) {
		__u64 rise = ((const __u64 *)&r->rise)[i];

		if (rise != (i == counter))
			fail_msg("%s: %s rose by %llu, expected %s to rise by 1", what,
				 counter_names[i], (unsigned long long)rise,
				 counter_names[counter]);
	}
}

void receiver_check_frame(const char *what, const struct receiver_run *r, const uint8_t *frame,
			  size_t len)
{
	if (r->out_len != len)
		fail_msg("%s: frame of %zu bytes, expected %zu", what, r->out_len, len);
	for (size_t i = 0; i < len; i++)
		if (r->out[i] != frame[i])
			fail_msg("%s: byte %zu is %02x, expected %02x", what, i, r->out[i],
				 frame[i]);
}

struct receiver_frame receiver_frame_of(int outer, int inner)
{
	return (struct receiver_frame){
		.outer = outer,
		.inner = inner,
		.outer_src = outer == 4 ? BALANCER4 : BALANCER6,
		.outer_dst = outer == 4 ? REAL4 : REAL6,
		.inner_dst = inner == 4 ? VIP4 : VIP6,
	};
}
