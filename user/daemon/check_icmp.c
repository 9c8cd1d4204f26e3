/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 echo. All checks of a family share one socket, opened with the first: the
 * kernel's ping socket where net.ipv4.ping_group_range lets us have one, otherwise a raw one. A
 * reply is told from others' by a random token, by sequence number and address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check_socket.h"
#include "lib/addr.h"

/* From <linux/icmp.h>, which does not go together with the C library's headers. */
#define ICMP_FILTER 1

#define N_BUCKETS	1024
#define REPLIES_AT_ONCE 64
#define RECEIVE_BUFFER	(1 << 20)

enum echo_family { ECHO_V4, ECHO_V6, N_ECHO_FAMILIES };

struct echo {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint16_t id;
	uint16_t sequence;
	uint8_t token[16];
};
_Static_assert(sizeof(struct echo) == 24, "as on the wire");

struct icmp_socket {
	int fd; /* -1: not opened yet */
	bool is_raw;
	sd_event_source *io;
};

LIST_HEAD(icmp_checks, icmp_check);

struct check_icmp_pool {
	sd_event *event;
	struct icmp_socket sockets[N_ECHO_FAMILIES];
	struct icmp_checks buckets[N_BUCKETS]; /* by token */
	uint16_t id; /* of raw sockets; a ping socket has the kernel's */
	uint16_t sequence;
};

struct icmp_check {
	LIST_ENTRY(icmp_check) entry;
	struct check_request request;
	struct echo echo; /* as it was sent */
	int send_errno; /* failed at once with this; told from the loop */
	sd_event_source *timer;
};

static struct icmp_checks *bucket_of(struct check_icmp_pool *pool, const struct echo *echo)
{
	uint16_t hash;

	memcpy(&hash, echo->token, sizeof(hash));
	return &pool->buckets[hash % N_BUCKETS];
}

static void icmp_free(struct icmp_check *check)
{
	sd_event_source_disable_unref(check->timer);
	LIST_REMOVE(check, entry);
	free(check);
}

static void icmp_finish(struct icmp_check *check, enum check_outcome outcome, const char *text)
{
	const struct check_request request = check->request;

	icmp_free(check);
	request.done(request.user, &(struct check_result){.outcome = outcome, .text = text});
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct icmp_check *check = user;
	int errnum = check->send_errno;

	if (!errnum)
		icmp_finish(check, CHECK_FAILED, "no_reply");
	else
		icmp_finish(check, check_is_local_errno(errnum) ? CHECK_NOT_MADE : CHECK_FAILED,
			    strerror(errnum));
	return 0;
}

/* ---- replies -------------------------------------------------------------------------------- */

static struct ip_addr address_of(const struct sockaddr_storage *ss)
{
	struct ip_addr address = {};
	struct sockaddr_in in4;

	if (ss->ss_family == AF_INET6) {
		memcpy(address.b, &((const struct sockaddr_in6 *)ss)->sin6_addr, sizeof(address.b));
		return address;
	}
	address.w[2] = htonl(0xffff);
	memcpy(&in4, ss, sizeof(in4));
	address.w[3] = in4.sin_addr.s_addr;
	return address;
}

static bool is_reply_to(const struct icmp_check *check, const struct echo *echo, bool is_raw,
			const struct ip_addr *from)
{
	return echo->sequence == check->echo.sequence &&
	       memcmp(echo->token, check->echo.token, sizeof(echo->token)) == 0 &&
	       (!is_raw || echo->id == check->echo.id) && addr_equal(from, &check->request.address);
}

static void take_reply(struct check_icmp_pool *pool, const struct echo *echo, bool is_raw,
		       const struct ip_addr *from)
{
	uint8_t want = addr_is_v4(from) ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	struct icmp_check *check;

	if (echo->type != want || echo->code != 0)
		return;
	LIST_FOREACH (check, bucket_of(pool, echo), entry) {
		if (is_reply_to(check, echo, is_raw, from)) {
			icmp_finish(check, CHECK_PASSED, "replied");
			return;
		}
	}
}

