// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A snapshot as JSON. Field names equal those of the YAML file and of the metrics. Spans of time
 * are milliseconds, counted from now: the monotonic clock means nothing to a reader.
 *
 * jansson refuses text that is not UTF-8, and a probe's reply may be anything: text that did not
 * come from the configuration goes through text_to_json().
 */
#include "render.h"

#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "pool_text.h"
#include "vip_json.h"

struct counter_info {
	const char *name;
	size_t offset;
};

static const struct counter_info counters[] = {
#define X(name, text) {#name, offsetof(struct stats, name)},
	XDPLB_ALL_COUNTERS(X)
#undef X
};

static json_t *u64_to_json(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *text_to_json(const char *text)
{
	json_t *json = json_string(text);
	char clean[256];
	size_t i;

	if (json)
		return json;
	for (i = 0; text[i] && i < sizeof(clean) - 1; i++)
		clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	clean[i] = '\0';
	return json_string(clean);
}

static json_t *addr_to_json(const struct ip_addr *addr)
{
	char text[ADDR_TEXT_MAX];

	return json_string(addr_format(addr, text));
}

static uint64_t elapsed_ms(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

static bool vip_has_real(const struct snapshot_vip *vip, size_t index)
{
	return index >= vip->first_real && index - vip->first_real < vip->n_reals;
}

/* The VIP of reals[index]; hint is tried first, since reals lie in the order of their VIPs. */
static const struct snapshot_vip *find_vip(const struct snapshot *s, size_t index,
					   const struct snapshot_vip *hint)
{
	if (hint && vip_has_real(hint, index))
		return hint;
	for (size_t i = 0; i < s->n_vips; i++) {
		if (vip_has_real(&s->vips[i], index))
			return &s->vips[i];
	}
	return NULL;
}

static size_t count_wanted_reals(const struct snapshot *s, const struct snapshot_vip *vip)
{
	size_t n = 0;

	for (size_t i = 0; i < vip->n_reals; i++)
		n += !s->reals[vip->first_real + i].is_removed;
	return n;
}

static json_t *interface_to_json(const struct snapshot_interface *interface)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:i, s:i}", "name", interface->spec->name,
			 "mode", interface->spec->mode == ATTACH_GENERIC ? "generic" : "native",
			 "present", interface->is_present, "attached", interface->is_attached,
			 "link", interface->has_link, "ifindex", (int)interface->ifindex, "prog_id",
			 (int)interface->prog_id);
}

static json_t *interfaces_to_json(const struct snapshot *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->n_interfaces; i++)
		json_array_append_new(array, interface_to_json(&s->interfaces[i]));
	return array;
}

static json_t *capacity_to_json(const struct capacity *capacity)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "flows", u64_to_json(capacity->flows), "members",
			 u64_to_json(capacity->members), "vips", u64_to_json(capacity->vips),
			 "ring_slots", u64_to_json(capacity->ring_slots));
}

static json_t *probes_to_json(const struct snapshot_probes *probes)
{
	const struct lateness_summary *late = &probes->lateness;

	return json_pack("{s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}}", "targets",
			 u64_to_json(probes->targets), "started", u64_to_json(probes->started),
			 "not_made", u64_to_json(probes->not_made), "under_way",
			 u64_to_json(probes->under_way), "late_us", "p50",
			 u64_to_json(late->p50_us), "p99", u64_to_json(late->p99_us), "max",
			 u64_to_json(late->max_us));
}

