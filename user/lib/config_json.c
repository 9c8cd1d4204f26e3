/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration as JSON: see config.h. Values are written as YAML takes them ("1h", "10%"), so
 * the document is a configuration file itself, with every default spelled out.
 */
#include <string.h>

#include "addr.h"
#include "config.h"
#include "config_value.h"
#include "hex.h"
#include "vip_json.h"

static json_t *duration(uint32_t ms)
{
	char buf[VALUE_TEXT_MAX];

	return json_string(value_format_duration(ms, buf));
}

static json_t *percent(uint32_t value)
{
	return json_sprintf("%u%%", value);
}

static json_t *rate(uint32_t a_second)
{
	char buf[VALUE_TEXT_MAX];

	return json_string(value_format_rate(a_second, buf));
}

static json_t *address(const struct ip_addr *addr)
{
	char buf[ADDR_TEXT_MAX];

	return json_string(addr_format(addr, buf));
}

static json_t *interfaces_json(const struct config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *interface = &config->interfaces[i];

		json_array_append_new(
			list, json_pack("{ss ss ss}", "name", interface->name, "attach",
					"exclusive", "mode",
					interface->mode == ATTACH_GENERIC ? "generic" : "native"));
	}
	return list;
}

static void set_source(json_t *encap, const char *key, const struct encap_source *source,
		       uint8_t plain_len)
{
	char buf[ADDR_TEXT_MAX];

	if (!source->is_set)
		return;
	addr_format(&source->address, buf);
	json_object_set_new(encap, key,
			    source->prefix_len == plain_len
				    ? json_string(buf)
				    : json_sprintf("%s/%u", buf, source->prefix_len));
}

static json_t *encap_json(const struct config *config)
{
	json_t *encap = json_object();

	set_source(encap, "source4", &config->source4, 32);
	set_source(encap, "source6", &config->source6, 128);
	json_object_set_new(encap, "gue_port", json_integer(config->gue_port));
	json_object_set_new(encap, "gue_checksum6",
			    json_string(config->gue_checksum6 ? "computed" : "zero"));
	return encap;
}

/* "Name: value" texts as a mapping. */
static json_t *headers_json(const struct health_spec *health)
{
	json_t *headers = json_object();

	for (size_t i = 0; i < health->headers.n; i++) {
		const char *text = health->headers.texts[i];
		size_t name_len = strcspn(text, ":");
		json_t *value = json_string(text + name_len + 2);

		json_object_setn_new(headers, text, name_len, value);
	}
	return headers;
}

static json_t *codes_json(const uint16_t *codes, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(codes[i]));
	return list;
}

static void set_http(json_t *json, const struct health_spec *health)
{
	json_object_set_new(json, "method", json_string(health->method));
	if (health->host)
		json_object_set_new(json, "host", json_string(health->host));
	json_object_set_new(json, "path", json_string(health->path));
	json_object_set_new(json, "headers", headers_json(health));
	json_object_set_new(json, "expect", codes_json(health->expect, health->n_expect));
	if (health->body)
		json_object_set_new(json, "body", json_string(health->body));
	if (health->n_degraded_status)
		json_object_set_new(json, "degraded_status",
				    codes_json(health->degraded_status, health->n_degraded_status));
	if (health->degraded_body)
		json_object_set_new(json, "degraded_body", json_string(health->degraded_body));
	json_object_set_new(json, "degraded_weight", percent(health->degraded_weight_percent));
}

static void set_text(json_t *json, const char *key, const char *text)
{
	if (text)
		json_object_set_new(json, key, json_string(text));
}

static void set_tls(json_t *json, const struct health_spec *health)
{
	set_text(json, "sni", health->sni);
	set_text(json, "ca", health->ca);
	set_text(json, "cert", health->cert);
	set_text(json, "key", health->key);
	json_object_set_new(json, "verify", json_boolean(health->is_verified));
}

json_t *text_list_to_json(const struct text_list *texts)
{
	json_t *list = json_array();

	for (size_t i = 0; texts && i < texts->n; i++)
		json_array_append_new(list, json_string(texts->texts[i]));
	return list;
}

