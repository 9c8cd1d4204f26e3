/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process of a script: in a session and process group of its own, as an ordinary user without
 * capabilities, with nothing of the daemon's open but a pipe for what it says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct script_start {
	char *const *argv;
	char *const *envp;
	uid_t uid;
	gid_t gid;
	int cgroup_fd; /* directory of the cgroup that it is to be in; -1: the daemon's */
};

struct script_process {
	pid_t pid;
	int pidfd; /* readable when it has ended */
	int output_fd; /* stdout and stderr; not blocking */
	int error_fd; /* says why it could not be run; not blocking */
};

struct script_end {
	bool was_run;
	const char *step; /* if it was not: what went wrong, and the reason */
	int errnum;
	bool is_cgroup_lost; /* it could not enter it */
	int exit_status; /* if it was; -1: ended by a signal */
	int signal;
};

/* -errno, for want of something of our own. Does not wait for the program to be started. */
int script_spawn(const struct script_start *start, struct script_process *ret_process);

/* Kills the whole process group. Only before script_reap(). */
void script_kill(const struct script_process *process);

/* 0: it had ended, and what was left of its group is killed. -EAGAIN: it has not. Once only. */
int script_reap(const struct script_process *process, struct script_end *ret_end);

/*
 * After nobody watches the descriptors any more: a child that is about to be a script has copies,
 * which would keep a closed one in an epoll set.
 */
void script_close(const struct script_process *process);
