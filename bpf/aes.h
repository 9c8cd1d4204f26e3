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

#define AES_SUB(byte)	   (knob_aes.encrypt[byte] >> 8 & 0xff)
#define AES_SUB_BACK(byte) ((__u32)knob_aes.inverse[byte])

/* In place. */
__noinline int aes_encrypt(struct aes_block *block, const struct aes_key *key)
{
	__u32 a, b, c, d;

	if (!knob_quic || !block || !key)
		return 0;
	a = block->column[0] ^ key->round[0];
	b = block->column[1] ^ key->round[1];
	c = block->column[2] ^ key->round[2];
	d = block->column[3] ^ key->round[3];
	for (__u32 i = 4; i < 4 * AES_ROUNDS; i += 4) {
		__u32 e = AES_MIX(knob_aes.encrypt, a, b, c, d) ^ key->round[i];
		__u32 f = AES_MIX(knob_aes.encrypt, b, c, d, a) ^ key->round[i + 1];
		__u32 g = AES_MIX(knob_aes.encrypt, c, d, a, b) ^ key->round[i + 2];

		d = AES_MIX(knob_aes.encrypt, d, a, b, c) ^ key->round[i + 3];
		a = e;
		b = f;
		c = g;
	}
	block->column[0] = AES_LAST(AES_SUB, a, b, c, d) ^ key->round[4 * AES_ROUNDS];
	block->column[1] = AES_LAST(AES_SUB, b, c, d, a) ^ key->round[4 * AES_ROUNDS + 1];
	block->column[2] = AES_LAST(AES_SUB, c, d, a, b) ^ key->round[4 * AES_ROUNDS + 2];
	block->column[3] = AES_LAST(AES_SUB, d, a, b, c) ^ key->round[4 * AES_ROUNDS + 3];
	return 0;
}

/* In place. FIPS 197 section 5.3.5: `key` is that of the equivalent inverse cipher. */
__noinline int aes_decrypt(struct aes_block *block, const struct aes_key *key)
{
	__u32 a, b, c, d;

	if (!knob_quic || !block || !key)
		return 0;
	a = block->column[0] ^ key->round[0];
	b = block->column[1] ^ key->round[1];
	c = block->column[2] ^ key->round[2];
	d = block->column[3] ^ key->round[3];
	for (__u32 i = 4; i < 4 * AES_ROUNDS; i += 4) {
		__u32 e = AES_MIX(knob_aes.decrypt, a, d, c, b) ^ key->round[i];
		__u32 f = AES_MIX(knob_aes.decrypt, b, a, d, c) ^ key->round[i + 1];
		__u32 g = AES_MIX(knob_aes.decrypt, c, b, a, d) ^ key->round[i + 2];

		d = AES_MIX(knob_aes.decrypt, d, c, b, a) ^ key->round[i + 3];
		a = e;
		b = f;
		c = g;
	}
	block->column[0] = AES_LAST(AES_SUB_BACK, a, d, c, b) ^ key->round[4 * AES_ROUNDS];
	block->column[1] = AES_LAST(AES_SUB_BACK, b, a, d, c) ^ key->round[4 * AES_ROUNDS + 1];
	block->column[2] = AES_LAST(AES_SUB_BACK, c, b, a, d) ^ key->round[4 * AES_ROUNDS + 2];
	block->column[3] = AES_LAST(AES_SUB_BACK, d, c, b, a) ^ key->round[4 * AES_ROUNDS + 3];
	return 0;
}
