/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See harness.h. */
#include "harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../run_path.h"
#include "lib/addr.h"
#include "lib/apply.h"
#include "lib/flow_clock.h"
#include "lib/hex.h"

#define DEFAULT_FLOWS	4096
#define DEFAULT_MEMBERS 64
#define DEFAULT_RING	1021
#define RING_SLOTS	131072
#define IFINDEX_LO	1

static const struct timeouts timeouts = {
	.tcp_ms = 900000, .tcp_closing_ms = 10000, .tcp_unproven_ms = 10000, .udp_ms = 30000};

static const uint8_t gateway_mac[6] = {0x02, 0x99, 0x88, 0x77, 0x66, 0x55};

/* The configuration of one bed_apply() as the daemon would have read it. */
struct bed_config {
	struct vip_spec specs[BED_MAX_VIPS];
	struct real_spec reals[BED_MAX_VIPS][BED_MAX_REALS];
	const struct bed_vip *vips;
	struct config config;
};

/* splitmix64, so that a key is full of bits and yet the same in every run. */
static void make_key(uint64_t seed, struct flow_hash_key *ret_key)
{
	uint64_t words[sizeof(*ret_key) / 8];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		words[i] = z ^ (z >> 31);
	}
	memcpy(ret_key, words, sizeof(words));
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* Host bits of the last 64 of an address, in wire order. */
static void host_bits(unsigned int bits, struct ip_addr *ret_mask)
{
	*ret_mask = (struct ip_addr){};
	for (unsigned int i = 0; i < bits; i++)
		ret_mask->b[15 - i / 8] |= (uint8_t)(1u << i % 8);
}

static void make_knobs(const struct bed_options *o, struct dataplane_knobs *ret_knobs)
{
	struct vip_spec spec = {.timeouts = timeouts};
	struct dataplane_knobs k = {.hz = dataplane_hz()};
	const char *express = getenv("XDPLB_EXPRESS");
	struct ip_addr mask;

	make_key(o->key_seed, &k.hash_key);
	flow_clock_make(&spec, 1, k.hz, &k.clock);
	k.source4 = address(o->source4 ? o->source4 : BED_SOURCE4).w[3];
	host_bits(o->source4_bits ? 32 - o->source4_bits : 0, &mask);
	k.source4_entropy = mask.w[3];
	k.source6 = address(o->source6 ? o->source6 : BED_SOURCE6);
	host_bits(o->source6_bits ? 128 - o->source6_bits : 0, &k.source6_entropy);
	k.encaps = 1u << ENCAP_IPIP | 1u << ENCAP_GUE | 1u << ENCAP_L2DSR;
	k.schedulers = o->schedulers | 1u << SCHEDULER_MAGLEV;
	k.gue_port = htons(o->gue_port ? o->gue_port : BED_GUE_PORT);
	k.is_express_on = !express || strcmp(express, "off") != 0;
	k.gue_checksum6 = o->gue_checksum6;
	k.is_quic_on = o->is_quic_on;
	k.syn_window_shift = o->syn_window_shift;
	k.syn_window_limit = o->syn_window_limit;
	*ret_knobs = k;
}

static void publish_interfaces(const struct dp *dp)
{
	for (uint32_t row = BED_ROW_SAME; row <= BED_ROW_OTHER; row++) {
		dp->out[row].mtu = 9216;
		memcpy(dp->out[row].mac, frame_local_mac, sizeof(dp->out[row].mac));
		dp->out[row].mac[5] ^= row;
		dp->out[row].ifindex = row == BED_ROW_SAME ? IFINDEX_LO : BED_IFINDEX_OTHER;
	}
}

struct bed *bed_new(const struct bed_options *options)
{
	struct capacity capacity = {
		.flows = options->flows ? options->flows : DEFAULT_FLOWS,
		.members = options->members ? options->members : DEFAULT_MEMBERS,
		.vips = BED_MAX_VIPS,
		.ring_slots = RING_SLOTS,
	};
	struct bed *bed = calloc(1, sizeof(*bed));
	struct err err = {};

