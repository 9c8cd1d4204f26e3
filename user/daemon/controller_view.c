/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The controller's state copied into a snapshot, counters read from the maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller_private.h"
#include "lib/addr.h"
#include "lib/config_removal.h"

const struct snapshot_scope snapshot_all = {
	.n_vips = SIZE_MAX,
	.n_reals = SIZE_MAX,
	.has_counters = true,
	.has_totals = true,
};

/* Where one snapshot is being filled in. */
struct view {
	const struct controller *c;
	const struct snapshot_scope *scope;
	struct snapshot *s;
	struct member_stats *per_cpu; /* scratch: one per possible CPU */
};

static void add_member_counters(struct view *view, uint32_t id, struct member_stats *ret_sum)
{
	struct member_stats sum = {};

	if (dataplane_read_member_stats(view->c->dataplane, id, view->per_cpu))
		memset(view->per_cpu, 0, view->s->n_cpus * sizeof(*view->per_cpu));
	for (unsigned int cpu = 0; cpu < view->s->n_cpus; cpu++) {
		sum.packets += view->per_cpu[cpu].packets;
		sum.bytes += view->per_cpu[cpu].bytes;
		sum.new_flows += view->per_cpu[cpu].new_flows;
		sum.repeated_syns += view->per_cpu[cpu].repeated_syns;
		view->s->forwarded[cpu] += view->per_cpu[cpu].packets;
	}
	view->s->forwarded_total += sum.packets;
	*ret_sum = sum;
}

static void add_to_vip(struct snapshot_vip *vip, const struct member_stats *sum, uint64_t active)
{
	vip->packets += sum->packets;
	vip->bytes += sum->bytes;
	vip->new_flows += sum->new_flows;
	vip->active_flows += active;
}

static void view_next_hop(const struct view *view, struct snapshot_real *real)
{
	struct next_hop hop;

	if (!neigh_get(view->c->neigh, &real->address, &hop) || !hop.is_resolved)
		return;
	real->has_next_hop = true;
	memcpy(real->mac, hop.mac, sizeof(real->mac));
	memcpy(real->interface, hop.interface, sizeof(real->interface));
}

/* The wall clock may have been set back since. */
static void view_admin(struct snapshot_real *real, enum admin_state admin, uint64_t since_ms)
{
	uint64_t now = controller_wall_ms();

	real->admin = admin;
	real->has_admin_since = admin != ADMIN_ENABLED && since_ms;
	real->admin_for_ms = real->has_admin_since && now > since_ms ? now - since_ms : 0;
}

/* Why it is not drained yet: the flows that are shown may be those of before, or none but a SYN. */
static const char *waits_for(const struct real_run *run, const struct snapshot_real *real)
{
	if (real->state != REAL_DRAINING)
		return NULL;
	if (run->controller->scanner.ended < run->drain_scan)
		return "count";
	return drain_flows(run) ? "flows" : "handshakes";
}

static void view_drain(const struct real_run *run, struct snapshot_real *real)
{
	uint64_t now = controller_wall_ms(), deadline = run->drain.deadline_ms;

	real->drain = (struct snapshot_drain){
		.has_deadline = run->admin == ADMIN_DRAIN && deadline,
		.left_ms = deadline > now ? deadline - now : 0,
		.then = run->drain.then,
		.disables = run->drain.disables,
		.removes = run->drain.removes,
		.waits_for = waits_for(run, real),
	};
}

/* What its member has done, if it has one. */
static struct member_stats view_member(struct view *view, struct snapshot_real *real,
				       const struct applied_member *m)
{
	struct member_stats sum = {};

	if (m)
		real->member_id = m->id;
	if (m && view->scope->has_counters) {
		real->active_flows = view->c->scanner.done.members[m->id].active;
		add_member_counters(view, m->id, &sum);
	}
	real->packets = sum.packets;
	real->bytes = sum.bytes;
	real->new_flows = sum.new_flows;
	real->repeated_syns = sum.repeated_syns;
	return sum;
}

