/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See batch.h. */
#include "batch.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "check.h"
#include "lib/addr.h"

/* Foreign packets go this far beyond the VIPs' addresses. */
#define FOREIGN 0x00010000u

static const struct bpf_program *encap_floor(const struct wrapper_bpf *skel,
					     const struct balancer_options *options)
{
	bool is_v4 = options->family == FAMILY_V4;

	if (options->encap == ENCAP_GUE)
		return is_v4 ? skel->progs.floor_gue4 : skel->progs.floor_gue6;
	return is_v4 ? skel->progs.floor_encap4 : skel->progs.floor_encap6;
}

int batch_open(const struct balancer *balancer, struct batch *ret_batch, struct err *err)
{
	struct wrapper_bpf *skel = wrapper_bpf__open();
	int programs[WRAPPER_TARGETS];
	int r;

	if (!skel)
		return err_errno(err, errno, "open the wrapper");
	r = wrapper_bpf__load(skel);
	if (r) {
		wrapper_bpf__destroy(skel);
		return err_errno(err, -r, "load the wrapper");
	}
	programs[WRAPPER_FLOOR] = bpf_program__fd(skel->progs.floor_tx);
	programs[WRAPPER_ENCAP_FLOOR] = bpf_program__fd(encap_floor(skel, &balancer->options));
	programs[WRAPPER_BALANCER] = dataplane_prog_fd(balancer->dataplane);
	for (uint32_t i = 0; !r && i < WRAPPER_TARGETS; i++)
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.programs), &i, &programs[i], 0);
	if (r) {
		wrapper_bpf__destroy(skel);
		return err_errno(err, -r, "aim the wrapper");
	}
	ret_batch->skel = skel;
	ret_batch->balancer = balancer;
	return 0;
}

void batch_close(struct batch *batch)
{
	wrapper_bpf__destroy(batch->skel);
	batch->skel = NULL;
}

static void write_l4(uint8_t *at, uint8_t protocol, uint8_t tcp_flags, uint32_t len)
{
	struct tcphdr *tcp = (struct tcphdr *)at;
	struct udphdr *udp = (struct udphdr *)at;

	if (protocol == IPPROTO_TCP) {
		tcp->dest = htons(BALANCER_PORT);
		tcp->doff = 5;
		at[13] = tcp_flags;
		tcp->window = htons(1024);
	} else {
		udp->dest = htons(BALANCER_PORT);
		udp->len = htons(len);
	}
}

void batch_set_traffic(struct batch *batch, const struct traffic *traffic)
{
	const struct balancer_options *o = &batch->balancer->options;
	struct wrapper_state *s = &batch->skel->bss->state;
	uint8_t bytes[sizeof(s->header)] = {};
	struct ip_addr vip = balancer_vip(o, traffic->is_foreign ? FOREIGN : 0);
	uint8_t *l3 = bytes + ETH_HLEN;

	memcpy(bytes, balancer_mac, 6);
	memcpy(bytes + 6, balancer_gateway_mac, 6);
	if (o->family == FAMILY_V4) {
		struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 60, .protocol = o->protocol};

		ip.tot_len = htons(WRAPPER_FRAME - ETH_HLEN);
		ip.daddr = vip.w[3];
		bytes[12] = ETH_P_IP >> 8;
		memcpy(l3, &ip, sizeof(ip));
		write_l4(l3 + sizeof(ip), o->protocol, traffic->tcp_flags,
			 WRAPPER_FRAME - ETH_HLEN - sizeof(ip));
	} else {
		struct ip6_hdr ip = {.ip6_hlim = 60, .ip6_nxt = o->protocol};

		ip.ip6_vfc = 0x60;
		ip.ip6_plen = htons(WRAPPER_FRAME - ETH_HLEN - sizeof(ip));
		ip.ip6_src.s6_addr[0] = 0x24;
		ip.ip6_src.s6_addr[5] = 0x77;
		memcpy(&ip.ip6_dst, &vip, sizeof(ip.ip6_dst));
		bytes[12] = ETH_P_IPV6 >> 8;
		bytes[13] = ETH_P_IPV6 & 0xff;
		memcpy(l3, &ip, sizeof(ip));
		write_l4(l3 + sizeof(ip), o->protocol, traffic->tcp_flags,
			 WRAPPER_FRAME - ETH_HLEN - sizeof(ip));
	}
	memcpy(s->header, bytes, sizeof(bytes));
	s->flows = traffic->flows;
	s->offset = traffic->offset;
	s->vip_mask = o->vips - 1;
	s->vip = vip.w[3];
	s->dport = htons(BALANCER_PORT);
}

static int run_wrapper(struct batch *batch, const struct bpf_program *wrapper,
		       struct bpf_test_run_opts *opts, struct err *err)
{
	uint8_t frame[WRAPPER_FRAME] = {};
	int r;

	memcpy(frame, batch->skel->bss->state.header, sizeof(batch->skel->bss->state.header));
	opts->data_in = frame;
	opts->data_size_in = sizeof(frame);
	r = bpf_prog_test_run_opts(bpf_program__fd(wrapper), opts);
	if (r)
		return err_errno(err, -r, "run the wrapper");
	return 0;
}

static const struct bpf_program *wrap_program(const struct batch *batch)
{
	return batch->balancer->options.family == FAMILY_V4 ? batch->skel->progs.wrap_ipv4
							    : batch->skel->progs.wrap_ipv6;
}

static const struct bpf_program *learn_program(const struct batch *batch)
{
	return batch->balancer->options.family == FAMILY_V4 ? batch->skel->progs.learn_ipv4
							    : batch->skel->progs.learn_ipv6;
}

