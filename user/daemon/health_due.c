/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which probe begins next: a heap by time under one timer of the event loop, so that those that are
 * due together begin in one turn of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "health_private.h"
#include "log.h"

#define ACCURACY_US 1000
#define BATCH	    32 /* checks begun in one turn */
/*
 * After the answers to the checks under way and what follows from them: a daemon that is too slow
 * begins late, and does not take its own delay for that of the reals. Before the rings.
 */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 6)

static void place(struct due *due, size_t i, struct probe *probe)
{
	due->heap[i] = probe;
	probe->heap_index = i;
}

static void sift_up(struct due *due, size_t i)
{
	struct probe *probe = due->heap[i];

	for (; i > 0 && due->heap[(i - 1) / 2]->due_us > probe->due_us; i = (i - 1) / 2)
		place(due, i, due->heap[(i - 1) / 2]);
	place(due, i, probe);
}

static void sift_down(struct due *due, size_t i)
{
	struct probe *probe = due->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < due->n) {
		if (child + 1 < due->n && due->heap[child + 1]->due_us < due->heap[child]->due_us)
			child++;
		if (due->heap[child]->due_us >= probe->due_us)
			break;
		place(due, i, due->heap[child]);
		i = child;
	}
	place(due, i, probe);
}

/* Setting a timer that exists only fails for a bug: probing would stop, so it is said. */
static void arm(struct due *due)
{
	int err = 0;

	if (!due->n || due->is_starting)
		return;
	err = sd_event_source_set_time(due->timer, due->heap[0]->due_us);
	if (err >= 0)
		err = sd_event_source_set_enabled(due->timer, SD_EVENT_ONESHOT);
	if (err < 0)
		log_error("probe timer: %s", strerror(-err));
}

int due_reserve(struct due *due, size_t n)
{
	size_t room = due->room ? 2 * due->room : 64;
	struct probe **more;

	if (n <= due->room)
		return 0;
	room = room < n ? n : room;
	more = (struct probe **)reallocarray((void *)due->heap, room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	due->heap = more;
	due->room = room;
	return 0;
}

void due_set(struct due *due, struct probe *probe, uint64_t at_us)
{
	bool was_first = due->n && due->heap[0] == probe;

	probe->due_us = at_us;
	if (probe->heap_index == NOT_DUE)
		place(due, due->n++, probe);
	sift_up(due, probe->heap_index);
	sift_down(due, probe->heap_index);
	if (was_first || due->heap[0] == probe)
		arm(due);
}

void due_remove(struct due *due, struct probe *probe)
{
	size_t i = probe->heap_index;
	struct probe *last;

	if (i == NOT_DUE)
		return;
	probe->heap_index = NOT_DUE;
	last = due->heap[--due->n];
	if (last == probe)
		return;
	place(due, i, last);
	sift_up(due, i);
	sift_down(due, last->heap_index);
}

/* A probe that begins may end at once and take others away: each is looked for anew. */
static int on_due(sd_event_source *source, uint64_t usec, void *user)
{
	struct due *due = user;
	uint64_t now = health_now_us() + ACCURACY_US / 2;

	due->is_starting = true;
	for (int i = 0; i < BATCH && due->n && due->heap[0]->due_us <= now; i++) {
		struct probe *probe = due->heap[0];

		due_remove(due, probe);
		probe_begin(probe);
	}
	due->is_starting = false;
	arm(due);
	return 0;
}

int due_start(struct due *due, sd_event *event)
{
	int r = sd_event_add_time(event, &due->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_due, due);

	if (r < 0)
		return r;
	sd_event_source_set_enabled(due->timer, SD_EVENT_OFF);
	return sd_event_source_set_priority(due->timer, PRIORITY);
}

void due_stop(struct due *due)
{
	sd_event_source_disable_unref(due->timer);
	free((void *)due->heap);
}
