/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The HTTP server with many clients at once: idle ones, large bodies, more than it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_bed.h"

#define IDLE 50

static void request_among_idlers(struct client *client)
{
	int fds[IDLE];

	for (size_t i = 0; i < IDLE; i++) {
		fds[i] = connect_raw(client->fixture->path);
		if (i % 2)
			send(fds[i], "GET / HT", 8, MSG_NOSIGNAL);
	}
	request(client);
	for (size_t i = 0; i < IDLE; i++)
		close(fds[i]);
}

static void idle_connections_do_not_delay_a_request(void **state)
{
	struct client client = {.fixture = *state, .run = request_among_idlers, .url = "http://x/"};

	serve(&client);
	assert_int_equal(client.status, 200);
}

static const size_t hoarded = 13 << 20;

/* Sends all but the end of six large bodies, then one more. */
static void hoard_bodies(struct client *client)
{
	char head[128];
	char *body = filled(hoarded);

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
		 hoarded + 1);
	for (size_t i = 0; i < 6; i++) {
		client->fds[i] = connect_raw(client->fixture->path);
		send(client->fds[i], head, strlen(head), MSG_NOSIGNAL);
		send(client->fds[i], body, hoarded, MSG_NOSIGNAL);
	}
	client->post = body;
	client->post_len = hoarded;
	request(client);
	client->post = NULL;
	free(body);
}

static void bodies_under_way_hold_a_bounded_amount_of_memory(void **state)
{
	struct client client = {.fixture = *state, .run = hoard_bodies, .url = "http://x/"};

	serve(&client);
	assert_int_equal(client.status, 503);
	client.is_done = false;
	client.run = request;
	serve(&client);
	assert_int_equal(client.status, 200);
	for (size_t i = 0; i < 6; i++)
		close(client.fds[i]);
	client.is_done = false;
	client.post_len = hoarded;
	client.post = filled(hoarded);
	serve(&client);
	free(client.post);
	assert_int_equal(client.status, 200);
}

/* Served once and kept open, so that the server surely holds them all. */
static void hold_every_connection(struct client *client)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	char reply[512];

	for (size_t i = 0; i < FULL; i++) {
		client->fds[i] = connect_raw(client->fixture->path);
		send(client->fds[i], get, strlen(get), MSG_NOSIGNAL);
		client->status += recv(client->fds[i], reply, sizeof(reply), 0) > 0;
	}
}

static void a_full_server_serves_again_once_its_clients_left(void **state)
{
	struct client client = {.fixture = *state, .run = hold_every_connection};

	serve(&client);
	assert_int_equal(client.status, FULL);
	/* All at once for the loop, which does not run here. */
	for (size_t i = 0; i < FULL; i++)
		close(client.fds[i]);
	client.is_done = false;
	client.run = request;
	client.url = "http://x/";
	serve(&client);
	assert_int_equal(client.status, 200);
}

static void hold_every_connection_and_speak_on_one(struct client *client)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	char reply[512];

	hold_every_connection(client); /* the last one took the place of the first */
	send(client->fds[1], get, strlen(get), MSG_NOSIGNAL);
	recv(client->fds[1], reply, sizeof(reply), 0);
}

static void a_full_server_drops_who_has_said_nothing_for_longest(void **state)
{
	struct client client = {.fixture = *state, .run = hold_every_connection_and_speak_on_one};
	char byte;

	serve(&client);
	assert_int_equal(client.status, FULL);
	client.is_done = false;
	client.run = request;
	client.url = "http://x/";
	serve(&client);
	assert_int_equal(client.status, 200);
	assert_int_equal(recv(client.fds[0], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(client.fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(recv(client.fds[2], &byte, 1, MSG_DONTWAIT), 0);
	for (size_t i = 0; i < FULL; i++)
		close(client.fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(idle_connections_do_not_delay_a_request),
		TEST(bodies_under_way_hold_a_bounded_amount_of_memory),
		TEST(a_full_server_serves_again_once_its_clients_left),
		TEST(a_full_server_drops_who_has_said_nothing_for_longest),
	};

	return cmocka_run_group_tests_name("http_crowd", tests, NULL, NULL);
}
