/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See bed.h. */
#include "bed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "lib/apply.h"
#include "lib/desired.h"
#include "lib/plan.h"
#include "../fixed_key.h"
#include "../run_path.h"
#include "lib/addr.h"
#include "lib/hash_key.h"

const uint8_t bed_gateway_mac[6] = {0x02, 0x99, 0x88, 0x77, 0x66, 0x55};
const uint8_t bed_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x00};

static struct dataplane_knobs make_knobs(const struct config *config)
{
	struct flow_hash_key key = fixed_key();
	struct dataplane_knobs knobs = dataplane_knobs_of(config, &key, dataplane_hz());
	const char *express = getenv("XDPLB_EXPRESS");

	if (express && !strcmp(express, "off"))
		knobs.is_express_on = false;
	return knobs;
}

static struct real_input input_of(void *user, size_t vip, size_t real)
{
	const struct bed *bed = user;
	struct real_input input = {.admin = ADMIN_ENABLED, .health = HEALTH_UP};

	switch (bed->states[vip][real]) {
	case 'd':
		input.health = HEALTH_DOWN;
		break;
	case 'r':
		input.admin = ADMIN_DRAIN;
		break;
	case 'x':
		input.admin = ADMIN_DISABLED;
		break;
	default:
		break;
	}
	return input;
}

static int apply_states(struct bed *bed, struct err *err)
{
	struct desired desired;
	struct plan plan;
	int r = effective(bed->config, input_of, bed, &desired);

	if (r)
		return err_errno(err, -r, "effective");
	r = plan_make(bed->applied, &desired, &bed->knobs.clock, bed->knobs.hz, &plan, err);
	if (!r) {
		r = apply_plan(bed->applied, &plan, err);
		plan_free(&plan);
	}
	desired_free(&desired);
	return r;
}

static int build_rings(struct bed *bed, struct err *err)
{
	for (;;) {
		switch (apply_next_ring(bed->applied, err)) {
		case RINGS_DONE:
			return 0;
		case RINGS_WAIT:
			if (err->text[0])
				return -EIO;
			grace_wait(bed->grace, grace_request(bed->grace));
			break;
		case RINGS_MORE:
			break;
		}
	}
}

static int load(struct bed *bed, const char *yaml, size_t len, struct err *err)
{
	char path[160];
	int r = config_parse("fuzz.yaml", yaml, len, &bed->config, err);

	if (r)
		return r;
	bed->states = calloc(bed->config->n_vips, sizeof(*bed->states));
	if (!bed->states)
		return err_set(err, ENOMEM, "out of memory");
	bed->knobs = make_knobs(bed->config);
	r = grace_new(&bed->grace, err);
	if (!r)
		r = dataplane_open(&bed->dataplane, bed->bpffs, &bed->config->capacity, &bed->knobs,
				   bed->grace, err);
	if (r)
		return r;
	bed->dp = dataplane_dp(bed->dataplane);
	snprintf(path, sizeof(path), "%s/maps/reply_limit", bed->bpffs);
	bed->reply_limit_fd = bpf_obj_get(path);
	if (bed->reply_limit_fd < 0)
		return err_errno(err, errno, "%s", path);
	return applied_new(&bed->applied, bed->dp, hash_key_fingerprint(&bed->knobs.hash_key));
}

int bed_open(const char *yaml, size_t len, struct bed **ret_bed, struct err *err)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	int r;

	if (!bed)
		return err_set(err, ENOMEM, "out of memory");
	bed->reply_limit_fd = -1;
	run_path(bed->bpffs, sizeof(bed->bpffs), "/sys/fs/bpf");
	r = load(bed, yaml, len, err);
	if (!r)
		r = apply_states(bed, err);
	if (!r)
		r = build_rings(bed, err);
	if (r) {
		bed_close(bed);
		return r;
	}
	*ret_bed = bed;
	return 0;
}

