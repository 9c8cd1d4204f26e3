/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an agent's lines mean, one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/agent.h"

#define ENABLED	 ADMIN_ENABLED
#define DRAIN	 ADMIN_DRAIN
#define DISABLED ADMIN_DISABLED

/* clang-format off */
static const struct {
	const char *lines[3]; /* one answer after the other; what the last leads to */
	enum agent_answer answer;
	bool is_down;
	enum admin_state admin;
	uint32_t lowered;
} rows[] = {
	/* one line */
	{{"up"}, AGENT_HEALTH, false, ENABLED, 0},
	{{"UP"}, AGENT_HEALTH, false, ENABLED, 0},
	{{"down"}, AGENT_HEALTH, true, ENABLED, 0},
	{{"fail"}, AGENT_HEALTH, true, ENABLED, 0},
	{{"stopped"}, AGENT_HEALTH, true, ENABLED, 0},
	{{"ready"}, AGENT_WORDS, false, ENABLED, 0},
	{{"drain"}, AGENT_WORDS, false, DRAIN, 0},
	{{"maint"}, AGENT_WORDS, false, DISABLED, 0},
	{{"75%"}, AGENT_WORDS, false, ENABLED, 25},
	{{"100%"}, AGENT_WORDS, false, ENABLED, 0},
	{{"101%"}, AGENT_WORDS, false, ENABLED, 0},
	{{"99999999999999999999%"}, AGENT_WORDS, false, ENABLED, 0},
	{{"0%"}, AGENT_WORDS, false, DRAIN, 0},
	{{"1%"}, AGENT_WORDS, false, ENABLED, 99},
	{{"maxconn:30"}, AGENT_WORDS, false, ENABLED, 0},
	/* several words */
	{{"up 50%"}, AGENT_HEALTH, false, ENABLED, 50},
	{{"  up,\t50%  "}, AGENT_HEALTH, false, ENABLED, 50},
	{{"ready,up,100%"}, AGENT_HEALTH, false, ENABLED, 0},
	{{"drain 20%"}, AGENT_WORDS, false, DRAIN, 80},
	{{"50% 20%"}, AGENT_WORDS, false, ENABLED, 80},
	{{"down # disk full, up soon, drain"}, AGENT_HEALTH, true, ENABLED, 0},
	{{"down#up"}, AGENT_HEALTH, true, ENABLED, 0},
	{{"hello up"}, AGENT_HEALTH, false, ENABLED, 0},
	/* nothing */
	{{""}, AGENT_NOTHING, false, ENABLED, 0},
	{{" ,\t"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"# up"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"upp"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"u"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"%"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"50"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"-5%"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"5%%"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"maxconn:"}, AGENT_NOTHING, false, ENABLED, 0},
	{{"HTTP/1.1 200 OK"}, AGENT_NOTHING, false, ENABLED, 0},
	/* what is left unsaid stays */
	{{"down", "75%"}, AGENT_WORDS, true, ENABLED, 25},
	{{"down", "up"}, AGENT_HEALTH, false, ENABLED, 0},
	{{"drain", "up"}, AGENT_HEALTH, false, DRAIN, 0},
	{{"drain", "ready"}, AGENT_WORDS, false, ENABLED, 0},
	{{"maint", "drain"}, AGENT_WORDS, false, DRAIN, 0},
	{{"maint", "up", "75%"}, AGENT_WORDS, false, DISABLED, 25},
	{{"50%", "up"}, AGENT_HEALTH, false, ENABLED, 50},
	{{"50%", "garbage"}, AGENT_NOTHING, false, ENABLED, 50},
	{{"0%", "50%"}, AGENT_WORDS, false, ENABLED, 50},
	{{"maint", "0%"}, AGENT_WORDS, false, DISABLED, 0},
};
/* clang-format on */

static void every_line_means_what_haproxy_takes_it_for(void **state)
{
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		enum agent_answer answer = AGENT_NOTHING;
		struct agent_state agent = {};
		struct health_advice advice;

		for (size_t i = 0; i < 3 && rows[r].lines[i]; i++)
			answer = agent_take(&agent, rows[r].lines[i]);
		advice = agent_advice(&agent);
		if (answer != rows[r].answer || agent.is_down != rows[r].is_down ||
		    advice.admin != rows[r].admin || advice.lowered_percent != rows[r].lowered)
			fail_msg("row %zu (%s ...): answer %d, down %d, admin %d, lowered %u", r,
				 rows[r].lines[0], answer, agent.is_down, advice.admin,
				 advice.lowered_percent);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_means_what_haproxy_takes_it_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
