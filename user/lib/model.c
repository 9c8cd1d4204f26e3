/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names, look-ups and the end of a configuration: see model.h. */
#include "model.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

const struct vip_spec *config_find_vip(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_vips; i++) {
		if (strcmp(config->vips[i].name, name) == 0)
			return &config->vips[i];
	}
	return NULL;
}

size_t config_find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_pools; i++) {
		if (strcmp(config->pools[i].name, name) == 0)
			return i;
	}
	return SIZE_MAX;
}

const struct real_spec *vip_find_real(const struct vip_spec *vip, const struct ip_addr *address)
{
	for (size_t i = 0; i < vip->n_reals; i++) {
		if (addr_equal(&vip->reals[i].address, address))
			return &vip->reals[i];
	}
	return NULL;
}

int vip_use_pools(struct vip_spec *vip, const struct config *config, const struct pool_use *pools,
		  size_t n_pools)
{
	struct pool_use *uses = calloc(n_pools + 1, sizeof(*uses));
	struct real_spec *reals;
	size_t n_reals = 0, n = 0;

	for (size_t p = 0; p < n_pools; p++)
		n_reals += config->pools[pools[p].pool].n_reals;
	reals = calloc(n_reals + 1, sizeof(*reals));
	if (!uses || !reals) {
		free(uses);
		free(reals);
		return -ENOMEM;
	}
	for (size_t p = 0; p < n_pools; p++) {
		const struct pool_spec *pool = &config->pools[pools[p].pool];

		uses[p] = pools[p];
		for (size_t r = 0; r < pool->n_reals; r++) {
			reals[n] = pool->reals[r];
			reals[n].pool = (uint16_t)p;
			if (reals[n].backup_level < pools[p].backup_level)
				reals[n].backup_level = pools[p].backup_level;
			n++;
		}
	}
	free(vip->pools);
	free(vip->reals);
	vip->pools = uses;
	vip->n_pools = n_pools;
	vip->reals = reals;
	vip->n_reals = n_reals;
	vip->n_removed = 0;
	return 0;
}

uint32_t config_encaps(const struct config *config)
{
	uint32_t encaps = 0;

	for (size_t i = 0; i < config->n_vips; i++)
		encaps |= 1u << config->vips[i].encap;
	return encaps;
}

uint32_t config_schedulers(const struct config *config)
{
	uint32_t schedulers = 1u << SCHEDULER_MAGLEV;

	for (size_t i = 0; i < config->n_vips; i++)
		schedulers |= 1u << config->vips[i].scheduler;
	return schedulers;
}

uint32_t vip_schedule(const struct vip_spec *vip)
{
	return SCHEDULE_WORD(vip->scheduler, vip->source.tuple, vip->source.prefix4,
			     vip->source.prefix6);
}

enum xdplb_on_empty vip_on_empty(const struct vip_spec *vip)
{
	switch (vip->on_all_down) {
	case ALL_DOWN_RESET:
		return ON_EMPTY_RESET;
	case ALL_DOWN_UNREACHABLE:
		return ON_EMPTY_UNREACHABLE;
	default:
		return ON_EMPTY_DROP;
	}
}

bool config_has_quic(const struct config *config)
{
	for (size_t i = 0; i < config->n_vips; i++) {
		if (config->vips[i].n_quic)
			return true;
	}
	return false;
}

static void quic_clear(struct vip_spec *vip)
{
	for (size_t i = 0; i < vip->n_quic; i++)
		free(vip->quic[i].key_file);
	free(vip->quic);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->n_vips; i++) {
		free(config->vips[i].name);
		health_spec_clear(&config->vips[i].health);
		quic_clear(&config->vips[i]);
		free(config->vips[i].pools);
		free(config->vips[i].file_pools);
		free(config->vips[i].reals);
	}
	free(config->vips);
	for (size_t i = 0; i < config->n_pools; i++) {
		free(config->pools[i].name);
		free(config->pools[i].reals);
	}
	free(config->pools);
	free(config->interfaces);
	free(config->bpffs);
	free(config->file);
	text_list_clear(&config->warnings);
	free(config);
}

const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	default:
		return "?";
	}
}

const char *scheduler_name(enum xdplb_scheduler scheduler)
{
	switch (scheduler) {
	case SCHEDULER_MAGLEV:
		return "maglev";
	case SCHEDULER_SOURCE:
		return "source";
	case SCHEDULER_RR:
		return "rr";
	case SCHEDULER_RANDOM:
		return "random";
	case SCHEDULER_LC:
		return "lc";
	case SCHEDULER_P2C:
		return "p2c";
	}
	return "?";
}

const char *encap_name(enum xdplb_encap encap)
{
	switch (encap) {
	case ENCAP_IPIP:
		return "ipip";
	case ENCAP_GUE:
		return "gue";
	case ENCAP_L2DSR:
		return "l2dsr";
	}
	return "?";
}

const char *on_no_port_name(enum xdplb_on_no_port policy)
{
	switch (policy) {
	case ON_NO_PORT_REPLY:
		return "reply";
	case ON_NO_PORT_DROP:
		return "drop";
	case ON_NO_PORT_PASS:
		return "pass";
	}
	return "?";
}

const char *echo_policy_name(enum echo_policy policy)
{
	switch (policy) {
	case ECHO_WHILE_UP:
		return "up";
	case ECHO_ALWAYS:
		return "always";
	case ECHO_OFF:
		return "off";
	}
	return "?";
}

const char *all_down_name(enum all_down policy)
{
	switch (policy) {
	case ALL_DOWN_DROP:
		return "drop";
	case ALL_DOWN_ALL:
		return "all";
	case ALL_DOWN_BACKUP:
		return "backup";
	case ALL_DOWN_RESET:
		return "reset";
	case ALL_DOWN_UNREACHABLE:
		return "unreachable";
	}
	return "?";
}

const char *on_down_name(enum on_down policy)
{
	switch (policy) {
	case ON_DOWN_REROUTE:
		return "reroute";
	case ON_DOWN_RESET:
		return "reset";
	}
	return "?";
}

const char *drain_rest_name(enum drain_rest rest)
{
	switch (rest) {
	case DRAIN_KEEP:
		return "keep";
	case DRAIN_MOVE:
		return "move";
	case DRAIN_RESET:
		return "reset";
	}
	return "?";
}

const char *probe_via_name(enum probe_via via)
{
	return via == VIA_TUNNEL ? "tunnel" : "direct";
}

const char *health_type_name(enum health_type type)
{
	switch (type) {
	case HEALTH_TYPE_TCP:
		return "tcp";
	case HEALTH_TYPE_HTTP:
		return "http";
	case HEALTH_TYPE_NONE:
		return "none";
	case HEALTH_TYPE_UDP:
		return "udp";
	case HEALTH_TYPE_DNS:
		return "dns";
	case HEALTH_TYPE_ICMP:
		return "icmp";
	case HEALTH_TYPE_SCRIPT:
		return "script";
	case HEALTH_TYPE_HTTPS:
		return "https";
	case HEALTH_TYPE_AGENT:
		return "agent";
	case HEALTH_TYPE_GRPC:
		return "grpc";
	}
	return "?";
}
