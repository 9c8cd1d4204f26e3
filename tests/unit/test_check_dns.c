/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The DNS check against servers that answer well, badly, or with messages made to hurt a parser. */
#include <arpa/nameser.h>
#include <stdlib.h>

#include "dgram_server.h"

#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define RANDOM_ANSWERS 1000

enum {
	ID = 0,
	FLAGS = 2,
	QUESTIONS = 4,
	ANSWERS = 6,
	HEADER_LEN = 12,
	RESPONSE = 0x8000,
	TRUNCATED = 0x0200,
	STATUS_OPCODE = 0x1000,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
};

typedef size_t (*answer_fn)(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room);

static void put16(uint8_t *bytes, size_t at, uint16_t value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
}

/* A record of type A with the given name, 2 bytes. */
static size_t add_answer(uint8_t *bytes, size_t len, uint16_t name)
{
	static const uint8_t rest[] = {0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};

	put16(bytes, len, name);
	memcpy(bytes + len + 2, rest, sizeof(rest));
	put16(bytes, ANSWERS, (uint16_t)(bytes[ANSWERS] << 8 | (bytes[ANSWERS + 1] + 1)));
	return len + 2 + sizeof(rest);
}

static size_t respond(uint8_t *bytes, size_t len, uint16_t flags)
{
	put16(bytes, FLAGS, RESPONSE | flags);
	return len;
}

static size_t answer_well(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return add_answer(bytes, respond(bytes, len, 0), 0xc00c);
}

static size_t answer_other_case(struct dgram_server *server, uint8_t *bytes, size_t len,
				size_t room)
{
	bytes[HEADER_LEN + 1] ^= 0x20;
	return answer_well(server, bytes, len, room);
}

static size_t no_answer(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return respond(bytes, len, 0);
}

static size_t truncated(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return respond(bytes, len, TRUNCATED);
}

static size_t servfail(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return respond(bytes, len, RCODE_SERVFAIL);
}

static size_t nxdomain(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return respond(bytes, len, RCODE_NXDOMAIN);
}

static size_t our_own_query(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return len;
}

static size_t other_opcode(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return add_answer(bytes, respond(bytes, len, STATUS_OPCODE), 0xc00c);
}

static size_t other_id(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	bytes[ID + 1]++;
	return answer_well(server, bytes, len, room);
}

static size_t other_name(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	bytes[HEADER_LEN + 1]++;
	return answer_well(server, bytes, len, room);
}

static size_t other_type(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	bytes[len - 3]++;
	return answer_well(server, bytes, len, room);
}

/* Drops the question and answers all the same. */
static size_t no_question(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	put16(bytes, QUESTIONS, 0);
	return add_answer(bytes, respond(bytes, HEADER_LEN, 0), 0);
}

static size_t half_a_header(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return respond(bytes, HEADER_LEN - 1, 0);
}

static size_t half_an_answer(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return answer_well(server, bytes, len, room) - 3;
}

static size_t more_answers_than_bytes(struct dgram_server *server, uint8_t *bytes, size_t len,
				      size_t room)
{
	len = answer_well(server, bytes, len, room);
	put16(bytes, ANSWERS, 0xffff);
	return len;
}

static size_t data_beyond_the_end(struct dgram_server *server, uint8_t *bytes, size_t len,
				  size_t room)
{
	len = answer_well(server, bytes, len, room);
	put16(bytes, len - 6, 0xffff);
	return len;
}

/* The question's name points to itself. */
static size_t loop_in_question(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	respond(bytes, len, 0);
	put16(bytes, HEADER_LEN, 0xc000 | HEADER_LEN);
	memmove(bytes + HEADER_LEN + 2, bytes + len - 4, 4);
	return add_answer(bytes, HEADER_LEN + 6, 0xc00c);
}

/* The answer's name does. It is not read, so this one passes. */
static size_t loop_in_answer(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return add_answer(bytes, respond(bytes, len, 0), (uint16_t)(0xc000 | len));
}

/* First noise, then the answer. */
static size_t noise_first(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	assert_int_equal(sendto(server->fd, "noise", 5, 0, (struct sockaddr *)&server->peer,
				sizeof(struct sockaddr_in)),
			 5);
	return answer_well(server, bytes, len, room);
}

static size_t silent(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	return 0;
}

#define PASSED CHECK_PASSED
#define FAILED CHECK_FAILED

/* clang-format off */
static const struct {
	const char *name;
	answer_fn answer;
	const char *expect;
	enum check_outcome outcome;
	const char *text;
} rows[] = {
	{"an answer", answer_well, NULL, PASSED, "rcode NOERROR"},
	{"letters of another case", answer_other_case, NULL, PASSED, "rcode NOERROR"},
	{"no answer", no_answer, NULL, FAILED, "no_answer"},
	{"NOERROR alone will do", no_answer, "NOERROR", PASSED, "rcode NOERROR"},
	{"truncated", truncated, NULL, PASSED, "rcode NOERROR"},
	{"SERVFAIL", servfail, NULL, FAILED, "rcode SERVFAIL"},
	{"NXDOMAIN", nxdomain, NULL, FAILED, "rcode NXDOMAIN"},
	{"NXDOMAIN expected", nxdomain, "NXDOMAIN", PASSED, "rcode NXDOMAIN"},
	{"an answer, NXDOMAIN expected", answer_well, "NXDOMAIN", FAILED, "rcode NOERROR"},
	{"no response but a query", our_own_query, NULL, FAILED, "bad_reply"},
	{"another opcode", other_opcode, NULL, FAILED, "bad_reply"},
	{"another ID", other_id, NULL, FAILED, "bad_reply"},
	{"another name", other_name, NULL, FAILED, "bad_reply"},
	{"another type", other_type, NULL, FAILED, "bad_reply"},
	{"no question", no_question, NULL, FAILED, "bad_reply"},
	{"half a header", half_a_header, NULL, FAILED, "bad_reply"},
	{"half an answer", half_an_answer, NULL, FAILED, "bad_reply"},
	{"more answers than bytes", more_answers_than_bytes, NULL, FAILED, "bad_reply"},
	{"data beyond the end", data_beyond_the_end, NULL, FAILED, "bad_reply"},
	{"a loop in the question", loop_in_question, NULL, FAILED, "bad_reply"},
	{"a loop in the answer", loop_in_answer, NULL, PASSED, "rcode NOERROR"},
	{"noise before the answer", noise_first, NULL, PASSED, "rcode NOERROR"},
	{"never an answer", silent, NULL, FAILED, "no_reply"},
};
/* clang-format on */

