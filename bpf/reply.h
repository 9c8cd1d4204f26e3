/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers that the balancer itself gives for a port that nobody serves. */
#pragma once

#include "pkt.h"
#include "stats.h"

static __noinline int reply_no_port(const struct pkt *pkt)
{
	count(drop_no_port);
	return XDP_DROP;
}
