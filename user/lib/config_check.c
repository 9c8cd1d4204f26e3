/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checks across values: see config_resolve.h. Duplicates are found by sorting pointers, so 10,000
 * VIPs cost no more than reading them did.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "config_resolve.h"
#include "service_text.h"
#include "sizing.h"
#include "sort_pointers.h"

struct check {
	const struct config *config;
	const struct doc_file *doc;
	const struct doc_vip *vips;
	struct config_errors errors;
};

static size_t vip_index(const struct check *c, const struct doc_vip *vip)
{
	return (size_t)(vip - c->vips);
}

static const char *vip_path(const struct check *c, const struct doc_vip *vip, const char *key,
			    char *buf)
{
	snprintf(buf, PLACE_TEXT_MAX, "vips[%zu]%s", vip_index(c, vip), key);
	return buf;
}

static int in_file_order(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

static int compare_names(const void *a, const void *b)
{
	const struct doc_vip *x = *(const void *const *)a, *y = *(const void *const *)b;
	int r = strcmp(x->name, y->name);

	return r ? r : in_file_order(x, y);
}

static int compare_numbers(uint32_t x, uint32_t y)
{
	return (x > y) - (x < y);
}

/* By address or prefix, a shorter prefix first: those around an address stand before it. */
static int compare_networks(const struct doc_network *x, const struct doc_network *y)
{
	int r = addr_compare(&x->address, &y->address);

	return r ? r : compare_numbers(y->host_bits, x->host_bits);
}

/* One port, a range, any port: between two kinds there is precedence, within one there is not. */
static uint32_t kind_of(const struct doc_ports *ports)
{
	if (!ports->first)
		return 2;
	return ports->last ? 1 : 0;
}

static int compare_services(const struct doc_vip *x, const struct doc_vip *y)
{
	int r = compare_networks(&x->network, &y->network);

	if (r == 0)
		r = compare_numbers(x->protocol, y->protocol);
	if (r == 0)
		r = compare_numbers(kind_of(&x->ports), kind_of(&y->ports));
	return r ? r : compare_numbers(x->ports.first, y->ports.first);
}

static int compare_vips(const void *a, const void *b)
{
	const struct doc_vip *x = *(const void *const *)a, *y = *(const void *const *)b;
	int r = compare_services(x, y);

	return r ? r : in_file_order(x, y);
}

static int compare_places(const void *a, const void *b)
{
	const struct doc_place *x = *(const void *const *)a, *y = *(const void *const *)b;
	int r = addr_compare(&x->real->address, &y->real->address);

	return r ? r : in_file_order(x, y);
}

/* ---- Interfaces ------------------------------------------------------------------------------ */

static int check_interfaces(const struct check *c)
{
	const struct doc_interface *list = c->doc->interfaces.items;
	char path[PLACE_TEXT_MAX];

	for (size_t i = 0; i < c->doc->interfaces.n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(list[i].name, list[j].name) != 0)
				continue;
			snprintf(path, sizeof(path), "interfaces[%zu].name", i);
			return config_fail(&c->errors, list[i].at[INTERFACE_NAME], path,
					   "duplicate interface \"%s\", already given in line %u",
					   list[i].name, list[j].at[INTERFACE_NAME].line);
		}
	}
	return 0;
}

/* ---- VIPs among each other ---------------------------------------------------------------------
 */

static int check_names(const struct check *c)
{
	const void **sorted;
	int ret = sort_pointers(c->vips, c->doc->vips.n, sizeof(*c->vips), compare_names, &sorted);
	char path[PLACE_TEXT_MAX];

	for (size_t i = 1; ret == 0 && i < c->doc->vips.n; i++) {
		const struct doc_vip *a = sorted[i - 1], *b = sorted[i];

		if (strcmp(a->name, b->name) == 0)
			ret = config_fail(&c->errors, b->at[VIP_NAME],
					  vip_path(c, b, ".name", path),
					  "duplicate name \"%s\", already given in line %u",
					  b->name, a->at[VIP_NAME].line);
	}
	if (ret != -ENOMEM)
		free(sorted);
	return ret;
}

/* What is said of the VIP's address, and so by all VIPs with it. */
struct address_policy {
	unsigned int key;
	const char *path;
	const char *(*name)(const struct vip_spec *vip);
};

static const char *name_on_no_port(const struct vip_spec *vip)
{
	return on_no_port_name(vip->on_no_port);
}

static const char *name_echo(const struct vip_spec *vip)
{
	return echo_policy_name(vip->echo);
}

#define N_ADDRESS_POLICIES 2

