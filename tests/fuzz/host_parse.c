/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole packet path compiled for the host, under ASan, UBSan and libFuzzer: it must not read or
 * write a byte outside of the frame, whatever is in it, and must end in one counted verdict. Maps
 * and knobs come from a program that the daemon's code has loaded and filled: HOST_MAPS names the
 * file.
 *
 * The frame lies in memory of which everything outside [data, data_end) is poisoned, below 4 GiB,
 * since an XDP program knows data by 32 bits.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/bpf.h>
#include <sanitizer/asan_interface.h>

#include "xdplb/abi.h"
#include "xdplb/hash.h"

/* The knobs are constants to the verifier; here they are set by the snapshot. */
#define const
#include "knobs.h"
#undef const

#include "xdplb.bpf.c"

#include "host_map.h"
#include "lib/dataplane.h"
#include "lib/quic_map.h"

#define HEADROOM    256
#define FRAME_START 40 /* struct xdp_frame: what the kernel keeps in the headroom */
#define FRAME_MAX   3400
#define BUFFER	    4096
#define IFINDEX_LO  1

/* ---- Maps -------------------------------------------------------------------------------- */

struct host_map {
	const void *map; /* the program's variable */
	const char *name;
	struct map_header header;
	uint8_t *elements; /* arrays: values; else key and value after one another */
	uint8_t *snapshot; /* as at the start */
	uint32_t n;
};

/* MAP(name) for every map of bpf/maps.h, VARIABLE(name) for those that are plain variables. */
#define MAP(name)      {&(name), #name, {}, NULL, NULL, 0},
#define VARIABLE(name) MAP(name)
static struct host_map maps[] = {
#include "host_maps.inc"
};
#undef MAP
#undef VARIABLE

#define N_MAPS (sizeof(maps) / sizeof(maps[0]))

static struct host_map *find_map(const void *map)
{
	for (size_t i = 0; i < N_MAPS; i++) {
		if (maps[i].map == map && maps[i].elements)
			return &maps[i];
	}
	fprintf(stderr, "host_parse.c: a map is missing from maps.h or from the snapshot\n");
	abort();
}

static bool is_array(const struct host_map *map)
{
	return map->header.type == BPF_MAP_TYPE_ARRAY ||
	       map->header.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static size_t element_size(const struct host_map *map)
{
	return map->header.value_size + (is_array(map) ? 0 : map->header.key_size);
}

/* An equal key; in an LPM trie a prefix of it. */
static bool key_matches(const struct host_map *map, const uint8_t *element, const void *key)
{
	const uint8_t *a = element + 4, *b = (const uint8_t *)key + 4;
	uint32_t bits, key_bits;

	if (map->header.type != BPF_MAP_TYPE_LPM_TRIE)
		return memcmp(element, key, map->header.key_size) == 0;
	memcpy(&bits, element, sizeof(bits));
	memcpy(&key_bits, key, sizeof(key_bits));
	if (bits > key_bits || memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

/* In an LPM trie the longest prefix's value. */
void *host_map_lookup(const void *variable, const void *key)
{
	struct host_map *map = find_map(variable);
	uint8_t *best = NULL;

	if (is_array(map)) {
		uint32_t index = *(const uint32_t *)key;

		return index < map->n ? map->elements + index * element_size(map) : NULL;
	}
	for (uint32_t i = 0; i < map->n; i++) {
		uint8_t *element = map->elements + i * element_size(map);

		if (key_matches(map, element, key) &&
		    (!best || *(uint32_t *)element > *(uint32_t *)best))
			best = element;
	}
	return best ? best + map->header.key_size : NULL;
}

/* A full map's first element makes room. */
long host_map_update(const void *variable, const void *key, const void *value, __u64 flags)
{
	struct host_map *map = find_map(variable);
	uint8_t *there = host_map_lookup(variable, key);
	uint8_t *element;

	if (there) {
		memcpy(there, value, map->header.value_size);
		return 0;
	}
	element = map->elements +
		  (map->n < map->header.max_entries ? map->n++ : 0) * element_size(map);
	memcpy(element, key, map->header.key_size);
	memcpy(element + map->header.key_size, value, map->header.value_size);
	return 0;
}

long host_map_delete(const void *variable, const void *key)
{
	struct host_map *map = find_map(variable);
	uint8_t *value = host_map_lookup(variable, key);

	if (!value)
		return -1;
	memmove(value - map->header.key_size, map->elements + (map->n - 1) * element_size(map),
		element_size(map));
	map->n--;
	return 0;
}

/* ---- The frame --------------------------------------------------------------------------- */

static uint8_t *buffer; /* BUFFER bytes */

static void poison(const struct xdp_md *ctx)
{
	ASAN_POISON_MEMORY_REGION(buffer, BUFFER);
	ASAN_UNPOISON_MEMORY_REGION((void *)(long)ctx->data, ctx->data_end - ctx->data);
}

static uint32_t buffer_start(void)
{
	return (uint32_t)(uintptr_t)buffer;
}

long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta)
{
	uint32_t data = ctx->data + delta;

	if (data < buffer_start() + FRAME_START || data + ETH_HLEN > ctx->data_end)
		return -1;
	ctx->data = data;
	poison(ctx);
	return 0;
}

long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta)
{
	uint32_t end = ctx->data_end + delta;

	if (end > buffer_start() + BUFFER || end < ctx->data + ETH_HLEN)
		return -1;
	ctx->data_end = end;
	poison(ctx);
	return 0;
}

__u64 bpf_xdp_get_buff_len(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

static void *frame_bytes(const struct xdp_md *ctx, uint32_t offset, uint32_t len)
{
	uint64_t frame_len = ctx->data_end - ctx->data;

	return (uint64_t)offset + len <= frame_len ? (void *)(long)(ctx->data + offset) : NULL;
}

long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *to, __u32 len)
{
	void *from = frame_bytes(ctx, offset, len);

	if (!from)
		return -1;
	memcpy(to, from, len);
	return 0;
}

long bpf_xdp_store_bytes(struct xdp_md *ctx, __u32 offset, const void *from, __u32 len)
{
	void *to = frame_bytes(ctx, offset, len);

	if (!to)
		return -1;
	memcpy(to, from, len);
	return 0;
}

__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
		    __u32 seed)
{
	uint64_t sum = seed;

	for (uint32_t i = 0; i < from_size / 4; i++)
		sum += (uint32_t)~from[i];
	for (uint32_t i = 0; i < to_size / 4; i++)
		sum += to[i];
	while (sum >> 32)
		sum = (uint32_t)sum + (sum >> 32);
	return (__s64)sum;
}

