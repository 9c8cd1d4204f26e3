/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The echo check against the kernel's own replies, in a network namespace of the test's own. */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "check_bed.h"

#define MANY 1000

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void ignore_echo(bool is_ignored)
{
	write_file("/proc/sys/net/ipv4/icmp_echo_ignore_all", is_ignored ? "1" : "0");
	write_file("/proc/sys/net/ipv6/icmp/echo_ignore_all", is_ignored ? "1" : "0");
}

/* Whether the daemon's group may have ping sockets. */
static void allow_ping_sockets(bool is_allowed)
{
	write_file("/proc/sys/net/ipv4/ping_group_range", is_allowed ? "0 0" : "1 0");
}

static void icmp_open(struct bed *bed, const char *address)
{
	bed_open(bed, address);
	assert_int_equal(check_icmp_pool_new(&bed->context.icmp, bed->event, NULL), 0);
}

static void icmp_close(struct bed *bed)
{
	check_icmp_pool_free(bed->context.icmp);
	bed_close(bed);
}

static void a_real_that_replies_is_up_by_either_kind_of_socket(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};

	for (size_t i = 0; i < 4; i++) {
		struct bed bed;

		allow_ping_sockets(i / 2);
		icmp_open(&bed, addresses[i % 2]);
		for (int n = 0; n < 3; n++) {
			bed_check(&bed, &check_icmp_ops);
			bed_expect(&bed, CHECK_PASSED, "replied", addresses[i % 2]);
		}
		icmp_close(&bed);
	}
}

static void a_real_that_ignores_echo_is_down_after_the_timeout(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};

	ignore_echo(true);
	for (size_t i = 0; i < 4; i++) {
		struct bed bed;

		allow_ping_sockets(i / 2);
		icmp_open(&bed, addresses[i % 2]);
		bed.spec.timeout_ms = 200;
		bed_check(&bed, &check_icmp_ops);
		bed_expect(&bed, CHECK_FAILED, "no_reply", addresses[i % 2]);
		assert_true(bed.took_ms >= 199);
		icmp_close(&bed);
	}
	ignore_echo(false);
}

static void a_real_without_a_route_is_told_from_the_loop(void **state)
{
	struct bed bed;

	icmp_open(&bed, "198.51.100.1");
	bed_check(&bed, &check_icmp_ops);
	bed_expect(&bed, CHECK_FAILED, "Network is unreachable", "no route");
	icmp_close(&bed);
}

/* ---- replies to somebody else ---------------------------------------------------------------- */

struct echo {
	struct icmphdr header;
	uint8_t token[16];
};

struct sniffer {
	int fd;
	sd_event_source *io;
	void (*spoil)(struct echo *echo, size_t *len);
	int spoilt;
	struct sockaddr_in from; /* of the last request */
};

/* Answers each request in its own manner; the kernel is told to be silent. */
static int on_request(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct sniffer *sniffer = user;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t bytes[256];
	socklen_t from_len = sizeof(sniffer->from);
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&sniffer->from,
			     &from_len);
	size_t len = sizeof(struct echo);
	struct echo echo;

	if (n != 20 + (ssize_t)sizeof(echo))
		return 0;
	memcpy(&echo, bytes + 20, sizeof(echo));
	if (echo.header.type != ICMP_ECHO)
		return 0;
	echo.header.type = ICMP_ECHOREPLY;
	sniffer->spoil(&echo, &len);
	assert_int_equal(sendto(fd, &echo, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	sniffer->spoilt++;
	return 0;
}

static void sniffer_open(struct sniffer *sniffer, struct bed *bed)
{
	*sniffer = (struct sniffer){};
	sniffer->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	assert_true(sniffer->fd >= 0);
	assert_true(sd_event_add_io(bed->event, &sniffer->io, sniffer->fd, EPOLLIN, on_request,
				    sniffer) >= 0);
}

static void sniffer_close(struct sniffer *sniffer)
{
	sd_event_source_disable_unref(sniffer->io);
	close(sniffer->fd);
}

static void nothing(struct echo *echo, size_t *len)
{
}

static void token(struct echo *echo, size_t *len)
{
	echo->token[15]++;
}

static void id(struct echo *echo, size_t *len)
{
	echo->header.un.echo.id++;
}

static void sequence(struct echo *echo, size_t *len)
{
	echo->header.un.echo.sequence++;
}

static void code(struct echo *echo, size_t *len)
{
	echo->header.code = 1;
}

static void length(struct echo *echo, size_t *len)
{
	(*len)--;
}

static void only_the_reply_to_this_probe_counts(void **state)
{
	static const struct {
		const char *name;
		void (*spoil)(struct echo *echo, size_t *len);
		enum check_outcome outcome;
		const char *text;
	} spoilers[] = {
		{"the reply", nothing, CHECK_PASSED, "replied"},
		{"another token", token, CHECK_FAILED, "no_reply"},
		{"another id", id, CHECK_FAILED, "no_reply"},
		{"another sequence", sequence, CHECK_FAILED, "no_reply"},
		{"another code", code, CHECK_FAILED, "no_reply"},
		{"too short", length, CHECK_FAILED, "no_reply"},
	};

	ignore_echo(true);
	allow_ping_sockets(false);
	for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
		struct sniffer sniffer;
		struct bed bed;

		icmp_open(&bed, "127.0.0.1");
		bed.spec.timeout_ms = 200;
		sniffer_open(&sniffer, &bed);
		sniffer.spoil = spoilers[i].spoil;
		bed_check(&bed, &check_icmp_ops);
		bed_expect(&bed, spoilers[i].outcome, spoilers[i].text, spoilers[i].name);
		assert_int_equal(sniffer.spoilt, 1);
		sniffer_close(&sniffer);
		icmp_close(&bed);
	}
	ignore_echo(false);
}