json_t *render_status(const struct snapshot *s)
{
	size_t vips[VIP_DOWN + 1] = {}, reals_up = 0, reals = 0;

	for (size_t i = 0; i < s->n_vips; i++) {
		vips[s->vips[i].standing.state]++;
		reals_up += s->vips[i].reals_up;
		reals += count_wanted_reals(s, &s->vips[i]);
	}
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:s, s:o}",
			 "version", XDPLB_VERSION, "pid", (int)getpid(), "config",
			 text_to_json(s->config->file), "uptime_ms",
			 u64_to_json(elapsed_ms(s->now_ms, s->started_at_ms)), "generation",
			 u64_to_json(s->generation), "adopted", s->is_adopted, "interfaces",
			 interfaces_to_json(s), "vips", u64_to_json(s->n_vips), "vips_up",
			 u64_to_json(s->n_vips - vips[VIP_DOWN]), "vips_degraded",
			 u64_to_json(vips[VIP_DEGRADED]), "vips_panic",
			 u64_to_json(vips[VIP_PANIC]), "reals", u64_to_json(reals), "reals_up",
			 u64_to_json(reals_up), "flows", u64_to_json(s->flows), "capacity",
			 capacity_to_json(&s->config->capacity), "map_bytes",
			 u64_to_json(s->map_bytes), "bpffs", s->config->bpffs, "probes",
			 probes_to_json(&s->probes));
}

/* null: the VIP has reals of its own. */
static json_t *pools_to_json(const struct vip_spec *spec)
{
	char text[POOL_TEXT_MAX];

	return spec->n_pools ? json_string(pool_text_format(spec->pools, spec->n_pools, text))
			     : json_null();
}

/* Why backups get new flows: "1 of 4 up, fewer than backup_below 50%: backups ..." */
static json_t *backups_to_json(const struct snapshot_vip *vip)
{
	const struct vip_standing *s = &vip->standing;
	const struct share *below = &vip->spec->backup_below;
	unsigned int from = s->first_level ? s->first_level : 1;
	char levels[40], slow[40] = "";

	if (from == s->last_level)
		snprintf(levels, sizeof(levels), "backups of level %u", from);
	else
		snprintf(levels, sizeof(levels), "backups of levels %u to %u", from, s->last_level);
	if (s->first_level)
		return json_sprintf("no primary is up: %s serve", levels);
	if (s->slow)
		snprintf(slow, sizeof(slow), " (%zu starting slowly)", s->slow);
	return json_sprintf("%zu of %zu up%s, fewer than backup_below %u%s: %s serve too", s->up,
			    s->counted, slow, below->value, below->is_percent ? "%" : "", levels);
}

static const char *fate_of_new_flows(const struct vip_spec *vip)
{
	return vip_on_empty(vip) == ON_EMPTY_DROP ? "dropped" : "refused";
}

/* Why the VIP is not simply up; null: it is. */
static json_t *vip_reason_to_json(const struct snapshot_vip *vip)
{
	const struct vip_standing *s = &vip->standing;
	const struct share *min = &vip->spec->min_healthy;

	if (s->state == VIP_DOWN && !s->is_proven)
		return json_sprintf("no real is proven up yet: new flows are %s",
				    fate_of_new_flows(vip->spec));
	if (s->state == VIP_DOWN)
		return json_sprintf("no real takes new flows: they are %s",
				    fate_of_new_flows(vip->spec));
	if (s->state == VIP_PANIC && s->up)
		return json_sprintf("%zu of %zu up, fewer than panic %u%%: those that are down "
				    "serve too",
				    s->up, s->counted, vip->spec->panic_percent);
	if (s->is_on_backup)
		return backups_to_json(vip);
	if (s->state == VIP_PANIC)
		return json_string("no real is well: those that are down or ejected serve");
	if (s->is_below_min)
		return json_sprintf("%zu of %zu up, fewer than min_healthy %u%s", s->up, s->counted,
				    min->value, min->is_percent ? "%" : "");
	return json_null();
}