void bed_close(struct bed *bed)
{
	struct err err = {};

	if (!bed)
		return;
	if (bed->reply_limit_fd >= 0)
		close(bed->reply_limit_fd);
	applied_free(bed->applied);
	dataplane_close(bed->dataplane);
	if (dataplane_remove(bed->bpffs, &err))
		fprintf(stderr, "remove %s: %s\n", bed->bpffs, err.text);
	grace_free(bed->grace);
	config_free(bed->config);
	free(bed->states);
	free(bed);
}

/* ---- Commands ---------------------------------------------------------------------------- */

static int set_state(struct bed *bed, size_t vip, size_t real, char state, struct err *err)
{
	if (vip >= bed->config->n_vips || real >= bed->config->vips[vip].n_reals ||
	    real >= sizeof(bed->states[0]))
		return err_set(err, ENOENT, "no real %zu of VIP %zu", real, vip);
	bed->states[vip][real] = state;
	return 0;
}

static int set_hop(struct bed *bed, const char *text, unsigned int row, bool is_gateway,
		   struct err *err)
{
	uint64_t word = (uint64_t)row << NEXT_HOP_ROW_SHIFT;
	struct ip_addr real;

	if (addr_parse(text, &real))
		return err_set(err, EINVAL, "no address: %s", text);
	for (int i = 0; i < 6; i++)
		word |= (uint64_t)bed_gateway_mac[i] << 8 * i;
	if (is_gateway)
		apply_gateway(bed->applied, &real, word);
	else
		apply_next_hop(bed->applied, &real, row ? word : NEXT_HOP_NONE);
	return 0;
}

/* "ROW IFINDEX MTU [TAG [TAG]]" */
static int set_way_out(struct bed *bed, const char *text, struct err *err)
{
	unsigned int row, ifindex, mtu, tag[OUT_TAGS] = {};
	struct out_interface *out;

	if (sscanf(text, "%u %u %u %x %x", &row, &ifindex, &mtu, &tag[0], &tag[1]) < 3 || !row ||
	    row >= XDPLB_MAX_INTERFACES)
		return err_set(err, EINVAL, "no way out: %s", text);
	out = &bed->dp->out[row];
	*out = (struct out_interface){.mtu = (uint16_t)mtu, .ifindex = ifindex, .device = ifindex};
	memcpy(out->mac, bed_mac, sizeof(out->mac));
	out->mac[5] = (uint8_t)row;
	for (int i = 0; i < OUT_TAGS; i++)
		out->tag[i] = htonl(tag[i]);
	return 0;
}

static void forget_flows(struct bed *bed)
{
	memset(bed->dp->flows, 0,
	       (size_t)bed->dp->control->flow_buckets * sizeof(struct flow_bucket));
}

static int forget_fragments(const struct bed *bed, struct err *err)
{
	struct fragment_key key;
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/fragments", bed->bpffs);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
	close(fd);
	return 0;
}

static int set_slot(struct bed *bed, unsigned int index, unsigned long long word, struct err *err)
{
	if (index / FLOW_SLOTS >= bed->dp->control->flow_buckets)
		return err_set(err, EINVAL, "no slot %u", index);
	bed->dp->flows[index / FLOW_SLOTS].slot[index % FLOW_SLOTS] = word;
	return 0;
}

int bed_command(struct bed *bed, const char *line, struct err *err)
{
	unsigned int a, b;
	unsigned long long word;
	char text[64];
	char state;

	if (sscanf(line, "real %u %u %c", &a, &b, &state) == 3)
		return set_state(bed, a, b, state, err);
	if (sscanf(line, "hop %63s %u", text, &a) == 2)
		return set_hop(bed, text, a, strstr(line, " gateway"), err);
	if (!strncmp(line, "out ", 4))
		return set_way_out(bed, line + 4, err);
	if (sscanf(line, "slot %u %llx", &a, &word) == 2)
		return set_slot(bed, a, word, err);
	if (!strcmp(line, "apply"))
		return apply_states(bed, err);
	if (!strcmp(line, "rings"))
		return build_rings(bed, err);
	if (!strcmp(line, "forget"))
		forget_flows(bed);
	if (!strcmp(line, "forget") || !strcmp(line, "forget-fragments"))
		return forget_fragments(bed, err);
	return err_set(err, EINVAL, "no such command: %s", line);
}

