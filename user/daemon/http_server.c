// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libmicrohttpd without threads of its own: its epoll descriptor and its timeout are sources of the
 * daemon's event loop, and each wakeup does the work that is ready, never waiting for a client. A
 * body is collected up to its limit; beyond that it is read and thrown away, so that the client,
 * still writing, gets to read the 413.
 */
#include "http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_socket.h"
#include "http_stream.h"

#define BODY_MAX	(16u << 20)
#define BODIES_MAX	(64u << 20) /* of all requests that are under way */
#define CONNECTIONS_MAX 128u
#define IDLE_TIMEOUT_S	30u

struct http_server {
	struct MHD_Daemon *mhd; /* owns the listening socket */
	sd_event_source *io;
	sd_event_source *timer;
	char *socket_path;
	http_handler_fn handler;
	void *user;
	size_t bodies; /* bytes held for bodies that are arriving */
	LIST_HEAD(, exchange) waiting; /* answered later; their connections are suspended */
	TAILQ_HEAD(client_list, client) clients; /* who has said nothing for longest first */
	unsigned int n_clients;
};

/* One connection. */
struct client {
	TAILQ_ENTRY(client) entry;
	int fd;
	bool is_waiting; /* for us */
};

/* One request while its body arrives and until it is answered. */
struct exchange {
	LIST_ENTRY(exchange) entry; /* in `waiting` */
	bool is_waiting;
	struct MHD_Connection *connection;
	struct client *client; /* NULL: there was no memory for it */
	uint64_t awaited; /* the handler's */
	char *body;
	size_t len;
	size_t room;
	unsigned int error; /* HTTP status that the body already earned; 0: none */
};

bool http_request_peer(const struct http_request *request, uid_t *ret_uid, pid_t *ret_pid)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	*ret_uid = peer.uid;
	*ret_pid = peer.pid;
	return true;
}

const char *http_request_query(const struct http_request *request, const char *key)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, key);
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned int status,
				  char *text, size_t len, const char *allow)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_stream(struct MHD_Connection *connection, unsigned int status,
				    struct http_stream *stream)
{
	struct MHD_Response *response = http_stream_response(stream);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_json(struct MHD_Connection *connection, unsigned int status,
				  const json_t *body)
{
	const char *allow = json_string_value(json_object_get(body, "allow"));
	size_t len = json_dumpb(body, NULL, 0, JSON_COMPACT);
	char *text = len ? malloc(len + 1) : NULL;

	if (!text)
		return MHD_NO;
	json_dumpb(body, text, len, JSON_COMPACT);
	text[len] = '\n';
	return reply_text(connection, status, text, len + 1,
			  status == MHD_HTTP_METHOD_NOT_ALLOWED ? allow : NULL);
}

static const char *error_text(unsigned int status)
{
	switch (status) {
	case MHD_HTTP_CONTENT_TOO_LARGE:
		return "the body is larger than 16 MiB";
	case MHD_HTTP_SERVICE_UNAVAILABLE:
		return "too many large requests at once";
	default:
		return "out of memory";
	}
}

static enum MHD_Result reply_error(struct MHD_Connection *connection, unsigned int status)
{
	json_t *body = json_pack("{s:s}", "error", error_text(status));
	enum MHD_Result result = reply_json(connection, status, body);

	json_decref(body);
	return result;
}

static unsigned int grow_body(struct http_server *server, struct exchange *exchange, size_t len)
{
	size_t need = exchange->len + len + 1;
	size_t room = exchange->room ? exchange->room : 4096;
	char *body;

	if (need > BODY_MAX + 1)
		return MHD_HTTP_CONTENT_TOO_LARGE;
	if (need <= exchange->room)
		return 0;
	while (room < need)
		room *= 2;
	if (room > BODY_MAX)
		room = BODY_MAX + 1;
	if (server->bodies - exchange->room + room > BODIES_MAX)
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	body = realloc(exchange->body, room);
	if (!body)
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	server->bodies += room - exchange->room;
	exchange->body = body;
	exchange->room = room;
	return 0;
}

static void drop_body(struct http_server *server, struct exchange *exchange)
{
	server->bodies -= exchange->room;
	free(exchange->body);
	exchange->body = NULL;
	exchange->len = exchange->room = 0;
}

static void take_body(struct http_server *server, struct exchange *exchange, const char *data,
		      size_t len)
{
	if (exchange->error)
		return;
	exchange->error = grow_body(server, exchange, len);
	if (exchange->error) {
		drop_body(server, exchange);
		return;
	}
	memcpy(exchange->body + exchange->len, data, len);
	exchange->len += len;
	exchange->body[exchange->len] = '\0';
}

static void set_waiting(struct exchange *exchange, bool is_waiting)
{
	exchange->is_waiting = is_waiting;
	if (exchange->client)
		exchange->client->is_waiting = is_waiting;
}

static void wait_for_answer(struct http_server *server, struct MHD_Connection *connection,
			    struct exchange *exchange)
{
	exchange->connection = connection;
	set_waiting(exchange, true);
	LIST_INSERT_HEAD(&server->waiting, exchange, entry);
	MHD_suspend_connection(connection);
}

static void resume_waiting(struct http_server *server)
{
	struct exchange *exchange;

	while ((exchange = LIST_FIRST(&server->waiting)) != NULL) {
		LIST_REMOVE(exchange, entry);
		set_waiting(exchange, false);
		MHD_resume_connection(exchange->connection);
	}
}

static enum MHD_Result answer(struct http_server *server, struct MHD_Connection *connection,
			      const char *path, const char *method, struct exchange *exchange)
{
	struct http_request request = {
		.method = method,
		.path = path,
		.body = exchange->body ? exchange->body : "",
		.body_len = exchange->len,
		.connection = connection,
		.awaited = &exchange->awaited,
	};
	struct http_reply reply = {};
	enum MHD_Result result;
	unsigned int status;

	if (exchange->error)
		return reply_error(connection, exchange->error);
	status = server->handler(server->user, &request, &reply);
	if (status == HTTP_LATER) {
		wait_for_answer(server, connection, exchange);
		return MHD_YES;
	}
	if (reply.stream)
		return reply_stream(connection, status, reply.stream);
	if (!reply.body)
		return reply_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR);
	result = reply_json(connection, status, reply.body);
	json_decref(reply.body);
	return result;
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void client_spoke(struct http_server *server, struct client *client)
{
	if (!client)
		return;
	TAILQ_REMOVE(&server->clients, client, entry);
	TAILQ_INSERT_TAIL(&server->clients, client, entry);
}

/* Clients that say nothing must not keep others out. libmicrohttpd sees the end and cleans up. */
static void drop_most_silent(struct http_server *server)
{
	struct client *client;

	TAILQ_FOREACH (client, &server->clients, entry) {
		if (client->is_waiting)
			continue;
		shutdown(client->fd, SHUT_RDWR);
		return;
	}
}

static struct client *client_new(struct http_server *server, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *client = info ? calloc(1, sizeof(*client)) : NULL;

	if (!client)
		return NULL;
	client->fd = info->connect_fd;
	if (++server->n_clients >= CONNECTIONS_MAX)
		drop_most_silent(server);
	TAILQ_INSERT_TAIL(&server->clients, client, entry);
	return client;
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http_server *server = user;
	struct client *client = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = client_new(server, connection);
	} else if (client) {
		TAILQ_REMOVE(&server->clients, client, entry);
		server->n_clients--;
		free(client);
		*context = NULL;
	}
}

