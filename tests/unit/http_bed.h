/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The HTTP server in a real event loop, with a client in a thread of its own. */
#pragma once

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

#include "../run_path.h"
#include "daemon/http_server.h"

#define DEADLINE_S 20
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
	unsigned int streams_freed;
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
	size_t taken; /* of the body */
	unsigned char last; /* of its bytes */
	bool has_fallen; /* a byte was less than the one before */
	int fds[FULL];
};

static inline int on_progress(sd_event_source *source, void *user)
{
	struct fixture *f = user;

	http_server_ask_again(f->server);
	return 0;
}

/* PIECES of them, PIECE_GROWS bytes longer each than the one before, and filled with its number. */
#define PIECES	    200
#define PIECE_GROWS 300
#define BREAKS_OFF  10 /* pieces before a stream does that breaks off */

struct pieces {
	struct http_stream stream;
	struct fixture *fixture;
	unsigned int n;
	bool breaks_off;
};

static inline int pieces_next(struct http_stream *stream, char **ret_piece, size_t *ret_len)
{
	struct pieces *p = (struct pieces *)stream;

	if (p->breaks_off && p->n == BREAKS_OFF)
		return -EIO;
	if (p->n == PIECES)
		return 0;
	p->n++;
	*ret_len = (size_t)p->n * PIECE_GROWS;
	*ret_piece = malloc(*ret_len);
	memset(*ret_piece, (char)p->n, *ret_len);
	return 0;
}

static inline void pieces_free(struct http_stream *stream)
{
	((struct pieces *)stream)->fixture->streams_freed++;
	free(stream);
}

static inline struct http_stream *pieces_new(struct fixture *f, bool breaks_off)
{
	struct pieces *p = calloc(1, sizeof(*p));

	p->stream = (struct http_stream){.next = pieces_next, .free = pieces_free};
	p->fixture = f;
	p->breaks_off = breaks_off;
	return &p->stream;
}

static inline unsigned int echo(void *user, const struct http_request *request,
				struct http_reply *ret_reply)
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
	if (strcmp(request->path, "/stream") == 0 || strcmp(request->path, "/broken") == 0) {
		ret_reply->stream = pieces_new(f, request->path[1] == 'b');
		return 200;
	}
	if (strcmp(request->path, "/none") == 0) {
		ret_reply->body = json_pack("{s:s}", "error", "no such path");
		return 404;
	}
	if (strcmp(request->path, "/post-only") == 0) {
		ret_reply->body = json_pack("{s:s, s:s}", "error", "not here", "allow", "POST");
		return 405;
	}
	ret_reply->body = json_pack("{s:s, s:s, s:I, s:s}", "method", request->method, "path",
				    request->path, "len", (json_int_t)request->body_len, "q",
				    q ? q : "");
	return 200;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {};

	assert_int_equal(mkdir(run_path(f->dir, sizeof(f->dir), "/tmp"), 0700), 0);
	snprintf(f->path, sizeof(f->path), "%s/run/api.sock", f->dir);
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(http_server_new(&f->server, f->event, f->path, echo, f, &err), 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
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

static inline void *client_main(void *arg)
{
	struct client *client = arg;

	client->run(client);
	client->is_done = true;
	return NULL;
}

/* Runs the loop until the client is through. */
static inline void serve(struct client *client)
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

static inline size_t take(char *data, size_t size, size_t n, void *user)
{
	struct client *client = user;
	size_t room = sizeof(client->text) - 1 - client->text_len;
	size_t len = size * n < room ? size * n : room;

	for (size_t i = 0; i < size * n; i++) {
		client->has_fallen |= (unsigned char)data[i] < client->last;
		client->last = (unsigned char)data[i];
	}
	client->taken += size * n;
	memcpy(client->text + client->text_len, data, len);
	client->text_len += len;
	client->text[client->text_len] = '\0';
	return size * n;
}

static inline size_t take_header(char *data, size_t size, size_t n, void *user)
{
	struct client *client = user;

	sscanf(data, "Allow: %31[A-Z]", client->allow);
	return size * n;
}

static inline void request(struct client *client)
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

static inline int connect_raw(const char *path)
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

static inline char *filled(size_t len)
{
	char *body = malloc(len);

	return body ? memset(body, 'x', len) : NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
