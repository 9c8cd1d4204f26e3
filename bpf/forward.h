/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last stages: a packet whose member is known leaves to it. */
#pragma once

#include "encap.h"
#include "pkt.h"
#include "tx.h"

static __always_inline int forward(struct pkt *pkt)
{
	struct tx tx = {};
	int verdict = tx_find(pkt, &tx);

	if (verdict == NEXT)
		verdict = encap(pkt, &tx);
	return verdict == NEXT ? tx_send(pkt, &tx) : verdict;
}
