// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libmicrohttpd without threads of its own: its epoll descriptor and its timeout are sources of the
 * daemon's event loop, and each wakeup does the work that is ready, never waiting for a client. A
 * body is collected up to its limit; beyond that it is read and thrown away, so that the client,
 * still writing, gets to read the 413.
 */
#include "http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_MAX	(16u << 20)
#define BODIES_MAX	(64u << 20) /* of all requests that are under way */
#define CONNECTIONS_MAX 128u
#define IDLE_TIMEOUT_S	30u
#define SOCKET_UMASK	0117 /* what is left is 0660 */

struct http_server {
	struct MHD_Daemon *mhd; /* owns the listening socket */
	sd_event_source *io;
	sd_event_source *timer;
	char *socket_path;
	http_handler_fn handler;
	void *user;
	size_t bodies; /* bytes held for bodies that are arriving */
	LIST_HEAD(, exchange) waiting; /* answered later; their connections are suspended */
};

/* One request while its body arrives and until it is answered. */
struct exchange {
	LIST_ENTRY(exchange) entry; /* in `waiting` */
	bool is_waiting;
	struct MHD_Connection *connection;
	uint64_t awaited; /* the handler's */
	char *body;
	size_t len;
	size_t room;
	unsigned int error; /* HTTP status that the body already earned; 0: none */
};

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

static void wait_for_answer(struct http_server *server, struct MHD_Connection *connection,
			    struct exchange *exchange)
{
	exchange->connection = connection;
	exchange->is_waiting = true;
	LIST_INSERT_HEAD(&server->waiting, exchange, entry);
	MHD_suspend_connection(connection);
}

static void resume_waiting(struct http_server *server)
{
	struct exchange *exchange;

	while ((exchange = LIST_FIRST(&server->waiting)) != NULL) {
		LIST_REMOVE(exchange, entry);
		exchange->is_waiting = false;
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
	json_t *body = NULL;
	enum MHD_Result result;
	unsigned int status;

	if (exchange->error)
		return reply_error(connection, exchange->error);
	status = server->handler(server->user, &request, &body);
	if (status == HTTP_LATER) {
		wait_for_answer(server, connection, exchange);
		return MHD_YES;
	}
	if (!body)
		return reply_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR);
	result = reply_json(connection, status, body);
	json_decref(body);
	return result;
}

/* libmicrohttpd calls this once for the headers, once per piece of the body, once at its end. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct exchange *exchange = *state;

	if (!exchange) {
		*state = calloc(1, sizeof(*exchange));
		return *state ? MHD_YES : MHD_NO;
	}
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

/* mkdir -p of the directory that path lies in. */
static int make_parents(const char *path, struct err *err)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(dir, path, slash - path);
		dir[slash - path] = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return err_errno(err, errno, "create %s", dir);
	}
	return 0;
}

/* Removes the socket file of a daemon that is gone; one that somebody listens on stays. */
static int remove_stale_socket(const struct sockaddr_un *address, struct err *err)
{
	struct stat st;
	int fd, r;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "stat %s", address->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is not a socket", address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, errno, "socket");
	/* EAGAIN: somebody listens and its backlog is full. */
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (r == 0 || r == -EAGAIN)
		return err_set(err, EADDRINUSE, "another xdplbd is running on %s",
			       address->sun_path);
	if (r != -ECONNREFUSED)
		return err_errno(err, -r, "connect to %s", address->sun_path);
	if (unlink(address->sun_path) < 0)
		return err_errno(err, errno, "remove stale %s", address->sun_path);
	return 0;
}

static int bind_socket(int fd, const struct sockaddr_un *address, struct err *err)
{
	mode_t old = umask(SOCKET_UMASK);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(old);
	if (r < 0)
		return err_errno(err, -r, "bind %s", address->sun_path);
	if (listen(fd, SOMAXCONN) < 0)
		return err_errno(err, errno, "listen on %s", address->sun_path);
	return 0;
}

/* The listening socket, or a negative errno. */
static int open_socket(const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, r;

	if (len >= sizeof(address.sun_path))
		return err_set(err, ENAMETOOLONG, "%s: a socket's path has at most %zu characters",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len + 1);
	r = make_parents(path, err);
	if (r < 0)
		return r;
	r = remove_stale_socket(&address, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, errno, "socket");
	r = bind_socket(fd, &address, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
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
		on_completed, server, MHD_OPTION_END);
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

	fd = open_socket(socket_path, err);
	if (fd < 0)
		return fd;
	server = calloc(1, sizeof(*server));
	if (!server) {
		close(fd);
		return err_errno(err, ENOMEM, "HTTP server");
	}
	LIST_INIT(&server->waiting);
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
