/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a read of a random line of a table costs on this machine, by the table's size: the floor
 * under what a packet costs whose lines are in no cache. A JSON line a size:
 *   alone        each address depends on the value before: the whole latency
 *   overlapped   addresses are known: as many reads under way as the CPU can have
 *   claimed      a read and a compare-and-swap of the line, as for a new flow
 * Tables have the sizes of the packet path's maps with the benchmark's configurations. Pages are of
 * 4 KiB, as those of mmap'able BPF arrays are; "huge" is `alone` with huge pages, for comparison.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "measure.h"

#define LINE   64
#define READS  200000
#define ROUNDS 9

static const struct table {
	const char *name;
	size_t bytes;
} tables[] = {
	{"one ring", 131072},
	{"member_stats, 512 VIPs, a CPU", 512 * 100 * 32},
	{"members, 512 VIPs", 512 * 100 * 64},
	{"flows, 1 M", 262144 * LINE},
	{"rings, 512 VIPs", 512 * 131072},
	{"flows, 10 M", 2500000ULL * LINE},
};

struct memory {
	uint64_t (*lines)[LINE / sizeof(uint64_t)];
	uint64_t n;
	uint64_t seed;
};

static uint64_t random_line(struct memory *m)
{
	uint64_t x;

	m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	x = (m->seed ^ m->seed >> 32) * 0x9e3779b97f4a7c15ULL;
	return (x >> 32) * m->n >> 32;
}

static uint64_t read_line(struct memory *m, uint64_t line)
{
	return *(volatile uint64_t *)&m->lines[line][0];
}

static void read_alone(struct memory *m)
{
	for (int i = 0; i < READS; i++)
		m->seed += read_line(m, random_line(m)) >> 63; /* always 0 */
}

static void read_overlapped(struct memory *m)
{
	for (int i = 0; i < READS; i++)
		read_line(m, random_line(m));
}

static void claim(struct memory *m)
{
	for (int i = 0; i < READS; i++) {
		uint64_t line = random_line(m), old = read_line(m, line);

		__sync_val_compare_and_swap(&m->lines[line][0], old, (old + 1) & 0xffff);
	}
}

/* ns a read: median of the rounds. */
static double measure(struct memory *m, void (*run)(struct memory *))
{
	double ns[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		double start = measure_now_ms();

		run(m);
		ns[i] = (measure_now_ms() - start) * 1e6 / READS;
	}
	return measure_median(ns, ROUNDS);
}

static int map_table(size_t bytes, int advice, struct memory *ret_memory)
{
	void *lines = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (lines == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	madvise(lines, bytes,
		advice); /* huge pages may not be there: then there is no difference */
	memset(lines, 1, bytes);
	*ret_memory = (struct memory){.lines = lines, .n = bytes / LINE, .seed = 1};
	return 0;
}

static int run_table(const struct table *t)
{
	struct memory small, huge;

	if (map_table(t->bytes, MADV_NOHUGEPAGE, &small))
		return 1;
	if (map_table(t->bytes, MADV_HUGEPAGE, &huge)) {
		munmap(small.lines, t->bytes);
		return 1;
	}
	printf("{\"table\":\"%s\",\"mb\":%.1f,\"alone_ns\":%.1f,\"overlapped_ns\":%.1f,"
	       "\"claimed_ns\":%.1f,\"huge_ns\":%.1f}\n",
	       t->name, (double)t->bytes / 1e6, measure(&small, read_alone),
	       measure(&small, read_overlapped), measure(&small, claim),
	       measure(&huge, read_alone));
	fflush(stdout);
	munmap(small.lines, t->bytes);
	munmap(huge.lines, t->bytes);
	return 0;
}

int main(void)
{
	int r = 0;

	measure_undisturbed();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !r; i++)
		r = run_table(&tables[i]);
	return r;
}