static const struct address_policy address_policies[N_ADDRESS_POLICIES] = {
	{POLICY_ON_NO_PORT, ".on_no_port", name_on_no_port},
	{POLICY_ECHO, ".echo", name_echo},
};

/* Of two VIPs with one address, the first in the file first. */
static int check_policy(const struct check *c, const struct address_policy *policy,
			const struct doc_vip *a, const struct doc_vip *b)
{
	const char *first = policy->name(&c->config->vips[vip_index(c, a)]);
	const char *second = policy->name(&c->config->vips[vip_index(c, b)]);
	char path[PLACE_TEXT_MAX], addr[SERVICE_TEXT_MAX];

	if (strcmp(first, second) == 0)
		return 0;
	return config_fail(
		&c->errors, schema_is_given(b, policy->key) ? b->at[policy->key] : b->self,
		vip_path(c, b, policy->path, path),
		"expected %s, as VIP \"%s\" in line %u says for the same address %s, got %s", first,
		a->name, a->self.line,
		network_format(&b->network.address, b->network.host_bits, addr), second);
}

static int fail_duplicate(const struct check *c, const struct doc_vip *a, const struct doc_vip *b)
{
	char path[PLACE_TEXT_MAX], service[SERVICE_TEXT_MAX];

	return config_fail(&c->errors, b->self, vip_path(c, b, "", path),
			   "duplicate of VIP \"%s\" in line %u: both are %s %s", a->name,
			   a->self.line, protocol_name((uint8_t)b->protocol),
			   service_format(&b->network.address, b->network.host_bits, b->ports.first,
					  b->ports.last, service));
}

/* The later one in the file is to blame. */
static int fail_overlap(const struct check *c, const struct doc_vip *a, const struct doc_vip *b)
{
	char path[PLACE_TEXT_MAX], addr[SERVICE_TEXT_MAX];
	char ports[SERVICE_TEXT_MAX], others[SERVICE_TEXT_MAX];

	if (a > b)
		return fail_overlap(c, b, a);
	return config_fail(
		&c->errors, b->at[VIP_PORT], vip_path(c, b, ".port", path),
		"ports %s of VIP \"%s\" overlap %s of VIP \"%s\" in line %u: both are %s %s",
		ports_format(b->ports.first, b->ports.last, ports), b->name,
		ports_format(a->ports.first, a->ports.last, others), a->name, a->self.line,
		protocol_name((uint8_t)b->protocol),
		network_format(&b->network.address, b->network.host_bits, addr));
}

/* Two VIPs that stand side by side in order of address, protocol, kind and first port. */
static int check_neighbours(const struct check *c, const struct doc_vip *a, const struct doc_vip *b)
{
	int ret = 0;

	if (compare_networks(&a->network, &b->network) != 0)
		return 0;
	if (compare_services(a, b) == 0 && a->ports.last == b->ports.last)
		return fail_duplicate(c, a, b);
	if (a->protocol == b->protocol && kind_of(&a->ports) == kind_of(&b->ports) &&
	    b->ports.first <= a->ports.last)
		return fail_overlap(c, a, b);
	for (size_t i = 0; i < N_ADDRESS_POLICIES && !ret; i++)
		ret = check_policy(c, &address_policies[i], a < b ? a : b, a < b ? b : a);
	return ret;
}

/*
 * Prefixes around one another stand one behind the other: `around` holds those around the VIP that
 * was looked at last.
 */
struct nesting {
	const struct doc_vip *around[VIP_PREFIX_DEPTH];
	size_t n;
};

static bool is_around(const struct doc_network *prefix, const struct doc_network *inner)
{
	return addr_in_network(&inner->address, &prefix->address, prefix->host_bits);
}

static int check_nesting(const struct check *c, const struct doc_vip *vip, struct nesting *nesting)
{
	char path[PLACE_TEXT_MAX];

	while (nesting->n && !is_around(&nesting->around[nesting->n - 1]->network, &vip->network))
		nesting->n--;
	if (!vip->network.host_bits ||
	    (nesting->n &&
	     !compare_networks(&nesting->around[nesting->n - 1]->network, &vip->network)))
		return 0;
	if (nesting->n == VIP_PREFIX_DEPTH)
		return config_fail(
			&c->errors, vip->at[VIP_ADDRESS], vip_path(c, vip, ".address", path),
			"expected at most %u prefixes in one another, the largest is that of "
			"VIP \"%s\" in line %u",
			VIP_PREFIX_DEPTH, nesting->around[0]->name, nesting->around[0]->self.line);
	nesting->around[nesting->n++] = vip;
	return 0;
}

