/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many descriptors the daemon may have open: see fd_limit.h. */
#include "fd_limit.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

/* Maps, links, netlink, clients of the API. */
#define OWN_DESCRIPTORS 512
/* That no check takes; of few, a part. */
#define RESERVED      64
#define RESERVED_PART 8

void fd_limit_want(size_t n_probes)
{
	struct rlimit limit;
	rlim_t want = n_probes + OWN_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
		return;
	if (limit.rlim_max < want) {
		struct rlimit more = {.rlim_cur = want, .rlim_max = want};

		if (!setrlimit(RLIMIT_NOFILE, &more))
			return;
	}
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < want)
		log_warning("%zu probes at the same time need %zu open files, the limit is %zu: "
			    "raise LimitNOFILE= of the service, or ulimit -n",
			    n_probes, (size_t)want, (size_t)limit.rlim_cur);
}

int fd_limit_check(int fd)
{
	struct rlimit limit;
	rlim_t reserved;

	if (fd < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return fd;
	reserved = limit.rlim_cur / RESERVED_PART;
	if (reserved > RESERVED)
		reserved = RESERVED;
	/* The kernel gives the lowest number that is free. */
	if ((rlim_t)fd + reserved < limit.rlim_cur)
		return fd;
	close(fd);
	return -EMFILE;
}
