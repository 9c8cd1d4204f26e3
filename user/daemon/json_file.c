/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON documents as files: see json_file.h. */
#include "json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A stream of a regular file; another kind could make the daemon wait for whoever writes it. */
static int open_regular(const char *path, FILE **ret_stream, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, EINVAL, "open %s: expected a regular file", path);
	}
	*ret_stream = fdopen(fd, "r");
	if (*ret_stream)
		return 0;
	close(fd);
	return err_errno(err, ENOMEM, "open %s", path);
}

static int at_least_1(int n)
{
	return n < 1 ? 1 : n;
}

int json_file_read(const char *path, json_t **ret_root, struct err *err)
{
	FILE *stream = NULL;
	int r = open_regular(path, &stream, err);
	json_error_t problem;
	json_t *root;

	if (!stream)
		return r;
	root = json_loadf(stream, JSON_REJECT_DUPLICATES, &problem);
	(void)fclose(stream); /* only read from: nothing can be lost */
	if (!root)
		return err_set(err, EINVAL, "%s:%d:%d: %s", path, at_least_1(problem.line),
			       at_least_1(problem.column), problem.text);
	if (!json_is_object(json_object_get(root, "reals"))) {
		json_decref(root);
		return err_set(err, EINVAL, "%s:1:1: expected an object \"reals\"", path);
	}
	*ret_root = root;
	return 0;
}

int json_file_write(const char *path, const json_t *root, bool is_durable, struct err *err)
{
	char fresh[PATH_MAX];
	int fd, r = 0;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return err_errno(err, ENAMETOOLONG, "create %s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(err, errno, "create %s", fresh);
	errno = 0;
	if (json_dumpfd(root, fd, JSON_INDENT(2) | JSON_SORT_KEYS) || (is_durable && fsync(fd)))
		r = -(errno ? errno : EIO);
	if (close(fd) && !r)
		r = -errno;
	if (!r && rename(fresh, path))
		r = -errno;
	return r ? err_errno(err, -r, "write %s", path) : 0;
}
