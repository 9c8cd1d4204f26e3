/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the packet path and the daemon agree on: every map's key and value, every limit and every
 * bit field packed into a word. The daemon is the only writer of everything here except the flow
 * slots (written by both sides, always by compare-and-swap) and the counters (written by the packet
 * path). A change of any layout below raises XDPLB_LAYOUT_VERSION: pinned maps outlive the daemon.
 */
#pragma once

#include <linux/types.h>

#define XDPLB_LAYOUT_VERSION 6

/* Limits that follow from a field's width. */
#define XDPLB_MAX_MEMBERS     (1u << 20) /* 20 bits in a flow slot */
#define XDPLB_MAX_VIPS	      (1u << 16) /* member.vip_id */
#define XDPLB_MAX_VIP_MEMBERS (1u << 16) /* ring slots are u16 */
#define XDPLB_MAX_INTERFACES  64u /* rows of out_interfaces; row 0 is never used */
#define XDPLB_MIN_RING	      251u
#define XDPLB_MAX_RING	      655373u

#define XDPLB_CACHE_LINE 64

/*
 * An address of either family: IPv4 as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), so that both
 * families take one path. Wire order. Whether it is IPv4 is carried beside it (family), since an
 * IPv6 packet may carry a mapped address on the wire.
 */
struct ip_addr {
	union {
		__be32 w[4];
		__u8 b[16];
	};
};

enum xdplb_family {
	FAMILY_V4 = 4,
	FAMILY_V6 = 6,
};

enum xdplb_encap {
	ENCAP_IPIP = 0,
	ENCAP_GUE = 1,
	ENCAP_L2DSR = 2,
};

/* How a new flow gets its real. */
enum xdplb_scheduler {
	SCHEDULER_MAGLEV = 0, /* the ring, by a hash of the flow */
	SCHEDULER_SOURCE = 1, /* the ring, by a hash of what its source says of it */
	SCHEDULER_RR = 2, /* in turn, by weight; each CPU for itself */
	SCHEDULER_RANDOM = 3, /* any ring slot */
	SCHEDULER_LC = 4, /* the fewest flows by weight, of all or of SCHEDULE_LC_DRAWS */
	SCHEDULER_P2C = 5, /* of two ring slots the one with fewer flows by weight */
};

/* What happens to a packet for a VIP address and a port or protocol that no VIP serves. */
enum xdplb_on_no_port {
	ON_NO_PORT_REPLY = 0, /* TCP: RST; UDP: ICMP port unreachable; rate limited */
	ON_NO_PORT_DROP = 1,
	ON_NO_PORT_PASS = 2,
};

/* ---- Flow table -------------------------------------------------------------------------- */

#define FLOW_SLOTS 8

/* Map "flows": 64-byte buckets; bucket i overflows into bucket i ^ 1 (the neighbouring line). */
struct flow_bucket {
	__u64 slot[FLOW_SLOTS]; /* packet path and daemon, by compare-and-swap only */
};

_Static_assert(sizeof(struct flow_bucket) == XDPLB_CACHE_LINE, "one bucket, one line");

/*
 * A slot, from the top: tag 32 | member 20 | state 3 | age 9. All zero: never used, which also says
 * that its bucket was never full. FLOW_SLOT_FREED: used before and free again. A newcomer takes the
 * first free slot in its own order (flow_hash_slot() of hash.h).
 */
#define FLOW_AGE_BITS	  9
#define FLOW_STATE_BITS	  3
#define FLOW_MEMBER_BITS  20
#define FLOW_STATE_SHIFT  FLOW_AGE_BITS
#define FLOW_MEMBER_SHIFT (FLOW_AGE_BITS + FLOW_STATE_BITS)
#define FLOW_TAG_SHIFT	  32
#define FLOW_AGE_MASK	  ((1u << FLOW_AGE_BITS) - 1)
#define FLOW_STATE_MASK	  ((1u << FLOW_STATE_BITS) - 1)
#define FLOW_MEMBER_MASK  ((1u << FLOW_MEMBER_BITS) - 1)
#define FLOW_AGE_OLD	  FLOW_AGE_MASK /* reserved: expired, whatever the clock says */
#define FLOW_SLOT_NEVER	  0ULL
#define FLOW_SLOT_FREED	  1ULL /* state FLOW_NONE, age 1 */

