/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See balancer.h. */
#include "balancer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fixed_key.h"
#include "../run_path.h"
#include "lib/addr.h"
#include "lib/apply.h"
#include "lib/hash_key.h"

#define ROW 1

const uint8_t balancer_gateway_mac[6] = {0x02, 0x99, 0x88, 0x77, 0x66, 0x55};
const uint8_t balancer_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};

struct ip_addr balancer_vip(const struct balancer_options *options, uint32_t vip)
{
	struct ip_addr a;

	addr_parse(options->family == FAMILY_V4 ? "198.18.0.0" : "2001:2::", &a);
	a.w[3] |= htonl(vip);
	return a;
}

struct ip_addr balancer_real(const struct balancer_options *options, uint32_t real)
{
	struct ip_addr a;

	addr_parse(options->family == FAMILY_V4 ? "10.1.0.0" : "fd00:2::", &a);
	a.w[3] |= htonl(1 + real);
	return a;
}

uint32_t balancer_outer_len(const struct balancer_options *options)
{
	return (options->family == FAMILY_V4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr)) +
	       (options->encap == ENCAP_GUE ? sizeof(struct udphdr) : 0);
}

static void write_vip(FILE *f, const struct balancer_options *o, uint32_t vip)
{
	struct ip_addr address = balancer_vip(o, vip);
	char text[ADDR_TEXT_MAX], port[16];

	snprintf(port, sizeof(port), "%u", BALANCER_PORT);
	fprintf(f, "  - name: web%u\n    address: \"%s\"\n    port: %s\n    protocol: %s\n", vip,
		addr_format(&address, text), o->ports ? o->ports : port,
		o->protocol == IPPROTO_TCP ? "tcp" : "udp");
	fprintf(f, "    reals:\n");
	for (uint32_t i = 0; i < BALANCER_REALS; i++) {
		address = balancer_real(o, i);
		fprintf(f, "      - {address: \"%s\"}\n", addr_format(&address, text));
	}
}

/* Of the configuration: a VIP beside those that are measured, or keys of the top. */
static const struct {
	const char *name;
	const char *vip, *top;
} features[] = {
	{.name = "entropy"},
	{.name = "gue",
	 .vip = "  - {name: gue, address: 198.18.0.1, port: 80, protocol: tcp, encap: gue,\n"
		"     reals: [{address: 198.18.1.1}, {address: \"2001:db8:18::1\"}]}\n"},
	{.name = "l2dsr",
	 .vip = "  - {name: l2dsr, address: 198.18.0.2, port: 80, protocol: tcp, encap: l2dsr,\n"
		"     reals: [{address: 198.18.1.2}]}\n"},
	{.name = "quic",
	 .vip = "  - {name: quic, address: 198.18.0.3, port: 443, protocol: udp,\n"
		"     quic: [{rotation: 0, server_id_length: 2, nonce_length: 6}],\n"
		"     reals: [{address: 198.18.1.3, server_id: \"0a1b\"}]}\n"},
	{.name = "range",
	 .vip = "  - {name: range, address: 198.18.0.4, port: \"8000-8099\", protocol: tcp,\n"
		"     reals: [{address: 198.18.1.4}]}\n"},
	{.name = "prefix",
	 .vip = "  - {name: prefix, address: 198.18.2.0/24, port: 0, protocol: tcp,\n"
		"     health: {type: none},\n"
		"     reals: [{address: 198.18.1.5}]}\n"},
	{.name = "source",
	 .vip = "  - {name: source, address: 198.18.0.5, port: 80, protocol: tcp,\n"
		"     scheduler: source, source: {affinity: 10m},\n"
		"     reals: [{address: 198.18.1.6}]}\n"},
	{.name = "rr",
	 .vip = "  - {name: rr, address: 198.18.0.6, port: 80, protocol: tcp, scheduler: rr,\n"
		"     reals: [{address: 198.18.1.7}]}\n"},
	{.name = "lc",
	 .vip = "  - {name: lc, address: 198.18.0.7, port: 80, protocol: tcp, scheduler: lc,\n"
		"     reals: [{address: 198.18.1.8}]}\n"},
	{.name = "p2c",
	 .vip = "  - {name: p2c, address: 198.18.0.8, port: 80, protocol: tcp, scheduler: p2c,\n"
		"     reals: [{address: 198.18.1.9}]}\n"},
	{"all-syns", .top = "guard: {syn_rate: 0/s}\n"},
};

