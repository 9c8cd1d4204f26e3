/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one schema table of the configuration file, and the shapes a file is read into before
 * defaults apply. A row says a key's name, type, bounds, default and meaning; the reader, the JSON
 * Schema and the reference are made from it. To add a setting: add its enum, its slot in the
 * struct doc_x and its row in config_schema.c.
 *
 * Every struct doc_x starts with `self` and `at`: where the mapping and where each key's value
 * stand in the file. A line of 0 says that the key was not given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

enum schema_type {
	SCHEMA_MAP, /* struct doc_x of `section`, embedded */
	SCHEMA_LIST, /* struct doc_list of `section` */
	SCHEMA_TEXT, /* char *, owned */
	SCHEMA_CHOICE, /* uint32_t */
	SCHEMA_NUMBER, /* uint32_t */
	SCHEMA_PRIME, /* uint32_t */
	SCHEMA_COUNT, /* uint32_t; takes k and M */
	SCHEMA_RATE, /* uint32_t, a second; takes k and M */
	SCHEMA_PORT, /* uint32_t */
	SCHEMA_PORTS, /* struct doc_ports: a port, 0 for any, or a range */
	SCHEMA_DURATION, /* uint32_t, ms */
	SCHEMA_PERCENT, /* uint32_t */
	SCHEMA_SHARE, /* struct share: a number or a percentage */
	SCHEMA_BOOL, /* uint32_t */
	SCHEMA_LEVEL, /* uint32_t: a number from min, which is 1, also true; or 0: false */
	SCHEMA_ADDRESS, /* struct ip_addr */
	SCHEMA_NETWORK, /* struct doc_network: an address or a prefix */
	SCHEMA_SOURCE4, /* struct encap_source */
	SCHEMA_SOURCE6, /* struct encap_source */
	SCHEMA_STATUS, /* uint32_t: an HTTP status code */
	SCHEMA_WORDS, /* struct doc_list of struct doc_word: a text or a list of texts */
	SCHEMA_HEADERS, /* struct doc_list of char *: a mapping of names to values */
};

/* What of a key is not built yet, and so refused. */
enum schema_unbuilt {
	SCHEMA_BUILT = 0,
	SCHEMA_UNBUILT, /* the key as a whole */
	SCHEMA_UNBUILT_UNLESS_ZERO, /* any value but 0 or false */
};

struct schema_choice {
	const char *name; /* NULL ends the list */
	uint32_t value;
	bool is_unbuilt;
};

struct schema_section;

struct schema_field {
	const char *key;
	const char *text; /* its meaning, for people */
	enum schema_type type;
	enum schema_unbuilt unbuilt;
	size_t offset; /* of the value in the section's struct */
	uint32_t min; /* of numbers, in the unit that is stored; of lists, items */
	uint32_t max;
	uint32_t initial; /* of numbers and choices: the default */
	uint32_t health_types; /* of health keys: bits (1 << enum health_type) it belongs to */
	uint32_t needed_types; /* those of them that are nothing without it */
	bool is_required;
	bool is_secret; /* a wrong value is not repeated */
	const char *initial_text; /* of texts: the default; of others: how to describe it */
	const struct schema_choice *choices;
	const struct schema_section *section;
	/* NULL if the text is fine, else what was expected */
	const char *(*check)(const char *text);
};

struct schema_section {
	const char *title;
	const char *text;
	const struct schema_field *fields;
	size_t n_fields;
	size_t size; /* of its struct */
};

/* ---- What a file says ---------------------------------------------------------------------- */

struct doc_list {
	void *items;
	size_t n;
	size_t room;
};

struct doc_word {
	struct mark at;
	bool is_item; /* of a list; otherwise it is all there is */
	char *text;
};

struct doc_ports {
	uint16_t first;
	uint16_t last; /* 0: there is one */
};

struct doc_network {
	struct ip_addr address;
	uint32_t host_bits;
};

enum { INTERFACE_NAME, INTERFACE_ATTACH, INTERFACE_MODE, INTERFACE_KEYS };

struct doc_interface {
	struct mark self;
	struct mark at[INTERFACE_KEYS];
	char *name;
	uint32_t attach;
	uint32_t mode;
};

enum { ENCAP_SOURCE4, ENCAP_SOURCE6, ENCAP_GUE_PORT, ENCAP_GUE_CHECKSUM6, ENCAP_KEYS };

struct doc_encap {
	struct mark self;
	struct mark at[ENCAP_KEYS];
	struct encap_source source4;
	struct encap_source source6;
	uint32_t gue_port;
	uint32_t gue_checksum6;
};

enum { CAPACITY_FLOWS, CAPACITY_MEMBERS, CAPACITY_VIPS, CAPACITY_RING_SLOTS, CAPACITY_KEYS };

struct doc_capacity {
	struct mark self;
	struct mark at[CAPACITY_KEYS];
	uint32_t flows;
	uint32_t members;
	uint32_t vips;
	uint32_t ring_slots;
};

enum { GUARD_MAX_REMOVED, GUARD_SYN_RATE, GUARD_KEYS };

