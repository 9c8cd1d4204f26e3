/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A controller that only takes notes, in the place of the daemon's, and the query string of a
 * request: for the one program that includes this.
 */
#pragma once

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/controller.h"
#include "daemon/http_server.h"
#include "lib/addr.h"

static struct {
	int result; /* what the next change returns */
	int pools_result;
	const char *called;
	bool is_forced;
	bool has_rings;
	bool has_scanned; /* what was requested */
	unsigned int scan_requests;
	unsigned int calls;
	size_t n_reals; /* of the VIP */
	size_t most_reals; /* that were asked for at once */
	size_t fails_after; /* the snapshot of this number fails; 0: none */
	enum admin_state admin;
	struct drain_request drain;
	char vip[32];
	char name[64];
	char text[64];
	char actor[64];
} fake;

static const char *query_key, *query_value;

const char *http_request_query(const struct http_request *request, const char *key)
{
	return query_key && strcmp(query_key, key) == 0 ? query_value : NULL;
}

static int note(const char *call, struct err *err)
{
	fake.called = call;
	fake.calls++;
	return fake.result < 0 ? err_set(err, -fake.result, "no, because") : 0;
}

void controller_act_as(struct controller *controller, const struct actor *who)
{
	snprintf(fake.actor, sizeof(fake.actor), "%s uid=%u pid=%d", who->name, who->uid, who->pid);
}

json_t *controller_events(const struct controller *controller, uint64_t after, size_t limit)
{
	return json_pack("[{s:I, s:I}]", "after", (json_int_t)after, "limit", (json_int_t)limit);
}

bool http_request_peer(const struct http_request *request, uid_t *ret_uid, pid_t *ret_pid)
{
	*ret_uid = 0;
	*ret_pid = 4711;
	return true;
}

int controller_reload(struct controller *controller, bool force, struct change_report *ret_report,
		      struct err *err)
{
	fake.is_forced = force;
	ret_report->generation = 5;
	ret_report->reals_added = 3;
	return note("reload", err);
}

int controller_apply_text(struct controller *controller, const char *name, const char *text,
			  size_t len, bool force, struct change_report *ret_report, struct err *err)
{
	fake.is_forced = force;
	strncpy(fake.name, name, sizeof(fake.name) - 1);
	strncpy(fake.text, text, sizeof(fake.text) - 1);
	return note("apply", err);
}

int controller_set_admin(struct controller *controller, const char *vip, const struct ip_addr *real,
			 enum admin_state admin, struct err *err)
{
	strncpy(fake.vip, vip, sizeof(fake.vip) - 1);
	fake.admin = admin;
	return note("set_admin", err);
}

int controller_drain(struct controller *controller, const char *vip, const struct ip_addr *real,
		     const struct drain_request *request, struct err *err)
{
	fake.drain = *request;
	return controller_set_admin(controller, vip, real, ADMIN_DRAIN, err);
}

int controller_remove_real(struct controller *controller, const char *vip,
			   const struct ip_addr *real, struct err *err)
{
	strncpy(fake.vip, vip, sizeof(fake.vip) - 1);
	return note("remove", err);
}

int controller_add_real(struct controller *controller, const char *vip, const struct ip_addr *real,
			struct err *err)
{
	strncpy(fake.vip, vip, sizeof(fake.vip) - 1);
	return note("add", err);
}

int controller_set_pools(struct controller *controller, const char *vip, const char *pools,
			 bool is_one, bool force, uint64_t *ret_ticket, struct err *err)
{
	strncpy(fake.vip, vip, sizeof(fake.vip) - 1);
	snprintf(fake.text, sizeof(fake.text), "%s %s", is_one ? "pool" : "pools", pools);
	fake.is_forced = force;
	*ret_ticket = 7;
	return note("set_pools", err);
}

int controller_pools_result(const struct controller *controller, uint64_t ticket, struct err *err)
{
	assert_int_equal(ticket, 7);
	return fake.pools_result < 0 ? err_set(err, -fake.pools_result, "none is up") : 0;
}

int controller_detach(struct controller *controller, struct err *err)
{
	return note("detach", err);
}

static struct vip_spec spec = {.name = (char *)"web", .port = 80, .protocol = IPPROTO_TCP};
static struct config config = {.file = (char *)"x.yaml", .bpffs = (char *)"/sys/fs/bpf/x"};

bool controller_has_rings(const struct controller *controller)
{
	return fake.has_rings;
}

uint64_t controller_request_scan(struct controller *controller)
{
	return ++fake.scan_requests;
}

bool controller_has_scanned(const struct controller *controller, uint64_t request)
{
	return request == fake.scan_requests && fake.has_scanned;
}

const struct snapshot_scope snapshot_all = {.n_vips = SIZE_MAX, .n_reals = SIZE_MAX};

size_t controller_find_vip(const struct controller *controller, const char *name)
{
	return strcmp(name, spec.name) == 0 ? 0 : SIZE_MAX;
}

/* Reals are 2001:db8::7 and what comes after it. */
static struct ip_addr real_address(size_t real)
{
	struct ip_addr address;

	assert_int_equal(addr_parse("2001:db8::7", &address), 0);
	address.w[3] = htonl(7 + (uint32_t)real);
	return address;
}

bool controller_has_removed(const struct controller *controller, size_t vip,
			    const struct ip_addr *address)
{
	return false;
}

size_t controller_find_real(const struct controller *controller, size_t vip,
			    const struct ip_addr *address)
{
	for (size_t r = 0; r < fake.n_reals; r++) {
		struct ip_addr real = real_address(r);

		if (addr_equal(&real, address))
			return r;
	}
	return SIZE_MAX;
}

int controller_snapshot(struct controller *controller, const struct snapshot_scope *scope,
			struct snapshot **ret_snapshot, struct err *err)
{
	struct snapshot *s;

	if (fake.fails_after && --fake.fails_after == 0)
		return err_set(err, ENODEV, "detached");
	s = calloc(1, sizeof(*s));
	s->config = &config;
	s->n_vips = scope->first_vip == 0 && scope->n_vips;
	s->vips = calloc(1, sizeof(*s->vips));
	s->reals = calloc(fake.n_reals + 1, sizeof(*s->reals));
	s->n_cpus = 1;
	s->stats = calloc(1, sizeof(*s->stats));
	s->forwarded = calloc(1, sizeof(*s->forwarded));
	for (size_t r = scope->first_real; s->n_vips && r < fake.n_reals; r++) {
		if (s->n_reals == scope->n_reals)
			break;
		s->reals[s->n_reals].vip = spec.name;
		s->reals[s->n_reals++].address = real_address(r);
	}
	s->vips[0] = (struct snapshot_vip){.spec = &spec, .n_reals = s->n_reals};
	if (s->n_reals > fake.most_reals)
		fake.most_reals = s->n_reals;
	*ret_snapshot = s;
	return 0;
}
