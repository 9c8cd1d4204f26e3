/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes of scripts: see script_process.h. By fork(): whoever waits for exec, as vfork() and
 * posix_spawn() do, waits for the file system that the program is on. The large maps are not copied
 * (MADV_DONTFORK).
 */
#include "script_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd_limit.h"

#define ERROR_FD 3 /* in the child; closed by exec */

enum step { STEP_CGROUP, STEP_PREPARE, STEP_USER, STEP_RUN };

static const char *const step_names[] = {"enter its cgroup", "prepare", "change user", "run"};

/* What a child that could not become the program writes to error_fd. */
struct report {
	enum step step;
	int errnum;
};

/* ---- the child: between fork and exec, so system calls only ---------------------------------- */

/*
 * By the system call: glibc's signal() refuses 32 and 33, which it keeps for itself, and whoever
 * was started with posix_spawn (by make, for one) has them ignored. The kernel's struct sigaction,
 * all zeros, is SIG_DFL.
 */
static void reset_signals(void)
{
	static const unsigned long default_action[8];
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, default_action, NULL, NSIG / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_fds(int output_fd, int error_fd)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
	    dup2(output_fd, STDERR_FILENO) < 0)
		return -1;
	if (error_fd != ERROR_FD && dup3(error_fd, ERROR_FD, O_CLOEXEC) < 0)
		return -1;
	return close_range(ERROR_FD + 1, ~0u, 0);
}

/* The daemon may be protected from the kernel's memory killer; a script is not. */
static void unprotect_memory(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "0", 1); /* it goes on as it is */
	close(fd);
}

/*
 * What the bounding set loses (which takes a capability of its own) is only a second lock:
 * no_new_privs keeps exec from giving any capability back.
 */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	if (syscall(SYS_capset, &header, none) < 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int change_user(const struct script_start *start)
{
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* The C library's functions of these names speak to all threads, of which there are none.
	 */
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, start->gid, start->gid, start->gid) < 0 ||
	    syscall(SYS_setresuid, start->uid, start->uid, start->uid) < 0)
		return -1;
	return drop_capabilities();
}

/*
 * Not by CLONE_INTO_CGROUP: Linux 6.18 kills a child that begins in a cgroup which has seen more of
 * cgroup.kill than its parent's.
 */
static int enter_cgroup(int dir_fd)
{
	int fd = dir_fd < 0 ? -1 : openat(dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (dir_fd < 0)
		return 0;
	if (fd < 0 || write(fd, "0", 1) < 0)
		return -1;
	return close(fd);
}

static int prepare(int output_fd, int error_fd)
{
	const struct rlimit no_core = {};

	if (setsid() < 0 || set_fds(output_fd, error_fd) < 0 || chdir("/") < 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -1;
	umask(022);
	unprotect_memory();
	return 0;
}

static _Noreturn void give_up(int error_fd, enum step step)
{
	struct report report = {.step = step, .errnum = errno};

	(void)!write(error_fd, &report, sizeof(report)); /* the parent then takes it for a run */
	_exit(127);
}

static _Noreturn void be_script(const struct script_start *start, int output_fd, int error_fd,
				pid_t parent)
{
	reset_signals();
	if (enter_cgroup(start->cgroup_fd) < 0)
		give_up(error_fd, STEP_CGROUP);
	if (prepare(output_fd, error_fd) < 0)
		give_up(error_fd, STEP_PREPARE);
	if (change_user(start) < 0)
		give_up(ERROR_FD, STEP_USER);
	/* The daemon may be killed. Only now: a change of user takes this back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(127);
	execve(start->argv[0], start->argv, start->envp);
	give_up(ERROR_FD, STEP_RUN);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

/* A pipe whose end for reading does not block. */
static int open_pipe(int ret_fds[2])
{
	int r;

	if (pipe2(ret_fds, O_CLOEXEC) < 0)
		return -errno;
	r = fd_limit_check(ret_fds[1]);
	if (r < 0) {
		close(ret_fds[0]);
		return r;
	}
	if (fcntl(ret_fds[0], F_SETFL, O_NONBLOCK) < 0) {
		close(ret_fds[0]);
		close(ret_fds[1]);
		return -errno;
	}
	return 0;
}

static void close_pipe(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static int fork_script(const struct script_start *start, const int output[2], const int error[2],
		       struct script_process *process)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_script(start, output[1], error[1], parent);
	process->pidfd = pidfd_open(pid, 0);
	if (process->pidfd < 0) {
		int err = -errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err;
	}
	process->pid = pid;
	return 0;
}

int script_spawn(const struct script_start *start, struct script_process *ret_process)
{
	struct script_process process;
	int output[2], error[2];
	int err = open_pipe(output);

	if (err < 0)
		return err;
	err = open_pipe(error);
	if (err < 0) {
		close_pipe(output);
		return err;
	}
	err = fork_script(start, output, error, &process);
	if (err < 0) {
		close_pipe(output);
		close_pipe(error);
		return err;
	}
	close(output[1]);
	close(error[1]);
	process.output_fd = output[0];
	process.error_fd = error[0];
	*ret_process = process;
	return 0;
}

/* Before it has its own group, which is named after it, there is only the process itself. */
void script_kill(const struct script_process *process)
{
	kill(-process->pid, SIGKILL);
	pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}

int script_reap(const struct script_process *process, struct script_end *ret_end)
{
	struct script_end end = {.was_run = true, .exit_status = -1};
	struct report report;
	siginfo_t info = {};

	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
		end = (struct script_end){.step = "wait for it", .errnum = errno};
	} else if (info.si_pid == 0) {
		return -EAGAIN;
	} else {
		/* As long as it is not waited for nobody else can have its number. */
		kill(-process->pid, SIGKILL);
		waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
		if (info.si_code == CLD_EXITED)
			end.exit_status = info.si_status;
		else
			end.signal = info.si_status;
	}
	if (read(process->error_fd, &report, sizeof(report)) == (ssize_t)sizeof(report)) {
		end.was_run = false;
		end.step = step_names[report.step];
		end.is_cgroup_lost = report.step == STEP_CGROUP;
		end.errnum = report.errnum;
	}
	*ret_end = end;
	return 0;
}

void script_close(const struct script_process *process)
{
	close(process->pidfd);
	close(process->output_fd);
	close(process->error_fd);
}
