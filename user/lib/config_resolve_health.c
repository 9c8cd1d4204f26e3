/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The probe of a VIP, by its keys and those of `defaults`: see config_resolve.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "config_resolve.h"
#include "config_value.h"
#include "tls_files.h"

#define HOST_TEXT_MAX 253

const struct doc_health *config_health_source(const struct doc_file *doc, const struct doc_vip *vip,
					      uint32_t type, size_t key)
{
	const struct doc_health *inherited = &doc->defaults.policy.health;
	uint32_t inherited_type = schema_u32(&schema_health, inherited, HEALTH_KEY_TYPE);

	if (schema_is_given(&vip->policy.health, key))
		return &vip->policy.health;
	if (!(schema_health.fields[key].health_types & (1u << type)) ||
	    (key == HEALTH_KEY_EXPECT && expect_kind_of(type) != expect_kind_of(inherited_type)))
		return NULL;
	return inherited;
}

static uint32_t health_u32(const struct doc_file *doc, const struct doc_vip *vip, uint32_t type,
			   size_t key)
{
	return schema_u32(&schema_health, config_health_source(doc, vip, type, key), key);
}

static int health_text(const struct doc_file *doc, const struct doc_vip *vip, uint32_t type,
		       size_t key, const char *initial, char **ret_text)
{
	const struct doc_health *source = config_health_source(doc, vip, type, key);
	const char *text = initial;

	if (schema_is_given(source, key))
		text = *(char *const *)((const char *)source + schema_health.fields[key].offset);
	return text ? config_copy_text(text, ret_text) : 0;
}