long bpf_redirect(__u32 ifindex, __u64 flags)
{
	return XDP_REDIRECT;
}

/* Nothing expires, and no reply is refused: each packet starts with the snapshot's state. */
__u64 bpf_jiffies64(void)
{
	return 1ULL << 32;
}

/* Only schedulers ask, which no snapshot has. */
__u32 bpf_get_prandom_u32(void)
{
	return 1;
}

__u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

/* ---- Counters --------------------------------------------------------------------------- */

static struct stats *packet_stats(void)
{
	uint32_t row = 0;

	return host_map_lookup(&stats, &row);
}

static struct stats total; /* of all packets */

static void add_to_total(void)
{
	const struct stats *s = packet_stats();

#define X(name, text) total.name += s->name;
	XDPLB_ALL_COUNTERS(X)
#undef X
}

/* The counters that rose, into the file that HOST_COUNTERS names: which ways were gone. */
static void write_total(void)
{
	FILE *f = fopen(getenv("HOST_COUNTERS"), "w");

	if (!f)
		abort();
#define X(name, text)                                                                              \
	if (total.name)                                                                            \
		fprintf(f, "%s\n", #name);
	XDPLB_ALL_COUNTERS(X)
#undef X
	fclose(f);
}

/* ---- Start ------------------------------------------------------------------------------- */

static bool is_express_on;

static void set_knobs(const struct dataplane_knobs *k)
{
	memcpy((void *)&knob_hash_key, &k->hash_key, sizeof(k->hash_key));
	memcpy((void *)&knob_clock, &k->clock, sizeof(k->clock));
	knob_hz = k->hz;
	is_express_on = k->is_express_on;
	knob_source4 = k->source4;
	knob_source4_sum = (k->source4 & 0xffff) + (k->source4 >> 16);
	knob_source4_entropy = k->source4_entropy;
	memcpy((void *)&knob_source6, &k->source6, sizeof(k->source6));
	memcpy((void *)&knob_source6_entropy, &k->source6_entropy, sizeof(k->source6_entropy));
	knob_encaps = ~0u;
	knob_schedulers = k->schedulers;
	knob_gue_port = k->gue_port;
	knob_gue_checksum6 = k->gue_checksum6;
	knob_quic = k->is_quic_on;
	quic_map_aes_tables((struct aes_tables *)&knob_aes);
}

static void copy_to_variable(const struct host_map *map)
{
#define MAP(name)
#define VARIABLE(name)                                                                             \
	if (map->map == (const void *)&(name))                                                     \
		memcpy(&(name), map->elements, sizeof(name));
#include "host_maps.inc"
#undef MAP
#undef VARIABLE
}

static void load_map(const struct map_header *header, FILE *f)
{
	size_t element, len;
	struct host_map *map = NULL;
	struct host_map ignored = {};

	for (size_t i = 0; i < N_MAPS; i++) {
		if (!strcmp(maps[i].name, header->name))
			map = &maps[i];
	}
	if (!map)
		map = &ignored;
	map->header = *header;
	map->n = header->n;
	element = element_size(map);
	len = element * header->max_entries;
	map->elements = calloc(1, len);
	map->snapshot = calloc(1, len);
	if (!map->elements || !map->snapshot ||
	    fread(map->elements, element, header->n, f) != header->n)
		abort();
	memcpy(map->snapshot, map->elements, len);
	copy_to_variable(map);
	if (!strcmp(header->name, MAP_KNOBS))
		set_knobs((const struct dataplane_knobs *)map->elements);
	if (!strcmp(header->name, "control"))
		knob_flow_buckets = ((const struct control *)map->elements)->flow_buckets;
	free(ignored.elements);
	free(ignored.snapshot);
}

static void start(void)
{
	const char *path = getenv("HOST_MAPS");
	FILE *f = path ? fopen(path, "rb") : NULL;
	struct map_header header;

	if (!f) {
		fprintf(stderr, "HOST_MAPS must name a snapshot: use `make fuzz`\n");
		exit(2);
	}
	while (fread(&header, sizeof(header), 1, f) == 1)
		load_map(&header, f);
	fclose(f);
	buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		      -1, 0);
	if (buffer == MAP_FAILED)
		abort();
	if (getenv("HOST_COUNTERS"))
		atexit(write_total);
}

