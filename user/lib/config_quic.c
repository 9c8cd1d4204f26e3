/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `quic` and `server_id` must say together, and keys from their files: see config_resolve.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_resolve.h"
#include "config_value.h"
#include "hex.h"
#include "sort_pointers.h"

#define KEY_TEXT_MAX (2 * AES_BLOCK)

/* One VIP's, as it is said. */
struct check {
	const struct doc_vip *vip;
	size_t index; /* in `vips` */
	const struct doc_place *places; /* of its reals */
	size_t n_places;
	struct config_errors errors;
};

static int fail_config(const struct check *c, size_t i, size_t key, const char *reason)
{
	const struct doc_quic *config = (const struct doc_quic *)c->vip->quic.items + i;
	char path[PLACE_TEXT_MAX];

	snprintf(path, sizeof(path), "vips[%zu].quic[%zu].%s", c->index, i,
		 schema_quic.fields[key].key);
	return config_fail(&c->errors, config->at[key], path, "%s", reason);
}

static int check_config(const struct check *c, size_t i)
{
	const struct doc_quic *configs = c->vip->quic.items, *config = &configs[i];
	char reason[PLACE_TEXT_MAX];

	if (config->server_id_length + config->nonce_length > QUIC_ID_MAX)
		return fail_config(c, i, QUIC_NONCE_LENGTH,
				   "expected at most 19 octets together with the server ID");
	if (config->key && config->key_file)
		return fail_config(c, i, QUIC_KEY_FILE, "expected either key or key_file");
	if (config->server_id_length != configs[0].server_id_length) {
		snprintf(reason, sizeof(reason),
			 "expected %u, as in line %u: a real has one server_id",
			 configs[0].server_id_length, configs[0].self.line);
		return fail_config(c, i, QUIC_SERVER_ID_LENGTH, reason);
	}
	for (size_t k = 0; k < i; k++) {
		if (configs[k].rotation != config->rotation)
			continue;
		snprintf(reason, sizeof(reason), "duplicate rotation, already given in line %u",
			 configs[k].self.line);
		return fail_config(c, i, QUIC_ROTATION, reason);
	}
	return 0;
}

/* ---- Server IDs ----------------------------------------------------------------------------- */

static int check_server(const struct check *c, const struct doc_place *place)
{
	const struct doc_quic *configs = c->vip->quic.items;
	const struct doc_real *real = place->real;
	char path[PLACE_TEXT_MAX];

	/* A pool may serve VIPs without `quic` too. */
	if (real->server_id && !c->vip->quic.n && !place->use)
		return config_fail(&c->errors, real->at[REAL_SERVER_ID],
				   doc_place_path(place, c->index, ".server_id", path),
				   "expected the VIP to have `quic`, which says how it is written");
	if (!c->vip->quic.n)
		return 0;
	if (!real->server_id)
		return config_fail(&c->errors, real->self,
				   doc_place_path(place, c->index, "", path),
				   "expected the key \"server_id\", since the VIP has `quic`");
	if (strlen(real->server_id) != 2 * (size_t)configs[0].server_id_length)
		return config_fail(&c->errors, real->at[REAL_SERVER_ID],
				   doc_place_path(place, c->index, ".server_id", path),
				   "expected %u octets (%u hex digits), as server_id_length says",
				   configs[0].server_id_length, 2 * configs[0].server_id_length);
	return 0;
}

static int compare_servers(const void *a, const void *b)
{
	const struct doc_place *x = *(const struct doc_place *const *)a;
	const struct doc_place *y = *(const struct doc_place *const *)b;
	int r = strcasecmp(x->real->server_id, y->real->server_id);

	return r ? r : (x > y) - (x < y);
}

static int check_unique(const struct check *c)
{
	const void **sorted;
	char path[PLACE_TEXT_MAX];
	int r = sort_pointers(c->places, c->n_places, sizeof(*c->places), compare_servers, &sorted);

	if (r)
		return r;
	for (size_t i = 1; i < c->n_places && !r; i++) {
		const struct doc_place *before = sorted[i - 1], *place = sorted[i];
		const struct doc_real *was = before->real, *is = place->real;

		if (strcasecmp(was->server_id, is->server_id) == 0)
			r = config_fail(&c->errors, is->at[REAL_SERVER_ID],
					doc_place_path(place, c->index, ".server_id", path),
					"duplicate server ID %s, already given in line %u",
					is->server_id, was->at[REAL_SERVER_ID].line);
	}
	free((void *)sorted);
	return r;
}

static int check_vip(const struct check *c)
{
	char path[PLACE_TEXT_MAX];
	int r = 0;

	snprintf(path, sizeof(path), "vips[%zu].quic", c->index);
	if (c->vip->quic.n && c->vip->protocol != IPPROTO_UDP)
		return config_fail(&c->errors, c->vip->at[VIP_QUIC_CONFIGS], path,
				   "expected protocol: udp");
	for (size_t i = 0; i < c->vip->quic.n && !r; i++)
		r = check_config(c, i);
	for (size_t i = 0; i < c->n_places && !r; i++)
		r = check_server(c, &c->places[i]);
	return r || !c->vip->quic.n ? r : check_unique(c);
}

int config_check_quic(const struct doc_file *doc, const struct config *config, struct err *err)
{
	const struct doc_vip *vips = doc->vips.items;
	int r = 0;

	for (size_t i = 0; i < doc->vips.n && !r; i++) {
		struct check c = {.vip = &vips[i], .index = i, .errors = {config->file, err, NULL}};
		struct doc_place *places;

		r = config_vip_places(doc, &vips[i], &places, &c.n_places);
		if (r)
			return r;
		c.places = places;
		r = check_vip(&c);
		free(places);
	}
	return r;
}

/* ---- Keys ----------------------------------------------------------------------------------- */

/* At most `size` bytes of a regular file: another kind could make the daemon wait. */
static ssize_t read_start(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = fstat(fd, &st) || !S_ISREG(st.st_mode) ? -EINVAL : read(fd, text, size);
	n = n == -1 ? -errno : n;
	close(fd);
	return n;
}

static int read_key(struct quic_spec *spec, struct err *err)
{
	char text[KEY_TEXT_MAX + 3] = "";
	ssize_t n = read_start(spec->key_file, text, sizeof(text) - 1);

	if (n < 0)
		return err_errno(err, (int)-n, "open %s", spec->key_file);
	text[strcspn(text, "\r\n")] = '\0';
	if (check_aes_key(text))
		err_set(err, EINVAL, "%s: expected %s", spec->key_file, check_aes_key(text));
	else
		hex_parse(text, spec->key, sizeof(spec->key));
	n = check_aes_key(text) ? -EINVAL : 0;
	explicit_bzero(text, sizeof(text));
	return (int)n;
}

int config_read_keys(struct config *config, struct err *err)
{
	int r = 0;

	for (size_t v = 0; v < config->n_vips && !r; v++) {
		for (size_t i = 0; i < config->vips[v].n_quic && !r; i++) {
			struct quic_spec *spec = &config->vips[v].quic[i];

			r = spec->key_file ? read_key(spec, err) : 0;
			if (r)
				err_prefix(err, "%.255s:%u:%u: vips[%zu].quic[%zu].key_file",
					   config->file, spec->mark.line, spec->mark.column, v, i);
		}
	}
	return r ? -EINVAL : 0;
}