/* Reads one message; false if there is none. A raw IPv4 socket gives the IP header as well. */
static bool read_reply(struct check_icmp_pool *pool, const struct icmp_socket *s, int fd)
{
	struct sockaddr_storage ss = {};
	socklen_t ss_len = sizeof(ss);
	uint8_t bytes[256];
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&ss,
			       &ss_len);
	size_t skip = 0;
	struct ip_addr from;
	struct echo echo;

	if (len < 0)
		return false;
	if (s->is_raw && ss.ss_family == AF_INET && len > 0)
		skip = (size_t)(bytes[0] & 0xf) * 4;
	if ((size_t)len < skip + sizeof(echo))
		return true;
	memcpy(&echo, bytes + skip, sizeof(echo));
	from = address_of(&ss);
	take_reply(pool, &echo, s->is_raw, &from);
	return true;
}

static int on_replies(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct check_icmp_pool *pool = user;
	const struct icmp_socket *s =
		&pool->sockets[fd == pool->sockets[ECHO_V4].fd ? ECHO_V4 : ECHO_V6];

	for (int i = 0; i < REPLIES_AT_ONCE && read_reply(pool, s, fd); i++)
		;
	return 0;
}

/* ---- the sockets ---------------------------------------------------------------------------- */

/* Echo replies only. The kernel hands a raw socket a copy of everything else, too. */
static int filter_raw(int fd, enum echo_family family)
{
	uint32_t filter4 = ~(1u << ICMP_ECHOREPLY);
	struct icmp6_filter filter6;

	if (family == ECHO_V4)
		return setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter4, sizeof(filter4));
	ICMP6_FILTER_SETBLOCKALL(&filter6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof(filter6));
}

static int open_fd(enum echo_family family, bool *ret_is_raw)
{
	int domain = family == ECHO_V4 ? AF_INET : AF_INET6;
	int protocol = family == ECHO_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	bool is_raw = fd < 0;
	int errnum;

	if (is_raw)
		fd = socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	if (is_raw && filter_raw(fd, family) < 0) {
		errnum = errno;
		close(fd);
		return -errnum;
	}
	*ret_is_raw = is_raw;
	return fd;
}

