// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The HTTP server: requests, what harms nobody, its socket. Many at once: test_http_crowd.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "http_bed.h"

static void a_get_is_answered_with_compact_json(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/a%20b?q=v"};

	serve(&client);
	assert_int_equal(client.status, 200);
	assert_string_equal(client.text,
			    "{\"method\":\"GET\",\"path\":\"/a b\",\"len\":0,\"q\":\"v\"}\n");
}

static void a_body_reaches_the_handler_whole(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/"};
	static const size_t lens[] = {1, 4095, 4096, 100000, 16 << 20};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		client.post = filled(lens[i]);
		client.post_len = lens[i];
		client.is_done = false;
		serve(&client);
		free(client.post);
		assert_int_equal(client.status, 200);
		assert_int_equal(client.fixture->body_len, lens[i]);
	}
}

static void a_request_that_is_put_off_is_handed_in_again(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/?q=v"};

	client.fixture->later = 3;
	client.post = filled(5000);
	client.post_len = 5000;
	serve(&client);
	free(client.post);
	assert_int_equal(client.status, 200);
	assert_int_equal(client.fixture->handled, 1);
	assert_int_equal(client.fixture->body_len, 5000);
	assert_non_null(strstr(client.text, "\"q\":\"v\""));
}

static void ask_and_hang_up(struct client *client)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

	client->fds[0] = connect_raw(client->fixture->path);
	send(client->fds[0], text, strlen(text), MSG_NOSIGNAL);
	while (!client->fixture->put_off)
		usleep(1000);
	close(client->fds[0]);
}

static void the_end_of_the_server_ends_requests_that_wait(void **state)
{
	struct client client = {.fixture = *state, .run = ask_and_hang_up};

	client.fixture->never = true;
	serve(&client);
	assert_int_equal(client.fixture->handled, 0);
}

static void the_handlers_status_reaches_the_client(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/none"};

	serve(&client);
	assert_int_equal(client.status, 404);
	assert_string_equal(client.text, "{\"error\":\"no such path\"}\n");
}

static void a_405_names_the_method_in_its_header(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/post-only"};

	serve(&client);
	assert_int_equal(client.status, 405);
	assert_string_equal(client.allow, "POST");
}

static void a_stream_is_sent_whole_and_in_order(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/stream"};

	serve(&client);
	assert_int_equal(client.status, 200);
	assert_int_equal(client.taken, PIECE_GROWS * PIECES * (PIECES + 1) / 2);
	assert_false(client.has_fallen);
	assert_int_equal(client.fixture->streams_freed, 1);
}

static void a_stream_that_breaks_off_is_not_taken_for_whole(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/broken"};

	serve(&client);
	assert_int_equal(client.status, 0); /* curl says that something is missing */
	assert_int_equal(client.taken, PIECE_GROWS * BREAKS_OFF * (BREAKS_OFF + 1) / 2);
	assert_int_equal(client.fixture->streams_freed, 1);
}

static void begin_a_stream_and_hang_up(struct client *client)
{
	static const char ask[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = connect_raw(client->fixture->path);
	char some[100];

	send(fd, ask, strlen(ask), MSG_NOSIGNAL);
	assert_true(recv(fd, some, sizeof(some), 0) > 0);
	close(fd);
	client->url = "http://x/";
	request(client);
}

static void a_client_that_hangs_up_in_a_stream_leaves_nothing_behind(void **state)
{
	struct client client = {.fixture = *state, .run = begin_a_stream_and_hang_up};
	time_t deadline = time(NULL) + DEADLINE_S;

	serve(&client);
	assert_int_equal(client.status, 200);
	while (!client.fixture->streams_freed) {
		assert_true(time(NULL) < deadline);
		assert_true(sd_event_run(client.fixture->event, 10000) >= 0);
	}
}

static void a_body_over_16_mib_is_refused(void **state)
{
	struct client client = {.fixture = *state, .run = request, .url = "http://x/"};

	client.post_len = (16 << 20) + 1;
	client.post = filled(client.post_len);
	serve(&client);
	free(client.post);
	assert_int_equal(client.status, 413);
	assert_int_equal(client.fixture->handled, 0);
}

static void hang_up_in_the_middle(struct client *client)
{
	static const char *const halves[] = {
		"",
		"G",
		"POST /x HTTP/1.1\r\nHost: x\r\n",
		"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
	};

	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		int fd = connect_raw(client->fixture->path);

		send(fd, halves[i], strlen(halves[i]), MSG_NOSIGNAL);
		close(fd);
	}
	request(client);
}

static void a_client_that_hangs_up_harms_nobody(void **state)
{
	struct client client = {
		.fixture = *state, .run = hang_up_in_the_middle, .url = "http://x/"};

	serve(&client);
	assert_int_equal(client.status, 200);
	assert_int_equal(client.fixture->handled, 1);
}

static void speak_nonsense(struct client *client)
{
	char noise[8192], rest[64];
	int fd = connect_raw(client->fixture->path);

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 131 + 7);
	send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
	request(client);
}

static void nonsense_instead_of_http_harms_nobody(void **state)
{
	struct client client = {.fixture = *state, .run = speak_nonsense, .url = "http://x/"};

	serve(&client);
	assert_int_equal(client.status, 200);
	assert_int_equal(client.fixture->handled, 1);
}

static void the_socket_is_for_owner_and_group(void **state)
{
	struct fixture *f = *state;
	char run[96];
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
}

static void a_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct client client = {.fixture = f, .run = request, .url = "http://x/"};
	struct http_server *second = NULL;
	struct err err = {};

	assert_int_equal(http_server_new(&second, f->event, f->path, echo, f, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another xdplbd is running"));
	assert_null(second);
	serve(&client);
	assert_int_equal(client.status, 200);
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct client client = {.fixture = f, .run = request, .url = "http://x/"};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct err err = {};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	http_server_free(f->server);
	assert_int_equal(access(f->path, F_OK), -1);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(http_server_new(&f->server, f->event, f->path, echo, f, &err), 0);
	serve(&client);
	assert_int_equal(client.status, 200);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct http_server *server;
	struct err err = {};
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/precious", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(http_server_new(&server, f->event, path, echo, f, &err), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	struct http_server *server;
	struct err err = {};
	char path[201];

	memset(path, 'a', 200);
	path[0] = '/';
	path[200] = '\0';
	assert_int_equal(http_server_new(&server, f->event, path, echo, f, &err), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_get_is_answered_with_compact_json),
		TEST(a_body_reaches_the_handler_whole),
		TEST(a_request_that_is_put_off_is_handed_in_again),
		TEST(the_end_of_the_server_ends_requests_that_wait),
		TEST(the_handlers_status_reaches_the_client),
		TEST(a_405_names_the_method_in_its_header),
		TEST(a_stream_is_sent_whole_and_in_order),
		TEST(a_stream_that_breaks_off_is_not_taken_for_whole),
		TEST(a_client_that_hangs_up_in_a_stream_leaves_nothing_behind),
		TEST(a_body_over_16_mib_is_refused),
		TEST(a_client_that_hangs_up_harms_nobody),
		TEST(nonsense_instead_of_http_harms_nobody),
		TEST(the_socket_is_for_owner_and_group),
		TEST(a_second_daemon_is_refused),
		TEST(a_dead_daemons_socket_is_replaced),
		TEST(a_file_that_is_no_socket_is_left_alone),
		TEST(a_path_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