static json_t *vip_to_json(const struct snapshot *s, const struct snapshot_vip *vip)
{
	char fingerprint[17];

	snprintf(fingerprint, sizeof(fingerprint), "%016llx", (unsigned long long)vip->fingerprint);
	return json_pack(
		"{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
		"s:s, s:o, s:s?, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
		"name", vip->spec->name, "address", vip_address_to_json(vip->spec), "port",
		vip_port_to_json(vip->spec), "protocol", protocol_name(vip->spec->protocol),
		"scheduler", scheduler_name(vip->spec->scheduler), "state",
		vip_condition_name(vip->standing.state), "since_ms",
		u64_to_json(elapsed_ms(s->now_ms, vip->state_since_ms)), "reals_up",
		u64_to_json(vip->reals_up), "reals", u64_to_json(count_wanted_reals(s, vip)),
		"active_flows", u64_to_json(vip->active_flows), "new_flows",
		u64_to_json(vip->new_flows), "packets", u64_to_json(vip->packets), "bytes",
		u64_to_json(vip->bytes), "ring", u64_to_json(vip->spec->ring), "encap",
		encap_name(vip->spec->encap), "fingerprint", fingerprint, "pools",
		pools_to_json(vip->spec), "file_pools", vip->spec->file_pools, "on_backup",
		vip->standing.is_on_backup, "reason", vip_reason_to_json(vip), "backup_level",
		u64_to_json(vip->standing.last_level), "backup_below",
		u64_to_json(vip->standing.needed), "backup_joins", u64_to_json(vip->joins),
		"min_healthy", u64_to_json(vip->standing.wanted), "below_min_healthy",
		vip->is_alarmed, "min_healthy_alarms", u64_to_json(vip->alarms));
}

json_t *render_vips(const struct snapshot *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->n_vips; i++)
		json_array_append_new(array, vip_to_json(s, &s->vips[i]));
	return array;
}

static json_t *next_hop_to_json(const struct snapshot_real *real)
{
	char mac[18];

	if (!real->has_next_hop)
		return json_null();
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", real->mac[0], real->mac[1],
		 real->mac[2], real->mac[3], real->mac[4], real->mac[5]);
	return json_pack("{s:s, s:s}", "interface", real->interface, "mac", mac);
}

static json_t *last_text_to_json(const struct snapshot_health *health)
{
	return health->has_result ? text_to_json(health->last_text) : json_null();
}

/* null: nothing is known yet. */
static json_t *reason_to_json(const struct snapshot_real *real)
{
	if (!real->reason && real->health.type == HEALTH_TYPE_NONE && !real->is_removed)
		return json_string("not probed");
	return real->reason ? text_to_json(real->reason) : last_text_to_json(&real->health);
}

/* null: never. */
static json_t *next_to_json(const struct snapshot *s, const struct snapshot_health *h)
{
	return h->type == HEALTH_TYPE_NONE ? json_null()
					   : u64_to_json(elapsed_ms(h->next_at_ms, s->now_ms));
}

static void set_last_result(json_t *object, const struct snapshot *s,
			    const struct snapshot_health *h)
{
	bool has = h->has_result;

	json_object_set_new(object, "last_ok", has ? json_boolean(h->last_ok) : json_null());
	json_object_set_new(object, "last_result", last_text_to_json(h));
	json_object_set_new(object, "last_duration_ms",
			    has ? u64_to_json(h->last_duration_ms) : json_null());
	json_object_set_new(object, "last_ago_ms",
			    has ? u64_to_json(elapsed_ms(s->now_ms, h->last_at_ms)) : json_null());
	json_object_set_new(object, "next_in_ms", next_to_json(s, h));
	json_object_set_new(object, "successes", u64_to_json(h->state.successes));
	json_object_set_new(object, "failures", u64_to_json(h->state.failures));
}

/* How its circuit breaker stands. */
static json_t *circuit_to_json(const struct snapshot *s, const struct circuit *c)
{
	json_t *since = c->state != CIRCUIT_CLOSED ? u64_to_json(elapsed_ms(s->now_ms, c->since_ms))
						   : json_null();
	json_t *left = c->state == CIRCUIT_OPEN ? u64_to_json(elapsed_ms(c->until_ms, s->now_ms))
						: json_null();

	return json_pack("{s:s, s:o, s:o, s:i, s:f, s:f}", "state", circuit_state_name(c->state),
			 "since_ms", since, "left_ms", left, "ejections", (int)c->ejections,
			 "repeated_share", c->permille / 1000.0, "others_share",
			 c->others_permille / 1000.0);
}