	assert_non_null(bed);
	run_path(bed->bpffs, sizeof(bed->bpffs), "/sys/fs/bpf");
	make_knobs(options, &bed->knobs);
	if (grace_new(&bed->grace, &err) ||
	    dataplane_open(&bed->dataplane, bed->bpffs, &capacity, &bed->knobs, bed->grace, &err)) {
		bed_remove(bed);
		fail_msg("%s", err.text);
	}
	bed->dp = dataplane_dp(bed->dataplane);
	publish_interfaces(bed->dp);
	assert_int_equal(applied_new(&bed->applied, bed->dp, 1), 0);
	return bed;
}

void bed_remove(struct bed *bed)
{
	struct err err = {};

	if (!bed)
		return;
	applied_free(bed->applied);
	dataplane_close(bed->dataplane);
	if (bed->bpffs[0] && dataplane_remove(bed->bpffs, &err))
		print_error("remove %s: %s\n", bed->bpffs, err.text);
	grace_free(bed->grace);
	free(bed);
}

void bed_reopen(struct bed *bed)
{
	struct capacity capacity = dataplane_capacity(bed->dataplane);
	struct err err = {};

	dataplane_close(bed->dataplane);
	bed->dataplane = NULL;
	assert_int_equal(dataplane_open(&bed->dataplane, bed->bpffs, &capacity, &bed->knobs,
					bed->grace, &err),
			 0);
	bed->dp = dataplane_dp(bed->dataplane);
}

int bed_setup(void **state)
{
	*state = bed_new(&(struct bed_options){});
	return 0;
}

int bed_teardown(void **state)
{
	bed_remove(*state);
	*state = NULL;
	return 0;
}

static struct server_id server_id(const char *text)
{
	struct server_id id = {};
	int length = text ? hex_parse(text, id.bytes, sizeof(id.bytes)) : 0;

	assert_true(length >= 0);
	id.length = (uint8_t)length;
	return id;
}

static void make_vip(const struct bed_vip *vip, size_t i, struct bed_config *c)
{
	struct vip_spec *spec = &c->specs[i];

	*spec = (struct vip_spec){
		.name = (char *)vip->address,
		.address = address(vip->address),
		.host_bits = vip->host_bits,
		.port = vip->port,
		.port_last = vip->port_last,
		.protocol = vip->protocol ? vip->protocol : IPPROTO_TCP,
		.ring = vip->ring ? vip->ring : DEFAULT_RING,
		.timeouts = timeouts,
		.on_no_port = vip->on_no_port,
		.echo = vip->echo,
		.on_all_down = vip->on_all_down,
		.encap = vip->encap,
		.scheduler = vip->scheduler,
		.source = vip->source,
		.quic = (struct quic_spec *)vip->quic,
		.n_quic = vip->n_quic,
		.reals = c->reals[i],
	};
	while (spec->n_reals < BED_MAX_REALS && vip->reals[spec->n_reals].address) {
		const struct bed_real *real = &vip->reals[spec->n_reals];

		c->reals[i][spec->n_reals++] = (struct real_spec){
			.address = address(real->address),
			.weight = real->weight ? real->weight : 100,
			.server_id = server_id(real->server_id),
		};
	}
}

static struct real_input input_of(void *user, size_t vip, size_t real)
{
	const struct bed_config *c = user;
	const struct bed_real *r = &c->vips[vip].reals[real];

	return (struct real_input){
		.admin = r->is_drained ? ADMIN_DRAIN : ADMIN_ENABLED,
		.health = r->is_down ? HEALTH_DOWN : HEALTH_UP,
		.rest = r->rest,
		.resets_when_down = c->vips[vip].on_down == ON_DOWN_RESET,
	};
}