enum flow_state {
	FLOW_NONE = 0,
	FLOW_SYN = 1, /* unproven: a SYN was seen */
	FLOW_ACK = 2, /* unproven: one segment of a connection nobody recorded */
	FLOW_TCP = 3, /* proven */
	FLOW_FIN = 4, /* the client closed its half */
	FLOW_RST = 5, /* the client reset it */
	FLOW_UDP_FIRST = 6, /* unproven: one datagram */
	FLOW_UDP = 7, /* proven */
};

#define FLOW_STATES 8

/*
 * Ages are counted in ticks of (1 << tick_shift[state]) jiffies, modulo 512, the value 511 being
 * FLOW_AGE_OLD. They would look young again after 510 ticks: the packet path and the daemon's scan
 * both write FLOW_AGE_OLD when they meet an expired slot first.
 */
struct flow_clock {
	__u8 tick_shift[FLOW_STATES];
	__u16 timeout_ticks[FLOW_STATES]; /* expired when more ticks than this have passed */
};

/* ---- Members ----------------------------------------------------------------------------- */

enum member_state {
	MEMBER_FREE = 0, /* the id is not in use: a hit on it is no hit */
	MEMBER_UP = 1,
	MEMBER_DRAIN = 2, /* its flows stay, it gets no new ones */
	MEMBER_DOWN = 3, /* its flows and ring slots take a second pick */
};

#define MEMBER_STATE_MASK 0xffu
/* Bits above the state are the daemon's notes to its successor; the packet path masks them off. */
#define MEMBER_NOTE_HEALTH_UP	(1u << 8) /* the last proven health was up */
#define MEMBER_NOTE_HEALTH_DOWN (1u << 9) /* the last proven health was down */
#define MEMBER_NOTE_REMOVED                                                                        \
	(1u << 10) /* no longer wanted; its flows finish, then the id is freed */
/* For the packet path, beside MEMBER_DOWN: its TCP flows are reset instead of picking anew. */
#define MEMBER_RESETS (1u << 11)

/* Next hop word: destination MAC in the low 48 bits (first octet lowest), row of out_interfaces
 * above. */
#define NEXT_HOP_NONE	     0ULL
#define NEXT_HOP_NOT_ON_LINK 1ULL /* there is one, but a gateway, and the member has L2 DSR */
#define NEXT_HOP_ROW_SHIFT   48
#define NEXT_HOP_MAC_MASK    ((1ULL << NEXT_HOP_ROW_SHIFT) - 1)

/*
 * In member.encap: its packets are not for the express lane, which reads that byte and finds no
 * kind that it knows.
 */
#define MEMBER_NO_EXPRESS 0x80u

/* Map "members": one real inside one VIP. Written by the daemon before any ring or flow names it.
 */
struct member {
	struct ip_addr vip;
	struct ip_addr real;
	__u64 next_hop; /* live: one aligned store */
	__u32 state; /* live: one aligned store; enum member_state and notes */
	union {
		struct {
			__be16 port; /* the VIP's, or the first of them */
			__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
			__u8 vip_family; /* enum xdplb_family */
		};
		__u32 service; /* the three in one comparison */
	};
	__u8 real_family;
	__u8 encap; /* enum xdplb_encap, and MEMBER_NO_EXPRESS */
	__u16 csum; /* folded sum of the outer IPv4 header's words that are the member's */
	__u16 vip_id;
	__be16 port_last; /* 0: the VIP is one port of one address, as `vip` and `service` say */
	union {
		__u8 timeout_ticks[8]; /* the VIP's, by enum flow_state; at most flow_clock's */
		/* The VIP's, as in struct vip_key; FLOW_NONE, whose place it has, has no timeout.
		 */
		__u8 vip_host_bits;
	};
};

