/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What apply.c, apply_ring.c and retire.c share. */
#pragma once

#include "apply.h"

/* What could not be done for the VIP with this key. Returns -errnum; err may be NULL. */
int apply_err(struct err *err, int errnum, const struct vip_key *key);

/* Writes what is said of the VIP's address if it is not what was written last. */
int apply_publish_address(struct applied *applied, struct applied_vip *vip);
/* Whether that is as it should be. */
bool apply_address_is_published(const struct applied_vip *vip);
/* Takes the address away from packets, unless another VIP has it, too. */
int apply_unpublish_address(struct applied *applied, struct applied_vip *vip);
/* Says whether new flows find a real in the VIP's ring; to be published afterwards. */
void apply_set_has_ring(struct applied *applied, struct applied_vip *vip, bool has_ring);

/* To delete what is not there is to be done with it. */
int apply_delete_done(int r);

/* Before the VIP comes into "vips": whoever finds its id there compares. */
void apply_write_key(const struct dp *dp, const struct applied_vip *vip);
/* What a member says: 0 for one port of one address, which `vip` and `service` say already. */
__be16 apply_port_last(const struct vip_key *key);
/* Members that are in use; in between they have at least the ports that they had and shall have. */
void apply_set_ports(const struct dp *dp, const struct applied_vip *vip);
/* Other ports for a VIP with all that it has. */
int apply_move_vip(struct applied *applied, struct applied_vip *vip, const struct vip_key *key);
/* Goes on with that where it failed. */
int apply_drop_left_key(struct applied *applied, struct applied_vip *vip);

/* Says which ring is wanted, once the VIP and its members are as they shall be. */
void apply_want_ring(struct applied *applied, struct applied_vip *vip);

/* Gives back the ring blocks and VIP ids whose grace period is over. */
void apply_release_pending(struct applied *applied);