static int open_socket(struct check_icmp_pool *pool, enum echo_family family)
{
	struct icmp_socket *s = &pool->sockets[family];
	int size = RECEIVE_BUFFER, fd, err;

	if (s->fd >= 0)
		return 0;
	fd = open_fd(family, &s->is_raw);
	if (fd < 0)
		return fd;
	/* Replies of many reals may come at once; without the right to it, the usual size will do.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	err = sd_event_add_io(pool->event, &s->io, fd, EPOLLIN, on_replies, pool);
	if (err >= 0)
		err = sd_event_source_set_priority(s->io, SD_EVENT_PRIORITY_NORMAL - 1);
	if (err < 0) {
		s->io = sd_event_source_disable_unref(s->io);
		close(fd);
		return err;
	}
	s->fd = fd;
	return 0;
}

int check_icmp_pool_new(struct check_icmp_pool **ret_pool, sd_event *event, struct err *err)
{
	struct check_icmp_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return err_errno(err, ENOMEM, "ICMP checks");
	pool->event = sd_event_ref(event);
	for (int i = 0; i < N_ECHO_FAMILIES; i++)
		pool->sockets[i].fd = -1;
	if (getrandom(&pool->id, sizeof(pool->id), GRND_NONBLOCK) < 0)
		pool->id = (uint16_t)getpid();
	*ret_pool = pool;
	return 0;
}

void check_icmp_pool_free(struct check_icmp_pool *pool)
{
	if (!pool)
		return;
	for (int i = 0; i < N_ECHO_FAMILIES; i++) {
		sd_event_source_disable_unref(pool->sockets[i].io);
		if (pool->sockets[i].fd >= 0)
			close(pool->sockets[i].fd);
	}
	sd_event_unref(pool->event);
	free(pool);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* RFC 1071. The kernel sums up ICMPv6, whose sum has a pseudo-header. */
static uint16_t checksum(const struct echo *echo)
{
	uint16_t words[sizeof(*echo) / 2];
	uint32_t sum = 0;

	memcpy(words, echo, sizeof(*echo));
	for (size_t i = 0; i < sizeof(*echo) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

/* The socket is everybody's, so the local address goes with the message. */
static void set_source(struct msghdr *msg, const struct ip_addr *source)
{
	struct in_pktinfo info4 = {.ipi_spec_dst.s_addr = source->w[3]};
	struct in6_pktinfo info6 = {};
	struct cmsghdr *c;

	if (addr_is_zero(source)) {
		msg->msg_controllen = 0;
		return;
	}
	memcpy(&info6.ipi6_addr, source->b, sizeof(source->b));
	c = CMSG_FIRSTHDR(msg);
	if (addr_is_v4(source)) {
		*c = (struct cmsghdr){.cmsg_level = IPPROTO_IP,
				      .cmsg_type = IP_PKTINFO,
				      .cmsg_len = CMSG_LEN(sizeof(info4))};
		memcpy(CMSG_DATA(c), &info4, sizeof(info4));
		msg->msg_controllen = CMSG_SPACE(sizeof(info4));
	} else {
		*c = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6,
				      .cmsg_type = IPV6_PKTINFO,
				      .cmsg_len = CMSG_LEN(sizeof(info6))};
		memcpy(CMSG_DATA(c), &info6, sizeof(info6));
		msg->msg_controllen = CMSG_SPACE(sizeof(info6));
	}
}

/* The kernel has several words for a source that is not ours; bind() has one of its own. */
static int try_source(const struct health_spec *spec, const struct ip_addr *address)
{
	int fd = socket(addr_is_v4(address) ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = check_bind_source(fd, spec);
	close(fd);
	return err;
}

static int send_echo(int fd, struct icmp_check *check)
{
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = {};
	struct sockaddr_storage ss;
	struct iovec iov = {.iov_base = &check->echo, .iov_len = sizeof(check->echo)};
	struct msghdr msg = {.msg_name = &ss,
			     .msg_namelen = check_sockaddr(&ss, &check->request.address, 0),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};

	/* The socket is everybody's here, too. */
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &check->request.mark, sizeof(uint32_t)) < 0 &&
	    check->request.mark)
		return -errno;
	set_source(&msg, &check->request.spec->source);
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	check->send_errno = errno;
	return try_source(check->request.spec, &check->request.address);
}

static int make_echo(struct check_icmp_pool *pool, struct icmp_check *check)
{
	bool is_v4 = addr_is_v4(&check->request.address);
	struct echo *echo = &check->echo;

	*echo = (struct echo){.type = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
			      .id = pool->id,
			      .sequence = htons(pool->sequence++)};
	if (getrandom(echo->token, sizeof(echo->token), GRND_NONBLOCK) < 0)
		return -errno;
	if (is_v4)
		echo->checksum = checksum(echo);
	return 0;
}

static int icmp_start(const struct check_context *context, const struct check_request *request,
		      struct check **ret_check)
{
	enum echo_family family = addr_is_v4(&request->address) ? ECHO_V4 : ECHO_V6;
	struct icmp_check *check = calloc(1, sizeof(*check));
	struct check_icmp_pool *pool = context->icmp;
	uint64_t wait_us = (uint64_t)request->spec->timeout_ms * 1000;
	int err;

	if (!check)
		return -ENOMEM;
	check->request = *request;
	err = make_echo(pool, check);
	LIST_INSERT_HEAD(bucket_of(pool, &check->echo), check, entry);
	if (err == 0)
		err = open_socket(pool, family);
	if (err == 0)
		err = send_echo(pool->sockets[family].fd, check);
	if (err == 0)
		err = sd_event_add_time_relative(context->event, &check->timer, CLOCK_MONOTONIC,
						 check->send_errno ? 0 : wait_us, CHECK_ACCURACY_US,
						 on_time, check);
	if (err < 0) {
		icmp_free(check);
		return err;
	}
	*ret_check = (struct check *)check;
	return 0;
}

static void icmp_cancel(struct check *check)
{
	icmp_free((struct icmp_check *)check);
}

const struct check_ops check_icmp_ops = {
	.start = icmp_start,
	.cancel = icmp_cancel,
};