/* What the configuration says of it. */
static struct snapshot_real *add_real(struct view *view, const struct snapshot_vip *vip,
				      const struct real_spec *spec)
{
	struct snapshot_real *real = &view->s->reals[view->s->n_reals++];

	real->vip = vip->spec->name;
	real->address = spec->address;
	real->weight = spec->weight;
	real->pool = vip->spec->n_pools ? vip->spec->pools[spec->pool].name : NULL;
	real->backup_level = spec->backup_level;
	return real;
}

static void view_real(struct view *view, struct snapshot_vip *vip, const struct real_spec *spec,
		      const struct real_run *run, const struct applied_vip *applied, size_t hint)
{
	struct snapshot_real *real = add_real(view, vip, spec);
	const struct applied_member *m =
		applied ? applied_find_member(applied, &spec->address, hint) : NULL;
	struct member_stats sum = view_member(view, real, m);

	real->effective_weight = run->want.weight;
	view_admin(real, run->admin, run->admin_since_ms);
	real->circuit = run->circuit;
	real->state = effective_real_state(run_input(run), drain_has_flows(run));
	view_drain(run, real);
	if (view->scope->has_counters)
		view_next_hop(view, real);
	if (run->listener)
		health_read(run->listener, view->s->now_ms, &real->health);
	real->reason = run->reason[0] ? run->reason : NULL;
	real->reason_since_ms = run->reason_since_ms;
	real->held_back_percent = run->ramp_applied;
	real->advice = run->advice;
	/* The probe counts rows of results; the verdict in force is the run's. */
	real->health.state.is_assumed = run->is_assumed;
	real->health.transitions = run->transitions;
	real->health.state.verdict = run->health;
	real->health.state.since_ms = run->health_since_ms;
	add_to_vip(vip, &sum, real->active_flows);
	vip->reals_up += real->state == REAL_UP && spec->weight &&
			 (!vip->spec->n_pools || vip->spec->pools[spec->pool].weight);
}

static void view_shares(const struct view *view, const struct snapshot_vip *vip,
			const struct vip_run *runs)
{
	uint64_t sum = 0;

	for (size_t r = 0; r < runs->n_reals; r++)
		sum += runs->reals[r]->want.ring_weight;
	for (size_t i = 0; i < vip->n_reals && sum; i++) {
		const struct real_run *run = runs->reals[view->scope->first_real + i];

		view->s->reals[vip->first_real + i].share = (double)run->want.ring_weight /
							    (double)sum;
	}
}

/* Removed reals whose flows finish: in the VIP's totals, not in its list. */
static void view_removed(struct view *view, struct snapshot_vip *vip,
			 const struct applied_vip *applied)
{
	for (size_t i = 0; i < applied->n_members; i++) {
		const struct applied_member *m = &applied->members[i];
		struct member_stats sum;

		if (!(m->state & MEMBER_NOTE_REMOVED))
			continue;
		add_member_counters(view, m->id, &sum);
		add_to_vip(vip, &sum, view->c->scanner.done.members[m->id].active);
	}
}

/* Parked by the operator, or in no configuration any more. */
static void view_removed_real(struct view *view, struct snapshot_vip *vip,
			      const struct applied_vip *applied, const struct ip_addr *address)
{
	const struct real_spec *parked = vip_find_removed(vip->spec, address);
	struct real_spec unknown = {.address = *address};
	struct snapshot_real *real = add_real(view, vip, parked ? parked : &unknown);

	if (!parked)
		real->pool = NULL;
	real->is_removed = true;
	real->state = REAL_REMOVED;
	view_admin(real, parked ? ADMIN_REMOVED : ADMIN_ENABLED,
		   runtime_get(view->c->runtime, vip->spec->name, address).since_ms);
	real->health.state.verdict = HEALTH_UNKNOWN;
	real->health.state.since_ms = view->s->now_ms;
	view_member(view, real, applied ? applied_find_member(applied, address, 0) : NULL);
	view_next_hop(view, real);
	vip->n_reals++;
}

