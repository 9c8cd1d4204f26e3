/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The UDP check against servers that answer well, badly or not at all. */
#include "dgram_server.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Says what the row says. */
static size_t say(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	const char *text = server->user;

	return (size_t)snprintf((char *)bytes, room, "%s", text);
}

static size_t echo(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return len;
}

static size_t say_nothing(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return 0;
}

static size_t say_much(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	memset(bytes, 'x', room);
	snprintf((char *)bytes + room - sizeof("ready"), sizeof("ready"), "ready");
	return room;
}

#define PASSED CHECK_PASSED
#define FAILED CHECK_FAILED

/* clang-format off */
static const struct {
	const char *name;
	size_t (*answer)(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room);
	const char *says, *send, *expect;
	enum check_outcome outcome;
	const char *text;
} rows[] = {
	{"any reply", say, "?", "ping", NULL, PASSED, "replied"},
	{"the text alone", say, "pong", "ping", "pong", PASSED, "replied"},
	{"the text within", say, "<pong>", "ping", "pong", PASSED, "replied"},
	{"the text's bytes", say, "a\r\n\t\\\x7f", "ping", "a\\r\\n\\t\\\\\\x7f", PASSED, "replied"},
	{"a NUL sent and expected", echo, NULL, "a\\x00b", "\\x00b", PASSED, "replied"},
	{"an empty datagram", say, "pong", "", "pong", PASSED, "replied"},
	{"another text", say, "pon", "ping", "pong", FAILED, "reply_mismatch"},
	{"garbage", say, "\xff\xfe\x01", "ping", "pong", FAILED, "reply_mismatch"},
	{"64 KiB, the text last", say_much, NULL, "ping", "ready", PASSED, "replied"},
	{"64 KiB without it", say_much, NULL, "ping", "pong", FAILED, "reply_mismatch"},
	{"never an answer", say_nothing, NULL, "ping", NULL, FAILED, "no_reply"},
};
/* clang-format on */

static void every_answer_gives_its_result(void **state)
{
	static const char *const families[] = {"127.0.0.1", "::1"};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t r = i / 2;
		struct dgram_server server;
		struct bed bed;

		bed_open(&bed, families[i % 2]);
		dgram_server_open(&server, &bed);
		server.answer = rows[r].answer;
		server.user = rows[r].says;
		bed.spec.send = (char *)rows[r].send;
		bed.spec.expect_text = (char *)rows[r].expect;
		bed_check(&bed, &check_udp_ops);
		bed_expect(&bed, rows[r].outcome, rows[r].text, rows[r].name);
		if (rows[r].answer == say_nothing)
			assert_in_range(bed.took_ms, BED_TIMEOUT_MS - 1, BED_DEADLINE_MS);
		else
			assert_true(bed.took_ms < BED_TIMEOUT_MS);
		dgram_server_close(&server);
		bed_close(&bed);
	}
}

static void what_is_sent_is_what_was_written(void **state)
{
	static const uint8_t sent[] = {'P', 'I', 'N', 'G', '\r', '\n', 0, 0xff, '\\', 'n'};
	struct dgram_server server;
	struct bed bed;

	bed_open(&bed, "127.0.0.1");
	dgram_server_open(&server, &bed);
	server.answer = echo;
	bed.spec.send = (char[]){"PING\\r\\n\\x00\\xfF\\\\n"};
	bed_check(&bed, &check_udp_ops);
	assert_int_equal(server.received_len, sizeof(sent));
	assert_memory_equal(server.received, sent, sizeof(sent));
	assert_int_equal(server.received_n, 1);
	dgram_server_close(&server);
	bed_close(&bed);
}

static void a_port_without_a_listener_fails_at_once(void **state)
{
	static const char *const families[] = {"127.0.0.1", "::1"};

	for (size_t i = 0; i < 2; i++) {
		struct dgram_server server;
		struct bed bed;

		bed_open(&bed, families[i]);
		dgram_server_open(&server, &bed);
		dgram_server_close(&server);
		bed.spec.send = (char[]){"ping"};
		bed_check(&bed, &check_udp_ops);
		bed_expect(&bed, CHECK_FAILED, "Connection refused", families[i]);
		assert_true(bed.took_ms < BED_TIMEOUT_MS);
		bed_close(&bed);
	}
}

static void a_real_without_a_route_is_told_from_the_loop(void **state)
{
	struct bed bed;

	bed_open(&bed, "255.255.255.255");
	bed.port = 9;
	bed.spec.send = (char[]){"ping"};
	bed_check(&bed, &check_udp_ops);
	assert_int_equal(bed.outcome, CHECK_FAILED);
	/* What connect() says; with a default route, that it is a broadcast. */
	if (strcmp(bed.text, "Network is unreachable") != 0)
		assert_string_equal(bed.text, "Permission denied");
	assert_true(bed.took_ms < BED_TIMEOUT_MS);
	bed_close(&bed);
}

static void a_probe_comes_from_its_source(void **state)
{
	struct dgram_server server;
	struct bed bed;

	bed_open(&bed, "127.0.0.1");
	dgram_server_open(&server, &bed);
	server.answer = echo;
	bed.spec.send = (char[]){"ping"};
	addr_parse("127.0.0.77", &bed.spec.source);
	bed_check(&bed, &check_udp_ops);
	bed_expect(&bed, CHECK_PASSED, "replied", "source");
	assert_int_equal(((struct sockaddr_in *)&server.peer)->sin_addr.s_addr,
			 inet_addr("127.0.0.77"));
	dgram_server_close(&server);
	bed_close(&bed);
}

static void a_source_that_is_not_ours_makes_no_probe(void **state)
{
	struct check *check;
	struct bed bed;

	bed_open(&bed, "127.0.0.1");
	bed.port = 9;
	bed.spec.send = (char[]){"ping"};
	addr_parse("203.0.113.1", &bed.spec.source);
	assert_int_equal(bed_start(&bed, &check_udp_ops, &check), -EADDRNOTAVAIL);
	assert_int_equal(bed_start(&bed, &check_tcp_ops, &check), -EADDRNOTAVAIL);
	bed_close(&bed);
}

static void a_cancelled_check_says_nothing(void **state)
{
	struct dgram_server server;
	struct check *check;
	struct bed bed;

	bed_open(&bed, "127.0.0.1");
	dgram_server_open(&server, &bed);
	server.answer = echo;
	bed.spec.send = (char[]){"ping"};
	assert_int_equal(bed_start(&bed, &check_udp_ops, &check), 0);
	check_udp_ops.cancel(check);
	bed_until(&bed, server.received_n);
	bed_turn(&bed);
	assert_int_equal(bed.results, 0);
	dgram_server_close(&server);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_gives_its_result),
		cmocka_unit_test(what_is_sent_is_what_was_written),
		cmocka_unit_test(a_port_without_a_listener_fails_at_once),
		cmocka_unit_test(a_real_without_a_route_is_told_from_the_loop),
		cmocka_unit_test(a_probe_comes_from_its_source),
		cmocka_unit_test(a_source_that_is_not_ours_makes_no_probe),
		cmocka_unit_test(a_cancelled_check_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