#define N_FEATURES   (sizeof(features) / sizeof(features[0]))
#define HAS_ENTROPY  (1u << 0)
#define HAS_ALL_SYNS (1u << (N_FEATURES - 1))

static int parse_feature(const char *name, size_t len, uint32_t *features_on)
{
	for (size_t i = 0; i < N_FEATURES; i++) {
		if (strlen(features[i].name) == len && !strncmp(features[i].name, name, len)) {
			*features_on |= 1u << i;
			return 0;
		}
	}
	return -EINVAL;
}

int balancer_parse_features(const char *text, uint32_t *ret_features)
{
	int r = 0;

	*ret_features = 0;
	if (strcmp(text, "all") == 0) {
		*ret_features = ((1u << N_FEATURES) - 1) & ~(HAS_ENTROPY | HAS_ALL_SYNS);
		return 0;
	}
	while (!r && *text) {
		size_t len = strcspn(text, ",");

		r = parse_feature(text, len, ret_features);
		text += len + (text[len] == ',');
	}
	return r;
}

void balancer_list_features(FILE *f)
{
	for (size_t i = 0; i < N_FEATURES; i++)
		fprintf(f, "%s\n", features[i].name);
}

static void write_features(FILE *f, uint32_t on, bool is_top)
{
	for (size_t i = 0; i < N_FEATURES; i++) {
		const char *text = is_top ? features[i].top : features[i].vip;

		if (text && on & 1u << i)
			fputs(text, f);
	}
}

char *balancer_yaml(const struct balancer_options *options)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f,
		"interfaces:\n  - {name: lo, attach: exclusive, mode: native}\n"
		"encap: {source4: %s, source6: \"fd00:1::/64\"}\n",
		options->has_entropy || options->features & HAS_ENTROPY ? "10.0.0.0/16"
									: "10.0.0.10");
	write_features(f, options->features, true);
	fprintf(f, "capacity: {flows: %u, ring_slots: %s}\n", options->flows,
		options->vips > 256 ? "128M" : "64M");
	fprintf(f, "defaults:\n  encap: %s\n  timeouts: {tcp: 1h, udp: 60s}\nvips:\n",
		encap_name(options->encap));
	for (uint32_t i = 0; i < options->vips; i++)
		write_vip(f, options, i);
	write_features(f, options->features, false);
	return fclose(f) ? NULL : text;
}

static int read_config(struct balancer *b, struct err *err)
{
	char *text = balancer_yaml(&b->options);
	int r = text ? config_parse("bench.yaml", text, strlen(text), &b->config, err)
		     : err_set(err, ENOMEM, "out of memory");

	free(text);
	return r;
}

int balancer_load(const struct balancer_options *options, struct balancer **ret_balancer,
		  struct err *err)
{
	struct balancer *b = calloc(1, sizeof(*b));
	struct flow_hash_key key;
	int r;

	if (!b)
		return err_set(err, ENOMEM, "out of memory");
	b->options = *options;
	run_path(b->bpffs, sizeof(b->bpffs), "/sys/fs/bpf");
	r = read_config(b, err);
	if (!r) {
		key = fixed_key();
		b->knobs = dataplane_knobs_of(b->config, &key, dataplane_hz());
		r = grace_new(&b->grace, err);
	}
	if (!r)
		r = dataplane_open(&b->dataplane, b->bpffs, &b->config->capacity, &b->knobs,
				   b->grace, err);
	if (!r) {
		b->dp = dataplane_dp(b->dataplane);
		r = applied_new(&b->applied, b->dp, hash_key_fingerprint(&b->knobs.hash_key));
	}
	if (r) {
		balancer_close(b);
		return r;
	}
	*ret_balancer = b;
	return 0;
}

