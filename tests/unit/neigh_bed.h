/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network of the neighbour tests. Each test gets two fresh network namespaces: its own, where
 * the code under test runs, and a neighbour's, held by a child process; two veth pairs between
 * them:
 *
 *   a0 10.0.0.1/24 fd00::1/64 ---- b0 10.0.0.2/24 fd00::2/64  02:00:00:00:00:b0, fe80::b0
 *   a1 10.0.1.1/24 fd01::1/64 ---- b1 10.0.1.2/24 fd01::2/64  02:00:00:00:00:b1, fe80::b1
 *
 * Needs root; skipped otherwise.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/neigh.h"
#include "lib/addr.h"

#define DEADLINE_MS 20000
#define MAC_B0	    "02:00:00:00:00:b0"
#define MAC_B1	    "02:00:00:00:00:b1"

#define TOLD_MAX 4096

/* What the callback said last of an address. */
struct told {
	struct ip_addr address;
	struct next_hop hop;
};

struct fixture {
	pid_t peer; /* holds the neighbour's namespace */
	sd_event *event;
	struct neigh *neigh;
	unsigned int changes; /* calls of next_hop_changed */
	struct told told[TOLD_MAX];
	size_t n_told;
	char links[4096]; /* "+name " or "-name " for every link_changed */
	struct ip_addr at_gone; /* its next hop is looked up when a link goes: */
	struct next_hop hop_at_gone;
};

/* ---- The network ------------------------------------------------------------------------- */

static inline void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void run(const char *fmt, ...)
{
	char command[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0) // NOLINT: a test's own words
		fail_msg("failed: %s", command);
}

#define run_in_peer(f, fmt, ...) run("nsenter -t %d -n " fmt, (int)(f)->peer, ##__VA_ARGS__)

/* What a command prints, to look for a word in. */
static inline bool prints(const char *command, const char *word)
{
	char text[65536];
	FILE *pipe = popen(command, "r"); // NOLINT: a test's own words
	size_t len;

	assert_non_null(pipe);
	len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = '\0';
	pclose(pipe);
	return strstr(text, word) != NULL;
}

static inline void use_new_namespace(void)
{
	static const char *const no_dad[] = {"/proc/sys/net/ipv6/conf/all/accept_dad",
					     "/proc/sys/net/ipv6/conf/default/accept_dad"};
	size_t i;
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		abort();
	for (i = 0; i < 2; i++) {
		fd = open(no_dad[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			abort();
		close(fd);
	}
}

static inline pid_t start_peer(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		use_new_namespace();
		if (write(ready[1], "", 1) != 1)
			abort();
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static inline void add_pair(struct fixture *f, int i)
{
	run("ip link add a%d type veth peer name b%d netns %d", i, i, (int)f->peer);
	run("ip -batch - <<'END'\n"
	    "link set a%d address 02:00:00:00:00:a%d up\n"
	    "addr add 10.0.%d.1/24 dev a%d\n"
	    "addr add fd0%d::1/64 dev a%d nodad\n"
	    "END",
	    i, i, i, i, i, i);
	run_in_peer(f,
		    "ip -batch - <<'END'\n"
		    "link set b%d address 02:00:00:00:00:b%d up\n"
		    "addr replace 10.0.%d.2/24 dev b%d\n"
		    "addr replace fd0%d::2/64 dev b%d nodad\n"
		    "addr replace fe80::b%d/64 dev b%d nodad\n"
		    "END",
		    i, i, i, i, i, i, i, i);
}

/* ---- The code under test ----------------------------------------------------------------- */

/* A new row (of no next hop) if nothing was said yet. */
static inline struct next_hop *told(struct fixture *f, const struct ip_addr *address)
{
	size_t i;

	for (i = 0; i < f->n_told; i++) {
		if (addr_equal(&f->told[i].address, address))
			return &f->told[i].hop;
	}
	assert_true(f->n_told < TOLD_MAX);
	f->told[i].address = *address;
	f->n_told++;
	return &f->told[i].hop;
}

static inline void on_next_hop(void *user, const struct ip_addr *address,
			       const struct next_hop *next_hop)
{
	struct fixture *f = user;

	f->changes++;
	*told(f, address) = *next_hop;
}

static inline void on_link(void *user, uint32_t ifindex, const char *name, enum link_news news)
{
	struct fixture *f = user;
	size_t len = strlen(f->links);

	snprintf(f->links + len, sizeof(f->links) - len, "%c%s ", "+^v-"[news], name);
	if (news == LINK_GONE)
		(void)neigh_get(f->neigh, &f->at_gone, &f->hop_at_gone);
}

static const struct neigh_ops ops = {.next_hop_changed = on_next_hop, .link_changed = on_link};

static inline void start(struct fixture *f)
{
	struct err err = {};

	if (neigh_new(&f->neigh, f->event, &ops, f, &err) < 0)
		fail_msg("%s", err.text);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	*state = f;
	use_new_namespace();
	f->peer = start_peer();
	add_pair(f, 0);
	add_pair(f, 1);
	if (sd_event_new(&f->event) < 0)
		return -1;
	start(f);
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	neigh_free(f->neigh);
	sd_event_unref(f->event);
	kill(f->peer, SIGKILL);
	waitpid(f->peer, NULL, 0);
	free(f);
	return 0;
}

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr a = {};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline void watch(struct fixture *f, const char *text)
{
	struct ip_addr a = ip(text);

	assert_int_equal(neigh_watch(f->neigh, &a, NULL), 0);
}

static inline void unwatch(struct fixture *f, const char *text)
{
	struct ip_addr a = ip(text);

	neigh_unwatch(f->neigh, &a);
}

static inline struct next_hop get(struct fixture *f, const char *text)
{
	struct ip_addr a = ip(text);
	struct next_hop hop = {};

	assert_true(neigh_get(f->neigh, &a, &hop));
	return hop;
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* "MAC interface" or "none". */
static inline const char *describe(const struct next_hop *hop, char *buf, size_t size)
{
	if (hop->is_resolved)
		snprintf(buf, size, "%02x:%02x:%02x:%02x:%02x:%02x %s", hop->mac[0], hop->mac[1],
			 hop->mac[2], hop->mac[3], hop->mac[4], hop->mac[5], hop->interface);
	else
		snprintf(buf, size, "none");
	return buf;
}

/* Runs the loop for this long. */
static inline void run_for(struct fixture *f, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		assert_true(sd_event_run(f->event, 5000) >= 0);
}

/* Runs the loop until this is the address's next hop and the last word of the callback. */
static inline void expect_within(struct fixture *f, const char *address, const char *expected,
				 uint64_t within_ms)
{
	uint64_t end = now_ms() + within_ms;
	struct ip_addr a = ip(address);
	char got[64], heard[64];
	struct next_hop hop;

	do {
		assert_true(sd_event_run(f->event, 10000) >= 0);
		hop = get(f, address);
		describe(&hop, got, sizeof(got));
		describe(told(f, &a), heard, sizeof(heard));
		if (strcmp(got, expected) == 0 && strcmp(heard, expected) == 0)
			return;
	} while (now_ms() < end);
	fail_msg("next hop of %s: expected %s, got %s, told %s", address, expected, got, heard);
}

static inline void expect(struct fixture *f, const char *address, const char *expected)
{
	expect_within(f, address, expected, DEADLINE_MS);
}
