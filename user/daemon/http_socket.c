// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A listening unix socket: see http_socket.h. */
#include "http_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_UMASK 0117 /* what is left is 0660 */

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

int http_socket_open(const char *path, struct err *err)
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