static void a_reply_from_another_address_does_not_count(void **state)
{
	struct sniffer sniffer;
	struct bed bed;

	ignore_echo(true);
	allow_ping_sockets(false);
	icmp_open(&bed, "127.0.0.9"); /* the sniffer's replies come from 127.0.0.1 */
	bed.spec.timeout_ms = 200;
	sniffer_open(&sniffer, &bed);
	sniffer.spoil = nothing;
	bed_check(&bed, &check_icmp_ops);
	bed_expect(&bed, CHECK_FAILED, "no_reply", "another address");
	assert_int_equal(sniffer.spoilt, 1);
	sniffer_close(&sniffer);
	icmp_close(&bed);
	ignore_echo(false);
}

static void a_probe_comes_from_its_source(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct sniffer sniffer;
		struct check *check;
		struct bed bed;

		allow_ping_sockets(i);
		icmp_open(&bed, "127.0.0.1");
		addr_parse("127.0.0.77", &bed.spec.source);
		sniffer_open(&sniffer, &bed);
		sniffer.spoil = nothing;
		bed_check(&bed, &check_icmp_ops);
		bed_expect(&bed, CHECK_PASSED, "replied", "source");
		bed_until(&bed, sniffer.spoilt);
		assert_int_equal(sniffer.from.sin_addr.s_addr, inet_addr("127.0.0.77"));
		addr_parse("203.0.113.1", &bed.spec.source);
		assert_int_equal(bed_start(&bed, &check_icmp_ops, &check), -EADDRNOTAVAIL);
		addr_parse("::1", &bed.address);
		addr_parse("2001:db8::1", &bed.spec.source);
		assert_int_equal(bed_start(&bed, &check_icmp_ops, &check), -EADDRNOTAVAIL);
		addr_parse("::1", &bed.spec.source);
		bed_check(&bed, &check_icmp_ops);
		bed_expect(&bed, CHECK_PASSED, "replied", "source of IPv6");
		sniffer_close(&sniffer);
		icmp_close(&bed);
	}
}

/* ---- many ------------------------------------------------------------------------------------ */

struct crowd {
	struct check *checks[MANY];
	int passed, others;
};

static void on_one_done(void *user, const struct check_result *result)
{
	struct crowd *crowd = user;

	crowd->passed += result->outcome == CHECK_PASSED;
	crowd->others += result->outcome != CHECK_PASSED;
}

static void a_thousand_probes_share_one_socket(void **state)
{
	static struct crowd crowd;
	struct check_request request = {.done = on_one_done, .user = &crowd};
	struct bed bed;
	int fds;

	icmp_open(&bed, "127.0.0.1");
	bed_check(&bed, &check_icmp_ops);
	fds = bed_count_fds();
	request.spec = &bed.spec;
	bed.spec.timeout_ms = 4000;
	for (int i = 0; i < MANY; i++) {
		char text[ADDR_TEXT_MAX];

		snprintf(text, sizeof(text), "127.0.%d.%d", 1 + i / 250, 1 + i % 250);
		addr_parse(text, &request.address);
		assert_int_equal(check_icmp_ops.start(&bed.context, &request, &crowd.checks[i]), 0);
	}
	assert_int_equal(bed_count_fds(), fds);
	/* Every tenth is called off while its reply is on the way. */
	for (int i = 0; i < MANY; i += 10)
		check_icmp_ops.cancel(crowd.checks[i]);
	bed_until(&bed, crowd.passed + crowd.others == MANY - MANY / 10);
	assert_int_equal(crowd.others, 0);
	icmp_close(&bed);
}

static int enter_namespace(void **state)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		return -1;
	return close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_that_replies_is_up_by_either_kind_of_socket),
		cmocka_unit_test(a_real_that_ignores_echo_is_down_after_the_timeout),
		cmocka_unit_test(a_real_without_a_route_is_told_from_the_loop),
		cmocka_unit_test(only_the_reply_to_this_probe_counts),
		cmocka_unit_test(a_reply_from_another_address_does_not_count),
		cmocka_unit_test(a_probe_comes_from_its_source),
		cmocka_unit_test(a_thousand_probes_share_one_socket),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