static void apply_config(struct bed *bed, struct bed_config *c)
{
	struct desired desired;
	struct plan plan;
	struct err err = {};
	int r;

	assert_int_equal(effective(&c->config, input_of, c, &desired), 0);
	r = plan_make(bed->applied, &desired, &bed->knobs.clock, bed->knobs.hz, &plan, &err);
	if (!r) {
		r = apply_plan(bed->applied, &plan, &err);
		plan_free(&plan);
	}
	for (size_t v = 0; v < desired.n_vips; v++) {
		for (size_t i = 0; i < desired.vips[v].n_members; i++)
			apply_next_hop(bed->applied, &desired.vips[v].members[i].real,
				       bed_next_hop(BED_ROW_SAME));
	}
	desired_free(&desired);
	if (r)
		fail_msg("%s", err.text);
}

void bed_apply_members(struct bed *bed, const struct bed_vip *vips, size_t n_vips)
{
	struct bed_config c = {.vips = vips};

	assert_true(n_vips <= BED_MAX_VIPS);
	for (size_t i = 0; i < n_vips; i++)
		make_vip(&vips[i], i, &c);
	c.config.vips = c.specs;
	c.config.n_vips = n_vips;
	apply_config(bed, &c);
}

void bed_build_rings(struct bed *bed)
{
	struct err err = {};

	for (;;) {
		switch (apply_next_ring(bed->applied, &err)) {
		case RINGS_DONE:
			return;
		case RINGS_WAIT:
			if (err.text[0])
				fail_msg("%s", err.text);
			bed_wait_grace(bed);
			break;
		case RINGS_MORE:
			break;
		}
	}
}

void bed_apply(struct bed *bed, const struct bed_vip *vips, size_t n_vips)
{
	bed_apply_members(bed, vips, n_vips);
	bed_build_rings(bed);
}

uint64_t bed_next_hop(uint32_t row)
{
	uint64_t word = (uint64_t)row << NEXT_HOP_ROW_SHIFT;

	for (int i = 0; i < 6; i++)
		word |= (uint64_t)gateway_mac[i] << 8 * i;
	return word;
}

const uint8_t *bed_gateway_mac(void)
{
	return gateway_mac;
}

uint32_t bed_member_id(const struct bed *bed, const struct bed_vip *vip, const char *real)
{
	struct vip_key key = {
		.address = address(vip->address),
		.port = htons(vip->port),
		.protocol = vip->protocol ? vip->protocol : IPPROTO_TCP,
		.port_last = htons(vip->port_last),
		.host_bits = vip->host_bits,
	};
	struct ip_addr real_address = address(real);
	const struct applied_vip *have;
	const struct applied_member *member = NULL;

	key.family = addr_family(&key.address);
	have = applied_find(bed->applied, &key);
	if (have)
		member = applied_find_member(have, &real_address, 0);
	if (!member)
		fail_msg("%s has no real %s", vip->address, real);
	return member->id;
}

void bed_wait_grace(struct bed *bed)
{
	grace_wait(bed->grace, grace_request(bed->grace));
}

/* ---- Running packets --------------------------------------------------------------------- */

struct stats bed_stats(const struct bed *bed)
{
	unsigned int n_cpus = dataplane_n_cpus();
	struct stats *per_cpu = calloc(n_cpus, sizeof(*per_cpu));
	uint64_t sum[XDPLB_STATS] = {};
	struct stats stats;

	assert_non_null(per_cpu);
	assert_int_equal(dataplane_read_stats(bed->dataplane, per_cpu), 0);
	for (unsigned int cpu = 0; cpu < n_cpus; cpu++) {
		for (size_t i = 0; i < XDPLB_STATS; i++)
			sum[i] += ((const uint64_t *)&per_cpu[cpu])[i];
	}
	free(per_cpu);
	memcpy(&stats, sum, sizeof(stats));
	return stats;
}

static struct member_stats read_forwarded(const struct bed *bed)
{
	struct member_stats sum = {};

