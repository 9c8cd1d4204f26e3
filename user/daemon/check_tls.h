/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TLS for checks by libcurl. The chain and the name are verified by us after the handshake and
 * before the request goes out, against certificates that were read with the configuration: see
 * docs/adr/0016-tls-probes.md.
 */
#pragma once

#include "check_curl.h"

/* After curl_check_init(): the target becomes https. false: out of memory. */
bool check_tls_setup(struct curl_check *check);

/*
 * What TLS has to say of a transfer that ended with `code`; false: nothing. *ret_outcome and text
 * (CHECK_TEXT_MAX) are set if it has.
 */
bool check_tls_judge(const struct curl_check *check, CURLcode code, char *text,
		     enum check_outcome *ret_outcome);
