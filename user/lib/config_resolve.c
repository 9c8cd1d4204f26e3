/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Defaults: a VIP's key, else that of `defaults`, else the schema table's. See config_resolve.h. */
#include "config_resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "pool_text.h"

/* Zeroed; not NULL for n = 0. */
static void *new_array(size_t n, size_t size)
{
	return calloc(n ? n : 1, size);
}

int config_copy_text(const char *text, char **ret_text)
{
	*ret_text = strdup(text);
	return *ret_text ? 0 : -ENOMEM;
}

static uint32_t policy_u32(const struct doc_file *doc, const struct doc_vip *vip, size_t key)
{
	if (schema_is_given(vip, key))
		return schema_u32(&schema_vip, vip, key);
	return schema_u32(&schema_defaults, &doc->defaults, key);
}

static uint32_t timeout_ms(const struct doc_file *doc, const struct doc_vip *vip, size_t key)
{
	if (schema_is_given(&vip->policy.timeouts, key))
		return schema_u32(&schema_timeouts, &vip->policy.timeouts, key);
	return schema_u32(&schema_timeouts, &doc->defaults.policy.timeouts, key);
}

static uint32_t source_u32(const struct doc_file *doc, const struct doc_vip *vip, size_t key)
{
	if (schema_is_given(&vip->policy.source, key))
		return schema_u32(&schema_source, &vip->policy.source, key);
	return schema_u32(&schema_source, &doc->defaults.policy.source, key);
}

static void resolve_source(const struct doc_file *doc, const struct doc_vip *vip,
			   struct source_spec *source)
{
	source->tuple = (uint8_t)source_u32(doc, vip, SOURCE_TUPLE);
	source->prefix4 = (uint8_t)source_u32(doc, vip, SOURCE_PREFIX4);
	source->prefix6 = (uint8_t)source_u32(doc, vip, SOURCE_PREFIX6);
	source->affinity_ms = source_u32(doc, vip, SOURCE_AFFINITY);
}

static uint32_t drain_u32(const struct doc_file *doc, const struct doc_vip *vip, size_t key)
{
	if (schema_is_given(&vip->policy.drain, key))
		return schema_u32(&schema_drain, &vip->policy.drain, key);
	return schema_u32(&schema_drain, &doc->defaults.policy.drain, key);
}

static uint32_t ejection_u32(const struct doc_file *doc, const struct doc_vip *vip, size_t key)
{
	if (schema_is_given(&vip->policy.ejection, key))
		return schema_u32(&schema_ejection, &vip->policy.ejection, key);
	return schema_u32(&schema_ejection, &doc->defaults.policy.ejection, key);
}

static void resolve_leaving(const struct doc_file *doc, const struct doc_vip *from,
			    struct vip_spec *vip)
{
	vip->on_down = policy_u32(doc, from, POLICY_ON_DOWN);
	vip->drain.timeout_ms = drain_u32(doc, from, DRAIN_KEY_TIMEOUT);
	vip->drain.then = drain_u32(doc, from, DRAIN_KEY_THEN);
	vip->ejection = (struct ejection_spec){
		.is_on = ejection_u32(doc, from, EJECTION_KEY_ENABLED),
		.interval_ms = ejection_u32(doc, from, EJECTION_KEY_INTERVAL),
		.min_flows = ejection_u32(doc, from, EJECTION_KEY_MIN_FLOWS),
		.time_ms = ejection_u32(doc, from, EJECTION_KEY_TIME),
		.max_time_ms = ejection_u32(doc, from, EJECTION_KEY_MAX_TIME),
		.max_ejected_percent = ejection_u32(doc, from, EJECTION_KEY_MAX_EJECTED),
		.trial_percent = ejection_u32(doc, from, EJECTION_KEY_TRIAL),
	};
}

static int resolve_reals(const struct doc_list *list, struct real_spec **ret_reals,
			 size_t *ret_n_reals)
{
	const struct doc_real *from = list->items;
	struct real_spec *reals = new_array(list->n, sizeof(*reals));

	if (!reals)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		reals[i].address = from[i].address;
		reals[i].weight = schema_u32(&schema_real, &from[i], REAL_WEIGHT);
		reals[i].backup_level = (uint8_t)schema_u32(&schema_real, &from[i], REAL_BACKUP);
		reals[i].mark = from[i].self;
		if (from[i].server_id)
			reals[i].server_id.length = (uint8_t)hex_parse(
				from[i].server_id, reals[i].server_id.bytes, QUIC_SERVER_ID_MAX);
	}
	*ret_reals = reals;
	*ret_n_reals = list->n;
	return 0;
}