/* ---- One packet -------------------------------------------------------------------------- */

/* Large maps that packets only read; affinity is written by schedulers that no snapshot has. */
static bool is_constant(const struct host_map *map)
{
	return map->map == &rings || map->map == &members || map->map == &vip_index ||
	       map->map == &affinity;
}

/* What packets leave behind is forgotten. */
static void reset_state(void)
{
	for (size_t i = 0; i < N_MAPS; i++) {
		struct host_map *map = &maps[i];

		if (!is_constant(map))
			memcpy(map->elements, map->snapshot, element_size(map) * map->header.n);
		map->n = map->header.n;
	}
}

static uint64_t verdicts_counted(void)
{
	const struct stats *s = packet_stats();
	const struct host_map *m = find_map(&member_stats);
	uint64_t n = 0;

#define X(name, text) n += s->name;
	XDPLB_PASS_COUNTERS(X)
	XDPLB_REPLY_COUNTERS(X)
	XDPLB_DROP_COUNTERS(X)
#undef X
	for (uint32_t i = 0; i < m->n; i++)
		n += ((const struct member_stats *)m->elements)[i].packets;
	return n;
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "host_parse.c: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct xdp_md ctx = {.ingress_ifindex = IFINDEX_LO};
	int verdict;

	if (!buffer)
		start();
	if (len < ETH_HLEN || len > FRAME_MAX)
		return -1;
	reset_state();
	ctx.data = buffer_start() + HEADROOM;
	ctx.data_end = ctx.data + (uint32_t)len;
	poison(&ctx);
	memcpy((void *)(long)ctx.data, bytes, len);
	verdict = is_express_on ? xdplb(&ctx) : xdplb_stages(&ctx);
	expect(verdict >= XDP_DROP && verdict <= XDP_REDIRECT, "no verdict");
	expect(verdicts_counted() == 1, "not counted once");
	add_to_total();
	if (verdict == XDP_PASS)
		expect(ctx.data_end - ctx.data == len &&
			       !memcmp((void *)(long)ctx.data, bytes, len),
		       "a packet for the host was changed");
	return 0;
}

/* ---- Mutation ---------------------------------------------------------------------------- */

/* The IP length becomes that of the frame: else nearly all that is cut short ends at that lie. */
static void fit_length(uint8_t *frame, size_t len)
{
	const size_t ip4 = ETH_HLEN, ip6 = ETH_HLEN + sizeof(struct ipv6hdr);
	uint8_t *at = NULL;
	size_t l3_len = 0;

	if (len >= ip4 + sizeof(struct iphdr) && frame[12] == 0x08 && frame[13] == 0x00) {
		at = frame + ip4 + offsetof(struct iphdr, tot_len);
		l3_len = len - ip4;
	} else if (len >= ip6 && frame[12] == 0x86 && frame[13] == 0xdd) {
		at = frame + ETH_HLEN + offsetof(struct ipv6hdr, payload_len);
		l3_len = len - ip6;
	}
	if (at) {
		at[0] = (uint8_t)(l3_len >> 8);
		at[1] = (uint8_t)l3_len;
	}
}

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t max);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max, unsigned int seed)
{
	len = LLVMFuzzerMutate(bytes, len, max);
	if (seed % 2)
		fit_length(bytes, len);
	return len;
}
