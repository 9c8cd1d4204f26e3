/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent check against agents that answer well, badly or not at all. */
#include <stdlib.h>

#include "check_bed.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum how {
	CLOSES, /* after its words */
	STAYS, /* keeps the connection open */
	SHUTS, /* says its last word (FIN) and reads on */
	RESETS,
};

/* One agent in the check's own loop: says `says`, the second half when the first was read. */
struct agent {
	const char *says;
	enum how how;
	bool in_two;
	int listen_fd;
	int fd;
	sd_event_source *io;
	sd_event_source *client_io;
	sd_event_source *later;
	char heard[64];
};

static void agent_end(struct agent *agent)
{
	struct linger at_once = {.l_onoff = 1};

	if (agent->how == RESETS)
		setsockopt(agent->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (agent->how == CLOSES || agent->how == RESETS) {
		agent->client_io = sd_event_source_disable_unref(agent->client_io);
		close(agent->fd);
		agent->fd = -1;
	} else if (agent->how == SHUTS) {
		shutdown(agent->fd, SHUT_WR);
	}
}

static void agent_say(struct agent *agent, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(agent->fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static int on_later(sd_event_source *source, uint64_t usec, void *user)
{
	struct agent *agent = user;
	size_t half = strlen(agent->says) / 2;

	agent_say(agent, agent->says + half, strlen(agent->says) - half);
	agent_end(agent);
	return 0;
}

static int on_heard(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct agent *agent = user;
	ssize_t n = recv(fd, agent->heard, sizeof(agent->heard) - 1, 0);

	if (n <= 0)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	else
		agent->heard[n] = '\0';
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct agent *agent = user;
	sd_event *event = sd_event_source_get_event(source);
	size_t len = strlen(agent->says);

	agent->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(agent->fd >= 0);
	assert_true(sd_event_add_io(event, &agent->client_io, agent->fd, EPOLLIN, on_heard,
				    agent) >= 0);
	agent_say(agent, agent->says, agent->in_two ? len / 2 : len);
	if (agent->in_two)
		return sd_event_add_time_relative(event, &agent->later, CLOCK_MONOTONIC, 50000, 1,
						  on_later, agent);
	agent_end(agent);
	return 0;
}

static void agent_open(struct agent *agent, struct bed *bed)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);

	agent->fd = -1;
	agent->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(agent->listen_fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(agent->listen_fd, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listen(agent->listen_fd, 4), 0);
	bed->port = ntohs(in.sin_port);
	assert_true(sd_event_add_io(bed->event, &agent->io, agent->listen_fd, EPOLLIN, on_accept,
				    agent) >= 0);
}

static void agent_close(struct agent *agent)
{
	sd_event_source_disable_unref(agent->io);
	sd_event_source_disable_unref(agent->client_io);
	sd_event_source_disable_unref(agent->later);
	if (agent->fd >= 0)
		close(agent->fd);
	close(agent->listen_fd);
}

#define PASSED CHECK_PASSED
#define FAILED CHECK_FAILED

/* clang-format off */
static const struct {
	const char *says;
	enum how how;
	bool in_two;
	enum check_outcome outcome;
	const char *text;
} rows[] = {
	{"up\n", CLOSES, false, PASSED, "agent: up"},
	{"up\r\n", CLOSES, false, PASSED, "agent: up"},
	{"up\n", STAYS, false, PASSED, "agent: up"},
	{"up\n", SHUTS, false, PASSED, "agent: up"},
	{"up 50%\n", CLOSES, true, PASSED, "agent: up 50%"},
	{"up\ndown\n", CLOSES, false, PASSED, "agent: up"},
	{"75%\n", CLOSES, false, PASSED, "agent: 75%"},
	{"drain\n", CLOSES, false, PASSED, "agent: drain"},
	{"down # disk full\n", CLOSES, false, FAILED, "agent: down # disk full"},
	{"down # \x1b[31m\xff\"\n", CLOSES, false, FAILED, "agent: down # ?[31m?\""},
	{"\n", CLOSES, false, FAILED, "agent: an empty line"},
	{" \n", CLOSES, false, FAILED, "agent: not understood:  "},
	{"hello\n", CLOSES, false, FAILED, "agent: not understood: hello"},
	{"\x16\x03\x01\n", CLOSES, false, FAILED, "agent: not understood: ???"},
	{"", CLOSES, false, FAILED, "agent: closed without a word"},
	{"", SHUTS, false, FAILED, "agent: closed without a word"},
	{"dow", CLOSES, false, FAILED, "agent: closed in the middle of a line"},
	{"", RESETS, false, FAILED, "agent: Connection reset by peer"},
	{"", STAYS, false, FAILED, "agent_timeout"},
	{"up", STAYS, false, FAILED, "agent_timeout"},
};
/* clang-format on */

static void every_answer_gives_its_result(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct agent agent = {
			.says = rows[r].says, .how = rows[r].how, .in_two = rows[r].in_two};
		struct agent_state said = {};
		struct bed bed;

		bed_open(&bed, "127.0.0.1");
		bed.agent = &said;
		agent_open(&agent, &bed);
		bed_check(&bed, &check_agent_ops);
		bed_expect(&bed, rows[r].outcome, rows[r].text, rows[r].says);
		if (strcmp(rows[r].text, "agent_timeout") == 0) /* the whole time, no longer */
			assert_in_range(bed.took_ms, BED_TIMEOUT_MS - 1, BED_DEADLINE_MS);
		else
			assert_true(bed.took_ms < BED_TIMEOUT_MS);
		agent_close(&agent);
		bed_close(&bed);
	}
}

static void a_line_without_an_end_is_bounded(void **state)
{
	static char endless[5000];
	struct agent agent = {.says = endless, .how = STAYS};
	struct agent_state said = {};
	struct bed bed;

	memset(endless, 'u', sizeof(endless) - 1);
	bed_open(&bed, "127.0.0.1");
	bed.agent = &said;
	agent_open(&agent, &bed);
	bed_check(&bed, &check_agent_ops);
	bed_expect(&bed, CHECK_FAILED, "agent: line longer than 1024 bytes", "endless");
	agent_close(&agent);
	bed_close(&bed);
}

static void the_agent_hears_what_is_to_be_sent(void **state)
{
	struct agent agent = {.says = "up\n", .how = STAYS};
	struct agent_state said = {};
	struct bed bed;

	bed_open(&bed, "127.0.0.1");
	bed.agent = &said;
	bed.spec.send = (char[]){"web\\x31\\n"};
	agent_open(&agent, &bed);
	bed_check(&bed, &check_agent_ops);
	bed_expect(&bed, CHECK_PASSED, "agent: up", "send");
	bed_until(&bed, agent.heard[0]);
	assert_string_equal(agent.heard, "web1\n");
	agent_close(&agent);
	bed_close(&bed);
}

/* A word about up or down is decisive; what an agent said of the weight outlives its death. */
static void what_was_said_stays_until_it_is_said_otherwise(void **state)
{
	static const struct {
		const char *says;
		enum check_outcome outcome;
		const char *text;
		bool is_decisive;
		struct health_advice advice;
	} steps[] = {
		{"down 50%\n", FAILED, "agent: down 50%", true, {ADMIN_ENABLED, 50}},
		{"drain\n",
		 FAILED,
		 "agent: drain (and down, as it said before)",
		 false,
		 {ADMIN_DRAIN, 50}},
		{"", FAILED, "agent: closed without a word", false, {ADMIN_DRAIN, 50}},
		{"?\n", FAILED, "agent: not understood: ?", false, {ADMIN_DRAIN, 50}},
		{"up\n", PASSED, "agent: up", true, {ADMIN_DRAIN, 50}},
		{"ready 100%\n", PASSED, "agent: ready 100%", false, {ADMIN_ENABLED, 0}},
	};
	struct agent_state said = {};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct agent agent = {.says = steps[i].says, .how = CLOSES};
		struct bed bed;

		bed_open(&bed, "127.0.0.1");
		bed.agent = &said;
		agent_open(&agent, &bed);
		bed_check(&bed, &check_agent_ops);
		bed_expect(&bed, steps[i].outcome, steps[i].text, steps[i].says);
		assert_int_equal(bed.is_decisive, steps[i].is_decisive);
		assert_int_equal(bed.advice.admin, steps[i].advice.admin);
		assert_int_equal(bed.advice.lowered_percent, steps[i].advice.lowered_percent);
		agent_close(&agent);
		bed_close(&bed);
	}
}

static void nobody_there_is_a_failure_and_a_check_can_be_cancelled(void **state)
{
	struct agent agent = {.says = "", .how = STAYS};
	struct agent_state said = {};
	struct check *check;
	struct bed bed;
	uint64_t over_at;

	bed_open(&bed, "127.0.0.1");
	bed.agent = &said;
	agent_open(&agent, &bed);
	assert_int_equal(bed_start(&bed, &check_agent_ops, &check), 0);
	bed_until(&bed, agent.fd >= 0); /* connected, and waited for */
	check_agent_ops.cancel(check);
	over_at = bed_now_ms() + BED_TIMEOUT_MS + 100;
	bed_until(&bed, bed_now_ms() > over_at); /* its time is over */
	assert_int_equal(bed.results, 0);
	agent_close(&agent);
	bed_check(&bed, &check_agent_ops);
	bed_expect(&bed, CHECK_FAILED, "connect: Connection refused", "refused");
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_gives_its_result),
		cmocka_unit_test(a_line_without_an_end_is_bounded),
		cmocka_unit_test(the_agent_hears_what_is_to_be_sent),
		cmocka_unit_test(what_was_said_stays_until_it_is_said_otherwise),
		cmocka_unit_test(nobody_there_is_a_failure_and_a_check_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