static size_t reals_in_scope(const struct snapshot_scope *scope, const struct vip_spec *vip)
{
	size_t rest = vip->n_reals > scope->first_real ? vip->n_reals - scope->first_real : 0;

	return rest < scope->n_reals ? rest : scope->n_reals;
}

/* One past the last VIP. */
static size_t vips_in_scope(const struct snapshot_scope *scope, const struct config *config)
{
	size_t rest = config->n_vips > scope->first_vip ? config->n_vips - scope->first_vip : 0;

	return scope->first_vip + (rest < scope->n_vips ? rest : scope->n_vips);
}

static void view_vip(struct view *view, size_t v)
{
	const struct controller *c = view->c;
	const struct vip_spec *spec = &c->config->vips[v];
	struct vip_key key = vip_key_of(spec);
	const struct applied_vip *applied = applied_find(c->applied, &key);
	struct snapshot_vip *vip = &view->s->vips[view->s->n_vips++];

	vip->spec = spec;
	vip->first_real = view->s->n_reals;
	vip->n_reals = reals_in_scope(view->scope, spec);
	for (size_t i = 0; i < vip->n_reals; i++) {
		size_t r = view->scope->first_real + i;

		view_real(view, vip, &spec->reals[r], c->runs.vips[v].reals[r], applied, r);
	}
	vip->standing = c->runs.vips[v].standing;
	vip->state_since_ms = c->runs.vips[v].state_since_ms;
	vip->is_alarmed = c->runs.vips[v].is_alarmed;
	vip->alarms = c->runs.vips[v].alarms;
	vip->joins = c->runs.vips[v].joins;
	view_shares(view, vip, &c->runs.vips[v]);
	if (view->scope->removed)
		view_removed_real(view, vip, applied, view->scope->removed);
	if (!applied)
		return;
	vip->vip_id = applied->id;
	vip->fingerprint = applied->fingerprint;
	if (!view->scope->has_counters)
		return;
	view_removed(view, vip, applied);
	const struct vip_state *bank = &dataplane_dp(c->dataplane)->vip_state[applied->id];

	vip->packets += bank->freed_packets;
	vip->bytes += bank->freed_bytes;
	vip->new_flows += bank->freed_new_flows;
	view->s->forwarded_total += bank->freed_packets;
}

static void view_interfaces(struct view *view)
{
	const struct config *config = view->c->config;

	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct snapshot_interface *interface = &view->s->interfaces[i];
		uint32_t attached;

		interface->spec = &config->interfaces[i];
		interface->ifindex = if_nametoindex(config->interfaces[i].name);
		interface->is_present = interface->ifindex != 0;
		interface->has_link = neigh_link_is_up(view->c->neigh, interface->ifindex);
		attached = dataplane_attached_ifindex(config->bpffs, config->interfaces[i].name);
		interface->is_attached = attached && attached == interface->ifindex;
		interface->prog_id = interface->is_attached ? dataplane_prog_id(view->c->dataplane)
							    : 0;
	}
	view->s->n_interfaces = config->n_interfaces;
}

static void view_stats(struct view *view)
{
	struct snapshot *s = view->s;
	uint64_t *total = (uint64_t *)&s->stats_total;

	if (dataplane_read_stats(view->c->dataplane, s->stats))
		memset(s->stats, 0, s->n_cpus * sizeof(*s->stats));
	for (unsigned int cpu = 0; cpu < s->n_cpus; cpu++) {
		for (size_t i = 0; i < XDPLB_STATS; i++)
			total[i] += ((const uint64_t *)&s->stats[cpu])[i];
	}
}

