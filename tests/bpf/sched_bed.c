/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See sched_bed.h. */
#include "sched_bed.h"

#include <arpa/inet.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

static const char *const reals[] = {
	"10.0.1.1",  "10.0.1.2",  "10.0.1.3",  "10.0.1.4",  "10.0.1.5",	 "10.0.1.6",  "10.0.1.7",
	"10.0.1.8",  "10.0.1.9",  "10.0.1.10", "10.0.1.11", "10.0.1.12", "10.0.1.13", "10.0.1.14",
	"10.0.1.15", "10.0.1.16", "10.0.1.17", "10.0.1.18", "10.0.1.19", "10.0.1.20", "10.0.1.21",
	"10.0.1.22", "10.0.1.23", "10.0.1.24", "10.0.1.25", "10.0.1.26", "10.0.1.27", "10.0.1.28",
	"10.0.1.29", "10.0.1.30", "10.0.1.31", "10.0.1.32",
};

struct bed *sched_bed_new(void)
{
	return bed_new(&(struct bed_options){.flows = 200000, .schedulers = (uint16_t)~0u});
}

const struct sched_named sched_all[SCHEDULERS] = {
	{"maglev", SCHEDULER_MAGLEV}, {"source", SCHEDULER_SOURCE}, {"rr", SCHEDULER_RR},
	{"random", SCHEDULER_RANDOM}, {"lc", SCHEDULER_LC},	    {"p2c", SCHEDULER_P2C},
};

void sched_for_each(sched_test test)
{
	for (size_t i = 0; i < SCHEDULERS; i++) {
		struct bed *bed = sched_bed_new();

		test(bed, sched_all[i].scheduler, sched_all[i].name);
		bed_remove(bed);
	}
}

int sched_bed_setup(void **state)
{
	*state = sched_bed_new();
	return 0;
}

struct bed_vip sched_vip(enum xdplb_scheduler scheduler, size_t n, const uint32_t *weights)
{
	struct bed_vip vip = {
		.address = SCHED_VIP,
		.port = 80,
		.scheduler = scheduler,
		.source = {.tuple = 1, .prefix4 = 32, .prefix6 = 128},
	};

	if (scheduler != SCHEDULER_SOURCE)
		vip.source = (struct source_spec){};
	assert_true(n <= sizeof(reals) / sizeof(reals[0]));
	for (size_t i = 0; i < n; i++)
		vip.reals[i] = (struct bed_real){
			.address = reals[i],
			.weight = weights ? weights[i] : 100,
		};
	return vip;
}

struct packet sched_packet(uint32_t flow, uint8_t flags)
{
	static char sources[4][16];
	static unsigned int n;
	char *src = sources[n++ % 4];

	snprintf(src, sizeof(sources[0]), "10.%u.%u.%u", 64 + (flow >> 16) % 64, flow >> 8 & 255,
		 flow & 255);
	return (struct packet){.src = src,
			       .dst = SCHED_VIP,
			       .sport = (uint16_t)(1024 + flow % 60000),
			       .dport = 80,
			       .flags = flags};
}

struct bed_vip sched_source_vip(uint8_t tuple, uint8_t prefix4, uint8_t prefix6)
{
	struct bed_vip vip = sched_vip(SCHEDULER_SOURCE, SCHED_REALS, NULL);

	vip.source = (struct source_spec){.tuple = tuple, .prefix4 = prefix4, .prefix6 = prefix6};
	return vip;
}

struct packet sched_packet_from(unsigned int host, bool is_v6)
{
	static char src[4][40];
	static unsigned int n;
	char *text = src[n++ % 4];

	snprintf(text, sizeof(src[0]), is_v6 ? "2001:db8:0:%x::7" : "10.0.%u.7", host);
	return (struct packet){.src = text,
			       .dst = is_v6 ? "2001:db8:f::10" : SCHED_VIP,
			       .sport = 5000,
			       .dport = 80,
			       .flags = SEGMENT_RST};
}

size_t sched_real_of(struct bed *bed, const struct packet *packet)
{
	struct ip_addr real = bed_real_of(bed, packet);

	assert_int_equal(real.b[14], 1);
	return real.b[15] - 1u;
}

size_t sched_send(struct bed *bed, uint32_t flow, uint8_t flags)
{
	struct packet p = sched_packet(flow, flags);

	return sched_real_of(bed, &p);
}

void sched_start_flows(struct bed *bed, uint32_t first, uint32_t n, uint32_t *ret_counts)
{
	for (uint32_t i = 0; i < n; i++)
		ret_counts[sched_send(bed, first + i, SEGMENT_SYN)]++;
}

size_t sched_cpus(int *ret_cpus)
{
	cpu_set_t cpus;
	size_t n = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < SCHED_CPUS; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			ret_cpus[n++] = cpu;
	}
	return n;
}

void sched_pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		print_message("# skipped: no CPU %d\n", cpu);
		skip();
	}
}

void sched_unpin(void)
{
	cpu_set_t cpus;

	memset(&cpus, 0xff, sizeof(cpus));
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

double sched_chi_deviations(const uint32_t *counts, const uint32_t *weights, size_t n)
{
	double all = 0, weight = 0, chi = 0, freedom = (double)n - 1;

	for (size_t i = 0; i < n; i++) {
		all += counts[i];
		weight += weights ? weights[i] : 1;
	}
	for (size_t i = 0; i < n; i++) {
		double expected = all * (weights ? weights[i] : 1) / weight;

		chi += (counts[i] - expected) * (counts[i] - expected) / expected;
	}
	return (cbrt(chi / freedom) - (1 - 2 / (9 * freedom))) / sqrt(2 / (9 * freedom));
}
