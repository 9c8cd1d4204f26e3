/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs packets through the packet path for the fuzzer, which talks to it over stdin and stdout.
 * Everything is little endian. A request is a type, a 32-bit length and that many bytes; an answer
 * is a 32-bit length and that many bytes.
 *
 *   'C' configuration, commands (bed.h), a line each     the bed's state as JSON
 *   (the first request: YAML text)
 *   'M' nothing                                          its maps (snapshot.h)
 *   'P' packets: u16 length, u8 flags, bytes             of each packet: struct outcome below
 *
 * What goes wrong here, and not in a packet, is said on stderr and ends the server.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bed.h"
#include "snapshot.h"

#define OUT_MAX	      4096
#define OUT_UNCHANGED 0xffff
#define FLAG_NO_REPLY 1 /* the rate limit of replies is used up */

struct server {
	struct bed *bed;
	FILE *out; /* the answer under construction */
	uint64_t *shadow; /* the flow table as it was after the last packet */
	size_t n_slots;
	struct stats *per_cpu;
	uint64_t stats[XDPLB_STATS];
	struct member_stats *members;
	int replies; /* as bed_set_replies() was told last; -1: not yet */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "fuzz server: %s: %s\n", what, why);
	exit(1);
}

static void put(struct server *s, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, s->out) != len)
		die("answer", "out of memory");
}

static void put_u8(struct server *s, uint8_t value)
{
	put(s, &value, sizeof(value));
}

static void put_u16(struct server *s, uint16_t value)
{
	put(s, &value, sizeof(value));
}

static void put_u32(struct server *s, uint32_t value)
{
	put(s, &value, sizeof(value));
}

static void put_u64(struct server *s, uint64_t value)
{
	put(s, &value, sizeof(value));
}

/* ---- What a packet changed --------------------------------------------------------------- */

static void read_stats(struct server *s, uint64_t *ret_sum)
{
	unsigned int n_cpus = dataplane_n_cpus();

	if (dataplane_read_stats(s->bed->dataplane, s->per_cpu))
		die("stats", strerror(errno));
	memset(ret_sum, 0, sizeof(s->stats));
	for (unsigned int cpu = 0; cpu < n_cpus; cpu++) {
		for (size_t i = 0; i < XDPLB_STATS; i++)
			ret_sum[i] += ((const uint64_t *)&s->per_cpu[cpu])[i];
	}
}

/* u8 count, then u8 counter and u8 rise. */
static void put_counters(struct server *s)
{
	uint64_t now[XDPLB_STATS];
	uint8_t n = 0;

	read_stats(s, now);
	for (size_t i = 0; i < XDPLB_STATS; i++)
		n += now[i] != s->stats[i];
	put_u8(s, n);
	for (size_t i = 0; i < XDPLB_STATS; i++) {
		if (now[i] == s->stats[i])
			continue;
		put_u8(s, (uint8_t)i);
		put_u8(s, (uint8_t)(now[i] - s->stats[i]));
	}
	memcpy(s->stats, now, sizeof(now));
}

/* u8 count, then u32 slot and u64 its word now. */
static void put_slots(struct server *s)
{
	const uint64_t *slots = (const uint64_t *)s->bed->dp->flows;
	uint32_t changed[16];
	uint8_t n = 0;

	if (memcmp(slots, s->shadow, s->n_slots * sizeof(*slots)) != 0) {
		for (size_t i = 0; i < s->n_slots; i++) {
			if (slots[i] == s->shadow[i])
				continue;
			if (n == sizeof(changed) / sizeof(changed[0]))
				die("flow table", "one packet changed more than 16 slots");
			s->shadow[i] = slots[i];
			changed[n++] = (uint32_t)i;
		}
	}
	put_u8(s, n);
	for (uint8_t i = 0; i < n; i++) {
		put_u32(s, changed[i]);
		put_u64(s, s->shadow[changed[i]]);
	}
}

/* u32 count, then u32 id and u64 packets, bytes, new flows since the last batch. */
static void put_members(struct server *s)
{
	const struct dp *dp = s->bed->dp;

	for (uint32_t id = 0; id < dp->control->members; id++) {
		struct member_stats now, *was = &s->members[id];

		if (dp->members[id].state == MEMBER_FREE)
			continue;
		if (dp->ops->member_stats_read(dp->user, id, &now))
			die("member stats", strerror(errno));
		if (memcmp(&now, was, sizeof(now)) == 0)
			continue;
		put_u32(s, id);
		put_u64(s, now.packets - was->packets);
		put_u64(s, now.bytes - was->bytes);
		put_u64(s, now.new_flows - was->new_flows);
		*was = now;
	}
	put_u32(s, UINT32_MAX);
}

