/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what a file says to what it means: defaults applied, then checked as a whole. Pure, but for
 * config_find_users(), config_read_keys() and config_read_tls().
 */
#pragma once

#include "config_schema.h"
#include "err.h"

/* Which file is wrong, and who is told. */
struct config_errors {
	const char *file;
	struct err *err;
	const char *prefix; /* of every path; NULL: none */
};

/* Says "file:line:column: path: reason"; -EINVAL. */
int config_fail(const struct config_errors *errors, struct mark mark, const char *path,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Finds the pools that VIPs name, and gives a VIP with `pool` a list of that one. -EINVAL with the
 * place: a name twice or unknown, reals besides pools. -ENOMEM.
 */
int config_link_pools(const char *file, struct doc_file *doc, struct err *err);

/* A real of a VIP where it was said. */
struct doc_place {
	const struct doc_real *real;
	const struct doc_use *use; /* NULL: in the VIP itself */
	size_t index; /* in its list */
};

/* All reals of a VIP, in the order of vip_spec.reals; caller frees. -ENOMEM. */
int config_vip_places(const struct doc_file *doc, const struct doc_vip *vip,
		      struct doc_place **ret_places, size_t *ret_n);

/* "vips[2].reals[0].address", or "pools[1].reals[0].address"; vip: its position. Returns buf. */
#define PLACE_TEXT_MAX 96
const char *doc_place_path(const struct doc_place *place, size_t vip, const char *key, char *buf);

/* 0 or -ENOMEM. */
int config_copy_text(const char *text, char **ret_text);

/* The configuration with every default resolved; 0 or -ENOMEM. */
int config_resolve(const char *file, const struct doc_file *doc, struct config **ret_config);

/* Its part for the probe of a VIP with this encapsulation; health is zeroed. */
int config_resolve_health(const struct doc_file *doc, const struct doc_vip *vip,
			  enum xdplb_encap encap, struct health_spec *health);

/*
 * What one value alone cannot show: duplicates, families, capacities. config: doc resolved.
 * -EINVAL with "file:line:column: path: reason", -ENOMEM.
 */
int config_check(const struct doc_file *doc, const struct config *config, struct err *err);

/* The same for pools, those that no VIP uses too. */
int config_check_pools(const struct doc_file *doc, const struct config *config, struct err *err);

/* The same for `quic` and `server_id`. */
int config_check_quic(const struct doc_file *doc, const struct config *config, struct err *err);

/* The same for `health`. */
int config_check_health(const struct doc_file *doc, const struct config *config, struct err *err);

/* Who says a health key for a VIP of this type: the VIP, `defaults` or nobody (NULL). */
const struct doc_health *config_health_source(const struct doc_file *doc, const struct doc_vip *vip,
					      uint32_t type, size_t key);

/* What `cert`, `key`, `ca` and `verify` must say together; reads their files. As config_check(). */
int config_read_tls(const struct doc_file *doc, struct config *config, struct err *err);

/* Fills config->warnings: what is no mistake, but will not do what it seems to say. -ENOMEM. */
int config_warn(const struct doc_file *doc, struct config *config);

/* Looks up who runs scripts. -EINVAL with the place that names the user. */
int config_find_users(const struct doc_file *doc, struct config *config, struct err *err);

/* Reads the keys that stand in files of their own. -EINVAL with the place that names the file. */
int config_read_keys(struct config *config, struct err *err);