static int check_services(const struct check *c)
{
	const void **sorted;
	int ret = sort_pointers(c->vips, c->doc->vips.n, sizeof(*c->vips), compare_vips, &sorted);
	struct nesting nesting = {};

	for (size_t i = 1; ret == 0 && i < c->doc->vips.n; i++)
		ret = check_neighbours(c, sorted[i - 1], sorted[i]);
	for (size_t i = 0; ret == 0 && i < c->doc->vips.n; i++)
		ret = check_nesting(c, sorted[i], &nesting);
	if (ret != -ENOMEM)
		free(sorted);
	return ret;
}

/* ---- One VIP and its reals ---------------------------------------------------------------------
 */

static int check_real(const struct check *c, const struct doc_vip *vip,
		      const struct doc_place *place)
{
	const struct doc_real *real = place->real;
	bool is_v4 = addr_is_v4(&real->address);
	const struct encap_source *source = is_v4 ? &c->config->source4 : &c->config->source6;
	char path[PLACE_TEXT_MAX];

	doc_place_path(place, vip_index(c, vip), ".address", path);
	if (addr_in_network(&real->address, &vip->network.address, vip->network.host_bits))
		return config_fail(&c->errors, real->at[REAL_ADDRESS], path,
				   "expected the real's own address, got the VIP's%s%s",
				   place->use ? ": that of VIP " : "", place->use ? vip->name : "");
	if (!source->is_set && c->config->vips[vip_index(c, vip)].encap != ENCAP_L2DSR)
		return config_fail(&c->errors, real->at[REAL_ADDRESS], path,
				   "expected encap.source%c to be set since this real is IPv%c",
				   is_v4 ? '4' : '6', is_v4 ? '4' : '6');
	return 0;
}

/* In one list the later one is to blame; of two pools neither, but who uses both. */
static int fail_duplicate_real(const struct check *c, const struct doc_vip *vip,
			       const struct doc_place *a, const struct doc_place *b)
{
	char path[PLACE_TEXT_MAX], addr[ADDR_TEXT_MAX], key[48];

	addr_format(&b->real->address, addr);
	if (a->use == b->use)
		return config_fail(&c->errors, b->real->at[REAL_ADDRESS],
				   doc_place_path(b, vip_index(c, vip), ".address", path),
				   "duplicate real %s, already given in line %u", addr,
				   a->real->at[REAL_ADDRESS].line);
	snprintf(key, sizeof(key), ".pools[%zu].name",
		 (size_t)(b->use - (const struct doc_use *)vip->pools.items));
	return config_fail(
		&c->errors, b->use->at[USE_NAME], vip_path(c, vip, key, path),
		"duplicate real %s: in pool \"%s\" in line %u, and in pool \"%s\" in line %u", addr,
		a->use->name, a->real->at[REAL_ADDRESS].line, b->use->name,
		b->real->at[REAL_ADDRESS].line);
}

static int check_places(const struct check *c, const struct doc_vip *vip,
			const struct doc_place *places, size_t n)
{
	const void **sorted;
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++)
		ret = check_real(c, vip, &places[i]);
	if (ret)
		return ret;
	ret = sort_pointers(places, n, sizeof(*places), compare_places, &sorted);
	if (ret)
		return ret;
	for (size_t i = 1; ret == 0 && i < n; i++) {
		const struct doc_place *a = sorted[i - 1], *b = sorted[i];

		if (addr_equal(&a->real->address, &b->real->address))
			ret = fail_duplicate_real(c, vip, a, b);
	}
	free(sorted);
	return ret;
}

static int check_reals(const struct check *c, const struct doc_vip *vip)
{
	char path[PLACE_TEXT_MAX];
	struct doc_place *places;
	size_t n;
	int ret = config_vip_places(c->doc, vip, &places, &n);

	if (ret)
		return ret;
	ret = check_places(c, vip, places, n);
	free(places);
	if (!ret && n >= XDPLB_MAX_VIP_MEMBERS)
		return config_fail(&c->errors, vip->at[VIP_POOLS], vip_path(c, vip, ".pools", path),
				   "expected pools of at most %u reals together, got %zu",
				   XDPLB_MAX_VIP_MEMBERS - 1, n);
	return ret;
}

/* A probe goes to the VIP's port, or the first of them, unless it is told another. */
static int check_probe_port(const struct check *c, const struct doc_vip *vip)
{
	const struct health_spec *health = &c->config->vips[vip_index(c, vip)].health;
	char path[PLACE_TEXT_MAX];

	if (vip->ports.first || health->port || health->type == HEALTH_TYPE_NONE ||
	    health->type == HEALTH_TYPE_ICMP)
		return 0;
	return config_fail(
		&c->errors, vip->at[VIP_PORT], vip_path(c, vip, ".port", path),
		"expected health.port to be given, or health.type none, since any port leaves "
		"open which one is probed");
}