static void set_explanation(json_t *object, const struct snapshot *s,
			    const struct snapshot_real *real)
{
	const struct snapshot_health *h = &real->health;

	json_object_set_new(object, "reason_since_ms",
			    u64_to_json(elapsed_ms(s->now_ms, real->reason_since_ms)));
	json_object_set_new(object, "held_back_percent", u64_to_json(real->held_back_percent));
	json_object_set_new(object, "repeated_syns", u64_to_json(real->repeated_syns));
	json_object_set_new(object, "circuit", circuit_to_json(s, &real->circuit));
	json_object_set_new(object, "assumed", json_boolean(h->state.is_assumed));
	json_object_set_new(object, "lowered_percent", u64_to_json(real->advice.lowered_percent));
	json_object_set_new(object, "flaps", u64_to_json(h->flaps));
	json_object_set_new(object, "held_down_ms",
			    u64_to_json(elapsed_ms(h->state.held_until_ms, s->now_ms)));
	json_object_set_new(object, "transitions", u64_to_json(h->transitions));
	json_object_set_new(object, "target", u64_to_json(h->target));
	json_object_set_new(object, "shared_by", u64_to_json(h->shared_by));
}

static json_t *drain_to_json(const struct snapshot_real *real)
{
	const struct snapshot_drain *drain = &real->drain;

	if (real->admin != ADMIN_DRAIN)
		return json_null();
	return json_pack("{s:o, s:s, s:b, s:b, s:s?}", "left_ms",
			 drain->has_deadline ? u64_to_json(drain->left_ms) : json_null(), "then",
			 drain_rest_name(drain->then), "disables", drain->disables, "removes",
			 drain->removes, "waits_for", drain->waits_for);
}

static json_t *real_to_json(const struct snapshot *s, const struct snapshot_real *real,
			    const struct snapshot_vip *vip)
{
	json_t *port = vip ? vip_port_to_json(vip->spec) : json_null();
	json_t *protocol = vip ? json_string(protocol_name(vip->spec->protocol)) : json_null();
	json_t *object;

	object = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:f, s:s?, s:b, s:o}",
		"vip", real->vip, "address", addr_to_json(&real->address), "port", port, "protocol",
		protocol, "weight", u64_to_json(real->weight), "effective_weight",
		u64_to_json(real->effective_weight), "state", real_state_name(real->state), "admin",
		admin_state_name(real->admin), "admin_since_ms",
		real->has_admin_since ? u64_to_json(real->admin_for_ms) : json_null(), "drain",
		drain_to_json(real), "removed", real->is_removed, "member_id",
		u64_to_json(real->member_id), "next_hop", next_hop_to_json(real), "active_flows",
		u64_to_json(real->active_flows), "new_flows", u64_to_json(real->new_flows),
		"packets", u64_to_json(real->packets), "bytes", u64_to_json(real->bytes), "reason",
		reason_to_json(real), "since_ms",
		u64_to_json(elapsed_ms(s->now_ms, real->health.state.since_ms)), "share",
		real->share, "pool", real->pool, "backup", real->backup_level > 0, "backup_level",
		u64_to_json(real->backup_level));
	set_last_result(object, s, &real->health);
	set_explanation(object, s, real);
	return object;
}

json_t *render_switch(const struct snapshot *s)
{
	const struct snapshot_vip *vip = &s->vips[0];

	return json_pack("{s:b, s:s, s:o, s:s}", "ok", 1, "vip", vip->spec->name, "pools",
			 pools_to_json(vip->spec), "state",
			 vip_condition_name(vip->standing.state));
}

