/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kinds of checks that libcurl carries out have in common (HTTP, gRPC). Each embeds struct
 * curl_check as its first member, sets up the easy handle and judges what came of the transfer;
 * only these files include this.
 */
#pragma once

#include <curl/curl.h>

#include "check.h"

struct curl_check;
struct curl_shard; /* one of some multi handles */

/* What a kind says of its checks. */
struct curl_kind {
	const char *timeout_text; /* connected, but the answer did not come in time */
	/* The real answered, or is_decided. Writes the text (CHECK_TEXT_MAX) and maybe advice. */
	enum check_outcome (*judge)(struct curl_check *check, char *text,
				    struct health_advice *ret_advice);
	/* Frees what the kind owns, and the check. */
	void (*free)(struct curl_check *check);
};

struct curl_check {
	const struct curl_kind *kind;
	struct curl_shard *shard;
	struct check_request request;
	CURL *easy;
	struct curl_slist *headers;
	int local_errno; /* what we were short of */
	bool is_decided; /* read enough; the transfer was stopped by us */
	bool is_connected; /* TCP's */
	/* check_tls.c's */
	bool is_tls;
	struct curl_slist *connect_to;
	char tls_text[CHECK_TEXT_MAX]; /* what is wrong with the real's certificate */
	char error[CURL_ERROR_SIZE]; /* libcurl's words */
};

/*
 * Makes the easy handle, sets what holds for every kind (limits, no proxy, a connection of its own,
 * the target: scheme ("http") and the request's address and port). -ENOMEM: nothing is kept but
 * what check->kind->free() frees.
 */
int curl_check_init(struct curl_check *check, const struct check_context *context,
		    const struct check_request *request, const char *scheme);
/* Adds a line to the request's header. */
bool curl_check_add_header(struct curl_check *check, const char *header);
/* Begins the transfer. -errno: the check is freed. */
int curl_check_begin(struct curl_check *check, struct check **ret_check);
long curl_check_status(const struct curl_check *check);
/* Ends a transfer and frees what every kind has, not the check. */
void curl_check_clear(struct curl_check *check);
/* check_ops.cancel of every kind */
void curl_check_cancel(struct check *check);