/* `tuple` counts parts, and there is no fourth without the fifth; time is counted in seconds. */
static int check_source_values(const struct check *c, const struct doc_source *source,
			       const char *where)
{
	uint32_t affinity_ms = schema_u32(&schema_source, source, SOURCE_AFFINITY);
	char path[PLACE_TEXT_MAX];

	if (schema_u32(&schema_source, source, SOURCE_TUPLE) == 4) {
		snprintf(path, sizeof(path), "%s.tuple", where);
		return config_fail(&c->errors, source->at[SOURCE_TUPLE], path,
				   "expected 1, 2, 3 or 5, got 4");
	}
	if (affinity_ms % 1000 == 0)
		return 0;
	snprintf(path, sizeof(path), "%s.affinity", where);
	return config_fail(&c->errors, source->at[SOURCE_AFFINITY], path,
			   "expected whole seconds, got %ums", affinity_ms);
}

/* A VIP that says what the source decides, and then does not go by it, means something else. */
static int check_source(const struct check *c, const struct doc_vip *vip)
{
	const struct vip_spec *spec = &c->config->vips[vip_index(c, vip)];
	const struct doc_source *source = &vip->policy.source;
	char path[PLACE_TEXT_MAX];

	if (source->self.line && spec->scheduler != SCHEDULER_SOURCE)
		return config_fail(&c->errors, vip->at[POLICY_SOURCE],
				   vip_path(c, vip, ".source", path),
				   "expected no such key with scheduler %s; it belongs to source",
				   scheduler_name(spec->scheduler));
	return check_source_values(c, source, vip_path(c, vip, ".source", path));
}

/* ---- Capacities --------------------------------------------------------------------------------
 */

static int fail_capacity(const struct check *c, size_t key, uint64_t needed, uint32_t given,
			 const char *what)
{
	bool is_given = schema_is_given(&c->doc->capacity, key);
	const char *name = schema_capacity.fields[key].key;
	char path[PLACE_TEXT_MAX];

	snprintf(path, sizeof(path), "capacity.%s", name);
	return config_fail(&c->errors, is_given ? c->doc->capacity.at[key] : c->doc->at[FILE_VIPS],
			   path, "expected at least %llu for %s, got %u; raise capacity.%s",
			   (unsigned long long)needed, what, given, name);
}

static int check_capacity(const struct check *c)
{
	const struct capacity *capacity = &c->config->capacity;
	uint64_t members = 0, blocks = 0;
	bool has_turns = config_schedulers(c->config) & 1u << SCHEDULER_RR;

	for (size_t i = 0; i < c->config->n_vips; i++) {
		const struct vip_spec *vip = &c->config->vips[i];

		members += vip->n_reals;
		blocks += 2 * (uint64_t)sizing_half_blocks(vip->ring, vip->n_reals, vip->scheduler);
	}
	if (c->config->n_vips > capacity->vips)
		return fail_capacity(c, CAPACITY_VIPS, c->config->n_vips, capacity->vips,
				     "the VIPs of this file");
	if (members > capacity->members)
		return fail_capacity(c, CAPACITY_MEMBERS, members, capacity->members,
				     "the reals of all VIPs");
	if (blocks > sizing_ring_blocks(capacity->ring_slots))
		return fail_capacity(c, CAPACITY_RING_SLOTS, blocks * RING_SLOTS_PER_BLOCK,
				     capacity->ring_slots,
				     has_turns ? "the rings of all VIPs (two each, with member "
						 "lists, and round robin's turns)"
					       : "the rings of all VIPs (two each, with member "
						 "lists)");
	return 0;
}

int config_check(const struct doc_file *doc, const struct config *config, struct err *err)
{
	struct check c = {.config = config,
			  .doc = doc,
			  .vips = doc->vips.items,
			  .errors = {config->file, err, NULL}};
	int ret;

	ret = check_interfaces(&c);
	if (ret == 0)
		ret = check_source_values(&c, &doc->defaults.policy.source, "defaults.source");
	for (size_t i = 0; ret == 0 && i < doc->vips.n; i++) {
		ret = check_source(&c, &c.vips[i]);
		if (ret == 0)
			ret = check_probe_port(&c, &c.vips[i]);
		if (ret == 0)
			ret = check_reals(&c, &c.vips[i]);
	}
	if (ret == 0)
		ret = check_names(&c);
	if (ret == 0)
		ret = check_services(&c);
	return ret ? ret : check_capacity(&c);
}
