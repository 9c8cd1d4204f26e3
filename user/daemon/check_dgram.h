/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checks of one datagram and its answer: a socket, and so a source port chosen at random by the
 * kernel, for each. What is sent and what is an answer is the kind's. Nothing is sent again: the
 * next probe is the retry.
 */
#pragma once

#include "check.h"

#define DGRAM_MAX 65536

enum dgram_answer {
	DGRAM_PASSED,
	DGRAM_FAILED,
	DGRAM_STRANGE, /* no answer to what was asked: waits for one until the time is over */
};

struct dgram_query {
	const struct health_spec *spec;
	uint16_t id; /* random, for kinds whose answers repeat one */
	uint8_t *bytes; /* DGRAM_MAX */
};

struct dgram_kind {
	/* Writes the datagram; returns its length or -errno. */
	int (*make)(const struct dgram_query *query);
	/* Judges an answer of len bytes in query->bytes; text is CHECK_TEXT_MAX. */
	enum dgram_answer (*judge)(const struct dgram_query *query, size_t len, char *text);
};

/* start and cancel of struct check_ops for a kind. */
int check_dgram_start(const struct dgram_kind *kind, const struct check_context *context,
		      const struct check_request *request, struct check **ret_check);
void check_dgram_cancel(struct check *check);