json_t *render_vip(const struct snapshot *s, const struct snapshot_vip *vip)
{
	json_t *object = vip_to_json(s, vip);
	json_t *reals = json_array(), *removed = json_array();
	const struct vip_spec *spec = vip->spec;

	for (size_t i = 0; i < vip->n_reals; i++)
		json_array_append_new(reals, real_to_json(s, &s->reals[vip->first_real + i], vip));
	for (size_t i = 0; i < spec->n_removed; i++)
		json_array_append_new(removed,
				      addr_to_json(&spec->reals[spec->n_reals + i].address));
	json_object_set_new(object, "members", reals);
	json_object_set_new(object, "removed", removed);
	return object;
}

json_t *render_reals(const struct snapshot *s)
{
	const struct snapshot_vip *of = NULL;
	json_t *array = json_array();

	for (size_t i = 0; i < s->n_reals; i++) {
		of = find_vip(s, i, of);
		json_array_append_new(array, real_to_json(s, &s->reals[i], of));
	}
	return array;
}

static json_t *health_to_json(const struct snapshot *s, const struct snapshot_real *real)
{
	const struct snapshot_health *h = &real->health;
	json_t *object = json_pack("{s:s, s:o, s:i, s:s, s:s, s:o, s:o}", "vip", real->vip,
				   "address", addr_to_json(&real->address), "port", (int)h->port,
				   "type", health_type_name(h->type), "state",
				   health_verdict_name(h->state.verdict), "since_ms",
				   u64_to_json(elapsed_ms(s->now_ms, h->state.since_ms)), "reason",
				   reason_to_json(real));

	set_last_result(object, s, h);
	json_object_set_new(object, "via", json_string(probe_via_name(h->via)));
	json_object_set_new(object, "probes", u64_to_json(h->probes));
	json_object_set_new(object, "probe_failures", u64_to_json(h->probe_failures));
	set_explanation(object, s, real);
	return object;
}

json_t *render_real(const struct snapshot *s, const struct snapshot_real *real)
{
	json_t *object = real_to_json(s, real, find_vip(s, (size_t)(real - s->reals), NULL));

	json_object_set_new(object, "health",
			    real->is_removed ? json_null() : health_to_json(s, real));
	return object;
}

json_t *render_health(const struct snapshot *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->n_reals; i++) {
		const struct snapshot_real *real = &s->reals[i];

		if (!real->is_removed)
			json_array_append_new(array, health_to_json(s, real));
	}
	return array;
}

static json_t *stats_to_json(const struct stats *stats, uint64_t forwarded)
{
	json_t *object = json_object();

	json_object_set_new(object, "forwarded", u64_to_json(forwarded));
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		uint64_t value;

		memcpy(&value, (const char *)stats + counters[i].offset, sizeof(value));
		json_object_set_new(object, counters[i].name, u64_to_json(value));
	}
	return object;
}

json_t *render_stats(const struct snapshot *s, bool per_cpu)
{
	json_t *object = stats_to_json(&s->stats_total, s->forwarded_total);
	json_t *array;

	if (!per_cpu)
		return object;
	array = json_array();
	for (unsigned int cpu = 0; cpu < s->n_cpus; cpu++) {
		json_t *row = json_pack("{s:i}", "cpu", (int)cpu);
		json_t *values = stats_to_json(&s->stats[cpu], s->forwarded[cpu]);

		json_object_update(row, values);
		json_decref(values);
		json_array_append_new(array, row);
	}
	json_object_set_new(object, "per_cpu", array);
	return object;
}

json_t *render_flow_count(const struct snapshot *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "flows", u64_to_json(s->flows), "unproven",
			 u64_to_json(s->flows_unproven), "closing", u64_to_json(s->flows_closing),
			 "slots", u64_to_json(s->flow_slots), "scanned_ago_ms",
			 u64_to_json(elapsed_ms(s->now_ms, s->flows_scanned_at_ms)));
}