struct inputs {
	const struct config *config;
	const struct ip_addr *down;
};

static struct real_input input_of(void *user, size_t vip, size_t real)
{
	const struct inputs *in = user;
	bool is_down = in->down && addr_equal(&in->config->vips[vip].reals[real].address, in->down);

	return (struct real_input){.admin = ADMIN_ENABLED,
				   .health = is_down ? HEALTH_DOWN : HEALTH_UP};
}

int balancer_apply(struct balancer *balancer, const struct ip_addr *down, struct err *err)
{
	struct inputs inputs = {.config = balancer->config, .down = down};
	struct desired desired;
	struct plan plan;
	int r = effective(balancer->config, input_of, &inputs, &desired);

	if (r)
		return err_errno(err, -r, "effective");
	r = plan_make(balancer->applied, &desired, &balancer->knobs.clock, balancer->knobs.hz,
		      &plan, err);
	if (!r) {
		r = apply_plan(balancer->applied, &plan, err);
		plan_free(&plan);
	}
	desired_free(&desired);
	return r;
}

int balancer_set_health(struct balancer *balancer, uint32_t real, enum health_verdict health,
			struct err *err)
{
	struct real_input input = {.admin = ADMIN_ENABLED, .health = health};
	int r = 0;

	for (size_t v = 0; !r && v < balancer->config->n_vips; v++) {
		const struct vip_spec *vip = &balancer->config->vips[v];
		struct desired_member want = effective_member(&vip->reals[real], input);
		struct vip_key key = vip_key_of(vip);

		r = apply_member(balancer->applied, &key, &want, real);
	}
	return r ? err_errno(err, -r, "health") : 0;
}

int balancer_build_rings(struct balancer *balancer, struct err *err)
{
	for (;;) {
		switch (apply_next_ring(balancer->applied, err)) {
		case RINGS_DONE:
			return 0;
		case RINGS_WAIT:
			if (err->text[0])
				return -EIO;
			grace_wait(balancer->grace, grace_request(balancer->grace));
			break;
		case RINGS_MORE:
			break;
		}
	}
}

static void publish_next_hops(struct balancer *b)
{
	struct out_interface *out = &b->dp->out[ROW];
	uint64_t word = (uint64_t)ROW << NEXT_HOP_ROW_SHIFT;

	for (int i = 0; i < 6; i++)
		word |= (uint64_t)balancer_gateway_mac[i] << 8 * i;
	memcpy(out->mac, balancer_mac, sizeof(out->mac));
	out->mtu = 1600;
	out->ifindex = b->options.ifindex;
	for (uint32_t i = 0; i < BALANCER_REALS; i++) {
		struct ip_addr real = balancer_real(&b->options, i);

		apply_next_hop(b->applied, &real, word);
	}
}

int balancer_open(const struct balancer_options *options, struct balancer **ret_balancer,
		  struct err *err)
{
	struct balancer *b = NULL;
	int r = balancer_load(options, &b, err);

	if (!b)
		return r;
	r = balancer_apply(b, NULL, err);
	if (!r)
		r = balancer_build_rings(b, err);
	if (r) {
		balancer_close(b);
		return r;
	}
	publish_next_hops(b);
	*ret_balancer = b;
	return 0;
}

void balancer_close(struct balancer *balancer)
{
	struct err err = {};

	if (!balancer)
		return;
	applied_free(balancer->applied);
	dataplane_close(balancer->dataplane);
	if (dataplane_remove(balancer->bpffs, &err))
		fprintf(stderr, "remove %s: %s\n", balancer->bpffs, err.text);
	grace_free(balancer->grace);
	config_free(balancer->config);
	free(balancer);
}

void balancer_clear_flows(struct balancer *balancer)
{
	memset(balancer->dp->flows, 0,
	       (size_t)balancer->dp->control->flow_buckets * sizeof(struct flow_bucket));
}