static int resolve_headers(const struct doc_list *list, struct health_spec *health)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *text = ((char **)list->items)[i];

		if (text_list_add(&health->headers, text, strlen(text)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* What is no status code is refused by config_check_health(). */
static size_t resolve_statuses(const struct doc_list *list, uint16_t *codes)
{
	const struct doc_word *words = list->items;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		uint32_t code;
		struct err why;

		if (value_parse(&schema_status, words[i].text, &code, &why) == 0)
			codes[n++] = (uint16_t)code;
	}
	return n;
}

static int resolve_expect(const struct doc_file *doc, const struct doc_vip *vip,
			  struct health_spec *health)
{
	const struct doc_health *source = config_health_source(doc, vip, health->type,
							       HEALTH_KEY_EXPECT);
	enum expect_kind kind = expect_kind_of(health->type);
	bool is_given = schema_is_given(source, HEALTH_KEY_EXPECT);

	if (kind == EXPECT_STATUS && !is_given)
		health->expect[health->n_expect++] = 200;
	else if (kind == EXPECT_STATUS)
		health->n_expect = resolve_statuses(&source->expect, health->expect);
	else if (kind != EXPECT_NOTHING && is_given)
		return config_copy_text(((struct doc_word *)source->expect.items)[0].text,
					&health->expect_text);
	return 0;
}

static int resolve_http(const struct doc_file *doc, const struct doc_vip *vip,
			struct health_spec *health)
{
	const struct doc_health *headers = config_health_source(doc, vip, health->type,
								HEALTH_KEY_HEADERS);
	const struct doc_health *degraded = config_health_source(doc, vip, health->type,
								 HEALTH_KEY_DEGRADED_STATUS);
	const struct schema_field *fields = schema_health.fields;

	health->degraded_weight_percent = health_u32(doc, vip, health->type,
						     HEALTH_KEY_DEGRADED_WEIGHT);
	if (schema_is_given(degraded, HEALTH_KEY_DEGRADED_STATUS))
		health->n_degraded_status = resolve_statuses(&degraded->degraded_status,
							     health->degraded_status);
	if (health_text(doc, vip, health->type, HEALTH_KEY_METHOD,
			fields[HEALTH_KEY_METHOD].initial_text, &health->method) < 0 ||
	    health_text(doc, vip, health->type, HEALTH_KEY_PATH,
			fields[HEALTH_KEY_PATH].initial_text, &health->path) < 0 ||
	    health_text(doc, vip, health->type, HEALTH_KEY_HOST, NULL, &health->host) < 0 ||
	    health_text(doc, vip, health->type, HEALTH_KEY_DEGRADED_BODY, NULL,
			&health->degraded_body) < 0 ||
	    health_text(doc, vip, health->type, HEALTH_KEY_BODY, NULL, &health->body) < 0)
		return -ENOMEM;
	if (schema_is_given(headers, HEALTH_KEY_HEADERS))
		return resolve_headers(&headers->headers, health);
	return 0;
}

/* The name in a Host header, if it is one and not an address. */
static int name_of_host(const char *host, char **ret_name)
{
	size_t len = strcspn(host, ":");
	char name[HOST_TEXT_MAX + 1];

	if (host[0] == '[' || len > HOST_TEXT_MAX)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	return check_host_name(name) ? 0 : config_copy_text(name, ret_name);
}

static int resolve_tls(const struct doc_file *doc, const struct doc_vip *vip,
		       struct health_spec *health)
{
	uint32_t type = health->type;
	const char *ca;

	health->is_tls = true;
	health->is_verified = health_u32(doc, vip, type, HEALTH_KEY_VERIFY);
	ca = health->is_verified ? TLS_SYSTEM_CA : NULL;
	if (health_text(doc, vip, type, HEALTH_KEY_SNI, NULL, &health->sni) < 0 ||
	    health_text(doc, vip, type, HEALTH_KEY_CA, ca, &health->ca) < 0 ||
	    health_text(doc, vip, type, HEALTH_KEY_CERT, NULL, &health->cert) < 0 ||
	    health_text(doc, vip, type, HEALTH_KEY_KEY, NULL, &health->key) < 0)
		return -ENOMEM;
	return health->sni || !health->host ? 0 : name_of_host(health->host, &health->sni);
}

/* What cannot be split is refused by config_check_health(). */
static int resolve_script(const struct doc_file *doc, const struct doc_vip *vip,
			  struct health_spec *health)
{
	const struct doc_health *source = config_health_source(doc, vip, health->type,
							       HEALTH_KEY_COMMAND);
	const struct doc_word *words;

	if (health_text(doc, vip, health->type, HEALTH_KEY_USER,
			schema_health.fields[HEALTH_KEY_USER].initial_text, &health->user) < 0)
		return -ENOMEM;
	if (!schema_is_given(source, HEALTH_KEY_COMMAND))
		return 0;
	words = source->command.items;
	if (!words[0].is_item)
		return command_split(words[0].text, &health->command) == -ENOMEM ? -ENOMEM : 0;
	for (size_t i = 0; i < source->command.n; i++) {
		if (text_list_add(&health->command, words[i].text, strlen(words[i].text)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int resolve_grpc(const struct doc_file *doc, const struct doc_vip *vip,
			struct health_spec *health)
{
	if (health_text(doc, vip, health->type, HEALTH_KEY_SERVICE, NULL, &health->service) < 0)
		return -ENOMEM;
	return health_u32(doc, vip, health->type, HEALTH_KEY_TLS) ? resolve_tls(doc, vip, health)
								  : 0;
}

static int resolve_by_type(const struct doc_file *doc, const struct doc_vip *vip,
			   struct health_spec *health)
{
	switch (health->type) {
	case HEALTH_TYPE_HTTP:
		return resolve_http(doc, vip, health);
	case HEALTH_TYPE_GRPC:
		return resolve_grpc(doc, vip, health);
	case HEALTH_TYPE_HTTPS:
		if (resolve_http(doc, vip, health) < 0)
			return -ENOMEM;
		return resolve_tls(doc, vip, health);
	case HEALTH_TYPE_UDP:
	case HEALTH_TYPE_AGENT:
		return health_text(doc, vip, health->type, HEALTH_KEY_SEND, NULL, &health->send);
	case HEALTH_TYPE_DNS:
		health->rrtype = health_u32(doc, vip, health->type, HEALTH_KEY_RRTYPE);
		return health_text(doc, vip, health->type, HEALTH_KEY_NAME, NULL, &health->name);
	case HEALTH_TYPE_SCRIPT:
		return resolve_script(doc, vip, health);
	default:
		return 0;
	}
}

/* The VIP, or the first address of a prefix, is a part of what is probed only where the probe goes
 * to it. */
static void resolve_via(const struct doc_file *doc, const struct doc_vip *vip,
			enum xdplb_encap encap, struct health_spec *health)
{
	if (!(schema_health.fields[HEALTH_KEY_VIA].health_types & (1u << health->type)))
		return;
	health->via = health_u32(doc, vip, health->type, HEALTH_KEY_VIA);
	if (health->via != VIA_TUNNEL)
		return;
	health->vip = vip->network.address;
	health->encap = encap;
}

int config_resolve_health(const struct doc_file *doc, const struct doc_vip *vip,
			  enum xdplb_encap encap, struct health_spec *health)
{
	uint32_t type = health_u32(doc, vip, HEALTH_TYPE_TCP, HEALTH_KEY_TYPE);
	const struct doc_health *source = config_health_source(doc, vip, type, HEALTH_KEY_SOURCE);

	health->type = type;
	health->port = (uint16_t)health_u32(doc, vip, type, HEALTH_KEY_PORT);
	health->interval_ms = health_u32(doc, vip, type, HEALTH_KEY_INTERVAL);
	health->timeout_ms = health_u32(doc, vip, type, HEALTH_KEY_TIMEOUT);
	health->fall = health_u32(doc, vip, type, HEALTH_KEY_FALL);
	health->rise = health_u32(doc, vip, type, HEALTH_KEY_RISE);
	health->jitter_percent = health_u32(doc, vip, type, HEALTH_KEY_JITTER);
	health->fast_interval_ms = health_u32(doc, vip, type, HEALTH_KEY_FAST_INTERVAL);
	if (!health->fast_interval_ms || health->fast_interval_ms > health->interval_ms)
		health->fast_interval_ms = health->interval_ms;
	health->starts_up = health_u32(doc, vip, type, HEALTH_KEY_START);
	health->hold_down_ms = health_u32(doc, vip, type, HEALTH_KEY_HOLD_DOWN);
	health->hold_down_max_ms = health_u32(doc, vip, type, HEALTH_KEY_HOLD_DOWN_MAX);
	if (schema_is_given(source, HEALTH_KEY_SOURCE))
		health->source = source->source;
	resolve_via(doc, vip, encap, health);
	if (resolve_expect(doc, vip, health) < 0)
		return -ENOMEM;
	return resolve_by_type(doc, vip, health);
}