/* ---- The state, for the model ------------------------------------------------------------ */

/* Of each VIP of the configuration its reals, and under which ids they are members. */
static void dump_members(const struct bed *bed, FILE *f)
{
	char real[ADDR_TEXT_MAX];

	fprintf(f, "\"members\":[");
	for (size_t v = 0; v < bed->config->n_vips; v++) {
		struct vip_key key = vip_key_of(&bed->config->vips[v]);
		const struct applied_vip *vip = applied_find(bed->applied, &key);

		fprintf(f, "%s[", v ? "," : "");
		for (size_t i = 0; i < vip->n_members; i++)
			fprintf(f, "%s{\"id\":%u,\"real\":\"%s\"}", i ? "," : "",
				vip->members[i].id, addr_format(&vip->members[i].real, real));
		fprintf(f, "]");
	}
	fprintf(f, "]");
}

/* The ring of each VIP of the configuration, as ids; empty where no real takes new flows. */
static void dump_rings(const struct bed *bed, FILE *f)
{
	fprintf(f, "\"rings\":[");
	for (size_t v = 0; v < bed->config->n_vips; v++) {
		struct vip_key key = vip_key_of(&bed->config->vips[v]);
		const struct applied_vip *vip = applied_find(bed->applied, &key);
		uint64_t word = bed->dp->vip_state[vip->id].ring;
		uint32_t base = RING_WORD_BASE(word), size = RING_WORD_SIZE(word);
		const union ring_block *rings = bed->dp->rings;

		fprintf(f, "%s[", v ? "," : "");
		for (uint32_t i = 0; i < size; i++) {
			uint16_t slot = rings[base + i / RING_SLOTS_PER_BLOCK]
						.slot[i % RING_SLOTS_PER_BLOCK];
			uint32_t block = base + RING_SLOT_BLOCKS(size) +
					 slot / RING_MEMBERS_PER_BLOCK;

			fprintf(f, "%s%u", i ? "," : "",
				rings[block].member[slot % RING_MEMBERS_PER_BLOCK]);
		}
		fprintf(f, "]");
	}
	fprintf(f, "]");
}

void bed_dump(const struct bed *bed, FILE *f)
{
	const uint8_t *key = (const uint8_t *)&bed->knobs.hash_key;

	fprintf(f, "{\"key\":\"");
	for (size_t i = 0; i < sizeof(bed->knobs.hash_key); i++)
		fprintf(f, "%02x", key[i]);
	fprintf(f, "\",\"buckets\":%u,\"tick_shift\":[", bed->dp->control->flow_buckets);
	for (int i = 0; i < FLOW_STATES; i++)
		fprintf(f, "%s%u", i ? "," : "", bed->knobs.clock.tick_shift[i]);
	fprintf(f, "],\"counters\":[");
#define X(name, text) fprintf(f, "\"" #name "\",");
	XDPLB_ALL_COUNTERS(X)
#undef X
	fprintf(f, "null],");
	dump_members(bed, f);
	fprintf(f, ",");
	dump_rings(bed, f);
	fprintf(f, "}\n");
}

int bed_set_replies(struct bed *bed, int are_allowed)
{
	unsigned int n_cpus = dataplane_n_cpus();
	struct reply_limit *limits = calloc(n_cpus, sizeof(*limits));
	uint64_t jiffies;
	uint32_t row = 0;
	int r;

	if (!limits)
		return -ENOMEM;
	r = dataplane_read_jiffies(bed->dataplane, &jiffies);
	for (unsigned int cpu = 0; cpu < n_cpus; cpu++) {
		limits[cpu].last_jiffies = jiffies;
		limits[cpu].tokens = are_allowed ? REPLY_BURST * 1000ULL : 0;
	}
	if (!r)
		r = bpf_map_update_elem(bed->reply_limit_fd, &row, limits, BPF_ANY);
	free(limits);
	return r;
}
