/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table's rows of `quic`: see config_schema.h. */
#include "config_schema_row.h"
#include "config_value.h"

static const struct schema_field quic_fields[] = {
	[QUIC_ROTATION] = {.key = "rotation",
			   .type = SCHEMA_NUMBER,
			   .is_required = true,
			   .offset = offsetof(struct doc_quic, rotation),
			   .min = 0,
			   .max = QUIC_UNROUTABLE - 1,
			   .text = "first three bits of the connection IDs it is for; 7 says that "
				   "there is none"},
	[QUIC_SERVER_ID_LENGTH] = {.key = "server_id_length",
				   .type = SCHEMA_NUMBER,
				   .is_required = true,
				   .offset = offsetof(struct doc_quic, server_id_length),
				   .min = 1,
				   .max = QUIC_SERVER_ID_MAX,
				   .text = "octets; the same for all of a VIP"},
	[QUIC_NONCE_LENGTH] = {.key = "nonce_length",
			       .type = SCHEMA_NUMBER,
			       .is_required = true,
			       .offset = offsetof(struct doc_quic, nonce_length),
			       .min = QUIC_NONCE_MIN,
			       .max = QUIC_ID_MAX - 1,
			       .text = "octets; at most 19 together with the server ID, and 16 is "
				       "the cheapest to decrypt"},
	[QUIC_KEY] = {.key = "key",
		      .type = SCHEMA_TEXT,
		      .offset = offsetof(struct doc_quic, key),
		      .check = check_aes_key,
		      .is_secret = true,
		      .initial_text = "none: connection IDs are plain",
		      .text = "AES-128 key in hex; shown to nobody once it is read"},
	[QUIC_KEY_FILE] = {.key = "key_file",
			   .type = SCHEMA_TEXT,
			   .offset = offsetof(struct doc_quic, key_file),
			   .check = check_absolute_path,
			   .initial_text = "none",
			   .text = "file with that key instead, read at each reload"},
};

const struct schema_section schema_quic = {
	.title = "quic[]",
	.text = "In a VIP: QUIC-LB configurations (draft-ietf-quic-load-balancers), one for each "
		"rotation in use.",
	.fields = quic_fields,
	.n_fields = COUNT_OF(quic_fields),
	.size = sizeof(struct doc_quic),
};
