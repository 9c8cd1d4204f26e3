/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What of a plan concerns QUIC connection IDs: for apply.c, retire.c and adopt.c. A server
 * ID is in the map from when its member is, until no flow names a member that was removed.
 */
#pragma once

#include "applied.h"

/* What is wanted; nothing is published yet. 0 or -ENOMEM. */
int apply_want_quic(struct applied_vip *vip, const struct vip_spec *spec);
void apply_want_server_id(struct applied_vip *vip, struct applied_member *m,
			  const struct server_id *want);

/* Writes what is wanted where it is not what was written last; may be called again after -errno. */
int apply_publish_quic(struct applied *applied, struct applied_vip *vip);
/* No connection ID leads to the VIP, or to a member that was removed, any more. */
int apply_unpublish_quic(struct applied *applied, struct applied_vip *vip);
int apply_unpublish_server(struct applied *applied, const struct applied_vip *vip,
			   struct applied_member *m);

/* Server IDs that an earlier daemon published; those that lead nowhere are deleted. */
int apply_adopt_servers(struct applied *applied);
