/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the maps hold now: a mirror of them, kept by the one writer (apply.c), and rebuilt from the
 * maps by a daemon that finds them pinned (adopt.c). Who owns which ids and ring blocks is here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp.h"
#include "flow_table.h"
#include "id_pool.h"
#include "model.h"
#include "real_index.h"
#include "ring_space.h"

/*
 * The way of an id from use to reuse. An id may be given to another member only when no ring names
 * it, no packet that saw such a ring is under way, and no flow slot names it: a grace period, a
 * scan that finds none, and both once more for packets that the scan overtook.
 */
enum retire_stage {
	RETIRE_IN_RING = 0,
	RETIRE_FIRST_GRACE,
	RETIRE_FIRST_SCAN,
	RETIRE_SECOND_GRACE,
	RETIRE_SECOND_SCAN,
};

struct retirement {
	enum retire_stage stage;
	uint64_t ticket;
};

struct applied_member {
	uint32_t id;
	struct ip_addr real;
	uint32_t state; /* enum member_state and notes, as in the map */
	uint32_t ring_weight; /* wanted in the ring; 0: not in it */
	struct server_id server_id; /* wanted in connection IDs */
	struct quic_bits published_id; /* what "quic_servers" has it under, if is_id_published */
	bool is_id_published;
	bool is_id_unsure; /* another may have been written there since */
	struct retirement retirement; /* while MEMBER_NOTE_REMOVED is set */
};

struct applied_vip {
	uint32_t id;
	struct vip_key key;
	struct vip_key left_key; /* under which it was in "vips" before, and still is */
	bool has_left_key;
	uint32_t ring; /* slots */
	enum xdplb_encap encap;
	uint32_t schedule; /* SCHEDULE_WORD */
	uint32_t affinity_s;
	enum xdplb_on_empty on_empty;
	uint32_t on_no_port;
	enum echo_policy echo;
	bool has_ring; /* the ring in use gives new flows a real */
	bool is_address_up; /* this VIP, or another one with its address, has_ring */
	struct vip_addr published; /* in "vip_addrs"; on_no_port NO_POLICY: not said there */
	__u8 timeout_ticks[FLOW_STATES];
	struct quic_config *quic; /* wanted, by rotation; length 0: none; NULL: no QUIC */
	bool is_quic_published; /* the flag in vip_state says so */
	bool is_quic_stale; /* apply_publish_quic() has something to do */
	struct applied_member *members;
	size_t n_members;
	size_t members_capacity;
	struct extent half[2];
	unsigned int live; /* which half the packets read */
	struct extent wider[2]; /* replaces half[] at the next build; blocks 0: none */
	struct extent stray; /* a ring in use outside half[]: an earlier daemon's; blocks 0: none */
	uint64_t spare_ticket; /* the half not in use may be written once this is done */
	uint64_t fingerprint; /* of the ring in use; 0: not known */
	uint64_t wanted_fingerprint; /* 0: nobody has said yet (adopted) */
	bool is_published; /* in "vips" */
	bool is_changed; /* wanted_fingerprint has to be taken anew, before it is next used */
};

#define NO_POLICY UINT32_MAX

/* A member of a VIP that is gone. */
struct orphan {
	uint32_t id;
	uint32_t vip_id;
	struct retirement retirement;
};

/* What is given back once the ticket is done. */
struct pending {
	struct extent extents[2];
	uint32_t vip_id; /* NO_VIP: only the extents */
	uint64_t ticket;
};

#define NO_VIP UINT32_MAX

struct applied {
	const struct dp *dp;
	uint64_t key_fingerprint; /* of the flow-hash key; part of every VIP's fingerprint */
	struct applied_vip **vips; /* sorted by key */
	size_t n_vips;
	struct id_pool member_ids;
	struct id_pool vip_ids;
	uint32_t *vip_refs; /* per VIP id: the VIP, its orphans and struct pending hold it */
	struct real_index index; /* of every member id in use */
	struct ring_space ring_space;
	struct orphan *orphans;
	size_t n_orphans;
	size_t orphans_capacity;
	struct pending *pending;
	size_t n_pending;
	size_t pending_capacity;
};

int applied_new(struct applied **ret_applied, const struct dp *dp, uint64_t key_fingerprint);
void applied_free(struct applied *applied);

/* The first position in vips[] whose key is not less. */
size_t applied_position(const struct applied *applied, const struct vip_key *key);
struct applied_vip *applied_find(const struct applied *applied, const struct vip_key *key);
struct applied_member *applied_find_member(const struct applied_vip *vip,
					   const struct ip_addr *real, size_t hint);
int applied_insert_vip(struct applied *applied, struct applied_vip *vip);
/* Another key for it; pointers to it stay. */
void applied_move_vip(struct applied *applied, struct applied_vip *vip, const struct vip_key *key);
void applied_delete_vip(struct applied *applied, struct applied_vip *vip);
int applied_add_member(struct applied_vip *vip, const struct applied_member *member);

/*
 * Room for so many more, so that what is under way cannot fail half-way: the two functions below
 * take it.
 */
int applied_reserve(struct applied *applied, size_t n_orphans, size_t n_pending);
/* Holds the VIP's id until the orphan is freed. */
void applied_add_orphan(struct applied *applied, uint32_t id, uint32_t vip_id);
/* A pair of extents, and the hold on a VIP's id if it is not NO_VIP. */
void applied_add_pending(struct applied *applied, const struct extent *pair, uint32_t vip_id,
			 uint64_t ticket);

/* A VIP's id is free again when the last who holds it lets go. */
int applied_take_vip_id(struct applied *applied, uint32_t *ret_id);
int applied_claim_vip_id(struct applied *applied, uint32_t id);
void applied_let_go_vip_id(struct applied *applied, uint32_t id);

/* Bits (1 << enum xdplb_encap) of the encapsulations that VIPs have. */
uint32_t applied_encaps(const struct applied *applied);
/* The same of enum xdplb_scheduler and schedulers. */
uint32_t applied_schedulers(const struct applied *applied);
/* Whether the VIP's connection IDs are to be read in another way. */
bool applied_quic_differs(const struct applied_vip *have, const struct vip_spec *want);
/* Whether packets may still find a VIP that goes by QUIC connection IDs. */
bool applied_has_quic(const struct applied *applied);

/* FNV-1a of what a ring is made from: equal on balancers that pick equally. */
uint64_t applied_fingerprint(const struct applied *applied, const struct applied_vip *vip);
