/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* flock() on a directory: see dir_lock.h. */
#include "dir_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int dir_lock(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int errnum;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (!flock(fd, LOCK_EX | LOCK_NB)) {
		*ret_fd = fd;
		return 0;
	}
	errnum = errno;
	close(fd);
	if (errnum == EWOULDBLOCK)
		return err_set(err, EBUSY, "%s is in use by another xdplbd", path);
	return err_errno(err, errnum, "lock %s", path);
}