struct doc_guard {
	struct mark self;
	struct mark at[GUARD_KEYS];
	uint32_t max_removed;
	uint32_t syn_rate;
};

enum { SOURCE_TUPLE, SOURCE_PREFIX4, SOURCE_PREFIX6, SOURCE_AFFINITY, SOURCE_KEYS };

struct doc_source {
	struct mark self;
	struct mark at[SOURCE_KEYS];
	uint32_t tuple;
	uint32_t prefix4;
	uint32_t prefix6;
	uint32_t affinity;
};

enum { TIMEOUTS_TCP, TIMEOUTS_TCP_CLOSING, TIMEOUTS_TCP_UNPROVEN, TIMEOUTS_UDP, TIMEOUTS_KEYS };

struct doc_timeouts {
	struct mark self;
	struct mark at[TIMEOUTS_KEYS];
	uint32_t tcp;
	uint32_t tcp_closing;
	uint32_t tcp_unproven;
	uint32_t udp;
};

enum {
	HEALTH_KEY_TYPE,
	HEALTH_KEY_PORT,
	HEALTH_KEY_INTERVAL,
	HEALTH_KEY_TIMEOUT,
	HEALTH_KEY_FALL,
	HEALTH_KEY_RISE,
	HEALTH_KEY_JITTER,
	HEALTH_KEY_METHOD,
	HEALTH_KEY_HOST,
	HEALTH_KEY_PATH,
	HEALTH_KEY_HEADERS,
	HEALTH_KEY_EXPECT,
	HEALTH_KEY_BODY,
	HEALTH_KEY_SNI,
	HEALTH_KEY_CA,
	HEALTH_KEY_CERT,
	HEALTH_KEY_KEY,
	HEALTH_KEY_VERIFY,
	HEALTH_KEY_SERVICE,
	HEALTH_KEY_TLS,
	HEALTH_KEY_COMMAND,
	HEALTH_KEY_SEND,
	HEALTH_KEY_NAME,
	HEALTH_KEY_RRTYPE,
	HEALTH_KEY_USER,
	HEALTH_KEY_SOURCE,
	HEALTH_KEY_VIA,
	HEALTH_KEY_FAST_INTERVAL,
	HEALTH_KEY_START,
	HEALTH_KEY_HOLD_DOWN,
	HEALTH_KEY_HOLD_DOWN_MAX,
	HEALTH_KEY_DEGRADED_STATUS,
	HEALTH_KEY_DEGRADED_BODY,
	HEALTH_KEY_DEGRADED_WEIGHT,
	HEALTH_KEYS
};

struct doc_health {
	struct mark self;
	struct mark at[HEALTH_KEYS];
	uint32_t type;
	uint32_t port;
	uint32_t interval;
	uint32_t timeout;
	uint32_t fall;
	uint32_t rise;
	uint32_t jitter;
	char *method;
	char *host;
	char *path;
	struct doc_list headers; /* char * */
	struct doc_list expect; /* struct doc_word: what it means depends on the type */
	char *body;
	char *sni;
	char *ca;
	char *cert;
	char *key;
	uint32_t verify;
	char *service;
	uint32_t tls;
	struct doc_list command; /* struct doc_word */
	char *send;
	char *name;
	uint32_t rrtype;
	char *user;
	struct ip_addr source;
	uint32_t via;
	uint32_t fast_interval;
	uint32_t start;
	uint32_t hold_down;
	uint32_t hold_down_max;
	struct doc_list degraded_status; /* struct doc_word */
	char *degraded_body;
	uint32_t degraded_weight;
};

enum { DRAIN_KEY_TIMEOUT, DRAIN_KEY_THEN, DRAIN_KEYS };

struct doc_drain {
	struct mark self;
	struct mark at[DRAIN_KEYS];
	uint32_t timeout;
	uint32_t then;
};

enum {
	EJECTION_KEY_ENABLED,
	EJECTION_KEY_INTERVAL,
	EJECTION_KEY_MIN_FLOWS,
	EJECTION_KEY_TIME,
	EJECTION_KEY_MAX_TIME,
	EJECTION_KEY_MAX_EJECTED,
	EJECTION_KEY_TRIAL,
	EJECTION_KEYS
};

struct doc_ejection {
	struct mark self;
	struct mark at[EJECTION_KEYS];
	uint32_t enabled;
	uint32_t interval;
	uint32_t min_flows;
	uint32_t time;
	uint32_t max_time;
	uint32_t max_ejected;
	uint32_t trial;
};

/* Keys of `defaults`, which every VIP takes too; they come first in enum vip keys. */
enum {
	POLICY_ENCAP,
	POLICY_SCHEDULER,
	POLICY_SOURCE,
	POLICY_RING,
	POLICY_SLOW_START,
	POLICY_PANIC,
	POLICY_ON_ALL_DOWN,
	POLICY_MIN_HEALTHY,
	POLICY_BACKUP_BELOW,
	POLICY_TIMEOUTS,
	POLICY_ON_NO_PORT,
	POLICY_ECHO,
	POLICY_ON_DOWN,
	POLICY_DRAIN,
	POLICY_EJECTION,
	POLICY_HEALTH,
	POLICY_KEYS
};