_Static_assert(sizeof(struct member) == XDPLB_CACHE_LINE, "one member, one line");
_Static_assert(__builtin_offsetof(struct member, next_hop) % 8 == 0, "aligned store");
_Static_assert(__builtin_offsetof(struct member, state) % 4 == 0, "aligned store");

/* Map "member_stats": per CPU, by member id. Written by the packet path; zeroed when an id is
 * freed. */
struct member_stats {
	__u64 packets;
	__u64 bytes; /* inner packet: IP header and payload */
	__u64 new_flows;
	__u64 repeated_syns; /* of flows that nothing but SYNs was seen of: no answer has come */
};

/*
 * Map "member_load": how many flows a member has, for schedulers that ask. The daemon counts them
 * once in a while; in between, what lc and p2c give it is added, and what clients close is taken
 * away. The sum of `delta` and `base`, modulo 2^32; as a signed number it may be a little below 0.
 */
struct member_load {
	__u32 delta; /* packet path, atomically: flows given less flows closed */
	__u32 base; /* live: what makes `delta` the number of its flows */
	__u32 weight; /* live: in the ring; 0: not in it */
	__u32 seen; /* daemon only: `delta` when its count began */
};

_Static_assert(sizeof(struct member_load) == 16, "four a line");

/* ---- Fragments --------------------------------------------------------------------------- */

#define FRAGMENTS	   16384u /* datagrams under way; the least recently used makes room */
#define FRAGMENT_TIMEOUT_S 30u /* how long after its first a later fragment is taken */

/* Map "fragments": where a datagram's first fragment went. Packet path only. */
struct fragment_key {
	struct ip_addr src;
	struct ip_addr dst;
	__be32 id; /* IPv4: 16 bits */
	__u8 protocol; /* IPv4's; IPPROTO_FRAGMENT in IPv6 */
	__u8 family;
	__u16 pad;
};

_Static_assert(sizeof(struct fragment_key) == 40, "no padding in a hash key");

struct fragment {
	__u64 jiffies; /* when the first fragment came */
	__u32 member;
	__u32 service; /* struct flow_tuple's of the first */
	__be16 sport;
	__u16 pad[3];
};

/* ---- VIPs and rings ---------------------------------------------------------------------- */

/*
 * Map "vips": every VIP's address, ports and protocol, to its id. Packets look here for a VIP of
 * one address and one port that vip_index has no room for. Written by the daemon.
 */
struct vip_key {
	struct ip_addr address; /* of a prefix: host bits 0 */
	__be16 port; /* the first; any port: 0 */
	__u8 protocol;
	__u8 family;
	__be16 port_last; /* 0: there is one; any port: 65535 */
	__u8 host_bits; /* of a prefix: how many of the address's last bits it leaves open; or 0 */
	__u8 pad;
};

_Static_assert(sizeof(struct vip_key) == 24, "no padding in a hash key");

/*
 * Map "vip_ports", an LPM trie: the VIPs of many ports, or of a prefix, to their ids. A range is
 * the aligned blocks it consists of, one entry each, whose key ends with the bits that a block's
 * ports share; any port is the block without such bits; one port of a prefix is longer than all
 * blocks, since it goes on to `end`. So the longest match is the one that takes precedence. Written
 * by the daemon.
 */
struct vip_ports_key {
	__u32 prefix_len; /* in bits, from `address` on */
	struct ip_addr address;
	__u8 host_bits;
	__u8 family;
	__u8 protocol;
	__u8 pad;
	__be16 port;
	__be16 end; /* 0 */
};

#define VIP_PORTS_ANY_LEN 160u /* the bits before `port` */
#define VIP_PORTS_ONE_LEN 192u /* all */

