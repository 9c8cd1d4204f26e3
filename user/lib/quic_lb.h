/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * QUIC connection IDs as draft-ietf-quic-load-balancers makes them, and back: what a server does,
 * and what the packet path is checked against. Pure.
 */
#pragma once

#include "model.h"

/* A connection ID: rotation and length, then server ID and nonce, maybe encrypted. */
struct quic_cid {
	uint8_t bytes[QUIC_CID_MAX];
	size_t length;
};

/* server_id has spec's length, nonce that many octets, too; the ID says its own length. */
void quic_lb_encode(const struct quic_spec *spec, const uint8_t *server_id, const uint8_t *nonce,
		    struct quic_cid *ret_cid);

/*
 * Reads it by spec, whatever its rotation; ret_nonce has room for QUIC_ID_MAX. -EINVAL: it is too
 * short.
 */
int quic_lb_decode(const struct quic_spec *spec, const struct quic_cid *cid,
		   struct server_id *ret_server_id, uint8_t *ret_nonce);

/* Whether lengths are within the draft's limits; NULL, or what was expected. */
const char *quic_lb_check_lengths(unsigned int server_id_length, unsigned int nonce_length);
