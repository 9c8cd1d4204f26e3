/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scripts whose sockets get a mark. Needs root and cgroup v2, as the daemon does. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "check_bed.h"

#define MARK   0x78120007u
#define N_MANY 40 /* more than may run at once */

/* Prints the mark of a socket of each kind. */
#define SHOW                                                                                       \
	"python3 -c 'import socket as s\n"                                                         \
	"print(*[hex(s.socket(f, t).getsockopt(s.SOL_SOCKET, 36)) for f in (s.AF_INET, "           \
	"s.AF_INET6) for t in (s.SOCK_STREAM, s.SOCK_DGRAM)])'"

static char bpffs[64];

static void open_pool(struct bed *bed)
{
	bed_open(bed, "192.0.2.7");
	bed->spec.uid = bed->spec.gid = 65534;
	bed->spec.timeout_ms = 4000;
	snprintf(bpffs, sizeof(bpffs), "/test/%d", (int)getpid());
	assert_int_equal(check_script_pool_new(&bed->context.script, bed->event, NULL), 0);
	assert_int_equal(check_script_pool_use_cgroups(bed->context.script, bpffs), 0);
}

static void close_pool(struct bed *bed)
{
	check_script_pool_free(bed->context.script);
	bed_close(bed);
}

static void set_shell(struct bed *bed, const char *line)
{
	static char shell[] = "/bin/sh", option[] = "-c", *words[] = {shell, option, NULL};

	words[2] = (char *)line;
	bed->spec.command = (struct text_list){words, 3};
}

static void prepare(struct bed *bed)
{
	struct err err;

	if (check_script_ops.prepare_mark(&bed->context, &err))
		fail_msg("%s", err.text);
}

/* The number that a shell line says; %d in it is this process's number. */
static int count(const char *format)
{
	char line[256], text[16] = "";
	FILE *out;

	snprintf(line, sizeof(line), format, (int)getpid());
	out = popen(line, "r");
	assert_non_null(fgets(text, sizeof(text), out));
	pclose(out);
	return atoi(text);
}

static int count_directories(void)
{
	return count("find /sys/fs/cgroup -type d -path '*xdplb-test-%d*' | wc -l");
}

static int count_processes(void)
{
	return count("cat $(find /sys/fs/cgroup -path '*xdplb-test-%d*/cgroup.procs') | wc -l");
}

static void sockets_of_a_script_have_the_mark_that_it_is_run_with(void **state)
{
	struct bed bed;

	open_pool(&bed);
	prepare(&bed);
	set_shell(&bed, SHOW);
	bed.mark = MARK;
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 0x78120007 0x78120007 0x78120007 0x78120007",
		   "marked");
	bed.mark = MARK + 1; /* the same cgroup */
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 0x78120008 0x78120008 0x78120008 0x78120008",
		   "marked otherwise");
	bed.mark = 0;
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 0x0 0x0 0x0 0x0", "not marked");
	close_pool(&bed);
}

static void a_script_cannot_leave_its_cgroup(void **state)
{
	struct bed bed;

	open_pool(&bed);
	prepare(&bed);
	set_shell(&bed, "for f in $(find /sys/fs/cgroup -name cgroup.procs); do "
			"echo 0 >$f && exit 1; done 2>/dev/null; exit 0");
	bed.mark = MARK;
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0", "leaving");
	close_pool(&bed);
}

static void what_has_left_a_scripts_session_ends_with_it(void **state)
{
	uint64_t end = bed_now_ms() + BED_DEADLINE_MS;
	struct bed bed;

	open_pool(&bed);
	prepare(&bed);
	set_shell(&bed, "setsid sleep 1000 >/dev/null 2>&1 & "
			"until pid=$(pgrep -P $$ -x sleep); do :; done; pgrep -c -s $pid sleep");
	bed.mark = MARK;
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 1", "in a session of its own");
	while (count_processes() && bed_now_ms() < end)
		;
	assert_int_equal(count_processes(), 0);
	close_pool(&bed);
}

static void directories_are_there_while_they_are_used(void **state)
{
	struct bed bed;

	open_pool(&bed);
	assert_int_equal(count_directories(), 0);
	prepare(&bed);
	assert_int_equal(count_directories(), 1);
	set_shell(&bed, "exit 0");
	bed.mark = MARK;
	for (int i = 0; i < 3; i++)
		bed_check(&bed, &check_script_ops);
	assert_int_equal(count_directories(), 2);
	close_pool(&bed);
	assert_int_equal(count_directories(), 0);
}