static int resolve_pools(const struct doc_file *doc, struct config *config)
{
	const struct doc_pool *from = doc->pools.items;

	config->pools = new_array(doc->pools.n, sizeof(*config->pools));
	if (!config->pools)
		return -ENOMEM;
	for (size_t i = 0; i < doc->pools.n; i++) {
		struct pool_spec *pool = &config->pools[config->n_pools++];

		if (config_copy_text(from[i].name, &pool->name) < 0 ||
		    resolve_reals(&from[i].reals, &pool->reals, &pool->n_reals) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int resolve_vip_pools(const struct config *config, const struct doc_vip *from,
			     struct vip_spec *vip)
{
	const struct doc_use *uses = from->pools.items;
	struct pool_use pools[VIP_POOLS_MAX];
	char text[POOL_TEXT_MAX];

	if (!from->pools.n)
		return resolve_reals(&from->reals, &vip->reals, &vip->n_reals);
	for (size_t i = 0; i < from->pools.n; i++) {
		pools[i] = (struct pool_use){
			.name = config->pools[uses[i].pool].name,
			.pool = uses[i].pool,
			.weight = schema_u32(&schema_use, &uses[i], USE_WEIGHT),
			.backup_level = (uint8_t)schema_u32(&schema_use, &uses[i], USE_BACKUP),
		};
	}
	pool_text_format(pools, from->pools.n, text);
	if (config_copy_text(text, &vip->file_pools) < 0)
		return -ENOMEM;
	return vip_use_pools(vip, config, pools, from->pools.n);
}

static uint32_t resolve_on_all_down(const struct doc_file *doc, const struct doc_vip *from,
				    uint32_t panic_percent)
{
	if (!schema_is_given(from, POLICY_ON_ALL_DOWN) &&
	    !schema_is_given(&doc->defaults, POLICY_ON_ALL_DOWN))
		return panic_percent ? ALL_DOWN_ALL : ALL_DOWN_DROP;
	return policy_u32(doc, from, POLICY_ON_ALL_DOWN);
}

static int resolve_quic(const struct doc_vip *from, struct vip_spec *vip)
{
	const struct doc_quic *configs = from->quic.items;

	vip->quic = new_array(from->quic.n, sizeof(*vip->quic));
	if (!vip->quic)
		return -ENOMEM;
	vip->n_quic = from->quic.n;
	for (size_t i = 0; i < vip->n_quic; i++) {
		const struct doc_quic *c = &configs[i];
		struct quic_spec *spec = &vip->quic[i];

		spec->rotation = (uint8_t)c->rotation;
		spec->server_id_length = (uint8_t)c->server_id_length;
		spec->nonce_length = (uint8_t)c->nonce_length;
		spec->has_key = c->key || c->key_file;
		spec->mark = c->at[QUIC_KEY_FILE];
		if (c->key)
			hex_parse(c->key, spec->key, sizeof(spec->key));
		if (c->key_file && config_copy_text(c->key_file, &spec->key_file) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int resolve_vip(const struct doc_file *doc, const struct doc_vip *from,
		       const struct config *config, struct vip_spec *vip)
{
	if (config_copy_text(from->name, &vip->name) < 0)
		return -ENOMEM;
	vip->address = from->network.address;
	vip->host_bits = (uint8_t)from->network.host_bits;
	vip->port = from->ports.first;
	vip->port_last = from->ports.last;
	vip->protocol = (uint8_t)from->protocol;
	vip->mark = from->self;
	vip->encap = policy_u32(doc, from, POLICY_ENCAP);
	vip->scheduler = policy_u32(doc, from, POLICY_SCHEDULER);
	if (vip->scheduler == SCHEDULER_SOURCE)
		resolve_source(doc, from, &vip->source);
	vip->ring = policy_u32(doc, from, POLICY_RING);
	vip->on_no_port = policy_u32(doc, from, POLICY_ON_NO_PORT);
	vip->echo = policy_u32(doc, from, POLICY_ECHO);
	vip->slow_start_ms = policy_u32(doc, from, POLICY_SLOW_START);
	vip->panic_percent = policy_u32(doc, from, POLICY_PANIC);
	vip->on_all_down = resolve_on_all_down(doc, from, vip->panic_percent);
	vip->min_healthy = schema_is_given(from, POLICY_MIN_HEALTHY)
				   ? from->policy.min_healthy
				   : doc->defaults.policy.min_healthy;
	vip->backup_below = schema_is_given(from, POLICY_BACKUP_BELOW)
				    ? from->policy.backup_below
				    : doc->defaults.policy.backup_below;
	resolve_leaving(doc, from, vip);
	vip->timeouts.tcp_ms = timeout_ms(doc, from, TIMEOUTS_TCP);
	vip->timeouts.tcp_closing_ms = timeout_ms(doc, from, TIMEOUTS_TCP_CLOSING);
	vip->timeouts.tcp_unproven_ms = timeout_ms(doc, from, TIMEOUTS_TCP_UNPROVEN);
	vip->timeouts.udp_ms = timeout_ms(doc, from, TIMEOUTS_UDP);
	if (config_resolve_health(doc, from, vip->encap, &vip->health) < 0 ||
	    resolve_quic(from, vip) < 0)
		return -ENOMEM;
	return resolve_vip_pools(config, from, vip);
}

static int resolve_vips(const struct doc_file *doc, struct config *config)
{
	const struct doc_vip *vips = doc->vips.items;

	config->vips = new_array(doc->vips.n, sizeof(*config->vips));
	if (!config->vips)
		return -ENOMEM;
	for (size_t i = 0; i < doc->vips.n; i++) {
		if (resolve_vip(doc, &vips[i], config, &config->vips[config->n_vips++]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int resolve_interfaces(const struct doc_file *doc, struct config *config)
{
	const struct doc_interface *from = doc->interfaces.items;

	config->interfaces = new_array(doc->interfaces.n, sizeof(*config->interfaces));
	if (!config->interfaces)
		return -ENOMEM;
	config->n_interfaces = doc->interfaces.n;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct interface_spec *interface = &config->interfaces[i];

		snprintf(interface->name, sizeof(interface->name), "%s", from[i].name);
		interface->mode = schema_u32(&schema_interface, &from[i], INTERFACE_MODE);
		interface->mark = from[i].self;
	}
	return 0;
}

static int resolve_file(const char *file, const struct doc_file *doc, struct config *config)
{
	const struct doc_capacity *capacity = &doc->capacity;
	const char *bpffs = doc->bpffs ? doc->bpffs : schema_file.fields[FILE_BPFFS].initial_text;

	if (config_copy_text(file, &config->file) < 0 ||
	    config_copy_text(bpffs, &config->bpffs) < 0)
		return -ENOMEM;
	config->source4 = doc->encap.source4;
	config->source6 = doc->encap.source6;
	config->gue_port = (uint16_t)schema_u32(&schema_encap, &doc->encap, ENCAP_GUE_PORT);
	config->gue_checksum6 = schema_u32(&schema_encap, &doc->encap, ENCAP_GUE_CHECKSUM6);
	config->capacity.flows = schema_u32(&schema_capacity, capacity, CAPACITY_FLOWS);
	config->capacity.members = schema_u32(&schema_capacity, capacity, CAPACITY_MEMBERS);
	config->capacity.vips = schema_u32(&schema_capacity, capacity, CAPACITY_VIPS);
	config->capacity.ring_slots = schema_u32(&schema_capacity, capacity, CAPACITY_RING_SLOTS);
	config->marks = (struct config_marks){
		.bpffs = doc->at[FILE_BPFFS],
		.flows = capacity->at[CAPACITY_FLOWS],
		.members = capacity->at[CAPACITY_MEMBERS],
		.vips = capacity->at[CAPACITY_VIPS],
		.ring_slots = capacity->at[CAPACITY_RING_SLOTS],
		.max_removed = doc->guard.at[GUARD_MAX_REMOVED],
	};
	config->guard_syn_pps = schema_u32(&schema_guard, &doc->guard, GUARD_SYN_RATE);
	config->guard_removed_percent = schema_u32(&schema_guard, &doc->guard, GUARD_MAX_REMOVED);
	if (resolve_interfaces(doc, config) < 0 || resolve_pools(doc, config) < 0)
		return -ENOMEM;
	return resolve_vips(doc, config);
}

int config_resolve(const char *file, const struct doc_file *doc, struct config **ret_config)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	if (resolve_file(file, doc, config) < 0) {
		config_free(config);
		return -ENOMEM;
	}
	*ret_config = config;
	return 0;
}
