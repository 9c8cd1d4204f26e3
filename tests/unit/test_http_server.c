// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The HTTP server in a real event loop, with a client in a thread of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/http_server.h"

#define DEADLINE_S 20
#define IDLE	   50
#define FULL	   128 /* as many connections as the server takes */

struct fixture {
	char dir[64];
	char path[96];
	sd_event *event;
	struct http_server *server;
	unsigned int handled;
	size_t body_len;
	unsigned int later; /* so often a request is put off */
	bool never; /* put off without end */
	atomic_bool put_off;
};

struct client {
	struct fixture *fixture;
	void (*run)(struct client *client);
	atomic_bool is_done;
	const char *url;
	char *post; /* NULL: GET */
	size_t post_len;
	long status;
	char allow[32];
	char text[512];
	size_t text_len;
	int fds[FULL];
};

static int on_progress(sd_event_source *source, void *user)
{
	struct fixture *f = user;

	http_server_ask_again(f->server);
	return 0;
}

static unsigned int echo(void *user, const struct http_request *request, json_t **ret_body)
{
	struct fixture *f = user;
	const char *q = http_request_query(request, "q");

	f->put_off = f->never;
	if (f->never)
		return HTTP_LATER;
	if (*request->awaited < f->later) {
		++*request->awaited;
		assert_true(sd_event_add_defer(f->event, NULL, on_progress, f) >= 0);
		return HTTP_LATER;
	}
	f->handled++;
	f->body_len = request->body_len;
	assert_int_equal(strlen(request->body), request->body_len);
	if (strcmp(request->path, "/none") == 0) {
		*ret_body = json_pack("{s:s}", "error", "no such path");
		return 404;
	}
	if (strcmp(request->path, "/post-only") == 0) {
		*ret_body = json_pack("{s:s, s:s}", "error", "not here", "allow", "POST");
		return 405;
	}
	*ret_body = json_pack("{s:s, s:s, s:I, s:s}", "method", request->method, "path",
			      request->path, "len", (json_int_t)request->body_len, "q", q ? q : "");
	return 200;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {};

	strcpy(f->dir, "/tmp/xdplb-http-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/api.sock", f->dir);
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(http_server_new(&f->server, f->event, f->path, echo, f, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char run[96];

	http_server_free(f->server);
	sd_event_unref(f->event);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	unlink(f->path);
	rmdir(run);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void *client_main(void *arg)
{
	struct client *client = arg;

	client->run(client);
	client->is_done = true;
	return NULL;
}

/* Runs the loop until the client is through. */
static void serve(struct client *client)
{
	time_t deadline = time(NULL) + DEADLINE_S;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, client_main, client), 0);
	while (!client->is_done) {
		assert_true(time(NULL) < deadline);
		assert_true(sd_event_run(client->fixture->event, 10000) >= 0);
	}
	pthread_join(thread, NULL);
}

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct client *client = user;
	size_t room = sizeof(client->text) - 1 - client->text_len;
	size_t len = size * n < room ? size * n : room;

	memcpy(client->text + client->text_len, data, len);
	client->text_len += len;
	client->text[client->text_len] = '\0';
	return size * n;
}

static size_t take_header(char *data, size_t size, size_t n, void *user)
{
	struct client *client = user;

	sscanf(data, "Allow: %31[A-Z]", client->allow);
	return size * n;
}

static void request(struct client *client)
{
	CURL *curl = curl_easy_init();

	client->text_len = 0;
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->fixture->path);
	curl_easy_setopt(curl, CURLOPT_URL, client->url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)DEADLINE_S);
	if (client->post) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)client->post_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, client->post);
	}
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &client->status);
	curl_easy_cleanup(curl);
}

static int connect_raw(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static char *filled(size_t len)
{
	char *body = malloc(len);

	return body ? memset(body, 'x', len) : NULL;
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_get_is_answered_with_compact_json),
		TEST(a_body_reaches_the_handler_whole),
		TEST(a_request_that_is_put_off_is_handed_in_again),
		TEST(the_end_of_the_server_ends_requests_that_wait),
		TEST(the_handlers_status_reaches_the_client),
		TEST(a_405_names_the_method_in_its_header),
		TEST(a_body_over_16_mib_is_refused),
		TEST(a_client_that_hangs_up_harms_nobody),
		TEST(nonsense_instead_of_http_harms_nobody),
		TEST(idle_connections_do_not_delay_a_request),
		TEST(bodies_under_way_hold_a_bounded_amount_of_memory),
		TEST(a_full_server_serves_again_once_its_clients_left),
		TEST(a_full_server_drops_who_has_said_nothing_for_longest),
		TEST(the_socket_is_for_owner_and_group),
		TEST(a_second_daemon_is_refused),
		TEST(a_dead_daemons_socket_is_replaced),
		TEST(a_file_that_is_no_socket_is_left_alone),
		TEST(a_path_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