/* Bytes by which the packets of all rounds must have grown when the wrapper got them back. */
static uint64_t expected_growth(const struct batch *batch, const struct batch_order *order,
				uint32_t last_verdict)
{
	uint64_t packets = (uint64_t)order->packets * order->rounds;

	if (last_verdict != XDP_TX)
		return packets * balancer_outer_len(&batch->balancer->options);
	return (2 * packets - 1) *
	       balancer_outer_len(&batch->balancer->options); /* the last one did not come back */
}

int batch_run(struct batch *batch, const struct batch_order *order,
	      double (*ret_ns)[WRAPPER_TARGETS], struct err *err)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		    .repeat = (int)(order->packets * order->rounds * WRAPPER_TARGETS));
	volatile struct wrapper_state *s = &batch->skel->bss->state;
	int r;

	s->first_target = s->target = 0;
	s->last_target = WRAPPER_TARGETS - 1;
	s->position = order->first;
	s->stride = order->stride;
	s->packets = order->packets;
	s->warm = order->packets / 8;
	s->done = s->round = 0;
	s->grown = 0;
	r = run_wrapper(batch, wrap_program(batch), &opts, err);
	if (r)
		return r;
	if (s->round != order->rounds)
		return err_set(err, EPROTO, "%u of %u rounds were run", s->round, order->rounds);
	if (s->grown != expected_growth(batch, order, opts.retval))
		return err_set(err, EPROTO, "some packets went another way");
	for (uint32_t i = 0; i < order->rounds; i++) {
		for (int target = 0; target < WRAPPER_TARGETS; target++)
			ret_ns[i][target] = (double)s->ns[i][target] / (s->packets - 1 - s->warm);
	}
	return 0;
}

/* The table itself says so: a flow that it does not know goes to the same real, by the ring. */
static int check_learnt(const struct balancer *balancer, uint32_t flows, struct err *err)
{
	uint32_t slots = balancer->dp->control->flow_buckets * FLOW_SLOTS;
	uint32_t proven = 0;

	for (uint32_t i = 0; i < slots; i++) {
		uint64_t word = balancer->dp->flows[i / FLOW_SLOTS].slot[i % FLOW_SLOTS];
		uint32_t state = (word >> FLOW_STATE_SHIFT) & FLOW_STATE_MASK;

		proven += state == FLOW_TCP || state == FLOW_UDP;
	}
	if (proven > flows || proven < flows * 0.999)
		return err_set(err, EPROTO, "%u of %u flows are known", proven, flows);
	return 0;
}

int batch_learn(struct batch *batch, uint32_t flows, struct err *err)
{
	const uint32_t at_once = 1000000;
	struct traffic t = {.flows = flows};
	volatile struct wrapper_state *s = &batch->skel->bss->state;
	int r = 0;

	batch_set_traffic(batch, &t);
	s->first_target = s->last_target = s->target = WRAPPER_BALANCER;
	s->position = 0;
	s->stride = 1;
	for (uint32_t first = 0; !r && first < flows; first += at_once) {
		uint32_t n = flows - first < at_once ? flows - first : at_once;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = (int)(2 * n));

		s->packets = 2 * n;
		s->done = 0;
		r = run_wrapper(batch, learn_program(batch), &opts, err);
		if (!r && opts.retval != XDP_TX && opts.retval != XDP_REDIRECT)
			r = err_set(err, EPROTO, "verdict %u while learning flows", opts.retval);
	}
	return r ? r : check_learnt(batch->balancer, flows, err);
}

/* The frame that the wrapper sends for this flow. */
static void make_frame(const struct batch *batch, uint32_t flow, uint8_t *ret_frame)
{
	const struct wrapper_state *s = &batch->skel->bss->state;
	bool is_v4 = batch->balancer->options.family == FAMILY_V4;
	uint8_t *l3 = ret_frame + ETH_HLEN;
	uint8_t *src = is_v4 ? l3 + 12 : l3 + 20;
	uint32_t client = wrapper_client(flow), vip = s->vip | htonl(flow & s->vip_mask);
	uint16_t port = wrapper_port(flow);

	memset(ret_frame, 0, WRAPPER_FRAME);
	memcpy(ret_frame, s->header, sizeof(s->header));
	memcpy(src, &client, 4);
	memcpy(l3 + (is_v4 ? 16 : 36), &vip, 4);
	memcpy(l3 + (is_v4 ? 20 : 40), &port, 2);
}

int batch_check(struct batch *batch, uint32_t position, struct err *err)
{
	uint8_t in[WRAPPER_FRAME], out[2 * WRAPPER_FRAME];
	struct xdp_md ctx = {.data_end = WRAPPER_FRAME,
			     .ingress_ifindex = batch->balancer->options.ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = 1, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	struct wrapper_state *s = &batch->skel->bss->state;
	int r;

	s->target = s->first_target = s->last_target = WRAPPER_BALANCER;
	s->position = position;
	s->packets = 1;
	s->done = 0;
	r = run_wrapper(batch, wrap_program(batch), &opts, err);
	if (r)
		return r;
	make_frame(batch, s->offset + position, in);
	r = check_output(batch->balancer, in, opts.retval, out, opts.data_size_out, err);
	if (r)
		err_prefix(err, "flow %u", s->offset + position);
	return r;
}

static uint32_t divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint32_t batch_stride(uint32_t n)
{
	uint32_t stride = (uint32_t)(0.618 * n);

	if (n < 3)
		return n - 1;
	while (divisor(n, stride) != 1)
		stride++;
	return stride;
}