struct doc_policy {
	uint32_t encap;
	uint32_t scheduler;
	struct doc_source source;
	uint32_t ring;
	uint32_t slow_start;
	uint32_t panic;
	uint32_t on_all_down;
	struct share min_healthy;
	struct share backup_below;
	struct doc_timeouts timeouts;
	uint32_t on_no_port;
	uint32_t echo;
	uint32_t on_down;
	struct doc_drain drain;
	struct doc_ejection ejection;
	struct doc_health health;
};

struct doc_defaults {
	struct mark self;
	struct mark at[POLICY_KEYS];
	struct doc_policy policy;
};

enum {
	QUIC_ROTATION,
	QUIC_SERVER_ID_LENGTH,
	QUIC_NONCE_LENGTH,
	QUIC_KEY,
	QUIC_KEY_FILE,
	QUIC_KEYS
};

struct doc_quic {
	struct mark self;
	struct mark at[QUIC_KEYS];
	uint32_t rotation;
	uint32_t server_id_length;
	uint32_t nonce_length;
	char *key;
	char *key_file;
};

enum { REAL_ADDRESS, REAL_WEIGHT, REAL_BACKUP, REAL_SERVER_ID, REAL_KEYS };

struct doc_real {
	struct mark self;
	struct mark at[REAL_KEYS];
	struct ip_addr address;
	uint32_t weight;
	uint32_t backup;
	char *server_id;
};

enum { POOL_NAME, POOL_REALS, POOL_KEYS };

struct doc_pool {
	struct mark self;
	struct mark at[POOL_KEYS];
	char *name;
	struct doc_list reals; /* struct doc_real */
};

enum { USE_NAME, USE_WEIGHT, USE_BACKUP, USE_KEYS };

/* A pool in a VIP. */
struct doc_use {
	struct mark self;
	struct mark at[USE_KEYS];
	char *name;
	uint32_t weight;
	uint32_t backup;
	size_t pool; /* in `pools`; config_link_pools() finds it */
};

enum {
	VIP_NAME = POLICY_KEYS,
	VIP_ADDRESS,
	VIP_PORT,
	VIP_PROTOCOL,
	VIP_REALS,
	VIP_QUIC_CONFIGS,
	VIP_POOL,
	VIP_POOLS,
	VIP_KEYS
};

struct doc_vip {
	struct mark self;
	struct mark at[VIP_KEYS];
	struct doc_policy policy;
	char *name;
	struct doc_network network;
	struct doc_ports ports;
	uint32_t protocol;
	struct doc_list reals; /* struct doc_real */
	struct doc_list quic; /* struct doc_quic */
	char *pool;
	struct doc_list pools; /* struct doc_use; the one of `pool` after config_link_pools() */
};

enum {
	FILE_INTERFACES,
	FILE_BPFFS,
	FILE_METRICS,
	FILE_ENCAP,
	FILE_CAPACITY,
	FILE_GUARD,
	FILE_DEFAULTS,
	FILE_POOLS,
	FILE_VIPS,
	FILE_KEYS
};

struct doc_file {
	struct mark self;
	struct mark at[FILE_KEYS];
	struct doc_list interfaces; /* struct doc_interface */
	char *bpffs;
	struct doc_encap encap;
	struct doc_capacity capacity;
	struct doc_guard guard;
	struct doc_defaults defaults;
	struct doc_list pools; /* struct doc_pool */
	struct doc_list vips; /* struct doc_vip */
};

extern const struct schema_section schema_file;
extern const struct schema_section schema_interface;
extern const struct schema_section schema_encap;
extern const struct schema_section schema_capacity;
extern const struct schema_section schema_guard;
extern const struct schema_section schema_defaults;
extern const struct schema_section schema_timeouts;
extern const struct schema_section schema_source;
extern const struct schema_section schema_drain;
extern const struct schema_section schema_ejection;
extern const struct schema_section schema_health;
extern const struct schema_section schema_vip;
extern const struct schema_section schema_real;
extern const struct schema_section schema_pool;
extern const struct schema_section schema_use;
extern const struct schema_section schema_quic;

/* Where the values of a struct doc_x stand, by key. */
static inline struct mark *schema_marks(const struct schema_section *section, void *item)
{
	return (struct mark *)item + 1;
}

/* item may be NULL: nothing is given. */
static inline bool schema_is_given(const void *item, size_t key)
{
	return item && ((const struct mark *)item + 1)[key].line != 0;
}

/* What `expect` holds for a type of health check. */
enum expect_kind {
	EXPECT_NOTHING,
	EXPECT_STATUS,
	EXPECT_TEXT,
	EXPECT_RCODE,
};
enum expect_kind expect_kind_of(uint32_t health_type);
extern const struct schema_field schema_status; /* one status code of it */

/* A number, duration or choice as given in item (may be NULL), else the row's default. */
uint32_t schema_u32(const struct schema_section *section, const void *item, size_t key);

/* Frees what item owns, not item itself. */
void schema_clear(const struct schema_section *section, void *item);
