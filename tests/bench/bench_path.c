/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet costs in the shipped program, in ratio to the least an encapsulation can cost: a
 * JSON line a case on stdout, progress on stderr. Floors and program take turns in short batches;
 * a round in which a floor was disturbed counts for nothing. Program and wrapper are loaded anew
 * several times, because where the kernel puts code is worth some ns. With --profile the lines say
 * where in the program's source that time goes instead.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "batch.h"
#include "measure.h"
#include "profile.h"

#define PACKETS	      20000 /* of a batch: 1 to 8 ms */
#define LOADS	      5
#define PROFILE_LOADS 40
#define ROUNDS	      25 /* a load */
#define MIN_ROUNDS    11 /* quiet ones, of a case */
#define MAX_LOADS     40
#define DISTURBED     1.08 /* floor to best floor of the load */
#define CHECKS	      64
#define FLOOD_OFFSET  0x40000000u /* flow numbers nobody has learnt */
#define FLOOD_FLOWS   0x80000000u
#define DEFAULT_FLOWS 1000000u

enum kind {
	KIND_KNOWN, /* packets of recorded, proven flows */
	KIND_NEW, /* each packet is a new flow, the table half full of proven ones */
	KIND_FOREIGN, /* for no VIP */
};

struct bench_case {
	const char *name;
	enum kind kind;
	enum xdplb_family family;
	uint8_t protocol;
	uint8_t flags;
	uint32_t flows;
	uint32_t capacity;
	enum xdplb_encap encap;
	bool has_entropy;
};

#define M    1000000u
#define K100 100000u