static void what_a_killed_daemon_left_is_removed(void **state)
{
	struct bed bed;
	pid_t child;
	int status;

	snprintf(bpffs, sizeof(bpffs), "/test/%d", (int)getpid());
	child = fork();
	if (child == 0) {
		struct check_script_pool *pool;
		struct check_context context;
		struct err err;

		if (check_script_pool_new(&pool, NULL, NULL) ||
		    check_script_pool_use_cgroups(pool, bpffs))
			_exit(1);
		context.script = pool;
		_exit(check_script_ops.prepare_mark(&context, &err) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(count_directories(), 1);
	open_pool(&bed);
	assert_int_equal(count_directories(), 0);
	close_pool(&bed);
}

/* Each says its own; those that wait take over the cgroup of one that has ended. */
struct one {
	uint32_t mark;
	bool is_right;
	int *n_done;
};

static void on_done(void *user, const struct check_result *result)
{
	struct one *one = user;
	char expected[CHECK_TEXT_MAX];

	snprintf(expected, sizeof(expected), "exit 0: 0x%x 0x%x 0x%x 0x%x", one->mark, one->mark,
		 one->mark, one->mark);
	one->is_right = strcmp(result->text, expected) == 0;
	(*one->n_done)++;
}

static void many_at_once_have_each_their_own(void **state)
{
	struct one all[N_MANY];
	struct check *check;
	struct bed bed;
	int n_done = 0;

	open_pool(&bed);
	prepare(&bed);
	set_shell(&bed, SHOW);
	for (int i = 0; i < N_MANY; i++) {
		struct check_request request = {.address = bed.address,
						.real = bed.address,
						.mark = MARK + (uint32_t)i,
						.spec = &bed.spec,
						.done = on_done,
						.user = &all[i]};

		all[i] = (struct one){.mark = request.mark, .n_done = &n_done};
		assert_int_equal(check_script_ops.start(&bed.context, &request, &check), 0);
	}
	bed_until(&bed, n_done == N_MANY);
	for (int i = 0; i < N_MANY; i++)
		assert_true(all[i].is_right);
	assert_int_equal(count_directories(), 33);
	close_pool(&bed);
	assert_int_equal(count_directories(), 0);
}

/* Somebody tidied up behind the daemon's back. */
static void directories_that_vanish_are_made_anew(void **state)
{
	struct bed bed;
	char line[128];

	open_pool(&bed);
	bed.mark = MARK;
	set_shell(&bed, "exit 0");
	prepare(&bed);
	bed_check(&bed, &check_script_ops);
	snprintf(line, sizeof(line),
		 "find /sys/fs/cgroup -depth -type d -path '*xdplb-test-%d*' -exec rmdir {} +",
		 (int)getpid());
	assert_int_equal(system(line), 0);
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_NOT_MADE, "cannot enter its cgroup: No such file or directory",
		   "vanished");
	prepare(&bed);
	set_shell(&bed, SHOW);
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 0x78120007 0x78120007 0x78120007 0x78120007",
		   "made anew");
	close_pool(&bed);
}

static void without_cgroups_a_script_that_wants_a_mark_is_not_run(void **state)
{
	struct check *check;
	struct bed bed;
	struct err err;

	bed_open(&bed, "192.0.2.7");
	assert_int_equal(check_script_pool_new(&bed.context.script, bed.event, NULL), 0);
	bed.mark = MARK;
	set_shell(&bed, "exit 0");
	assert_int_equal(check_script_ops.prepare_mark(&bed.context, &err), -EOPNOTSUPP);
	assert_int_equal(bed_start(&bed, &check_script_ops, &check), -EOPNOTSUPP);
	close_pool(&bed);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(sockets_of_a_script_have_the_mark_that_it_is_run_with),
		cmocka_unit_test(a_script_cannot_leave_its_cgroup),
		cmocka_unit_test(what_has_left_a_scripts_session_ends_with_it),
		cmocka_unit_test(directories_are_there_while_they_are_used),
		cmocka_unit_test(what_a_killed_daemon_left_is_removed),
		cmocka_unit_test(many_at_once_have_each_their_own),
		cmocka_unit_test(directories_that_vanish_are_made_anew),
		cmocka_unit_test(without_cgroups_a_script_that_wants_a_mark_is_not_run),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
