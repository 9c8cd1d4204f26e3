/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the keys of TLS must say together, and what their files hold: see config_resolve.h. Files
 * are read once for all VIPs that name the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "config_resolve.h"
#include "tls_files.h"

struct reading {
	const struct doc_file *doc;
	struct config *config;
	struct err *err;
	struct tls_files **loaded; /* the distinct ones; at most one a VIP */
	size_t n_loaded;
};

/* Prefixes the reason with where the key was said: by the VIP, else `defaults`, else by nobody. */
static int blame(const struct reading *r, size_t v, size_t key)
{
	const struct doc_vip *vip = (const struct doc_vip *)r->doc->vips.items + v;
	enum health_type type = r->config->vips[v].health.type;
	const struct doc_health *source = config_health_source(r->doc, vip, type, key);
	const char *name = schema_health.fields[key].key;
	struct mark mark = schema_is_given(source, key) ? source->at[key] : vip->self;

	if (schema_is_given(source, key) && source == &r->doc->defaults.policy.health)
		err_prefix(r->err, "%.255s:%u:%u: defaults.health.%s", r->config->file, mark.line,
			   mark.column, name);
	else
		err_prefix(r->err, "%.255s:%u:%u: vips[%zu].health.%s", r->config->file, mark.line,
			   mark.column, v, name);
	return -EINVAL;
}

static int check_together(const struct reading *r, size_t v)
{
	const struct health_spec *health = &r->config->vips[v].health;

	if (health->cert && !health->key) {
		err_set(r->err, EINVAL, "expected the key \"key\" too, since there is a `cert`");
		return blame(r, v, HEALTH_KEY_CERT);
	}
	if (health->key && !health->cert) {
		err_set(r->err, EINVAL, "expected the key \"cert\" too, since there is a `key`");
		return blame(r, v, HEALTH_KEY_KEY);
	}
	if (health->ca && !health->is_verified) {
		err_set(r->err, EINVAL, "expected no such key with verify false");
		return blame(r, v, HEALTH_KEY_CA);
	}
	return 0;
}

/* A VIP's own keys of TLS where none is spoken; those of `defaults` may be for others. */
static int check_plain(const struct reading *r, size_t v)
{
	static const size_t keys[] = {HEALTH_KEY_SNI, HEALTH_KEY_CA, HEALTH_KEY_CERT,
				      HEALTH_KEY_KEY, HEALTH_KEY_VERIFY};
	const struct doc_vip *vip = (const struct doc_vip *)r->doc->vips.items + v;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!schema_is_given(&vip->policy.health, keys[i]))
			continue;
		err_set(r->err, EINVAL, "expected no such key without `tls: true`");
		return blame(r, v, keys[i]);
	}
	return 0;
}

static struct tls_files *find(const struct reading *r, const char *const paths[TLS_FILES])
{
	for (size_t i = 0; i < r->n_loaded; i++) {
		if (tls_files_have_paths(r->loaded[i], paths))
			return r->loaded[i];
	}
	return NULL;
}

static int read_vip(struct reading *r, size_t v)
{
	static const size_t keys[TLS_FILES] = {HEALTH_KEY_CA, HEALTH_KEY_CERT, HEALTH_KEY_KEY};
	struct health_spec *health = &r->config->vips[v].health;
	const char *const paths[TLS_FILES] = {health->ca, health->cert, health->key};
	enum tls_file blamed = TLS_FILE_CA;
	struct tls_files *files;
	int ret = check_together(r, v);

	if (ret || (!health->ca && !health->cert))
		return ret;
	files = find(r, paths);
	if (!files) {
		if (tls_files_load(&files, paths, &blamed, r->err) < 0)
			return blame(r, v, keys[blamed]);
		r->loaded[r->n_loaded++] = files;
		health->tls_files = files;
	} else {
		health->tls_files = tls_files_ref(files);
	}
	return 0;
}

int config_read_tls(const struct doc_file *doc, struct config *config, struct err *err)
{
	struct reading r = {.doc = doc, .config = config, .err = err};
	int ret = 0;

	r.loaded = calloc(config->n_vips + 1, sizeof(struct tls_files *));
	if (!r.loaded)
		return -ENOMEM;
	for (size_t v = 0; v < config->n_vips && !ret; v++) {
		ret = config->vips[v].health.is_tls ? read_vip(&r, v) : check_plain(&r, v);
	}
	free((void *)r.loaded);
	return ret;
}
