/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the packet travels to the real. The client's IP packet leaves byte-identical. Of a kind that
 * no VIP uses nothing is in the loaded program.
 */
#pragma once

#include "encap_gue.h"
#include "encap_ipip.h"
#include "encap_l2.h"

#define ENCAP_IS_USED(kind) (knob_encaps & 1u << (kind))

static __always_inline int encap(struct pkt *pkt, struct tx *tx)
{
	/* Once: it may change meanwhile. */
	__u8 kind = READ_WORD(pkt->member->encap) & ~MEMBER_NO_EXPRESS;

	if (ENCAP_IS_USED(ENCAP_IPIP) && kind == ENCAP_IPIP)
		return encap_ipip(pkt, tx);
	if (ENCAP_IS_USED(ENCAP_GUE) && kind == ENCAP_GUE)
		return encap_gue(pkt, tx);
	if (ENCAP_IS_USED(ENCAP_L2DSR) && kind == ENCAP_L2DSR)
		return encap_l2dsr(pkt, tx);
	count(drop_encap);
	return XDP_DROP;
}
