/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Grace periods in a thread: see grace.h. */
#include "grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct grace {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t requested; /* last ticket drawn */
	uint64_t completed; /* tickets up to here are done */
	bool is_ending;
	int event_fd;
	int outer_fd; /* fallback: map of maps, -1 where membarrier works */
	int inner_fd;
};

static int membarrier_global(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static void wait_for_readers(const struct grace *g)
{
	uint32_t key = 0;

	if (g->outer_fd < 0)
		membarrier_global();
	else
		bpf_map_update_elem(g->outer_fd, &key, &g->inner_fd, BPF_ANY);
}

static void *run(void *arg)
{
	struct grace *g = arg;

	pthread_mutex_lock(&g->lock);
	while (!g->is_ending) {
		uint64_t target = g->requested;

		if (target == g->completed) {
			pthread_cond_wait(&g->changed, &g->lock);
			continue;
		}
		pthread_mutex_unlock(&g->lock);
		wait_for_readers(g);
		pthread_mutex_lock(&g->lock);
		g->completed = target;
		pthread_cond_broadcast(&g->changed);
		eventfd_write(g->event_fd, 1);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static int make_fallback(struct grace *g)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	g->inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	if (g->inner_fd < 0)
		return -errno;
	opts.inner_map_fd = g->inner_fd;
	g->outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", 4, 4, 1, &opts);
	return g->outer_fd < 0 ? -errno : 0;
}

static int start_thread(struct grace *g)
{
	sigset_t all, old;
	int r;

	/* Signals are for the event loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&g->thread, NULL, run, g);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int grace_new(struct grace **ret_grace, struct err *err)
{
	struct grace *g = calloc(1, sizeof(*g));
	int r = 0;

	if (!g)
		return err_set(err, ENOMEM, "out of memory");
	g->outer_fd = -1;
	g->inner_fd = -1;
	g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	if (g->event_fd < 0)
		r = -errno;
	else if (membarrier_global() < 0)
		r = make_fallback(g);
	if (!r)
		r = start_thread(g);
	if (!r) {
		*ret_grace = g;
		return 0;
	}
	if (g->event_fd >= 0)
		close(g->event_fd);
	if (g->inner_fd >= 0)
		close(g->inner_fd);
	if (g->outer_fd >= 0)
		close(g->outer_fd);
	free(g);
	return err_errno(err, -r, "grace periods");
}

void grace_free(struct grace *grace)
{
	if (!grace)
		return;
	pthread_mutex_lock(&grace->lock);
	grace->is_ending = true;
	pthread_cond_broadcast(&grace->changed);
	pthread_mutex_unlock(&grace->lock);
	pthread_join(grace->thread, NULL);
	close(grace->event_fd);
	if (grace->outer_fd >= 0) {
		close(grace->outer_fd);
		close(grace->inner_fd);
	}
	pthread_mutex_destroy(&grace->lock);
	pthread_cond_destroy(&grace->changed);
	free(grace);
}

int grace_fd(const struct grace *grace)
{
	return grace->event_fd;
}

void grace_clear(struct grace *grace)
{
	eventfd_t value;

	eventfd_read(grace->event_fd, &value);
}

uint64_t grace_request(struct grace *grace)
{
	uint64_t ticket;

	pthread_mutex_lock(&grace->lock);
	ticket = ++grace->requested;
	pthread_cond_broadcast(&grace->changed);
	pthread_mutex_unlock(&grace->lock);
	return ticket;
}

bool grace_done(struct grace *grace, uint64_t ticket)
{
	bool is_done;

	pthread_mutex_lock(&grace->lock);
	is_done = grace->completed >= ticket;
	pthread_mutex_unlock(&grace->lock);
	return is_done;
}

void grace_wait(struct grace *grace, uint64_t ticket)
{
	pthread_mutex_lock(&grace->lock);
	while (grace->completed < ticket)
		pthread_cond_wait(&grace->changed, &grace->lock);
	pthread_mutex_unlock(&grace->lock);
}
