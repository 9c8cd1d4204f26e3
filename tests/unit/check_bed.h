/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One check at a time in a real event loop, without the engine. */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/check.h"
#include "lib/addr.h"

#define BED_TIMEOUT_MS	800
#define BED_DEADLINE_MS 20000

struct bed {
	sd_event *event;
	struct check_context context;
	struct health_spec spec;
	struct agent_state *agent;
	struct ip_addr address;
	uint16_t port;
	uint32_t mark;
	int results;
	enum check_outcome outcome;
	char text[CHECK_TEXT_MAX];
	bool is_decisive;
	struct health_advice advice;
	uint64_t took_ms;
};

static uint64_t bed_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* This process has open. */
static inline int bed_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void bed_open(struct bed *bed, const char *address)
{
	*bed = (struct bed){.spec = {.timeout_ms = BED_TIMEOUT_MS}};
	assert_true(sd_event_new(&bed->event) >= 0);
	bed->context.event = bed->event;
	addr_parse(address, &bed->address);
}

static void bed_close(struct bed *bed)
{
	sd_event_unref(bed->event);
}

static void bed_turn(struct bed *bed)
{
	assert_true(sd_event_run(bed->event, 10000) >= 0);
}

/* Runs the loop until cond holds; fails after the deadline. */
#define bed_until(bed, cond)                                                                       \
	do {                                                                                       \
		uint64_t end = bed_now_ms() + BED_DEADLINE_MS;                                     \
		while (!(cond)) {                                                                  \
			if (bed_now_ms() > end)                                                    \
				fail_msg("never: %s", #cond);                                      \
			bed_turn(bed);                                                             \
		}                                                                                  \
	} while (0)

static void bed_on_done(void *user, const struct check_result *result)
{
	struct bed *bed = user;

	bed->results++;
	bed->outcome = result->outcome;
	bed->is_decisive = result->is_decisive;
	bed->advice = result->advice;
	snprintf(bed->text, sizeof(bed->text), "%s", result->text);
}

static int bed_start(struct bed *bed, const struct check_ops *ops, struct check **ret_check)
{
	struct check_request request = {.address = bed->address,
					.port = bed->port,
					.real = bed->address,
					.mark = bed->mark,
					.spec = &bed->spec,
					.agent = bed->agent,
					.done = bed_on_done,
					.user = bed};

	bed->results = 0;
	return ops->start(&bed->context, &request, ret_check);
}

/* One whole check. */
static void bed_check(struct bed *bed, const struct check_ops *ops)
{
	uint64_t began = bed_now_ms();
	struct check *check = NULL;

	assert_int_equal(bed_start(bed, ops, &check), 0);
	assert_int_equal(bed->results, 0); /* never from inside start */
	bed_until(bed, bed->results);
	bed->took_ms = bed_now_ms() - began;
	assert_int_equal(bed->results, 1);
}

#define bed_expect(bed, wanted_outcome, wanted_text, what)                                         \
	do {                                                                                       \
		if ((bed)->outcome != (wanted_outcome) || strcmp((bed)->text, wanted_text) != 0)   \
			fail_msg("%s: outcome %d, \"%s\"", what, (bed)->outcome, (bed)->text);     \
	} while (0)
