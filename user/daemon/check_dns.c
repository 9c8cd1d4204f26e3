/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS check: one question over UDP, and a response to it with an answer, or with the code that was
 * expected. What does not repeat our ID and question is no answer. The C library reads the message.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "check_dgram.h"
#include "lib/dns_rcode.h"

#define RECURSION_DESIRED 0x0100
#define QUESTION_MAX	  (NS_MAXCDNAME + 1 + NS_QFIXEDSZ)

/* The question as it stands in a message (RFC 1035 section 4.1.2); returns its length or -errno. */
static int make_question(const struct health_spec *spec, uint8_t *bytes)
{
	uint16_t fixed[2] = {htons((uint16_t)spec->rrtype), htons(ns_c_in)};
	int len = ns_name_compress(spec->name, bytes, QUESTION_MAX - NS_QFIXEDSZ, NULL, NULL);

	if (len < 0)
		return -EINVAL;
	memcpy(bytes + len, fixed, sizeof(fixed));
	return len + NS_QFIXEDSZ;
}

static int dns_make(const struct dgram_query *query)
{
	uint16_t header[NS_HFIXEDSZ / 2] = {htons(query->id), htons(RECURSION_DESIRED), htons(1)};
	int len = make_question(query->spec, query->bytes + NS_HFIXEDSZ);

	memcpy(query->bytes, header, sizeof(header));
	return len < 0 ? len : NS_HFIXEDSZ + len;
}

/* The first name of a message is never compressed. Servers may change the case of letters. */
static bool is_our_question(const struct dgram_query *query, size_t len)
{
	uint8_t question[QUESTION_MAX];
	const uint8_t *got = query->bytes + NS_HFIXEDSZ;
	int want_len = make_question(query->spec, question), i = 0;

	if (want_len < 0 || len < (size_t)NS_HFIXEDSZ + want_len)
		return false;
	/* Lengths of labels are below 64, no letters. */
	while (i < want_len - NS_QFIXEDSZ && tolower(got[i]) == tolower(question[i]))
		i++;
	return i == want_len - NS_QFIXEDSZ && memcmp(got + i, question + i, NS_QFIXEDSZ) == 0;
}

static enum dgram_answer dns_judge(const struct dgram_query *query, size_t len, char *text)
{
	const char *expect = query->spec->expect_text;
	ns_msg msg;
	int rcode;

	if (ns_initparse(query->bytes, (int)len, &msg) < 0 || ns_msg_id(msg) != query->id ||
	    !ns_msg_getflag(msg, ns_f_qr) || ns_msg_getflag(msg, ns_f_opcode) != ns_o_query ||
	    ns_msg_count(msg, ns_s_qd) != 1 || !is_our_question(query, len))
		return DGRAM_STRANGE;
	rcode = ns_msg_getflag(msg, ns_f_rcode);
	snprintf(text, CHECK_TEXT_MAX, "rcode %s", dns_rcode_name(rcode));
	if (rcode != (expect ? dns_rcode_parse(expect) : ns_r_noerror))
		return DGRAM_FAILED;
	/* A truncated response has more than there was room for. */
	if (expect || ns_msg_count(msg, ns_s_an) > 0 || ns_msg_getflag(msg, ns_f_tc))
		return DGRAM_PASSED;
	snprintf(text, CHECK_TEXT_MAX, "no_answer");
	return DGRAM_FAILED;
}

static const struct dgram_kind dns_kind = {.make = dns_make, .judge = dns_judge};

static int dns_start(const struct check_context *context, const struct check_request *request,
		     struct check **ret_check)
{
	return check_dgram_start(&dns_kind, context, request, ret_check);
}

const struct check_ops check_dns_ops = {
	.start = dns_start,
	.cancel = check_dgram_cancel,
};
