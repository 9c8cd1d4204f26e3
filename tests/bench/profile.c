/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See profile.h. */
#include "profile.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <jansson.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PERIOD_NS  50000
#define RING_BYTES (4u << 20) /* a power of two; more samples than a load makes */
#define MAX_FUNCS  64
#define MAX_LINES  8192

struct line {
	char *file; /* without directories */
	uint32_t number;
	char *source;
	uint64_t samples;
};

struct profile {
	int fd;
	struct perf_event_mmap_page *control;
	struct line *lines;
	size_t n_lines;
	uint64_t samples; /* in the program */
};

/* What the kernel says of a program: where its functions lie and what was made of which line. */
struct translation {
	uint64_t start[MAX_FUNCS];
	uint32_t len[MAX_FUNCS];
	uint64_t at[MAX_LINES];
	struct bpf_line_info info[MAX_LINES];
	uint32_t n_funcs, n_lines;
	struct btf *btf;
};

static size_t map_bytes(void)
{
	return RING_BYTES + (size_t)sysconf(_SC_PAGESIZE);
}

int profile_new(struct profile **ret_profile, struct err *err)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP,
		.disabled = 1,
		.exclude_user = 1,
	};
	struct profile *profile = calloc(1, sizeof(*profile));
	void *map;

	if (!profile)
		return err_errno(err, ENOMEM, "profile");
	profile->fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	map = profile->fd < 0
		      ? MAP_FAILED
		      : mmap(NULL, map_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, profile->fd, 0);
	if (map == MAP_FAILED) {
		err_errno(err, errno, "perf_event_open");
		profile_free(profile);
		return -EIO;
	}
	profile->control = map;
	*ret_profile = profile;
	return 0;
}

static void forget(struct profile *profile)
{
	for (size_t i = 0; i < profile->n_lines; i++) {
		free(profile->lines[i].file);
		free(profile->lines[i].source);
	}
	free(profile->lines);
	profile->lines = NULL;
	profile->n_lines = 0;
	profile->samples = 0;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	forget(profile);
	if (profile->control)
		munmap(profile->control, map_bytes());
	if (profile->fd >= 0)
		close(profile->fd);
	free(profile);
}

void profile_start(struct profile *profile)
{
	ioctl(profile->fd, PERF_EVENT_IOC_ENABLE, 0);
}

/* ---- from addresses to lines --------------------------------------------------------------- */

static int translation_read(struct translation *t, int fd, struct err *err)
{
	struct bpf_prog_info info = {
		.jited_ksyms = (uintptr_t)t->start,
		.nr_jited_ksyms = MAX_FUNCS,
		.jited_func_lens = (uintptr_t)t->len,
		.nr_jited_func_lens = MAX_FUNCS,
		.jited_line_info = (uintptr_t)t->at,
		.jited_line_info_rec_size = sizeof(t->at[0]),
		.nr_jited_line_info = MAX_LINES,
		.line_info = (uintptr_t)t->info,
		.line_info_rec_size = sizeof(t->info[0]),
		.nr_line_info = MAX_LINES,
	};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r)
		return err_errno(err, -r, "program info");
	if (info.nr_jited_ksyms > MAX_FUNCS || info.nr_line_info > MAX_LINES ||
	    info.nr_jited_line_info != info.nr_line_info)
		return err_set(err, E2BIG, "%u functions, %u lines of %u", info.nr_jited_ksyms,
			       info.nr_jited_line_info, info.nr_line_info);
	t->n_funcs = info.nr_jited_ksyms;
	t->n_lines = info.nr_line_info;
	t->btf = btf__load_from_kernel_by_id(info.btf_id);
	return t->btf ? 0 : err_errno(err, errno, "BTF of the program");
}

/* What the instruction at `ip` was made of: the last line that begins there or before; or -1. */
static int translation_find(const struct translation *t, uint64_t ip)
{
	int best = -1;

	for (uint32_t f = 0; f < t->n_funcs; f++) {
		if (ip < t->start[f] || ip >= t->start[f] + t->len[f])
			continue;
		for (uint32_t i = 0; i < t->n_lines; i++) {
			if (t->at[i] >= t->start[f] && t->at[i] <= ip &&
			    (best < 0 || t->at[i] >= t->at[best]))
				best = (int)i;
		}
	}
	return best;
}

static int count_line(struct profile *profile, const char *path, uint32_t number,
		      const char *source)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	struct line *lines;

	profile->samples++;
	for (size_t i = 0; i < profile->n_lines; i++) {
		struct line *line = &profile->lines[i];

		if (line->number == number && !strcmp(line->file, file)) {
			line->samples++;
			return 0;
		}
	}
	lines = realloc(profile->lines, (profile->n_lines + 1) * sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	profile->lines = lines;
	lines[profile->n_lines] = (struct line){
		.file = strdup(file),
		.number = number,
		.source = strdup(source + strspn(source, " \t")),
		.samples = 1,
	};
	profile->n_lines += lines[profile->n_lines].file && lines[profile->n_lines].source;
	return 0;
}

static int count_ip(struct profile *profile, const struct translation *t, uint64_t ip)
{
	int i = translation_find(t, ip);

	if (i < 0)
		return 0;
	return count_line(profile, btf__name_by_offset(t->btf, t->info[i].file_name_off),
			  BPF_LINE_INFO_LINE_NUM(t->info[i].line_col),
			  btf__name_by_offset(t->btf, t->info[i].line_off));
}

/* Records are 8 or 16 bytes, the ring's size is a multiple of both: none is cut in two. */
static int count_all(struct profile *profile, const struct translation *t)
{
	const char *data = (const char *)profile->control + profile->control->data_offset;
	uint64_t head = __atomic_load_n(&profile->control->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = profile->control->data_tail;
	int r = 0;

	while (tail < head && !r) {
		const struct perf_event_header *header = (const void *)(data + tail % RING_BYTES);
		uint64_t ip;

		if (header->type == PERF_RECORD_SAMPLE) {
			memcpy(&ip, data + (tail + sizeof(*header)) % RING_BYTES, sizeof(ip));
			r = count_ip(profile, t, ip);
		}
		tail += header->size;
	}
	__atomic_store_n(&profile->control->data_tail, head, __ATOMIC_RELEASE);
	return r;
}

int profile_stop(struct profile *profile, int fd, struct err *err)
{
	struct translation *t = calloc(1, sizeof(*t));
	int r;

	ioctl(profile->fd, PERF_EVENT_IOC_DISABLE, 0);
	if (!t)
		return err_errno(err, ENOMEM, "profile");
	r = translation_read(t, fd, err);
	if (!r && count_all(profile, t))
		r = err_errno(err, ENOMEM, "profile");
	btf__free(t->btf);
	free(t);
	return r;
}

/* ---- output -------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->samples < y->samples ? 1 : -(x->samples > y->samples);
}

void profile_print(struct profile *profile, const char *name, uint32_t vips)
{
	qsort(profile->lines, profile->n_lines, sizeof(*profile->lines), compare_lines);
	for (size_t i = 0; i < profile->n_lines; i++) {
		const struct line *line = &profile->lines[i];
		json_t *row = json_pack("{ss si ss si ss sf si}", "case", name, "vips", (int)vips,
					"file", line->file, "line", (int)line->number, "source",
					line->source, "share",
					(double)line->samples / (double)profile->samples, "samples",
					(int)line->samples);

		json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(4));
		putchar('\n');
		json_decref(row);
	}
	fflush(stdout);
	fprintf(stderr, "%-10s %3u VIPs: %llu samples in the program\n", name, vips,
		(unsigned long long)profile->samples);
	forget(profile);
}
