/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration, operator and health to what the data plane should hold: see desired.h. */
#include "desired.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "addr.h"

static uint32_t health_note(enum health_verdict health)
{
	switch (health) {
	case HEALTH_UP:
		return MEMBER_NOTE_HEALTH_UP;
	case HEALTH_DOWN:
		return MEMBER_NOTE_HEALTH_DOWN;
	default:
		return 0;
	}
}

/* Never 0: who is up gets a share. */
static uint32_t lowered(uint32_t weight, uint32_t percent)
{
	uint32_t rest = (uint32_t)((uint64_t)weight * (100 - percent) / 100);

	return rest ? rest : 1;
}

struct desired_member effective_member(const struct real_spec *real, struct real_input input)
{
	struct desired_member m = {.real = real->address, .server_id = real->server_id};

	if (input.admin == ADMIN_DISABLED || input.health != HEALTH_UP) {
		m.state = MEMBER_DOWN;
	} else if (input.admin == ADMIN_DRAIN || real->weight == 0) {
		m.state = MEMBER_DRAIN;
	} else {
		m.state = MEMBER_UP;
		m.ring_weight = lowered(real->weight, input.lowered_percent);
	}
	m.state |= health_note(input.health);
	return m;
}

void effective_members(const struct vip_spec *vip, const struct real_input *inputs,
		       struct desired_member *ret_members)
{
	for (size_t r = 0; r < vip->n_reals; r++)
		ret_members[r] = effective_member(&vip->reals[r], inputs[r]);
}

enum real_state effective_real_state(struct real_input input, uint64_t active_flows)
{
	if (input.admin == ADMIN_DISABLED)
		return REAL_DISABLED;
	if (input.health == HEALTH_DOWN)
		return REAL_DOWN;
	if (input.admin == ADMIN_DRAIN)
		return active_flows ? REAL_DRAINING : REAL_DRAINED;
	return input.health == HEALTH_UP ? REAL_UP : REAL_UNKNOWN;
}

struct vip_key vip_key_of(const struct vip_spec *vip)
{
	return (struct vip_key){
		.address = vip->address,
		.port = htons(vip->port),
		.protocol = vip->protocol,
		.family = addr_family(&vip->address),
		.port_last = htons(vip->port_last),
		.host_bits = vip->host_bits,
	};
}

static int effective_vip(const struct config *config, size_t v, real_input_fn inputs, void *user,
			 struct desired_vip *ret_vip)
{
	const struct vip_spec *spec = &config->vips[v];
	struct desired_vip vip = {
		.spec = spec, .key = vip_key_of(spec), .n_members = spec->n_reals};

	struct real_input *known = calloc(spec->n_reals + 1, sizeof(*known));

	vip.members = calloc(spec->n_reals + 1, sizeof(*vip.members));
	if (!known || !vip.members) {
		free(known);
		free(vip.members);
		return -ENOMEM;
	}
	for (size_t r = 0; r < spec->n_reals; r++)
		known[r] = inputs(user, v, r);
	effective_members(spec, known, vip.members);
	free(known);
	*ret_vip = vip;
	return 0;
}

int effective(const struct config *config, real_input_fn inputs, void *user,
	      struct desired *ret_desired)
{
	struct desired d = {};

	d.vips = calloc(config->n_vips + 1, sizeof(*d.vips));
	if (!d.vips)
		return -ENOMEM;
	for (; d.n_vips < config->n_vips; d.n_vips++) {
		if (effective_vip(config, d.n_vips, inputs, user, &d.vips[d.n_vips])) {
			desired_free(&d);
			return -ENOMEM;
		}
	}
	*ret_desired = d;
	return 0;
}

void desired_free(struct desired *desired)
{
	for (size_t i = 0; i < desired->n_vips; i++)
		free(desired->vips[i].members);
	free(desired->vips);
	*desired = (struct desired){};
}