static void view_flows(struct view *view)
{
	const struct scanner *scanner = &view->c->scanner;

	view->s->flows = scanner->done.total_active;
	view->s->flows_unproven = scanner->done.total_unproven;
	view->s->flows_closing = scanner->done.total_closing;
	view->s->flows_scanned_at_ms = scanner->done_at_ms;
	view->s->flow_slots = (uint64_t)dataplane_dp(view->c->dataplane)->control->flow_buckets *
			      FLOW_SLOTS;
}

static void view_totals(struct view *view)
{
	view->s->map_bytes = dataplane_map_bytes(view->c->dataplane);
	view->s->probes = health_totals(view->c->health);
	view_interfaces(view);
	view_stats(view);
	view_flows(view);
}

static struct snapshot *snapshot_new(const struct config *config,
				     const struct snapshot_scope *scope, unsigned int n_cpus)
{
	size_t n_vips = 0, n_reals = 0, end = vips_in_scope(scope, config);
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	for (size_t v = scope->first_vip; v < end; v++) {
		n_vips++;
		n_reals += reals_in_scope(scope, &config->vips[v]) + (scope->removed != NULL);
	}
	s->n_cpus = n_cpus;
	s->interfaces = calloc(config->n_interfaces + 1, sizeof(*s->interfaces));
	s->vips = calloc(n_vips + 1, sizeof(*s->vips));
	s->reals = calloc(n_reals + 1, sizeof(*s->reals));
	s->stats = calloc(n_cpus, sizeof(*s->stats));
	s->forwarded = calloc(n_cpus, sizeof(*s->forwarded));
	if (s->interfaces && s->vips && s->reals && s->stats && s->forwarded)
		return s;
	snapshot_free(s);
	return NULL;
}

size_t controller_find_vip(const struct controller *controller, const char *name)
{
	for (size_t v = 0; v < controller->config->n_vips; v++) {
		if (strcmp(controller->config->vips[v].name, name) == 0)
			return v;
	}
	return SIZE_MAX;
}

size_t controller_find_real(const struct controller *controller, size_t vip,
			    const struct ip_addr *address)
{
	const struct vip_spec *spec = &controller->config->vips[vip];
	const struct real_spec *real = vip_find_real(spec, address);

	return real ? (size_t)(real - spec->reals) : SIZE_MAX;
}

bool controller_has_removed(const struct controller *controller, size_t vip,
			    const struct ip_addr *address)
{
	const struct vip_spec *spec = &controller->config->vips[vip];
	struct vip_key key = vip_key_of(spec);
	const struct applied_vip *applied = applied_find(controller->applied, &key);
	const struct applied_member *m = applied ? applied_find_member(applied, address, 0) : NULL;

	return vip_find_removed(spec, address) || (m && m->state & MEMBER_NOTE_REMOVED);
}

int controller_snapshot(struct controller *controller, const struct snapshot_scope *scope,
			struct snapshot **ret_snapshot, struct err *err)
{
	struct view view = {.c = controller, .scope = scope};

	if (controller->is_detached)
		return err_set(err, ENODEV, "detached; xdplbd is ending");
	view.s = snapshot_new(controller->config, scope, dataplane_n_cpus());
	view.per_cpu = calloc(dataplane_n_cpus(), sizeof(*view.per_cpu));
	if (!view.s || !view.per_cpu) {
		snapshot_free(view.s);
		free(view.per_cpu);
		return err_set(err, ENOMEM, "out of memory");
	}
	view.s->config = controller->config;
	view.s->now_ms = controller_now_ms();
	view.s->started_at_ms = controller->started_at_ms;
	view.s->generation = controller->generation;
	view.s->is_adopted = dataplane_is_adopted(controller->dataplane);
	for (size_t v = scope->first_vip; v < vips_in_scope(scope, controller->config); v++)
		view_vip(&view, v);
	if (scope->has_totals)
		view_totals(&view);
	free(view.per_cpu);
	*ret_snapshot = view.s;
	return 0;
}