static const struct bench_case cases[] = {
	{"tcp4-1", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 1, M, ENCAP_IPIP, false},
	{"tcp4-1k", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_IPIP, false},
	{"tcp4-100k-1M", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, K100, M, ENCAP_IPIP, false},
	{"tcp4-1M", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, M, M, ENCAP_IPIP, false},
	{"tcp4-syn", KIND_NEW, FAMILY_V4, IPPROTO_TCP, SEND_SYN, M, M, ENCAP_IPIP, false},
	{"tcp4-new", KIND_NEW, FAMILY_V4, IPPROTO_TCP, SEND_ACK, M, M, ENCAP_IPIP, false},
	{"pass4", KIND_FOREIGN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_IPIP, false},
	{"tcp4-10M", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 10 * M, 10 * M, ENCAP_IPIP,
	 false},
	{"tcp4-100k", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, K100, K100, ENCAP_IPIP, false},
	{"tcp4-1k-entropy", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_IPIP,
	 true},
	{"udp4-1k", KIND_KNOWN, FAMILY_V4, IPPROTO_UDP, 0, 1000, M, ENCAP_IPIP, false},
	{"udp4-100k", KIND_KNOWN, FAMILY_V4, IPPROTO_UDP, 0, K100, K100, ENCAP_IPIP, false},
	{"udp4-new", KIND_NEW, FAMILY_V4, IPPROTO_UDP, 0, M, M, ENCAP_IPIP, false},
	{"tcp6-1k", KIND_KNOWN, FAMILY_V6, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_IPIP, false},
	{"tcp6-100k", KIND_KNOWN, FAMILY_V6, IPPROTO_TCP, SEND_ACK, K100, K100, ENCAP_IPIP, false},
	{"tcp6-syn", KIND_NEW, FAMILY_V6, IPPROTO_TCP, SEND_SYN, M, M, ENCAP_IPIP, false},
	{"pass6", KIND_FOREIGN, FAMILY_V6, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_IPIP, false},
	{"gue4-1k", KIND_KNOWN, FAMILY_V4, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_GUE, false},
	{"gue6-1k", KIND_KNOWN, FAMILY_V6, IPPROTO_TCP, SEND_ACK, 1000, M, ENCAP_GUE, false},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

struct samples {
	double ns[WRAPPER_TARGETS][MAX_LOADS * ROUNDS];
	double ratio[MAX_LOADS * ROUNDS]; /* of one round: the clock may differ from load to load */
	size_t n;
	size_t n_disturbed;
};

struct bench {
	const struct bench_case *c;
	struct balancer *balancer;
	struct batch batch;
	uint32_t position; /* of the next batch's first packet */
	size_t min_loads;
	const char *ports; /* of the VIPs; NULL: one */
	uint32_t features;
	struct profile *profile; /* NULL: measure */
	struct samples samples;
};

static struct traffic case_traffic(const struct bench_case *c)
{
	struct traffic t = {.flows = c->flows, .tcp_flags = c->flags};

	t.is_foreign = c->kind == KIND_FOREIGN;
	if (c->kind == KIND_NEW) {
		t.offset = FLOOD_OFFSET;
		t.flows = FLOOD_FLOWS;
	}
	return t;
}

/* The table with the case's flows in it, recorded and proven, and nothing else. */
static int learn_flows(struct bench *b, struct err *err)
{
	balancer_clear_flows(b->balancer);
	return b->c->kind == KIND_FOREIGN ? 0 : batch_learn(&b->batch, b->c->flows, err);
}

static int check_some(struct bench *b, struct err *err)
{
	struct traffic t = case_traffic(b->c);
	int r = 0;

	batch_set_traffic(&b->batch, &t);
	for (uint32_t i = 0; !r && i < CHECKS; i++) {
		uint32_t position = (uint32_t)((uint64_t)t.flows * i / CHECKS);

		r = batch_check(&b->batch, position, err);
	}
	return r;
}

static int run_rounds(struct bench *b, double (*ret_ns)[WRAPPER_TARGETS], struct err *err)
{
	uint32_t flows = b->batch.skel->bss->state.flows;
	struct batch_order order = {.first = b->position, .packets = PACKETS, .rounds = ROUNDS};
	int r;

	order.stride = b->c->kind == KIND_NEW ? 1 : batch_stride(flows);
	r = batch_run(&b->batch, &order, ret_ns, err);
	b->position = b->batch.skel->bss->state.position;
	return r;
}

static bool is_quiet(const double *ns, const double *best)
{
	return ns[WRAPPER_FLOOR] <= best[WRAPPER_FLOOR] * DISTURBED &&
	       ns[WRAPPER_ENCAP_FLOOR] <= best[WRAPPER_ENCAP_FLOOR] * DISTURBED &&
	       ns[WRAPPER_ENCAP_FLOOR] > ns[WRAPPER_FLOOR];
}

static void keep(struct samples *s, const double *ns)
{
	for (int target = 0; target < WRAPPER_TARGETS; target++)
		s->ns[target][s->n] = ns[target];
	s->ratio[s->n] = (ns[WRAPPER_BALANCER] - ns[WRAPPER_FLOOR]) /
			 (ns[WRAPPER_ENCAP_FLOOR] - ns[WRAPPER_FLOOR]);
	s->n++;
}

/* Takes the rounds whose floors were quiet. */
static void keep_quiet(struct samples *s, double (*rounds)[WRAPPER_TARGETS])
{
	double best[] = {
		[WRAPPER_FLOOR] = rounds[0][WRAPPER_FLOOR],
		[WRAPPER_ENCAP_FLOOR] = rounds[0][WRAPPER_ENCAP_FLOOR],
	};

	for (int i = 1; i < ROUNDS; i++) {
		for (size_t f = 0; f < sizeof(best) / sizeof(best[0]); f++)
			best[f] = rounds[i][f] < best[f] ? rounds[i][f] : best[f];
	}
	for (int i = 0; i < ROUNDS; i++) {
		if (is_quiet(rounds[i], best))
			keep(s, rounds[i]);
		else
			s->n_disturbed++;
	}
}

/* One load: program and wrapper anew, the table as the case wants it, then its rounds. */
static int run_load(struct bench *b, bool is_first, struct err *err)
{
	double rounds[ROUNDS][WRAPPER_TARGETS];
	struct traffic t = case_traffic(b->c);
	int r = is_first ? 0 : dataplane_load(b->balancer->dataplane, &b->balancer->knobs, err);

	r = r ? r : batch_open(b->balancer, &b->batch, err);
	if (r)
		return r;
	if (is_first || b->c->kind == KIND_NEW)
		r = learn_flows(b, err);
	if (is_first && !r)
		r = check_some(b, err);
	batch_set_traffic(&b->batch, &t);
	if (b->profile)
		profile_start(b->profile);
	r = r ? r : run_rounds(b, rounds, err);
	if (b->profile && !r)
		r = profile_stop(b->profile, dataplane_prog_fd(b->balancer->dataplane), err);
	if (!r)
		keep_quiet(&b->samples, rounds);
	r = r ? r : check_some(b, err);
	batch_close(&b->batch);
	return r;
}

static void print_result(struct bench *b, uint32_t vips)
{
	struct samples *s = &b->samples;
	double floor = measure_median(s->ns[WRAPPER_FLOOR], s->n);
	double encap_floor = measure_median(s->ns[WRAPPER_ENCAP_FLOOR], s->n);
	double balancer = measure_median(s->ns[WRAPPER_BALANCER], s->n);
	double ratio = measure_median(s->ratio, s->n);

	printf("{\"case\":\"%s\",\"vips\":%u,\"reals\":%d,\"flows\":%u,\"floor_ns\":%.2f,"
	       "\"encap_floor_ns\":%.2f,\"xdplb_ns\":%.2f,\"net_ns\":%.2f,\"encap_net_ns\":%.2f,"
	       "\"ratio\":%.2f,\"rounds\":%zu}\n",
	       b->c->name, vips, BALANCER_REALS, b->c->flows, floor, encap_floor, balancer,
	       balancer - floor, encap_floor - floor, ratio, s->n);
	fflush(stdout);
	fprintf(stderr, "%-10s %3u VIPs: %7.1f ns net, ratio %6.2f (%zu rounds, %zu disturbed)\n",
		b->c->name, vips, balancer - floor, ratio, s->n, s->n_disturbed);
}

static int run_case(struct bench *b, uint32_t vips, struct err *err)
{
	size_t loads = 0;
	int r = 0;

	b->samples.n = b->samples.n_disturbed = 0;
	b->position = 0;
	while (!r && loads < MAX_LOADS && (loads < b->min_loads || b->samples.n < MIN_ROUNDS))
		r = run_load(b, loads++ == 0, err);
	if (!r && b->samples.n < MIN_ROUNDS)
		r = err_set(err, EAGAIN, "only %zu quiet rounds", b->samples.n);
	if (r) {
		err_prefix(err, "%s with %u VIPs", b->c->name, vips);
		return r;
	}
	if (b->profile)
		profile_print(b->profile, b->c->name, vips);
	else
		print_result(b, vips);
	return 0;
}

static bool is_same(const struct balancer_options *a, const struct balancer_options *b)
{
	return a->family == b->family && a->protocol == b->protocol && a->vips == b->vips &&
	       a->flows == b->flows && a->has_entropy == b->has_entropy && a->encap == b->encap;
}

/* The balancer stays as long as cases need the same. */
static int want_balancer(struct bench *b, uint32_t vips, struct err *err)
{
	struct balancer_options o = {
		.family = b->c->family,
		.protocol = b->c->protocol,
		.encap = b->c->encap,
		.vips = vips,
		.ports = b->ports,
		.flows = b->c->capacity,
		.has_entropy = b->c->has_entropy,
		.features = b->features,
		.ifindex = IFINDEX_LO,
	};

	if (b->balancer && is_same(&o, &b->balancer->options))
		return 0;
	balancer_close(b->balancer);
	b->balancer = NULL;
	return balancer_open(&o, &b->balancer, err);
}

struct selection {
	const char *name; /* NULL: all */
	uint32_t vips; /* 0: 1 and 512 */
};

static bool is_selected(const struct selection *selection, const struct bench_case *c,
			uint32_t vips)
{
	return (!selection->name || !strcmp(selection->name, c->name)) &&
	       (!selection->vips || selection->vips == vips);
}

static int run_cases(struct bench *b, const struct selection *selection, struct err *err)
{
	const uint32_t numbers[] = {1, 512};
	int r = 0;

	for (size_t v = 0; v < 2; v++) {
		uint32_t vips = selection->vips && !v ? selection->vips : numbers[v];

		for (size_t i = 0; !r && i < N_CASES; i++) {
			b->c = &cases[i];
			if (!is_selected(selection, b->c, vips) || (selection->vips && v))
				continue;
			r = want_balancer(b, vips, err);
			r = r ? r : run_case(b, vips, err);
		}
	}
	return r;
}

static bool is_case(const char *name)
{
	for (size_t i = 0; i < N_CASES; i++) {
		if (!strcmp(cases[i].name, name))
			return true;
	}
	return false;
}

static bool parse_vips(const char *text, uint32_t *ret_vips)
{
	char *end;
	unsigned long vips = strtoul(text, &end, 10);

	if (*end || !vips || vips > 4096 || (vips & (vips - 1)))
		return false;
	*ret_vips = (uint32_t)vips;
	return true;
}

static int usage(FILE *f)
{
	fprintf(f, "usage: bench_path [--case NAME] [--vips N] [--ports RANGE] [--features[=A,B]] "
		   "[--quick] [--profile]\n"
		   "       bench_path --list\n"
		   "N is a power of two; 80 must be in RANGE, as 1-1000; --features: all others in "
		   "use, too, or --features=A,B: these; --profile: where in the source the time "
		   "goes.\nFeatures:\n");
	balancer_list_features(f);
	return f == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"case", required_argument, NULL, 'c'},
		{"vips", required_argument, NULL, 'v'},
		{"ports", required_argument, NULL, 'p'},
		{"quick", no_argument, NULL, 'q'},
		{"features", optional_argument, NULL, 'f'},
		{"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{"profile", no_argument, NULL, 'P'},
		{},
	};
	static struct bench b = {.min_loads = LOADS};
	struct selection selection = {};
	struct err err = {};
	int option, r = 0;

	while (!r && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c' && is_case(optarg)) {
			selection.name = optarg;
		} else if ((option == 'v' && parse_vips(optarg, &selection.vips)) ||
			   (option == 'f' &&
			    !balancer_parse_features(optarg ? optarg : "all", &b.features))) {
			continue;
		} else if (option == 'p') {
			b.ports = optarg;
		} else if (option == 'q') {
			b.min_loads = 1;
		} else if (option == 'P') {
			b.min_loads = PROFILE_LOADS;
			r = profile_new(&b.profile, &err);
		} else if (option == 'l') {
			for (size_t i = 0; i < N_CASES; i++)
				puts(cases[i].name);
			return 0;
		} else {
			return usage(option == 'h' ? stdout : stderr);
		}
	}
	measure_undisturbed();
	r = r ? r : run_cases(&b, &selection, &err);
	profile_free(b.profile);
	balancer_close(b.balancer);
	if (r)
		fprintf(stderr, "bench_path: %s\n", err.text);
	return r ? 1 : 0;
}
