/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON documents as files: see json_file.h. */
#include "json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

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