	for (uint32_t id = 0; id < bed->dp->control->members; id++) {
		struct member_stats one;

		if (bed->dp->members[id].state == MEMBER_FREE)
			continue;
		assert_int_equal(bed->dp->ops->member_stats_read(bed->dp->user, id, &one), 0);
		sum.packets += one.packets;
		sum.bytes += one.bytes;
		sum.new_flows += one.new_flows;
		sum.repeated_syns += one.repeated_syns;
	}
	return sum;
}

static const char *const verdict_names[] = {
#define X(name, text) #name,
	XDPLB_PASS_COUNTERS(X) XDPLB_REPLY_COUNTERS(X) XDPLB_DROP_COUNTERS(X)
#undef X
};

#define N_VERDICTS (sizeof(verdict_names) / sizeof(verdict_names[0]))

/* The action that goes with the counter at this place of the list. */
static uint32_t verdict_action(size_t counter)
{
	if (!strncmp(verdict_names[counter], "pass", 4))
		return XDP_PASS;
	return strncmp(verdict_names[counter], "reply", 5) ? XDP_DROP : XDP_TX;
}

static void check_counted_once(const struct run *run)
{
	const uint64_t *rise = (const uint64_t *)&run->rise;
	uint64_t n = run->forwarded.packets;

	for (size_t i = 0; i < N_VERDICTS; i++) {
		n += rise[i];
		if (rise[i] && run->verdict != verdict_action(i))
			fail_msg("verdict %u was counted as %s", run->verdict, verdict_names[i]);
	}
	if (n != 1)
		fail_msg("verdict %u was counted %llu times", run->verdict, (unsigned long long)n);
	if (run->forwarded.packets && run->verdict != XDP_TX && run->verdict != XDP_REDIRECT)
		fail_msg("verdict %u was counted as forwarded", run->verdict);
}

const char *run_counter(const struct run *run)
{
	for (size_t i = 0; i < N_VERDICTS; i++) {
		if (((const uint64_t *)&run->rise)[i])
			return verdict_names[i];
	}
	return "forwarded";
}

void bed_run(struct bed *bed, const struct frame *in, struct run *ret_run)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = ret_run->out.bytes, .data_size_out = sizeof(ret_run->out.bytes),
		    .repeat = 1);
	struct stats stats = bed_stats(bed);
	struct member_stats forwarded = read_forwarded(bed);
	int r = bpf_prog_test_run_opts(dataplane_prog_fd(bed->dataplane), &opts);

	if (r)
		fail_msg("test run of %zu bytes: %s", in->len, strerror(-r));
	ret_run->verdict = opts.retval;
	ret_run->out.len = opts.data_size_out;
	ret_run->rise = bed_stats(bed);
	for (size_t i = 0; i < XDPLB_STATS; i++)
		((uint64_t *)&ret_run->rise)[i] -= ((const uint64_t *)&stats)[i];
	ret_run->forwarded = read_forwarded(bed);
	ret_run->forwarded.packets -= forwarded.packets;
	ret_run->forwarded.bytes -= forwarded.bytes;
	ret_run->forwarded.new_flows -= forwarded.new_flows;
	ret_run->forwarded.repeated_syns -= forwarded.repeated_syns;
	check_counted_once(ret_run);
}

void bed_send(struct bed *bed, const struct packet *packet, struct run *ret_run)
{
	struct frame frame;

	frame_build(packet, &frame);
	bed_run(bed, &frame, ret_run);
}

struct ip_addr run_real(const struct run *run)
{
	const uint8_t *ip = run->out.bytes + FRAME_ETH_LEN;
	struct ip_addr real = {.w = {0, 0, htonl(0xffff), 0}};

	if (!run->forwarded.packets)
		fail_msg("not forwarded but %s", run_counter(run));
	if (ip[0] >> 4 == 4)
		memcpy(&real.w[3], ip + 16, 4);
	else
		memcpy(&real, ip + 24, sizeof(real));
	return real;
}

struct ip_addr bed_real_of(struct bed *bed, const struct packet *packet)
{
	struct run run;

	bed_send(bed, packet, &run);
	return run_real(&run);
}
