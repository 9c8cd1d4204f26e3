/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * AES-128 of one block (FIPS 197), by tables: a round is 16 look-ups. Words have a column's first
 * row in the upper byte. Not static: the verifier goes through each once.
 */
#pragma once

#include "knobs.h"

struct aes_block {
	__u32 column[4];
};

struct aes_key {
	__u32 round[AES_KEY_WORDS];
};

static __always_inline __u32 aes_rotate(__u32 column, __u32 bits)
{
	return bits ? column >> bits | column << (32 - bits) : column;
}

/* The bytes of four columns, one a row, that make one column of the next round. */
#define AES_MIX(table, a, b, c, d)                                                                 \
	(aes_rotate((table)[(a) >> 24], 0) ^ aes_rotate((table)[(b) >> 16 & 0xff], 8) ^            \
	 aes_rotate((table)[(c) >> 8 & 0xff], 16) ^ aes_rotate((table)[(d)&0xff], 24))

/* The last round has no MixColumns. */
#define AES_LAST(sub, a, b, c, d)                                                                  \
	(sub((a) >> 24) << 24 | sub((b) >> 16 & 0xff) << 16 | sub((c) >> 8 & 0xff) << 8 |          \
	 sub((d)&0xff))

static __always_inline __u32 aes_sub(__u32 byte, const bool is_back)
{
	return is_back ? knob_aes.inverse[byte] : knob_aes.encrypt[byte] >> 8 & 0xff;
}

#define AES_SUB(byte) aes_sub(byte, is_back)

/*
 * Both ways. Decryption (FIPS 197 section 5.3.5: `key` is that of the equivalent inverse cipher)
 * shifts the rows the other way round: the same steps with the second and the last column swapped.
 */
static __always_inline void aes_block(struct aes_block *block, const struct aes_key *key,
				      const bool is_back)
{
	const volatile __u32 *table = is_back ? knob_aes.decrypt : knob_aes.encrypt;
	const __u32 second = is_back ? 3 : 1, last = is_back ? 1 : 3;
	__u32 a = block->column[0] ^ key->round[0];
	__u32 b = block->column[second] ^ key->round[second];
	__u32 c = block->column[2] ^ key->round[2];
	__u32 d = block->column[last] ^ key->round[last];

	for (__u32 i = 4; i < 4 * AES_ROUNDS; i += 4) {
		__u32 e = AES_MIX(table, a, b, c, d) ^ key->round[i];
		__u32 f = AES_MIX(table, b, c, d, a) ^ key->round[i + second];
		__u32 g = AES_MIX(table, c, d, a, b) ^ key->round[i + 2];

		d = AES_MIX(table, d, a, b, c) ^ key->round[i + last];
		a = e;
		b = f;
		c = g;
	}
	block->column[0] = AES_LAST(AES_SUB, a, b, c, d) ^ key->round[4 * AES_ROUNDS];
	block->column[second] = AES_LAST(AES_SUB, b, c, d, a) ^ key->round[4 * AES_ROUNDS + second];
	block->column[2] = AES_LAST(AES_SUB, c, d, a, b) ^ key->round[4 * AES_ROUNDS + 2];
	block->column[last] = AES_LAST(AES_SUB, d, a, b, c) ^ key->round[4 * AES_ROUNDS + last];
}

/* In place. */
__noinline int aes_encrypt(struct aes_block *block, const struct aes_key *key)
{
	if (knob_quic && block && key)
		aes_block(block, key, false);
	return 0;
}

/* In place. */
__noinline int aes_decrypt(struct aes_block *block, const struct aes_key *key)
{
	if (knob_quic && block && key)
		aes_block(block, key, true);
	return 0;
}
