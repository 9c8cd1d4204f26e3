/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The script check with scripts that behave and scripts that do not. Needs root, as the daemon
 * does. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../run_path.h"
#include "check_bed.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NOBODY	      65534
#define AT_ONCE	      32
#define OURS	      50 /* a descriptor that is not to reach a script */

static char dir[64];

static void script_open(struct bed *bed)
{
	bed_open(bed, "192.0.2.7");
	bed->port = 8080;
	bed->spec.uid = bed->spec.gid = NOBODY;
	bed->spec.timeout_ms = 4000;
	assert_int_equal(check_script_pool_new(&bed->context.script, bed->event, NULL), 0);
}

static void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void script_close(struct bed *bed)
{
	check_script_pool_free(bed->context.script);
	bed_close(bed);
	assert_no_children();
}

static void set_shell(struct bed *bed, const char *line)
{
	static char shell[] = "/bin/sh", option[] = "-c", *words[] = {shell, option, NULL};

	words[2] = (char *)line;
	bed->spec.command = (struct text_list){words, 3};
}

/* ---- results --------------------------------------------------------------------------------- */

#define PASSED CHECK_PASSED
#define FAILED CHECK_FAILED
#define X10    "xxxxxxxxxx"

/* clang-format off */
static const struct {
	const char *line;
	enum check_outcome outcome;
	const char *text;
} rows[] = {
	{"exit 0", PASSED, "exit 0"},
	{"exit 3", FAILED, "exit 3"},
	{"exit 255", FAILED, "exit 255"},
	{"echo fine; echo more", PASSED, "exit 0: fine"},
	{"echo bad >&2; exit 3", FAILED, "exit 3: bad"},
	{"echo; echo later; exit 1", FAILED, "exit 1: later"},
	{"printf 'no newline'", PASSED, "exit 0: no newline"},
	{"printf 'a\\033[2Jb\\001\\377c\\n'; exit 1", FAILED, "exit 1: a?[2Jb??c"},
	{"printf 'a\\000b\\nc'", PASSED, "exit 0: a?b"},
	{"printf '%0300d' 0 | tr 0 x; exit 1", FAILED,
	 "exit 1: " X10 X10 X10 X10 X10 X10 X10 X10 X10 X10},
	{"kill -SEGV $$", FAILED, "killed by signal 11"},
	{"yes yyy", FAILED, "too much output: yyy"},
	{"trap '' PIPE; yes yyy", FAILED, "too much output: yyy"},
	{"cat", PASSED, "exit 0"}, /* nothing to read, but no error either */
	{"exec >&- 2>&-; exit 4", FAILED, "exit 4"},
	{"sleep 1000 & exit 0", PASSED, "exit 0"},
	/* who it is and what it has */
	{"id -u", PASSED, "exit 0: 65534"},
	{"id -G", PASSED, "exit 0: 65534"},
	{"grep ^Cap /proc/self/status | grep -v '0000000000000000$' | wc -l", PASSED, "exit 0: 0"},
	{"grep -c ^Cap /proc/self/status", PASSED, "exit 0: 5"},
	{"grep NoNewPrivs /proc/self/status | tr '\\t' ' '", PASSED, "exit 0: NoNewPrivs: 1"},
	{"grep -E '^Sig(Blk|Ign)' /proc/self/status | grep -v '0000000000000000$' | wc -l", PASSED,
	 "exit 0: 0"},
	{"ls /proc/self/fd | tr '\\n' ' '", PASSED, "exit 0: 0 1 2 3 "}, /* 3: of ls itself */
	{"[ \"$(cut -d' ' -f5,6 /proc/$$/stat)\" = \"$$ $$\" ]", PASSED, "exit 0"},
	{"pwd; umask", PASSED, "exit 0: /"},
	{"cat /proc/self/oom_score_adj", PASSED, "exit 0: 0"},
	{"ulimit -c", PASSED, "exit 0: 0"},
	{"tr '\\000' '\\n' </proc/$$/environ | tail -n +2 | tr '\\n' ' '", PASSED,
	 "exit 0: XDPLB_ADDRESS=192.0.2.7 XDPLB_PORT=8080 XDPLB_REAL_ADDRESS=192.0.2.7 "
	 "XDPLB_REAL_PORT=8080 "},
	{"tr '\\000' '\\n' </proc/$$/environ | head -1", PASSED,
	 "exit 0: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
};
/* clang-format on */

static void every_script_gives_its_result(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct bed bed;

		script_open(&bed);
		set_shell(&bed, rows[r].line);
		bed_check(&bed, &check_script_ops);
		bed_expect(&bed, rows[r].outcome, rows[r].text, rows[r].line);
		script_close(&bed);
	}
}

