// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* quic encode, quic decode: connection IDs as servers make them; here, without a daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "lib/config_value.h"
#include "lib/hex.h"
#include "lib/quic_lb.h"

#define ROTATION_OF(octet) ((octet) >> 5)

static enum exit_status fail_usage(const char *what, const char *expected)
{
	fprintf(stderr, "xdplbctl: %s: expected %s\n", what, expected);
	return EXIT_USAGE;
}

/* Digits, or "@FILE": what stands in the process list anybody can read. */
static int read_key(const char *arg, struct quic_spec *spec, struct err *err)
{
	char *text = NULL;
	size_t len;
	int r = 0;

	if (arg[0] == '@')
		r = ctl_read_file(arg + 1, &text, &len, err);
	else
		text = strdup(arg);
	if (r)
		return r;
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	text[strcspn(text, "\r\n")] = '\0';
	if (check_aes_key(text))
		r = err_set(err, EINVAL, "KEY: expected %s, or @FILE", check_aes_key(text));
	else
		hex_parse(text, spec->key, sizeof(spec->key));
	spec->has_key = !r;
	explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

static int parse_number(const char *text, unsigned int max, uint8_t *ret_value)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value > max)
		return -EINVAL;
	*ret_value = (uint8_t)value;
	return 0;
}

static enum exit_status print_encoded(const struct invocation *invocation,
				      const struct quic_cid *cid)
{
	char text[2 * QUIC_CID_MAX + 1];
	enum exit_status status = EXIT_DONE;
	json_t *document;

	hex_format(cid->bytes, cid->length, text);
	if (!invocation->wants_json) {
		printf("%s\n", text);
		return status;
	}
	document = json_pack("{s:s}", "cid", text);
	status = ctl_print_json(document);
	json_decref(document);
	return status;
}

/* ROTATION SERVER_ID NONCE [KEY] */
enum exit_status cmd_quic_encode(const struct invocation *invocation)
{
	const char *const *args = invocation->args;
	uint8_t server_id[QUIC_ID_MAX], nonce[QUIC_ID_MAX];
	int id_length = hex_parse(args[1], server_id, sizeof(server_id));
	int nonce_length = hex_parse(args[2], nonce, sizeof(nonce));
	struct quic_spec spec = {};
	struct quic_cid cid;
	struct err err = {};

	if (parse_number(args[0], QUIC_UNROUTABLE - 1, &spec.rotation))
		return fail_usage("ROTATION", "a number from 0 to 6");
	if (id_length < 0 || nonce_length < 0)
		return fail_usage(id_length < 0 ? "SERVER_ID" : "NONCE", "octets in hex");
	if (quic_lb_check_lengths(id_length, nonce_length))
		return fail_usage("lengths", quic_lb_check_lengths(id_length, nonce_length));
	spec.server_id_length = (uint8_t)id_length;
	spec.nonce_length = (uint8_t)nonce_length;
	if (invocation->n_args > 3 && read_key(args[3], &spec, &err))
		return ctl_fail(&err);
	quic_lb_encode(&spec, server_id, nonce, &cid);
	explicit_bzero(spec.key, sizeof(spec.key));
	return print_encoded(invocation, &cid);
}

static enum exit_status print_decoded(const struct invocation *invocation, unsigned int rotation,
				      const struct server_id *server_id, const char *nonce)
{
	char text[2 * QUIC_SERVER_ID_MAX + 1];
	enum exit_status status = EXIT_DONE;
	json_t *document;

	hex_format(server_id->bytes, server_id->length, text);
	if (!invocation->wants_json) {
		printf("rotation   %u\nserver_id  %s\nnonce      %s\n", rotation, text, nonce);
		return status;
	}
	document = json_pack("{s:i, s:s, s:s}", "rotation", (int)rotation, "server_id", text,
			     "nonce", nonce);
	status = ctl_print_json(document);
	json_decref(document);
	return status;
}

/* CID SERVER_ID_LENGTH NONCE_LENGTH [KEY] */
enum exit_status cmd_quic_decode(const struct invocation *invocation)
{
	const char *const *args = invocation->args;
	struct quic_cid cid = {};
	struct quic_spec spec = {};
	struct server_id server_id;
	char text[2 * QUIC_ID_MAX + 1];
	uint8_t nonce[QUIC_ID_MAX];
	struct err err = {};
	int length = hex_parse(args[0], cid.bytes, sizeof(cid.bytes));
	int r;

	if (length < 1)
		return fail_usage("CID", "1 to 20 octets in hex");
	if (parse_number(args[1], QUIC_ID_MAX, &spec.server_id_length) ||
	    parse_number(args[2], QUIC_ID_MAX, &spec.nonce_length))
		return fail_usage("lengths", "numbers of octets");
	if (quic_lb_check_lengths(spec.server_id_length, spec.nonce_length))
		return fail_usage("lengths",
				  quic_lb_check_lengths(spec.server_id_length, spec.nonce_length));
	cid.length = (size_t)length;
	if (ROTATION_OF(cid.bytes[0]) == QUIC_UNROUTABLE) {
		err_set(&err, EINVAL,
			"rotation 7: the server had no configuration, there is no "
			"server ID in it");
		return ctl_fail(&err);
	}
	if (invocation->n_args > 3 && read_key(args[3], &spec, &err))
		return ctl_fail(&err);
	r = quic_lb_decode(&spec, &cid, &server_id, nonce);
	explicit_bzero(spec.key, sizeof(spec.key));
	if (r) {
		err_set(&err, EINVAL, "CID: expected at least %d octets for these lengths",
			1 + spec.server_id_length + spec.nonce_length);
		return ctl_fail(&err);
	}
	return print_decoded(invocation, ROTATION_OF(cid.bytes[0]), &server_id,
			     hex_format(nonce, spec.nonce_length, text));
}