_Static_assert(__builtin_offsetof(struct vip_ports_key, port) == 4 + VIP_PORTS_ANY_LEN / 8, "bits");
_Static_assert(sizeof(struct vip_ports_key) == 4 + VIP_PORTS_ONE_LEN / 8, "bits");

/* Map "vip_addrs": every single address that some VIP has. Written by the daemon. */
struct vip_addr_key {
	struct ip_addr address;
	__u16 family;
	__u16 host_bits; /* 0 in this map: see vip_key */
};

/* Map "vip_prefixes", an LPM trie: every prefix that some VIP has. Written by the daemon. */
struct vip_prefix_key {
	__u32 prefix_len; /* in bits, from `family` on */
	__u32 family;
	struct ip_addr address;
};

#define VIP_PREFIX_ONE_LEN 160u /* one address */

_Static_assert(sizeof(struct vip_prefix_key) == 4 + VIP_PREFIX_ONE_LEN / 8, "bits");

/* Value of both. */
struct vip_addr {
	__u32 on_no_port; /* enum xdplb_on_no_port */
	__u32 host_bits; /* the prefix's */
	__u32 answers_echo; /* whether a ping is answered now */
};

/* So many prefixes may lie in one another: an address looks for its VIP in all it is in. */
#define VIP_PREFIX_DEPTH 4

/*
 * Map "vip_filter": one row, a bit for every address that some VIP has (vip_filter_bit() of
 * hash.h); all of them while a VIP is a prefix of more than 2^VIP_FILTER_HOST_BITS addresses. A
 * packet whose bit is clear is for no VIP; one whose bit is set may be for none either. Written by
 * the daemon.
 */
#define VIP_FILTER_BITS	     32768u
#define VIP_FILTER_HOST_BITS 12u

struct vip_filter {
	__u64 word[VIP_FILTER_BITS / 64]; /* live: one aligned store each */
};

_Static_assert(sizeof(struct vip_filter) == 4096, "one page");

/*
 * Map "vip_index": ids of VIPs of one address and one port, each plus one (0: none), two at every
 * place that vip_index_place() of hash.h may give: where a packet looks first. vip_state says
 * whether it is the packet's VIP; if neither is, "vips" is asked, which has all of them. Written by
 * the daemon.
 */
#define VIP_INDEX_PLACES 8192u

struct vip_index {
	__u32 id[2]; /* live: one aligned store each, after vip_state has the VIP's key */
};

_Static_assert(sizeof(struct vip_index) == 8, "array elements have a stride of 8 bytes");

/*
 * Map "vip_state": by VIP id. The first line is what a pick reads. An id's key stays as it is until
 * the id is used again, a grace period after its VIP is gone.
 */
struct vip_state {
	__u64 ring; /* live: RING_WORD of the half in use; 0: no real can take a new flow */
	struct ip_addr address;
	union {
		struct {
			__be16 port;
			__u8 protocol;
			__u8 family;
		};
		__u32 service; /* the three in one comparison, as in struct member */
	};
	__u32 flags; /* live: one aligned store; VIP_* */
	__be16 port_last;
	__u8 host_bits;
	__u8 pad3;
	__u32 schedule; /* live: SCHEDULE_WORD */
	__u64 order; /* live: RING_WORD of round robin's turns, members' ids; 0: there is none */
	__u32 affinity_s; /* live: how long a source keeps its real; 0: as long as the ring says */
	__u32 on_empty; /* live: enum xdplb_on_empty */
	__u32 pad1[2];
	__u64 half[2]; /* daemon only: extent (base << 32 | blocks) of each half in "rings" */
	__u32 members; /* live: length of the member list of the half in use */
	__u32 pad0;
	__u64 fingerprint; /* daemon only: hash of what the ring in use says */
	/* daemon only: totals of freed members, so that a VIP's totals never fall */
	__u64 freed_packets;
	__u64 freed_bytes;
	__u64 freed_new_flows;
	__u64 pad2;
};

