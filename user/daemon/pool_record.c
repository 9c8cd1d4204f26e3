/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pools that the operator gave VIPs (pool_switch.c), in configurations and daemons that come
 * after: they hold until the file says the same, and whoever reads the log is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller_private.h"
#include "lib/config_switch.h"
#include "lib/pool_text.h"
#include "log.h"

static int restore_vip(const struct controller *c, const struct config *config,
		       struct vip_spec *vip, struct err *err)
{
	const char *text = runtime_get_pools(c->runtime, vip->name);
	struct pool_use uses[VIP_POOLS_MAX];
	struct vip_spec trial = {};
	size_t n;
	int r;

	if (!text)
		return 0;
	if (!vip->n_pools)
		return err_set(err, EINVAL, "it has reals of its own");
	r = pool_text_parse(config, text, uses, &n, err);
	if (r)
		return r;
	trial = *vip;
	trial.pools = NULL;
	trial.reals = NULL;
	r = vip_use_pools(&trial, config, uses, n);
	if (r)
		return err_set(err, -r, "out of memory");
	r = config_check_vip_pools(config, &trial, err);
	if (r) {
		free(trial.pools);
		free(trial.reals);
		return r;
	}
	free(vip->pools);
	free(vip->reals);
	*vip = trial;
	return 0;
}

int pool_record_restore(struct controller *c, struct config *config, bool force, struct err *err)
{
	struct err reason;

	for (size_t v = 0; v < config->n_vips; v++) {
		struct vip_spec *vip = &config->vips[v];

		if (!restore_vip(c, config, vip, &reason))
			continue;
		if (!force)
			return err_set(err, ECANCELED,
				       "VIP %s was given pools %s by the operator, which does not "
				       "go with this configuration: %s; `xdplbctl vip set %s "
				       "pool=file` goes back to the file's, --force forgets it",
				       vip->name, runtime_get_pools(c->runtime, vip->name),
				       reason.text, vip->name);
		log_warning("vip pools of the operator dropped vip=%s pools=%s error=\"%s\"",
			    vip->name, runtime_get_pools(c->runtime, vip->name), reason.text);
	}
	return 0;
}

static bool is_difference(const struct vip_spec *vip)
{
	char text[POOL_TEXT_MAX];

	return vip->n_pools &&
	       strcmp(pool_text_format(vip->pools, vip->n_pools, text), vip->file_pools) != 0;
}

void pool_record_settle(struct controller *c)
{
	for (size_t v = 0; v < c->config->n_vips; v++) {
		const struct vip_spec *vip = &c->config->vips[v];
		const char *pools = runtime_get_pools(c->runtime, vip->name);
		struct err err;

		if (!pools)
			continue;
		if (is_difference(vip))
			log_warning("vip pools of the operator stay vip=%s pools=%s file=%s "
				    "undo=\"xdplbctl vip set %s pool=file\"",
				    vip->name, pools, vip->file_pools, vip->name);
		else if (runtime_set_pools(c->runtime, vip->name, NULL, &err))
			log_warning("cannot forget pools vip=%s error=\"%s\"", vip->name, err.text);
	}
}
