/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See dns_rcode.h. */
#include "dns_rcode.h"

#include <string.h>

static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
				    "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
				    "NXRRSET", "NOTAUTH", "NOTZONE",  "DSOTYPENI"};

#define N_NAMES ((int)(sizeof(names) / sizeof(names[0])))

int dns_rcode_parse(const char *name)
{
	for (int i = 0; i < N_NAMES; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

const char *dns_rcode_name(int rcode)
{
	return rcode >= 0 && rcode < N_NAMES ? names[rcode] : "?";
}
