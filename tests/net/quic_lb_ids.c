/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Preloaded into ngtcp2's gtlsserver, which fills its connection IDs of 18 octets with random ones:
 * makes QUIC-LB connection IDs of them. QUIC_LB: "ROTATION SERVER_ID NONCE_LENGTH [KEY]".
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hex.h"
#include "lib/quic_lb.h"

#define SERVERS_CID_LENGTH 18 /* NGTCP2_SV_SCIDLEN of ngtcp2's examples */

typedef int (*rnd_fn)(int level, void *data, size_t len);

int gnutls_rnd(int level, void *data, size_t len);

static void make_cid(const char *config, uint8_t *data)
{
	char id_text[2 * QUIC_SERVER_ID_MAX + 1], key[2 * AES_BLOCK + 1];
	unsigned int rotation, nonce_length;
	uint8_t id[QUIC_SERVER_ID_MAX];
	struct quic_spec spec = {};
	struct quic_cid cid;
	int n = sscanf(config, "%u %30s %u %32s", &rotation, id_text, &nonce_length, key);

	if (n < 3)
		abort();
	spec.rotation = (uint8_t)rotation;
	spec.nonce_length = (uint8_t)nonce_length;
	spec.server_id_length = (uint8_t)hex_parse(id_text, id, sizeof(id));
	spec.has_key = n > 3 && hex_parse(key, spec.key, sizeof(spec.key)) == AES_BLOCK;
	/* What is random there already is the nonce; octets behind the ID stay. */
	quic_lb_encode(&spec, id, data, &cid);
	memcpy(data, cid.bytes, cid.length);
}

int gnutls_rnd(int level, void *data, size_t len)
{
	rnd_fn next = (rnd_fn)dlsym(RTLD_NEXT, "gnutls_rnd");
	const char *config = getenv("QUIC_LB");
	int r = next(level, data, len);

	if (!r && config && len == SERVERS_CID_LENGTH)
		make_cid(config, data);
	return r;
}