/* libmicrohttpd calls this once for the headers, once per piece of the body, once at its end. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct exchange *exchange = *state;

	if (!exchange) {
		exchange = calloc(1, sizeof(*exchange));
		*state = exchange;
		if (!exchange)
			return MHD_NO;
		exchange->client = client_of(connection);
		client_spoke(user, exchange->client);
		return MHD_YES;
	}
	client_spoke(user, exchange->client);
	if (*upload_len > 0) {
		take_body(user, exchange, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	return answer(user, connection, path, method, exchange);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *exchange = *state;

	if (!exchange)
		return;
	if (exchange->is_waiting)
		LIST_REMOVE(exchange, entry);
	drop_body(user, exchange);
	free(exchange);
	*state = NULL;
}

static unsigned int count_connections(const struct http_server *server)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->mhd,
							       MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

/*
 * Serves what is ready and asks when to be woken if nothing more happens. At its connection limit
 * libmicrohttpd takes the listening socket out of its epoll set and puts it back only in the next
 * run, for which nobody would wake it: so a run that closed connections is followed by another.
 */
static int run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	unsigned int before;
	int r;

	do {
		before = count_connections(server);
		MHD_run(server->mhd);
	} while (count_connections(server) < before);
	if (MHD_get_timeout(server->mhd, &wait_ms) != MHD_YES)
		return sd_event_source_set_enabled(server->timer, SD_EVENT_OFF);
	r = sd_event_source_set_time_relative(server->timer, (uint64_t)wait_ms * 1000);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(server->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	return run(user);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	return run(user);
}

/* Takes fd over, for better or worse: whether a failed MHD_start_daemon() closed it is not said. */
static int start(struct http_server *server, sd_event *event, int fd)
{
	const union MHD_DaemonInfo *info;
	int r;

	server->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_END);
	if (!server->mhd)
		return -EIO;
	info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	r = sd_event_add_io(event, &server->io, info->epoll_fd, EPOLLIN, on_io, server);
	if (r < 0)
		return r;
	return sd_event_add_time_relative(event, &server->timer, CLOCK_MONOTONIC, 0, 1, on_timer,
					  server);
}

int http_server_new(struct http_server **ret_server, sd_event *event, const char *socket_path,
		    http_handler_fn handler, void *user, struct err *err)
{
	struct http_server *server;
	int fd, r;

	fd = http_socket_open(socket_path, err);
	if (fd < 0)
		return fd;
	server = calloc(1, sizeof(*server));
	if (!server) {
		close(fd);
		return err_errno(err, ENOMEM, "HTTP server");
	}
	LIST_INIT(&server->waiting);
	TAILQ_INIT(&server->clients);
	server->handler = handler;
	server->user = user;
	server->socket_path = strdup(socket_path);
	r = start(server, event, fd);
	if (r < 0) {
		http_server_free(server);
		return err_errno(err, -r, "start the HTTP server on %s", socket_path);
	}
	*ret_server = server;
	return 0;
}

void http_server_ask_again(struct http_server *server)
{
	if (LIST_EMPTY(&server->waiting))
		return;
	resume_waiting(server);
	sd_event_source_set_time_relative(server->timer, 0);
	sd_event_source_set_enabled(server->timer, SD_EVENT_ONESHOT);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	/* First the file, then the listening: a successor may bind in between. */
	if (server->socket_path)
		unlink(server->socket_path);
	sd_event_source_unref(server->io);
	sd_event_source_unref(server->timer);
	resume_waiting(server); /* or libmicrohttpd would not let them go */
	if (server->mhd)
		MHD_stop_daemon(server->mhd);
	free(server->socket_path);
	free(server);
}