/* What belongs to one type only. */
static void set_by_type(json_t *json, const struct health_spec *health)
{
	char buf[VALUE_TEXT_MAX];

	if (health->type == HEALTH_TYPE_HTTP || health->type == HEALTH_TYPE_HTTPS)
		set_http(json, health);
	if (health->type == HEALTH_TYPE_GRPC)
		json_object_set_new(json, "tls", json_boolean(health->is_tls));
	if (health->is_tls)
		set_tls(json, health);
	set_text(json, "service", health->service);
	if (health->command.n)
		json_object_set_new(json, "command", text_list_to_json(&health->command));
	set_text(json, "user", health->user);
	set_text(json, "send", health->send);
	set_text(json, "name", health->name);
	if (health->name)
		set_text(json, "rrtype",
			 value_format(&schema_health.fields[HEALTH_KEY_RRTYPE], health->rrtype,
				      buf));
	set_text(json, "expect", health->expect_text);
}

static json_t *health_json(const struct vip_spec *vip)
{
	const struct health_spec *health = &vip->health;
	json_t *json = json_object();

	json_object_set_new(json, "type", json_string(health_type_name(health->type)));
	if (health->type != HEALTH_TYPE_ICMP && (health->port || vip->port))
		json_object_set_new(json, "port",
				    json_integer(health->port ? health->port : vip->port));
	json_object_set_new(json, "interval", duration(health->interval_ms));
	json_object_set_new(json, "timeout", duration(health->timeout_ms));
	json_object_set_new(json, "fall", json_integer(health->fall));
	json_object_set_new(json, "rise", json_integer(health->rise));
	json_object_set_new(json, "jitter", percent(health->jitter_percent));
	json_object_set_new(json, "fast_interval", duration(health->fast_interval_ms));
	json_object_set_new(json, "start", json_string(health->starts_up ? "up" : "down"));
	json_object_set_new(json, "hold_down", duration(health->hold_down_ms));
	json_object_set_new(json, "hold_down_max", duration(health->hold_down_max_ms));
	if (!addr_is_zero(&health->source))
		json_object_set_new(json, "source", address(&health->source));
	if (health->type != HEALTH_TYPE_NONE)
		json_object_set_new(json, "via", json_string(probe_via_name(health->via)));
	set_by_type(json, health);
	return json;
}

static json_t *share(const struct share *share)
{
	return share->is_percent ? percent(share->value) : json_integer(share->value);
}

static json_t *level(uint8_t backup_level)
{
	return backup_level > 1 ? json_integer(backup_level) : json_boolean(backup_level);
}

static json_t *reals_json(const struct real_spec *reals, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct real_spec *spec = &reals[i];
		json_t *real = json_pack("{so si so}", "address", address(&spec->address), "weight",
					 (int)spec->weight, "backup", level(spec->backup_level));
		char text[2 * QUIC_SERVER_ID_MAX + 1];

		hex_format(spec->server_id.bytes, spec->server_id.length, text);
		if (spec->server_id.length)
			json_object_set_new(real, "server_id", json_string(text));
		json_array_append_new(list, real);
	}
	return list;
}

static json_t *pools_json(const struct config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->n_pools; i++) {
		const struct pool_spec *pool = &config->pools[i];

		json_array_append_new(list, json_pack("{ss so}", "name", pool->name, "reals",
						      reals_json(pool->reals, pool->n_reals)));
	}
	return list;
}

static json_t *uses_json(const struct vip_spec *vip)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vip->n_pools; i++) {
		const struct pool_use *use = &vip->pools[i];

		json_array_append_new(list, json_pack("{ss si so}", "name", use->name, "weight",
						      (int)use->weight, "backup",
						      level(use->backup_level)));
	}
	return list;
}

