/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a file may say and hardly means: see config_resolve.h. No error, since the operator can give
 * a VIP other pools at run time, and a file may be on its way to what is meant.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "config_resolve.h"

#define WARNINGS_MAX 20

struct warn {
	const struct doc_file *doc;
	struct config *config;
	size_t unsaid;
};

/* 0 or -ENOMEM; beyond WARNINGS_MAX they are only counted. */
static int add(struct warn *w, const struct err *said)
{
	struct text_list *list = &w->config->warnings;

	if (list->n < WARNINGS_MAX)
		return text_list_add(list, said->text, strlen(said->text));
	w->unsaid++;
	return 0;
}

static bool has_backup(const struct vip_spec *vip)
{
	for (size_t r = 0; r < vip->n_reals; r++) {
		if (vip->reals[r].backup_level)
			return true;
	}
	return false;
}

static size_t count_primaries(const struct vip_spec *vip)
{
	size_t n = 0;

	for (size_t r = 0; r < vip->n_reals; r++)
		n += !vip->reals[r].backup_level && vip->reals[r].weight &&
		     (!vip->n_pools || vip->pools[vip->reals[r].pool].weight);
	return n;
}

static bool is_about_backups(const struct vip_spec *vip, size_t key)
{
	return key == POLICY_ON_ALL_DOWN ? vip->on_all_down == ALL_DOWN_BACKUP
					 : vip->backup_below.value > 0;
}

/* Of a key that the VIP, or `defaults`, has at `mark`: it needs backups, and there are none. */
static int warn_no_backups(struct warn *w, size_t key, struct mark mark, const char *path,
			   const char *whose)
{
	struct config_errors says = {.file = w->config->file, .err = &(struct err){}};

	if (key == POLICY_ON_ALL_DOWN)
		config_fail(&says, mark, path, "%s: new flows are dropped, as with `drop`", whose);
	else
		config_fail(&says, mark, path, "%s: it changes nothing", whose);
	return add(w, says.err);
}

static int warn_policies(struct warn *w, size_t v)
{
	static const struct {
		size_t key;
		const char *name;
	} keys[] = {{POLICY_ON_ALL_DOWN, "on_all_down"}, {POLICY_BACKUP_BELOW, "backup_below"}};
	const struct doc_vip *doc = (const struct doc_vip *)w->doc->vips.items + v;
	const struct vip_spec *vip = &w->config->vips[v];
	char path[PLACE_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < 2 && !r && !has_backup(vip); i++) {
		if (!schema_is_given(doc, keys[i].key) || !is_about_backups(vip, keys[i].key))
			continue;
		snprintf(path, sizeof(path), "vips[%zu].%s", v, keys[i].name);
		r = warn_no_backups(w, keys[i].key, doc->at[keys[i].key], path,
				    "the VIP has no backups");
	}
	return r;
}

static int warn_min_healthy(struct warn *w, size_t v)
{
	const struct doc_vip *doc = (const struct doc_vip *)w->doc->vips.items + v;
	const struct vip_spec *vip = &w->config->vips[v];
	struct config_errors says = {.file = w->config->file, .err = &(struct err){}};
	size_t n = count_primaries(vip);
	char path[PLACE_TEXT_MAX];

	if (!schema_is_given(doc, POLICY_MIN_HEALTHY) || vip->min_healthy.is_percent ||
	    vip->min_healthy.value <= n)
		return 0;
	snprintf(path, sizeof(path), "vips[%zu].min_healthy", v);
	config_fail(&says, doc->at[POLICY_MIN_HEALTHY], path,
		    "more than the VIP's %zu reals that are no backups and have a weight: it will "
		    "always be degraded",
		    n);
	return add(w, says.err);
}

/* Packets for it would come back to the balancer. */
static int warn_own_address(struct warn *w, size_t v)
{
	const struct vip_spec *vip = &w->config->vips[v];
	const struct config *c = w->config;
	struct config_errors says = {.file = c->file, .err = &(struct err){}};
	char path[PLACE_TEXT_MAX], addr[ADDR_TEXT_MAX];

	for (size_t r = 0; r < vip->n_reals; r++) {
		const struct ip_addr *real = &vip->reals[r].address;
		const struct encap_source *own = addr_is_v4(real) ? &c->source4 : &c->source6;
		int failed;

		if (!own->is_set || !addr_equal(real, &own->address))
			continue;
		snprintf(path, sizeof(path), "vips[%zu]", v);
		config_fail(&says, vip->reals[r].mark, path,
			    "real %s is the balancer's own address (encap.source%c)",
			    addr_format(real, addr), addr_is_v4(real) ? '4' : '6');
		failed = add(w, says.err);
		if (failed)
			return failed;
	}
	return 0;
}

/* Defaults may be for some VIPs only; but not for none. */
static int warn_defaults(struct warn *w)
{
	const struct doc_defaults *defaults = &w->doc->defaults;
	bool any = !w->config->n_vips;
	int r = 0;

	for (size_t v = 0; v < w->config->n_vips && !any; v++)
		any = has_backup(&w->config->vips[v]);
	if (any)
		return 0;
	if (schema_is_given(defaults, POLICY_ON_ALL_DOWN) &&
	    defaults->policy.on_all_down == ALL_DOWN_BACKUP)
		r = warn_no_backups(w, POLICY_ON_ALL_DOWN, defaults->at[POLICY_ON_ALL_DOWN],
				    "defaults.on_all_down", "no VIP has backups");
	if (!r && schema_is_given(defaults, POLICY_BACKUP_BELOW) &&
	    defaults->policy.backup_below.value)
		r = warn_no_backups(w, POLICY_BACKUP_BELOW, defaults->at[POLICY_BACKUP_BELOW],
				    "defaults.backup_below", "no VIP has backups");
	return r;
}

int config_warn(const struct doc_file *doc, struct config *config)
{
	struct warn w = {.doc = doc, .config = config};
	struct err more;
	int r = warn_defaults(&w);

	for (size_t v = 0; v < config->n_vips && !r; v++) {
		r = warn_policies(&w, v);
		r = r ? r : warn_min_healthy(&w, v);
		r = r ? r : warn_own_address(&w, v);
	}
	if (r || !w.unsaid)
		return r;
	err_set(&more, EINVAL, "%.255s: %zu warnings more", config->file, w.unsaid);
	return text_list_add(&config->warnings, more.text, strlen(more.text));
}
