/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the operator wants: the configuration file as values. Filled by config.c with every default
 * resolved (a VIP's own keys over `defaults`), so readers never look at two places. Owned by
 * whoever called config_load(); freed by config_free(). Durations in milliseconds, ports in host
 * order.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdplb/abi.h"

/* Where in the file a thing was said, 1-based; 0: a default. */
struct mark {
	unsigned int line;
	unsigned int column;
};

enum attach_mode {
	ATTACH_NATIVE = 0,
	ATTACH_GENERIC = 1,
};

enum health_type {
	HEALTH_TYPE_TCP = 0,
	HEALTH_TYPE_HTTP = 1,
	HEALTH_TYPE_NONE = 2, /* never probed, always up */
	HEALTH_TYPE_UDP = 3,
	HEALTH_TYPE_DNS = 4,
	HEALTH_TYPE_ICMP = 5,
	HEALTH_TYPE_SCRIPT = 6,
	HEALTH_TYPE_HTTPS = 7,
	HEALTH_TYPE_AGENT = 8,
	HEALTH_TYPE_GRPC = 9,
};

/* How a probe gets to its real. */
enum probe_via {
	VIA_DIRECT = 0, /* to the real's own address */
	VIA_TUNNEL = 1, /* to the VIP, as clients' packets */
};

#define HEALTH_EXPECT_MAX 16
#define VIP_POOLS_MAX	  16

struct tls_files; /* tls_files.h */

struct text_list {
	char **texts;
	size_t n;
};

/* How a real is probed. Strings are owned; NULL where not given. */
struct health_spec {
	enum health_type type;
	uint16_t port; /* 0: the VIP's */
	uint32_t interval_ms;
	uint32_t timeout_ms;
	uint32_t fall; /* failures in a row until down */
	uint32_t rise; /* successes in a row until up */
	uint32_t jitter_percent; /* of the interval, to either side */
	uint32_t fast_interval_ms; /* while results speak against the verdict */
	uint32_t hold_down_ms; /* 0: none; see health_state.h */
	uint32_t hold_down_max_ms;
	bool starts_up; /* counts as up until its first result */
	struct ip_addr source; /* the probe's own address; zero: what the route says */
	enum probe_via via;
	struct ip_addr vip; /* with VIA_TUNNEL: what is probed ... */
	enum xdplb_encap encap; /* ... and how its packets get to the real; else zero */
	/* http */
	char *method;
	char *host; /* Host header */
	char *path;
	struct text_list headers; /* "Name: value" */
	uint16_t expect[HEALTH_EXPECT_MAX]; /* accepted status codes; default 200 */
	size_t n_expect;
	char *body; /* must occur in the first 64 KiB of the reply */
	uint16_t degraded_status[HEALTH_EXPECT_MAX]; /* accepted, but for less weight */
	size_t n_degraded_status;
	char *degraded_body; /* if this occurs there, it gets less weight */
	uint32_t degraded_weight_percent; /* that is left to it then */
	/* grpc */
	char *service; /* NULL: the server as a whole */
	/* https, grpc */
	bool is_tls;
	char *sni; /* the name that is asked for and verified; NULL: the real's address is verified
		    */
	char *ca;
	char *cert;
	char *key;
	bool is_verified;
	struct tls_files *tls_files; /* what the files held, counted; NULL: there are none */
	/* udp, dns */
	char *expect_text; /* udp: must occur in the reply, with escapes; dns: an RCODE's name */
	char *send; /* udp, agent; with escapes: see escape.h */
	char *name; /* dns */
	uint32_t rrtype;
	/* script */
	struct text_list command;
	char *user;
	uint32_t uid; /* the user's */
	uint32_t gid;
};

/* What of a flow `scheduler: source` goes by. */
struct source_spec {
	uint8_t tuple; /* 1, 2, 3 or 5 parts */
	uint8_t prefix4; /* leading bits of the source address */
	uint8_t prefix6;
	uint32_t affinity_ms; /* 0: off */
};

struct timeouts {
	uint32_t tcp_ms;
	uint32_t tcp_closing_ms;
	uint32_t tcp_unproven_ms;
	uint32_t udp_ms;
};

/* How QUIC connection IDs with these rotation bits are made. */
struct quic_spec {
	uint8_t rotation;
	uint8_t server_id_length;
	uint8_t nonce_length;
	bool has_key;
	uint8_t key[AES_BLOCK];
	char *key_file; /* NULL: the key was given itself, or there is none */
	struct mark mark; /* of key_file */
};

/* What a QUIC server writes into its connection IDs. */
struct server_id {
	uint8_t length; /* 0: none */
	uint8_t bytes[QUIC_SERVER_ID_MAX];
};

/* Whether pings of a VIP's address are answered. */
enum echo_policy {
	ECHO_WHILE_UP, /* while one of the address's VIPs has a real for a new flow */
	ECHO_ALWAYS,
	ECHO_OFF,
};

/* What becomes of new flows while no real is up, backups neither. */
enum all_down {
	ALL_DOWN_DROP = 0,
	ALL_DOWN_ALL = 1, /* health is ignored */
	ALL_DOWN_BACKUP = 2, /* health of the backups is ignored */
	ALL_DOWN_RESET = 3, /* who begins one gets a RST, or ICMP port unreachable */
	ALL_DOWN_UNREACHABLE = 4, /* who begins one gets ICMP port unreachable */
};

/* Backups have levels from 1, the first to join, to this. */
#define BACKUP_LEVEL_MAX 7

/* So many, or so many of a hundred. */
struct share {
	uint32_t value;
	bool is_percent;
};

/* What a TCP client of a dead real gets. */
enum on_down {
	ON_DOWN_REROUTE = 0, /* another real, at once */
	ON_DOWN_RESET = 1, /* a RST */
};

/* What becomes of the flows that a real still has when its drain has taken long enough. */
enum drain_rest {
	DRAIN_KEEP = 0, /* they stay until they end */
	DRAIN_MOVE = 1, /* each picks another real with its next packet */
	DRAIN_RESET = 2, /* TCP gets a RST; else as DRAIN_MOVE */
};

/* When a real is ejected for what its clients repeat: see ejection.h. */
struct ejection_spec {
	bool is_on;
	uint32_t interval_ms; /* from one look to the next */
	uint32_t min_flows; /* fewer SYNs say nothing */
	uint32_t time_ms; /* of the first ejection; doubles with each */
	uint32_t max_time_ms;
	uint32_t max_ejected_percent; /* of the VIP's reals that are up; at least one */
	uint32_t trial_percent; /* of its weight, while it has to prove itself */
};

struct drain_spec {
	uint32_t timeout_ms; /* 0: none */
	enum drain_rest then;
};

struct real_spec {
	struct ip_addr address;
	struct server_id server_id;
	uint32_t weight; /* inside its pool; 0: no new flows */
	uint16_t pool; /* position in the VIP's pools; 0 if the VIP has none */
	uint8_t backup_level; /* the higher of its own and its pool's in this VIP; 0: a primary */
	struct mark mark;
};

struct pool_spec {
	char *name;
	struct real_spec *reals;
	size_t n_reals;
};

/* A pool in a VIP. */
struct pool_use {
	const char *name; /* of config->pools[pool] */
	size_t pool;
	uint32_t weight; /* share between the VIP's pools, however many reals they have */
	uint8_t backup_level; /* 0: primaries */
};

struct vip_spec {
	char *name;
	struct ip_addr address; /* of a prefix: host bits 0 */
	uint8_t host_bits; /* of a prefix; 0: one address */
	uint16_t port; /* the first; any port: 0 */
	uint16_t port_last; /* 0: there is one; any port: 65535 */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	enum xdplb_encap encap;
	enum xdplb_scheduler scheduler;
	struct source_spec source; /* with SCHEDULER_SOURCE; else 0 */
	uint32_t ring; /* slots; a prime */
	struct timeouts timeouts;
	enum xdplb_on_no_port on_no_port;
	enum echo_policy echo;
	enum on_down on_down;
	struct ejection_spec ejection;
	struct drain_spec drain; /* where the operator does not say otherwise */
	struct health_spec health;
	struct quic_spec *quic;
	size_t n_quic; /* 0: connection IDs are not read */
	uint32_t slow_start_ms;
	uint32_t panic_percent; /* 0: off */
	enum all_down on_all_down;
	struct share min_healthy; /* value 0: off */
	struct share backup_below; /* so few up: the next level joins; value 0: none up */
	struct pool_use *pools;
	size_t n_pools; /* 0: it has reals of its own */
	char *file_pools; /* what the file says, as pool_text.h; NULL: it has reals of its own */
	struct real_spec *reals; /* of all its pools, in their order */
	size_t n_reals;
	size_t n_removed; /* taken out by the operator: behind the n_reals; see config_removal.h */
	struct mark mark;
};

struct interface_spec {
	char name[IF_NAMESIZE];
	enum attach_mode mode;
	struct mark mark;
};

/* The outer source of one family: an address, or a prefix whose host bits carry flow entropy. */
struct encap_source {
	bool is_set;
	struct ip_addr address;
	uint8_t prefix_len; /* 32 or 128: a plain address */
};

struct capacity {
	uint32_t flows;
	uint32_t members;
	uint32_t vips;
	uint32_t ring_slots;
};

/* Where the keys that are refused only by a running data plane were said. */
struct config_marks {
	struct mark bpffs;
	struct mark flows;
	struct mark members;
	struct mark vips;
	struct mark ring_slots;
	struct mark max_removed;
};

struct config {
	char *file; /* as the operator named it */
	struct text_list warnings; /* "file:line:column: path: what it will not do" */
	struct interface_spec *interfaces;
	size_t n_interfaces;
	char *bpffs;
	struct encap_source source4;
	struct encap_source source6;
	uint16_t gue_port; /* destination port of GUE */
	bool gue_checksum6; /* whether GUE over IPv6 has a UDP checksum */
	struct capacity capacity;
	struct config_marks marks;
	struct pool_spec *pools;
	size_t n_pools;
	struct vip_spec *vips;
	size_t n_vips;
	/* guard: a reload that removes more than this share of the reals needs force; 100: off */
	uint32_t guard_removed_percent;
	/* guard: more SYNs than this on one CPU are neither looked up nor recorded; 0: all are */
	uint32_t guard_syn_pps;
};

const struct vip_spec *config_find_vip(const struct config *config, const char *name);
/* Position in config->pools; SIZE_MAX: there is none of that name. */
size_t config_find_pool(const struct config *config, const char *name);
const struct real_spec *vip_find_real(const struct vip_spec *vip, const struct ip_addr *address);
/*
 * Gives the VIP these pools of config, and all their reals, in place of those it has. -ENOMEM: it
 * is as it was.
 */
int vip_use_pools(struct vip_spec *vip, const struct config *config, const struct pool_use *pools,
		  size_t n_pools);
bool health_spec_equal(const struct health_spec *a, const struct health_spec *b);
/* 0 or -ENOMEM. */
int health_spec_copy(struct health_spec *ret_copy, const struct health_spec *spec);
/* Frees what spec owns. */
void health_spec_clear(struct health_spec *spec);
/* Appends a copy of the first len bytes of text. 0 or -ENOMEM. */
int text_list_add(struct text_list *list, const char *text, size_t len);
void text_list_clear(struct text_list *list);
/* Bits (1 << enum xdplb_encap) of the encapsulations that VIPs have. */
uint32_t config_encaps(const struct config *config);
/* Bits (1 << enum xdplb_scheduler) of the schedulers that VIPs have. */
uint32_t config_schedulers(const struct config *config);
/* struct vip_state's word `schedule`. */
uint32_t vip_schedule(const struct vip_spec *vip);
enum xdplb_on_empty vip_on_empty(const struct vip_spec *vip);
bool config_has_quic(const struct config *config);
void config_free(struct config *config);

const char *protocol_name(uint8_t protocol);
const char *scheduler_name(enum xdplb_scheduler scheduler);
const char *encap_name(enum xdplb_encap encap);
const char *on_no_port_name(enum xdplb_on_no_port policy);
const char *echo_policy_name(enum echo_policy policy);
const char *all_down_name(enum all_down policy);
const char *on_down_name(enum on_down policy);
const char *drain_rest_name(enum drain_rest rest);
const char *health_type_name(enum health_type type);
const char *probe_via_name(enum probe_via via);
