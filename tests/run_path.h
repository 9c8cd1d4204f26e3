/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names for what a test program makes outside of its process. They begin with the run's, which ends
 * with the pid of who began it: tests/sweep.sh removes what is left of a run that was killed.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* DIRECTORY/RUN-PID-N, which nothing else is called; returns buf. */
static inline const char *run_path(char *buf, size_t size, const char *directory)
{
	static unsigned int n;
	const char *run = getenv("XDPLB_RUN");
	char own[32];

	snprintf(own, sizeof(own), "xdplb-test-%d", getpid());
	snprintf(buf, size, "%s/%s-%d-%u", directory, run ? run : own, getpid(), ++n);
	return buf;
}
