/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connection IDs of QUIC-LB, octet by octet as the draft tells it: see quic_lb.h. */
#include "quic_lb.h"

#include <errno.h>
#include <nettle/aes.h>
#include <string.h>

#define ROTATION_SHIFT 5
#define LENGTH_MASK    0x1f

/* The two halves of a Feistel network; with an odd length they share the octet in the middle. */
struct halves {
	const struct quic_spec *spec;
	size_t length; /* of both */
	size_t half; /* of each */
	uint8_t left[AES_BLOCK];
	uint8_t right[AES_BLOCK];
};

static void split(const struct quic_spec *spec, const uint8_t *text, struct halves *ret_halves)
{
	struct halves h = {.spec = spec, .length = spec->server_id_length + spec->nonce_length};

	h.half = (h.length + 1) / 2;
	memcpy(h.left, text, h.half);
	memcpy(h.right, text + h.length - h.half, h.half);
	if (h.length % 2) {
		h.left[h.half - 1] &= 0xf0;
		h.right[0] &= 0x0f;
	}
	*ret_halves = h;
}

static void join(const struct halves *h, uint8_t *ret_text)
{
	size_t rest = h->length - h->half;
	uint8_t middle = h->left[h->half - 1];

	memcpy(ret_text + rest, h->right, h->half);
	memcpy(ret_text, h->left, h->half);
	if (h->length % 2)
		ret_text[rest] = middle | h->right[0];
}

/* Odd passes change the right half, even ones the left; the same both ways. */
static void pass(struct halves *h, uint8_t number)
{
	const uint8_t *from = number % 2 ? h->left : h->right;
	uint8_t *to = number % 2 ? h->right : h->left;
	uint8_t block[AES_BLOCK] = {};
	struct aes128_ctx aes;

	memcpy(block, from, h->half);
	block[AES_BLOCK - 2] = (uint8_t)h->length;
	block[AES_BLOCK - 1] = number;
	aes128_set_encrypt_key(&aes, h->spec->key);
	aes128_encrypt(&aes, AES_BLOCK, block, block);
	for (size_t i = 0; i < h->half; i++)
		to[i] ^= block[i];
	if (h->length % 2) {
		h->left[h->half - 1] &= 0xf0;
		h->right[0] &= 0x0f;
	}
}

static void encrypt(const struct quic_spec *spec, uint8_t *text)
{
	struct aes128_ctx aes;
	struct halves h;

	if (spec->server_id_length + spec->nonce_length == AES_BLOCK) {
		aes128_set_encrypt_key(&aes, spec->key);
		aes128_encrypt(&aes, AES_BLOCK, text, text);
		return;
	}
	split(spec, text, &h);
	for (uint8_t number = 1; number <= 4; number++)
		pass(&h, number);
	join(&h, text);
}

static void decrypt(const struct quic_spec *spec, uint8_t *text)
{
	struct aes128_ctx aes;
	struct halves h;

	if (spec->server_id_length + spec->nonce_length == AES_BLOCK) {
		aes128_set_decrypt_key(&aes, spec->key);
		aes128_decrypt(&aes, AES_BLOCK, text, text);
		return;
	}
	split(spec, text, &h);
	for (uint8_t number = 4; number >= 1; number--)
		pass(&h, number);
	join(&h, text);
}

void quic_lb_encode(const struct quic_spec *spec, const uint8_t *server_id, const uint8_t *nonce,
		    struct quic_cid *ret_cid)
{
	size_t length = spec->server_id_length + spec->nonce_length;
	struct quic_cid cid = {.length = 1 + length};

	cid.bytes[0] = (uint8_t)(spec->rotation << ROTATION_SHIFT | (length & LENGTH_MASK));
	memcpy(cid.bytes + 1, server_id, spec->server_id_length);
	memcpy(cid.bytes + 1 + spec->server_id_length, nonce, spec->nonce_length);
	if (spec->has_key)
		encrypt(spec, cid.bytes + 1);
	*ret_cid = cid;
}

int quic_lb_decode(const struct quic_spec *spec, const struct quic_cid *cid,
		   struct server_id *ret_server_id, uint8_t *ret_nonce)
{
	size_t length = spec->server_id_length + spec->nonce_length;
	uint8_t text[QUIC_ID_MAX];

	if (cid->length < 1 + length)
		return -EINVAL;
	memcpy(text, cid->bytes + 1, length);
	if (spec->has_key)
		decrypt(spec, text);
	*ret_server_id = (struct server_id){.length = spec->server_id_length};
	memcpy(ret_server_id->bytes, text, spec->server_id_length);
	memcpy(ret_nonce, text + spec->server_id_length, spec->nonce_length);
	return 0;
}

const char *quic_lb_check_lengths(unsigned int server_id_length, unsigned int nonce_length)
{
	if (server_id_length < 1 || server_id_length > QUIC_SERVER_ID_MAX)
		return "a server ID of 1 to 15 octets";
	if (nonce_length < QUIC_NONCE_MIN)
		return "a nonce of at least 4 octets";
	if (server_id_length + nonce_length > QUIC_ID_MAX)
		return "server ID and nonce of at most 19 octets together";
	return NULL;
}