static void ask(struct bed *bed, const char *name, uint32_t rrtype)
{
	bed_open(bed, "127.0.0.1");
	bed->spec.name = (char *)name;
	bed->spec.rrtype = rrtype;
}

static void every_answer_gives_its_result(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct dgram_server server;
		struct bed bed;

		ask(&bed, "www.example.org", 65); /* HTTPS: 'A' */
		bed.spec.timeout_ms = 200;
		dgram_server_open(&server, &bed);
		server.answer = rows[r].answer;
		bed.spec.expect_text = (char *)rows[r].expect;
		bed_check(&bed, &check_dns_ops);
		bed_expect(&bed, rows[r].outcome, rows[r].text, rows[r].name);
		dgram_server_close(&server);
		bed_close(&bed);
	}
}

/* By RFC 1035 section 4.1. */
static void the_question_is_what_the_operator_wrote(void **state)
{
	static const struct {
		const char *name;
		uint32_t rrtype;
		size_t len;
		uint8_t question[32];
	} questions[] = {
		{"www.example.org", ns_t_aaaa, 21, "\3www\7example\3org\0\0\34\0\1"},
		{"www.example.org.", ns_t_mx, 21, "\3www\7example\3org\0\0\17\0\1"},
		{"_a.b", ns_t_any, 10, "\2_a\1b\0\0\377\0\1"},
		{".", ns_t_ns, 5, "\0\0\2\0\1"},
	};
	static const uint8_t header[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0};

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct dgram_server server;
		struct bed bed;

		ask(&bed, questions[i].name, questions[i].rrtype);
		dgram_server_open(&server, &bed);
		server.answer = answer_well;
		bed_check(&bed, &check_dns_ops);
		bed_expect(&bed, CHECK_PASSED, "rcode NOERROR", questions[i].name);
		assert_int_equal(server.received_n, 1);
		assert_int_equal(server.received_len, HEADER_LEN + questions[i].len);
		assert_memory_equal(server.received + FLAGS, header, sizeof(header));
		assert_memory_equal(server.received + HEADER_LEN, questions[i].question,
				    questions[i].len);
		dgram_server_close(&server);
		bed_close(&bed);
	}
}

static void ids_and_source_ports_differ_from_probe_to_probe(void **state)
{
	uint16_t ids[8], ports[8];
	int same_ids = 0, same_ports = 0;
	struct dgram_server server;
	struct bed bed;

	ask(&bed, "example.org", ns_t_a);
	dgram_server_open(&server, &bed);
	server.answer = answer_well;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		bed_check(&bed, &check_dns_ops);
		memcpy(&ids[i], server.received, sizeof(ids[i]));
		ports[i] = ((struct sockaddr_in *)&server.peer)->sin_port;
		same_ids += i > 0 && ids[i] == ids[i - 1];
		same_ports += i > 0 && ports[i] == ports[i - 1];
	}
	assert_true(same_ids <= 1);
	assert_true(same_ports <= 1);
	dgram_server_close(&server);
	bed_close(&bed);
}

/* An answer with bytes overwritten at random, or cut. */
static size_t answer_at_random(struct dgram_server *server, uint8_t *bytes, size_t len, size_t room)
{
	size_t n = (size_t)(rand() % 6);

	len = answer_well(server, bytes, len, room);
	for (size_t i = 0; i < n; i++)
		bytes[(size_t)rand() % len] = (uint8_t)rand();
	return rand() % 3 ? len : 1 + (size_t)rand() % len;
}

static void damaged_answers_do_no_harm(void **state)
{
	struct dgram_server server;
	int passed = 0, failed = 0;
	struct bed bed;

	srand(1);
	ask(&bed, "www.example.org", ns_t_a);
	bed.spec.timeout_ms = 1;
	dgram_server_open(&server, &bed);
	server.answer = answer_at_random;
	for (int i = 0; i < RANDOM_ANSWERS; i++) {
		bed_check(&bed, &check_dns_ops);
		passed += bed.outcome == CHECK_PASSED;
		failed += bed.outcome == CHECK_FAILED;
	}
	assert_int_equal(passed + failed, RANDOM_ANSWERS);
	assert_true(passed > 0 && failed > 0);
	dgram_server_close(&server);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_gives_its_result),
		cmocka_unit_test(the_question_is_what_the_operator_wrote),
		cmocka_unit_test(ids_and_source_ports_differ_from_probe_to_probe),
		cmocka_unit_test(damaged_answers_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