_Static_assert(sizeof(struct vip_state) == 2 * XDPLB_CACHE_LINE, "one VIP, two lines");
_Static_assert(__builtin_offsetof(struct vip_state, half) == XDPLB_CACHE_LINE, "the daemon's line");

/* What the first packet of a flow gets that no real can take. */
enum xdplb_on_empty {
	ON_EMPTY_DROP = 0,
	ON_EMPTY_RESET = 1, /* TCP: RST; UDP: ICMP port unreachable */
	ON_EMPTY_UNREACHABLE = 2, /* ICMP port unreachable */
};

#define VIP_QUIC (1u << 0) /* a QUIC connection ID may name the real */

/* How a VIP's new flows are given out: the scheduler, and what of a flow its source hash takes in.
 */
#define SCHEDULE_WORD(scheduler, tuple, prefix4, prefix6)                                          \
	((__u32)(scheduler) | (__u32)(tuple) << 8 | (__u32)(prefix4) << 16 | (__u32)(prefix6) << 24)
#define SCHEDULE_KIND(word)    ((word)&0xff)
#define SCHEDULE_TUPLE(word)   ((word) >> 8 & 0xff) /* 1, 2, 3 or 5 */
#define SCHEDULE_PREFIX4(word) ((word) >> 16 & 0xff)
#define SCHEDULE_PREFIX6(word) ((word) >> 24 & 0xff)

/* Of more members than this, lc compares so many that it draws from the ring. */
#define SCHEDULE_LC_DRAWS 16u

/*
 * Map "turns": per CPU, by VIP id: how many turns of round robin this CPU has given. Packet path
 * only.
 */

/*
 * Map "affinity": which member a source was given last, in buckets of four that a hash of VIP and
 * source chooses. Packet path only. A bucket that is full forgets the source that was away longest.
 */
#define AFFINITY_BUCKETS 65536u
#define AFFINITY_SLOTS	 4

struct affinity {
	__u64 word; /* rest of the hash 44 | member 20; hash and member change together */
	__u64 jiffies; /* when it last started a flow; 0: never */
};

struct affinity_bucket {
	struct affinity slot[AFFINITY_SLOTS];
};

_Static_assert(sizeof(struct affinity_bucket) == XDPLB_CACHE_LINE, "one bucket, one line");

/*
 * Map "rings": 64-byte blocks. A half is an extent of blocks: first the ring, 32 slots a block,
 * each an index into the member list; then the member list, 16 ids a block. RING_WORD names both,
 * so the switch from one half to the other is one aligned 64-bit store. Behind them, for round
 * robin, its turns, 16 ids a block, which another word names: both are switched one after the
 * other, and each holds by itself.
 */
#define RING_SLOTS_PER_BLOCK   32u
#define RING_MEMBERS_PER_BLOCK 16u

union ring_block {
	__u16 slot[RING_SLOTS_PER_BLOCK];
	__u32 member[RING_MEMBERS_PER_BLOCK];
};

_Static_assert(sizeof(union ring_block) == XDPLB_CACHE_LINE, "one block, one line");

#define RING_WORD(base, size)  (((__u64)(base) << 32) | (__u32)(size))
#define RING_WORD_BASE(word)   ((__u32)((word) >> 32))
#define RING_WORD_SIZE(word)   ((__u32)(word))
#define RING_SLOT_BLOCKS(size) (((size) + RING_SLOTS_PER_BLOCK - 1) / RING_SLOTS_PER_BLOCK)
#define RING_MEMBER_BLOCKS(n)  (((n) + RING_MEMBERS_PER_BLOCK - 1) / RING_MEMBERS_PER_BLOCK)

/* How many more slots are tried when a pick's member is down, before the packet is dropped. */
#define RING_SECOND_PICKS 8

/* ---- QUIC (draft-ietf-quic-load-balancers) ------------------------------------------------ */

