/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* QUIC-LB as the packet path reads it: see quic_map.h and bpf/quic.h. */
#include "quic_map.h"

#include <string.h>

/* ---- AES: tables and keys (FIPS 197) ------------------------------------------------------ */

static uint8_t times_two(uint8_t a)
{
	return (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = times_two(a);
	}
	return product;
}

/* a to the power of 254: the inverse, and 0 for 0. */
static uint8_t invert(uint8_t a)
{
	uint8_t result = 1, square = a;

	for (int bit = 1; bit < 8; bit++) {
		square = times(square, square);
		result = times(result, square);
	}
	return result;
}

static uint8_t sub_byte(uint8_t a)
{
	uint32_t inverse = invert(a) * 0x0101u; /* so that a shift rotates */

	return (uint8_t)(inverse ^ inverse >> 7 ^ inverse >> 6 ^ inverse >> 5 ^ inverse >> 4 ^
			 0x63);
}

static uint32_t column(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (uint32_t)a << 24 | (uint32_t)b << 16 | (uint32_t)c << 8 | d;
}

static uint32_t unmix(uint8_t s)
{
	return column(times(s, 14), times(s, 9), times(s, 13), times(s, 11));
}

void quic_map_aes_tables(struct aes_tables *ret_tables)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint8_t s = sub_byte((uint8_t)i);

		ret_tables->encrypt[i] = column(times(s, 2), s, s, times(s, 3));
		ret_tables->inverse[s] = (uint8_t)i;
		ret_tables->decrypt[s] = unmix((uint8_t)i);
	}
}

static uint32_t sub_column(uint32_t w)
{
	return column(sub_byte((uint8_t)(w >> 24)), sub_byte((uint8_t)(w >> 16)),
		      sub_byte((uint8_t)(w >> 8)), sub_byte((uint8_t)w));
}

static void expand_key(const uint8_t *key, uint32_t *ret_words)
{
	uint8_t round_constant = 1;

	for (unsigned int i = 0; i < 4; i++)
		ret_words[i] = column(key[4 * i], key[4 * i + 1], key[4 * i + 2], key[4 * i + 3]);
	for (unsigned int i = 4; i < AES_KEY_WORDS; i++) {
		uint32_t w = ret_words[i - 1];

		if (i % 4 == 0) {
			w = sub_column(w << 8 | w >> 24) ^ (uint32_t)round_constant << 24;
			round_constant = times_two(round_constant);
		}
		ret_words[i] = ret_words[i - 4] ^ w;
	}
}

static uint32_t unmix_column(uint32_t w)
{
	uint32_t b = unmix((uint8_t)(w >> 16)), c = unmix((uint8_t)(w >> 8));
	uint32_t d = unmix((uint8_t)w);

	return unmix((uint8_t)(w >> 24)) ^ (b >> 8 | b << 24) ^ (c >> 16 | c << 16) ^
	       (d >> 24 | d << 8);
}

/* Section 5.3.5: the last round first, and all between the ends through InvMixColumns. */
static void invert_key(uint32_t *words)
{
	uint32_t forward[AES_KEY_WORDS];

	memcpy(forward, words, sizeof(forward));
	for (unsigned int i = 0; i < AES_KEY_WORDS; i++) {
		unsigned int round = i / 4;
		uint32_t w = forward[4 * (AES_ROUNDS - round) + i % 4];

		words[i] = round == 0 || round == AES_ROUNDS ? w : unmix_column(w);
	}
}

/* ---- Masks and lengths -------------------------------------------------------------------- */

/* Bits first ... first + n - 1 of 128, counted from the first octet's upper bit. */
static struct quic_bits bits_mask(unsigned int first, unsigned int n)
{
	struct quic_bits mask = {};

	for (unsigned int bit = first; bit < first + n; bit++)
		mask.word[bit / 64] |= 1ULL << (63 - bit % 64);
	return mask;
}

static enum quic_cipher cipher_of(const struct quic_spec *spec)
{
	if (!spec->has_key)
		return QUIC_PLAINTEXT;
	if (spec->server_id_length + spec->nonce_length == AES_BLOCK)
		return QUIC_ONE_PASS;
	return spec->server_id_length <= spec->nonce_length ? QUIC_THREE_PASSES : QUIC_FOUR_PASSES;
}

void quic_map_config(const struct quic_spec *spec, struct quic_config *ret_config)
{
	unsigned int length = spec->server_id_length + spec->nonce_length;
	unsigned int half = (length + 1) / 2, odd = length % 2 * 4;
	struct quic_config config = {
		.cipher = cipher_of(spec),
		.length = length,
		.server_id = bits_mask(0, 8 * spec->server_id_length),
		.left = bits_mask(0, 8 * half - odd),
		.right = bits_mask(odd, 8 * half - odd),
		.right_shift = 8 * (length - half),
	};

	if (spec->has_key)
		expand_key(spec->key, config.round_key);
	if (config.cipher == QUIC_ONE_PASS)
		invert_key(config.round_key);
	*ret_config = config;
}

void quic_map_configs(const struct vip_spec *spec, struct quic_config *ret_configs)
{
	memset(ret_configs, 0, QUIC_UNROUTABLE * sizeof(*ret_configs));
	for (size_t i = 0; i < spec->n_quic; i++)
		quic_map_config(&spec->quic[i], &ret_configs[spec->quic[i].rotation]);
}

struct quic_server_key quic_map_server_key(uint32_t vip_id, const struct server_id *server_id)
{
	struct quic_server_key key = {.vip_id = vip_id};

	for (unsigned int i = 0; i < server_id->length; i++)
		key.server_id.word[i / 8] |= (uint64_t)server_id->bytes[i] << (56 - i % 8 * 8);
	return key;
}
