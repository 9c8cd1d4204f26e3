/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of DNS response codes (IANA's registry, those that fit a header). Pure. */
#pragma once

/* -1: there is none of that name. */
int dns_rcode_parse(const char *name);
/* Of a code from 0 to 15; "?" if it has no name. */
const char *dns_rcode_name(int rcode);