static void put_jiffies(struct server *s)
{
	uint64_t jiffies;

	if (dataplane_read_jiffies(s->bed->dataplane, &jiffies))
		die("jiffies", strerror(errno));
	put_u64(s, jiffies);
}

/* ---- Requests ---------------------------------------------------------------------------- */

/* Verdict u8, output length u16 (or OUT_UNCHANGED) and bytes, counters, slots. */
static void run_packet(struct server *s, const uint8_t *bytes, uint16_t len, int replies)
{
	uint8_t output[OUT_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = len,
		    .data_out = output, .data_size_out = sizeof(output), .repeat = 1);
	int r;

	if (replies != s->replies) {
		if (bed_set_replies(s->bed, replies))
			die("reply_limit", strerror(errno));
		s->replies = replies;
	}
	r = bpf_prog_test_run_opts(dataplane_prog_fd(s->bed->dataplane), &opts);
	if (r)
		die("test run", strerror(-r));
	put_u8(s, (uint8_t)opts.retval);
	if (opts.data_size_out == len && memcmp(output, bytes, len) == 0) {
		put_u16(s, OUT_UNCHANGED);
	} else {
		put_u16(s, (uint16_t)opts.data_size_out);
		put(s, output, opts.data_size_out);
	}
	put_counters(s);
	put_slots(s);
	if (!replies) /* time gives some back: none for the next packet either */
		s->replies = -1;
}

static void run_packets(struct server *s, const uint8_t *at, const uint8_t *end)
{
	s->replies = -1;
	put_jiffies(s);
	while (end - at >= 3) {
		uint16_t len = (uint16_t)(at[0] | at[1] << 8);
		int replies = !(at[2] & FLAG_NO_REPLY);

		at += 3;
		if (len > end - at)
			die("request", "a packet is longer than its batch");
		run_packet(s, at, len, replies);
		at += len;
	}
	put_members(s);
	put_jiffies(s);
}

static void start(struct server *s, const char *yaml, size_t len)
{
	struct err err = {};
	cpu_set_t cpus;

	CPU_ZERO(&cpus); /* the reply limit is per CPU */
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity", strerror(errno));
	if (bed_open(yaml, len, &s->bed, &err))
		die("configuration", err.text);
	s->n_slots = (size_t)s->bed->dp->control->flow_buckets * FLOW_SLOTS;
	s->shadow = calloc(s->n_slots, sizeof(*s->shadow));
	s->per_cpu = calloc(dataplane_n_cpus(), sizeof(*s->per_cpu));
	s->members = calloc(s->bed->dp->control->members, sizeof(*s->members));
	if (!s->shadow || !s->per_cpu || !s->members)
		die("start", "out of memory");
}

static void configure(struct server *s, char *text, size_t len)
{
	struct err err = {};
	char *rest = NULL;

	if (!s->bed) {
		start(s, text, len);
	} else {
		for (char *line = strtok_r(text, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest)) {
			if (bed_command(s->bed, line, &err))
				die(line, err.text);
		}
	}
	memcpy(s->shadow, s->bed->dp->flows, s->n_slots * sizeof(*s->shadow));
	bed_dump(s->bed, s->out);
}

static void put_snapshot(struct server *s)
{
	struct err err = {};

	if (snapshot_write(s->bed, s->out, &err))
		die("snapshot", err.text);
}

static int serve_one(struct server *s)
{
	uint8_t header[5];
	char *answer = NULL;
	size_t answer_len = 0;
	uint32_t len;
	char *request;

	if (fread(header, sizeof(header), 1, stdin) != 1)
		return 0;
	memcpy(&len, header + 1, sizeof(len));
	request = calloc(1, (size_t)len + 1);
	if (!request || (len && fread(request, len, 1, stdin) != 1))
		die("request", "cut short");
	s->out = open_memstream(&answer, &answer_len);
	if (!s->out)
		die("answer", strerror(errno));
	if (header[0] == 'P' && s->bed)
		run_packets(s, (const uint8_t *)request, (const uint8_t *)request + len);
	else if (header[0] == 'M' && s->bed)
		put_snapshot(s);
	else if (header[0] == 'C')
		configure(s, request, len);
	else
		die("request", "of no known type, or packets before a configuration");
	fclose(s->out);
	len = (uint32_t)answer_len;
	if (fwrite(&len, sizeof(len), 1, stdout) != 1 ||
	    fwrite(answer, 1, answer_len, stdout) != answer_len || fflush(stdout))
		die("answer", strerror(errno));
	free(answer);
	free(request);
	return 1;
}

int main(void)
{
	struct server server = {.replies = -1};

	while (serve_one(&server))
		;
	bed_close(server.bed);
	free(server.shadow);
	free(server.per_cpu);
	free(server.members);
	return 0;
}