/* Without the keys. What names none is no file to load: a key is not made up for it. */
static json_t *quic_json(const struct vip_spec *vip)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vip->n_quic; i++) {
		const struct quic_spec *spec = &vip->quic[i];
		json_t *json = json_pack("{si si si}", "rotation", spec->rotation,
					 "server_id_length", spec->server_id_length, "nonce_length",
					 spec->nonce_length);

		if (spec->key_file)
			json_object_set_new(json, "key_file", json_string(spec->key_file));
		else if (spec->has_key)
			json_object_set_new(json, "key", json_string("hidden"));
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *source_json(const struct source_spec *source)
{
	return json_pack("{si si si so}", "tuple", source->tuple, "prefix4", source->prefix4,
			 "prefix6", source->prefix6, "affinity", duration(source->affinity_ms));
}

static json_t *ejection_json(const struct ejection_spec *e)
{
	return json_pack("{sb so si so so so so}", "enabled", e->is_on, "interval",
			 duration(e->interval_ms), "min_flows", (int)e->min_flows, "time",
			 duration(e->time_ms), "max_time", duration(e->max_time_ms), "max_ejected",
			 percent(e->max_ejected_percent), "trial", percent(e->trial_percent));
}

static json_t *vip_json(const struct vip_spec *vip)
{
	const struct timeouts *t = &vip->timeouts;
	json_t *json = json_object();

	json_object_set_new(json, "name", json_string(vip->name));
	json_object_set_new(json, "address", vip_address_to_json(vip));
	json_object_set_new(json, "port", vip_port_to_json(vip));
	json_object_set_new(json, "protocol", json_string(protocol_name(vip->protocol)));
	json_object_set_new(json, "encap", json_string(encap_name(vip->encap)));
	json_object_set_new(json, "scheduler", json_string(scheduler_name(vip->scheduler)));
	if (vip->scheduler == SCHEDULER_SOURCE)
		json_object_set_new(json, "source", source_json(&vip->source));
	json_object_set_new(json, "ring", json_integer(vip->ring));
	json_object_set_new(json, "slow_start", duration(vip->slow_start_ms));
	json_object_set_new(json, "panic", percent(vip->panic_percent));
	json_object_set_new(json, "on_all_down", json_string(all_down_name(vip->on_all_down)));
	json_object_set_new(json, "min_healthy", share(&vip->min_healthy));
	json_object_set_new(json, "backup_below", share(&vip->backup_below));
	json_object_set_new(json, "timeouts",
			    json_pack("{so so so so}", "tcp", duration(t->tcp_ms), "tcp_closing",
				      duration(t->tcp_closing_ms), "tcp_unproven",
				      duration(t->tcp_unproven_ms), "udp", duration(t->udp_ms)));
	json_object_set_new(json, "on_no_port", json_string(on_no_port_name(vip->on_no_port)));
	json_object_set_new(json, "echo", json_string(echo_policy_name(vip->echo)));
	json_object_set_new(json, "on_down", json_string(on_down_name(vip->on_down)));
	json_object_set_new(json, "ejection", ejection_json(&vip->ejection));
	json_object_set_new(json, "drain",
			    json_pack("{so ss}", "timeout", duration(vip->drain.timeout_ms), "then",
				      drain_rest_name(vip->drain.then)));
	json_object_set_new(json, "health", health_json(vip));
	if (vip->n_quic)
		json_object_set_new(json, "quic", quic_json(vip));
	if (vip->n_pools)
		json_object_set_new(json, "pools", uses_json(vip));
	else
		json_object_set_new(json, "reals", reals_json(vip->reals, vip->n_reals));
	return json;
}

json_t *config_to_json(const struct config *config)
{
	const struct capacity *capacity = &config->capacity;
	json_t *json = json_object(), *vips = json_array();

	for (size_t i = 0; i < config->n_vips; i++)
		json_array_append_new(vips, vip_json(&config->vips[i]));
	json_object_set_new(json, "interfaces", interfaces_json(config));
	json_object_set_new(json, "bpffs", json_string(config->bpffs));
	json_object_set_new(json, "encap", encap_json(config));
	json_object_set_new(json, "capacity",
			    json_pack("{si si si si}", "flows", (int)capacity->flows, "members",
				      (int)capacity->members, "vips", (int)capacity->vips,
				      "ring_slots", (int)capacity->ring_slots));
	json_object_set_new(json, "guard",
			    json_pack("{so so}", "max_removed",
				      percent(config->guard_removed_percent), "syn_rate",
				      rate(config->guard_syn_pps)));
	if (config->n_pools)
		json_object_set_new(json, "pools", pools_json(config));
	json_object_set_new(json, "vips", vips);
	return json;
}