#define QUIC_CID_MAX	   20 /* QUIC version 1 */
#define QUIC_SERVER_ID_MAX 15
#define QUIC_NONCE_MIN	   4
#define QUIC_ID_MAX	   19 /* server ID and nonce together */
#define QUIC_UNROUTABLE	   7 /* this rotation says: no configuration */

#define AES_BLOCK     16
#define AES_ROUNDS    10 /* AES-128 */
#define AES_KEY_WORDS (4 * (AES_ROUNDS + 1))

enum quic_cipher {
	QUIC_PLAINTEXT = 0,
	QUIC_ONE_PASS = 1, /* server ID and nonce are one AES block */
	QUIC_THREE_PASSES = 2, /* of the four: the server ID is in the left half */
	QUIC_FOUR_PASSES = 3,
};

/* 128 bits, the first octets in the upper half of the first word. */
struct quic_bits {
	__u64 word[2];
};

/* Map "quic_configs": how a VIP's connection IDs are read. Written by the daemon. */
struct quic_config_key {
	__u32 vip_id;
	__u32 rotation; /* 0 ... 6 */
};

struct quic_config {
	__u32 cipher; /* enum quic_cipher */
	__u32 length; /* of server ID and nonce together */
	struct quic_bits server_id; /* mask */
	/* three or four passes: the halves, and how far in the right one begins, in bits */
	struct quic_bits left;
	struct quic_bits right;
	__u32 right_shift;
	__u32 pad;
	/* one pass: to decrypt with, in the order of use; else to encrypt with */
	__u32 round_key[AES_KEY_WORDS];
};

/* Map "quic_servers": VIP and server ID to member id. Written by the daemon. */
struct quic_server_key {
	struct quic_bits server_id; /* zeroes behind it */
	__u32 vip_id;
	__u32 pad;
};

/*
 * AES one round at a time: SubBytes and MixColumns of a byte in the first row, as a column; the
 * other rows' are the same, rotated. The S-box is any byte in the middle of encrypt[].
 */
struct aes_tables {
	__u32 encrypt[256];
	__u32 decrypt[256];
	__u8 inverse[256]; /* S-box */
};

/* ---- Ways out ---------------------------------------------------------------------------- */

#define OUT_TAGS 2

/*
 * Map "out_interfaces": by the row in a next hop word. Written by the daemon. A VLAN device has a
 * row of its own that names the interface below it and the tags that it stands for.
 */
struct out_interface {
	__u8 mac[6]; /* source address of what leaves here */
	__u16 mtu; /* largest IP packet; 65535 where the interface takes more */
	__u32 ifindex; /* that frames are sent through; 0: row not in use */
	__u32 device; /* daemon only: what the routes name; the same, or a VLAN device above it */
	__be32 tag[OUT_TAGS]; /* as on the wire: type, priority and id; the outer first; 0: none */
	__u32 pad[2];
};

_Static_assert(sizeof(struct out_interface) == 32, "a row is in one line");

/* ---- Process-wide ------------------------------------------------------------------------ */

/* Map "control": one row. */
struct control {
	__u32 layout_version; /* daemon, once */
	__u32 expiry_paused; /* live: 1 while the scan restamps ages for a new flow_clock */
	__u32 flow_buckets; /* daemon, once: even */
	__u32 members;
	__u32 vips;
	__u32 ring_blocks;
	struct flow_clock clock; /* daemon: what the loaded program was given */
};

/* Rate limit of all replies that the balancer itself sends: per CPU. */
#define REPLY_RATE_PPS 1000u
#define REPLY_BURST    1000u

/* Map "syn_window": per CPU, one row. Packet path only. */
struct syn_window {
	__u64 window; /* since boot: jiffies >> the knob's shift */
	__u64 syns; /* in it */
};

/* Map "reply_limit": per CPU, one row. Packet path only. */
struct reply_limit {
	__u64 last_jiffies;
	__u64 tokens; /* in thousandths of a reply */
};
