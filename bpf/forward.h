/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last stages: a packet whose member is known leaves to it. */
#pragma once

#include "encap.h"
#include "pkt.h"
#include "too_big.h"
#include "tx.h"

static __always_inline int forward(struct pkt *pkt)
{
	struct tx tx = {};
	int verdict = tx_find(pkt, &tx);

	if (verdict == NEXT)
		verdict = encap(pkt, &tx);
	if (verdict == TOO_BIG)
		return too_big(pkt, tx.inner_mtu);
	return verdict == NEXT ? tx_send(pkt, &tx) : verdict;
}