static void words_reach_the_program_as_they_are(void **state)
{
	char *words[] = {(char[]){"/bin/echo"}, (char[]){"a  b"}, (char[]){"$HOME;"}, (char[]){""}};
	struct bed bed;

	script_open(&bed);
	bed.spec.command = (struct text_list){words, 4};
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: a  b $HOME; ", "words");
	script_close(&bed);
}

static void a_program_that_cannot_be_run_says_nothing_of_the_real(void **state)
{
	static const struct {
		const char *program;
		const char *text;
	} programs[] = {
		{"/nonexistent/check", "cannot run: No such file or directory"},
		{"/etc/passwd", "cannot run: Permission denied"},
		{"/root/check", "cannot run: Permission denied"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		char *words[] = {(char *)programs[i].program};
		struct bed bed;

		script_open(&bed);
		bed.spec.command = (struct text_list){words, 1};
		bed_check(&bed, &check_script_ops);
		bed_expect(&bed, CHECK_NOT_MADE, programs[i].text, programs[i].program);
		script_close(&bed);
	}
}

/* The program would be root's for anybody else: that is tried first. */
static void a_setuid_program_gains_nothing(void **state)
{
	char line[256], seen[16] = "";
	struct bed bed;
	FILE *control;

	snprintf(line, sizeof(line), "cp /usr/bin/id %s/id && chmod 4755 %s/id", dir, dir);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line),
		 "setpriv --reuid=nobody --regid=nogroup --clear-groups %s/id -u", dir);
	control = popen(line, "r");
	assert_non_null(fgets(seen, sizeof(seen), control));
	pclose(control);
	if (strcmp(seen, "0\n") != 0)
		skip(); /* /tmp is mounted nosuid */
	script_open(&bed);
	snprintf(line, sizeof(line), "%s/id -u", dir);
	set_shell(&bed, line);
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0: 65534", "setuid");
	script_close(&bed);
}

/* ---- nothing survives ------------------------------------------------------------------------ */

static bool is_alive(int pid)
{
	char path[96], stat[256] = "";
	const char *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, stat, sizeof(stat) - 1) < 0)
		stat[0] = '\0';
	close(fd);
	end = strrchr(stat, ')');
	return end && strncmp(end, ") Z", 3) != 0 && strncmp(end, ") X", 3) != 0;
}

