/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the health engine knows of a kind of check: a row of functions. A check is one attempt
 * on one real; when, how often and what follows is the engine's. A new kind is a file check_X.c
 * and its row in health.c.
 */
#pragma once

#include <systemd/sd-event.h>

#include "lib/agent.h"
#include "lib/err.h"
#include "lib/model.h"
#include "lib/snapshot.h"

#define CHECK_TEXT_MAX 128

enum check_outcome {
	CHECK_PASSED,
	CHECK_FAILED,
	/* Not carried out for want of something of our own (descriptors, memory, local ports): says
	 * nothing about the real. */
	CHECK_NOT_MADE,
};

struct check; /* each kind has its own */
struct check_curl_pool; /* what all checks by libcurl share */
struct check_icmp_pool; /* the same of echo */
struct check_script_pool; /* and of scripts */

struct check_context {
	sd_event *event;
	struct check_curl_pool *curl;
	struct check_icmp_pool *icmp;
	struct check_script_pool *script;
};

struct check_result {
	enum check_outcome outcome;
	const char *text; /* "connected", "status 503", ...; what is put behind "not probed: " */
	bool is_decisive; /* up or down counts at once, without rise and fall */
	struct health_advice advice; /* so does this, always */
};

/*
 * The result lives until the function returns. The check is gone when this is called: it is not to
 * be cancelled then.
 */
typedef void (*check_done_fn)(void *user, const struct check_result *result);

struct check_request {
	struct ip_addr address; /* what it connects to */
	uint16_t port;
	struct ip_addr real; /* which it is about: `address`, or with a mark one behind it */
	uint32_t mark; /* of its packets: see tunnels.h; 0: none */
	const struct health_spec *spec; /* outlives the check */
	struct agent_state *agent; /* outlives it, too: what the agent said in earlier checks */
	check_done_fn done;
	void *user;
};

struct check_ops {
	/*
	 * Whether its packets can have a mark; if not, why. Before start, if they are to have one.
	 * NULL: they always can.
	 */
	int (*prepare_mark)(const struct check_context *context, struct err *err);
	/*
	 * Begins a check. `done` is called once, from the event loop, within spec->timeout_ms
	 * (a script waits as long for its turn before); never from inside start. -errno: not begun,
	 * as CHECK_NOT_MADE.
	 */
	int (*start)(const struct check_context *context, const struct check_request *request,
		     struct check **ret_check);
	/* Ends it without calling `done`. */
	void (*cancel)(struct check *check);
};

extern const struct check_ops check_tcp_ops;
extern const struct check_ops check_http_ops;
extern const struct check_ops check_udp_ops;
extern const struct check_ops check_dns_ops;
extern const struct check_ops check_icmp_ops;
extern const struct check_ops check_script_ops;
extern const struct check_ops check_agent_ops;
extern const struct check_ops check_grpc_ops;

/* Whether an errno tells of our own shortage rather than of the real. */
bool check_is_local_errno(int errnum);
/* Why a check could not be begun; text is CHECK_TEXT_MAX. */
void check_say_not_begun(const struct health_spec *spec, int errnum, char *text);

/* libcurl's multi handles in the loop. Freed after the last check has been cancelled. */
int check_curl_pool_new(struct check_curl_pool **ret_pool, sd_event *event, struct err *err);
void check_curl_pool_free(struct check_curl_pool *pool);

/* One socket a family, opened when it is needed. Freed after the last check has been cancelled. */
int check_icmp_pool_new(struct check_icmp_pool **ret_pool, sd_event *event, struct err *err);
void check_icmp_pool_free(struct check_icmp_pool *pool);

/*
 * The processes of scripts. Freed after the last check has been cancelled: what was killed is
 * waited for, at most a second.
 */
int check_script_pool_new(struct check_script_pool **ret_pool, sd_event *event, struct err *err);
/* For those with a mark: see script_cgroups.h. -errno. */
int check_script_pool_use_cgroups(struct check_script_pool *pool, const char *bpffs);
void check_script_pool_free(struct check_script_pool *pool);