/* The processes a script has written to its file, once it has; 0: not yet. */
static size_t read_pids(int *pids, size_t room)
{
	char path[96];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/pids", dir);
	f = fopen(path, "r");
	while (f && n < room && fscanf(f, "%d", &pids[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

/* Each writes its own number and those of two grandchildren. */
#define FAMILY(before)                                                                             \
	before "sleep 1000 & a=$!; (sleep 1000; true) & echo $$ $a $! >%s/new; mv %s/new "         \
	       "%s/pids; "

static const char *const families[] = {
	FAMILY("") "wait",
	FAMILY("trap '' TERM INT HUP QUIT PIPE CHLD; ") "while :; do sleep 1000; done",
	FAMILY("") "exec sleep 1000",
	FAMILY("exec >&- 2>&-; ") "wait",
	FAMILY("") "kill -STOP 0",
	FAMILY("") "while :; do :; done",
};

static void begin_family(struct bed *bed, size_t i, char *line, size_t size, int pids[3])
{
	char path[96];

	snprintf(path, sizeof(path), "%s/pids", dir);
	unlink(path);
	script_open(bed);
	/* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral) */
	snprintf(line, size, families[i], dir, dir, dir);
	set_shell(bed, line);
}

static void a_timeout_kills_the_whole_group(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		char line[512];
		struct bed bed;
		int pids[3];

		begin_family(&bed, i, line, sizeof(line), pids);
		bed.spec.timeout_ms = 1500; /* to begin all of it */
		bed_check(&bed, &check_script_ops);
		bed_expect(&bed, CHECK_FAILED, "script_timeout", line);
		assert_true(bed.took_ms >= 1499);
		assert_int_equal(read_pids(pids, 3), 3);
		for (size_t p = 0; p < 3; p++)
			bed_until(&bed, !is_alive(pids[p]));
		script_close(&bed);
	}
}

static void an_exit_kills_what_is_left_of_the_group(void **state)
{
	char line[512];
	struct bed bed;
	int pids[3];

	begin_family(&bed, 0, line, sizeof(line), pids);
	strcpy(strrchr(line, ';'), "; exit 0");
	bed_check(&bed, &check_script_ops);
	bed_expect(&bed, CHECK_PASSED, "exit 0", line);
	assert_int_equal(read_pids(pids, 3), 3);
	for (size_t p = 0; p < 3; p++)
		bed_until(&bed, !is_alive(pids[p]));
	script_close(&bed);
}

static void a_cancelled_check_kills_its_group(void **state)
{
	for (int is_closed = 0; is_closed < 2; is_closed++) {
		struct check *check;
		char line[512];
		struct bed bed;
		int pids[3];

		begin_family(&bed, 0, line, sizeof(line), pids);
		assert_int_equal(bed_start(&bed, &check_script_ops, &check), 0);
		bed_until(&bed, read_pids(pids, 3) == 3);
		assert_true(is_alive(pids[0]) && is_alive(pids[1]) && is_alive(pids[2]));
		check_script_ops.cancel(check);
		if (is_closed) /* the daemon ends: no loop any more */
			script_close(&bed);
		for (size_t p = 0; p < 3; p++)
			bed_until(&bed, !is_alive(pids[p]) || is_closed);
		assert_false(is_alive(pids[0]));
		assert_int_equal(bed.results, 0);
		if (!is_closed)
			script_close(&bed);
	}
}

static void a_check_called_off_at_once_leaves_nothing(void **state)
{
	struct check *check;
	struct bed bed;

	script_open(&bed);
	set_shell(&bed, "sleep 1000");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(bed_start(&bed, &check_script_ops, &check), 0);
		check_script_ops.cancel(check);
	}
	script_close(&bed);
}

/* ---- many ------------------------------------------------------------------------------------ */

struct many {
	int n[3]; /* by outcome */
	char text[CHECK_TEXT_MAX]; /* of the last that was not made */
};

static void on_one_done(void *user, const struct check_result *result)
{
	struct many *many = user;

	many->n[result->outcome]++;
	if (result->outcome == CHECK_NOT_MADE)
		snprintf(many->text, sizeof(many->text), "%s", result->text);
}

static int count_children(void)
{
	int n = 0, pid;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	fclose(f);
	return n;
}

static struct check *start_one(struct bed *bed, struct health_spec *spec, struct many *many)
{
	struct check_request request = {
		.address = bed->address, .spec = spec, .done = on_one_done, .user = many};
	struct check *check = NULL;

	assert_int_equal(check_script_ops.start(&bed->context, &request, &check), 0);
	return check;
}

static void scripts_wait_their_turn(void **state)
{
	enum { n = 150 };
	struct many many = {};
	struct bed bed;
	int most = 0, fds;

	script_open(&bed);
	fds = bed_count_fds();
	set_shell(&bed, "sleep 0.05");
	bed.spec.timeout_ms = 60000;
	for (int i = 0; i < n; i++)
		start_one(&bed, &bed.spec, &many);
	for (uint64_t end = bed_now_ms() + 30000; many.n[CHECK_PASSED] < n;) {
		int now = count_children();

		most = now > most ? now : most;
		assert_true(bed_now_ms() < end);
		bed_turn(&bed);
	}
	assert_int_equal(most, AT_ONCE);
	assert_in_range(bed_count_fds(), fds, fds + 1); /* a timer that is kept */
	assert_int_equal(many.n[CHECK_FAILED] + many.n[CHECK_NOT_MADE], 0);
	script_close(&bed);
}

static void who_waits_hears_at_once_that_nothing_can_be_begun(void **state)
{
	enum { n = 2 * AT_ONCE };
	struct rlimit before, none;
	struct many many = {};
	struct bed bed;
	uint64_t began;

	script_open(&bed);
	set_shell(&bed, "sleep 0.3");
	bed.spec.timeout_ms = 20000;
	for (int i = 0; i < AT_ONCE + n; i++)
		start_one(&bed, &bed.spec, &many);
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	began = bed_now_ms();
	while (many.n[CHECK_NOT_MADE] < n && bed_now_ms() < began + 10000)
		bed_turn(&bed);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(many.n[CHECK_NOT_MADE], n);
	assert_string_equal(many.text, "Too many open files");
	bed_until(&bed, many.n[CHECK_PASSED] == AT_ONCE);
	script_close(&bed);
}

static void a_turn_that_does_not_come_says_nothing_of_the_real(void **state)
{
	struct check *running[AT_ONCE], *waiting;
	struct many many = {};
	struct health_spec spec;
	struct bed bed;

	script_open(&bed);
	set_shell(&bed, "sleep 1000");
	bed.spec.timeout_ms = 60000;
	for (int i = 0; i < AT_ONCE; i++)
		running[i] = start_one(&bed, &bed.spec, &many);
	spec = bed.spec;
	spec.timeout_ms = 100;
	for (int i = 0; i < 5; i++)
		start_one(&bed, &spec, &many);
	waiting = start_one(&bed, &bed.spec, &many);
	bed_until(&bed, many.n[CHECK_NOT_MADE] == 5);
	assert_string_equal(many.text, "32 other scripts run already");
	check_script_ops.cancel(waiting);
	/* One goes, and there is a turn. */
	start_one(&bed, &spec, &many);
	check_script_ops.cancel(running[0]);
	bed_until(&bed, many.n[CHECK_FAILED] == 1);
	for (int i = 1; i < AT_ONCE; i++)
		check_script_ops.cancel(running[i]);
	assert_int_equal(many.n[CHECK_PASSED], 0);
	script_close(&bed);
}

static int make_dir(void **state)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (setgroups(1, &(gid_t){4}))
		return -1;
	if (mkdir(run_path(dir, sizeof(dir), "/tmp"), 0700) || chmod(dir, 0777) || fd < 0)
		return -1;
	/* What a daemon has, and a script must not. */
	if (write(fd, "100", 3) != 3 || dup2(fd, OURS) < 0)
		return -1;
	close(fd);
	setenv("SECRET", "1", 1);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int remove_dir(void **state)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -rf %s", dir);
	return system(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_script_gives_its_result),
		cmocka_unit_test(words_reach_the_program_as_they_are),
		cmocka_unit_test(a_program_that_cannot_be_run_says_nothing_of_the_real),
		cmocka_unit_test(a_setuid_program_gains_nothing),
		cmocka_unit_test(a_timeout_kills_the_whole_group),
		cmocka_unit_test(an_exit_kills_what_is_left_of_the_group),
		cmocka_unit_test(a_cancelled_check_kills_its_group),
		cmocka_unit_test(a_check_called_off_at_once_leaves_nothing),
		cmocka_unit_test(scripts_wait_their_turn),
		cmocka_unit_test(who_waits_hears_at_once_that_nothing_can_be_begun),
		cmocka_unit_test(a_turn_that_does_not_come_says_nothing_of_the_real),
	};
	sigset_t set;

	/* As the daemon has it. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
