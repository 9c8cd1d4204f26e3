/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table: see config_schema.h. */
#include <netinet/in.h>

#include "config_schema_row.h"
#include "config_value.h"

static const struct schema_choice attach_choices[] = {CHOICE("exclusive", 0), LATER("shared"), {}};

static const struct schema_choice mode_choices[] = {
	CHOICE("native", ATTACH_NATIVE), CHOICE("generic", ATTACH_GENERIC), {}};

static const struct schema_choice encap_choices[] = {
	CHOICE("ipip", ENCAP_IPIP), CHOICE("gue", ENCAP_GUE), CHOICE("l2dsr", ENCAP_L2DSR), {}};

static const struct schema_choice checksum_choices[] = {
	CHOICE("zero", 0), CHOICE("computed", 1), {}};

static const struct schema_choice scheduler_choices[] = {
	CHOICE("maglev", SCHEDULER_MAGLEV),
	CHOICE("source", SCHEDULER_SOURCE),
	CHOICE("rr", SCHEDULER_RR),
	CHOICE("random", SCHEDULER_RANDOM),
	CHOICE("lc", SCHEDULER_LC),
	CHOICE("p2c", SCHEDULER_P2C),
	LATER("lrt"),
	{},
};

static const struct schema_choice on_down_choices[] = {
	CHOICE("reroute", ON_DOWN_REROUTE), CHOICE("reset", ON_DOWN_RESET), {}};

static const struct schema_choice on_no_port_choices[] = {CHOICE("reply", ON_NO_PORT_REPLY),
							  CHOICE("drop", ON_NO_PORT_DROP),
							  CHOICE("pass", ON_NO_PORT_PASS),
							  {}};

static const struct schema_choice on_all_down_choices[] = {
	CHOICE("drop", ALL_DOWN_DROP),
	CHOICE("all", ALL_DOWN_ALL),
	CHOICE("backup", ALL_DOWN_BACKUP),
	CHOICE("reset", ALL_DOWN_RESET),
	CHOICE("unreachable", ALL_DOWN_UNREACHABLE),
	{}};

static const struct schema_choice echo_choices[] = {
	CHOICE("up", ECHO_WHILE_UP), CHOICE("always", ECHO_ALWAYS), CHOICE("off", ECHO_OFF), {}};

static const struct schema_choice protocol_choices[] = {
	CHOICE("tcp", IPPROTO_TCP), CHOICE("udp", IPPROTO_UDP), {}};

static const struct schema_field interface_fields[] = {
	[INTERFACE_NAME] = {.key = "name",
			    .type = SCHEMA_TEXT,
			    .is_required = true,
			    .offset = offsetof(struct doc_interface, name),
			    .check = check_interface_name,
			    .text = "the kernel's name of the interface that VIP traffic enters"},
	[INTERFACE_ATTACH] = {.key = "attach",
			      .type = SCHEMA_CHOICE,
			      .offset = offsetof(struct doc_interface, attach),
			      .choices = attach_choices,
			      .text = "`exclusive`: the only XDP program there; "
				      "`shared`: beside others through libxdp's dispatcher"},
	[INTERFACE_MODE] = {.key = "mode",
			    .type = SCHEMA_CHOICE,
			    .offset = offsetof(struct doc_interface, mode),
			    .choices = mode_choices,
			    .initial = ATTACH_NATIVE,
			    .text = "`native`: in the driver; `generic`: in the network stack, "
				    "slow, for drivers without XDP"},
};

const struct schema_section schema_interface = {
	.title = "interfaces[]",
	.text = "Where packets enter. At least one.",
	.fields = interface_fields,
	.n_fields = COUNT_OF(interface_fields),
	.size = sizeof(struct doc_interface),
};

static const struct schema_field encap_fields[] = {
	[ENCAP_SOURCE4] = {.key = "source4",
			   .type = SCHEMA_SOURCE4,
			   .offset = offsetof(struct doc_encap, source4),
			   .initial_text = "none; needed for IPv4 reals",
			   .text = "outer source of tunnel packets to IPv4 reals: an address, or a "
				   "prefix whose host bits carry flow entropy"},
	[ENCAP_SOURCE6] = {.key = "source6",
			   .type = SCHEMA_SOURCE6,
			   .offset = offsetof(struct doc_encap, source6),
			   .initial_text = "none; needed for IPv6 reals",
			   .text = "the same for IPv6 reals"},
	[ENCAP_GUE_PORT] =
		{.key = "gue_port",
		 .type = SCHEMA_NUMBER,
		 .offset = offsetof(struct doc_encap, gue_port),
		 .min = 1,
		 .max = 65535,
		 .initial = 6080,
		 .text = "UDP port on which reals with `encap: gue` take tunnel packets"},
	[ENCAP_GUE_CHECKSUM6] =
		{.key = "gue_checksum6",
		 .type = SCHEMA_CHOICE,
		 .offset = offsetof(struct doc_encap, gue_checksum6),
		 .choices = checksum_choices,
		 .initial = 0,
		 .text = "UDP checksum of GUE over IPv6: `zero` (RFC 6935), or "
			 "`computed` for networks that drop zero; costs a pass over "
			 "the packet"},
};

const struct schema_section schema_encap = {
	.title = "encap",
	.text = "Tunnel headers: the balancer's own addresses, and GUE's UDP header.",
	.fields = encap_fields,
	.n_fields = COUNT_OF(encap_fields),
	.size = sizeof(struct doc_encap),
};

static const struct schema_field capacity_fields[] = {
	[CAPACITY_FLOWS] =
		{.key = "flows",
		 .type = SCHEMA_COUNT,
		 .offset = offsetof(struct doc_capacity, flows),
		 .min = 1000,
		 .max = 100000000,
		 .initial = 1000000,
		 .text = "flows held at once with at least 99.9 % tracked; 16 bytes each"},
	[CAPACITY_MEMBERS] = {.key = "members",
			      .type = SCHEMA_COUNT,
			      .offset = offsetof(struct doc_capacity, members),
			      .min = 16,
			      .max = 1000000,
			      .initial = 64000,
			      .text = "reals summed over all VIPs"},
	[CAPACITY_VIPS] = {.key = "vips",
			   .type = SCHEMA_COUNT,
			   .offset = offsetof(struct doc_capacity, vips),
			   .min = 1,
			   .max = 65535,
			   .initial = 4000,
			   .text = "VIPs"},
	[CAPACITY_RING_SLOTS] =
		{.key = "ring_slots",
		 .type = SCHEMA_COUNT,
		 .offset = offsetof(struct doc_capacity, ring_slots),
		 .min = 251,
		 .max = 1000000000,
		 .initial = 64000000,
		 .text = "slots of all rings; a VIP takes twice its `ring` and 4 per "
			 "real, rounded up to 32, and with `scheduler: rr` 32,768 more (16 per "
			 "real from 2,048 reals on); 2 bytes each"},
};

const struct schema_section schema_capacity = {
	.title = "capacity",
	.text = "How much the maps hold; memory is taken at start (`xdplbd --check` prints it).",
	.fields = capacity_fields,
	.n_fields = COUNT_OF(capacity_fields),
	.size = sizeof(struct doc_capacity),
};

static const struct schema_field guard_fields[] = {
	[GUARD_MAX_REMOVED] = {.key = "max_removed",
			       .type = SCHEMA_PERCENT,
			       .offset = offsetof(struct doc_guard, max_removed),
			       .min = 1,
			       .max = 100,
			       .initial = 100,
			       .text = "a reload that removes more than this share of the reals is "
				       "refused unless forced; 100% is off"},
	[GUARD_SYN_RATE] =
		{.key = "syn_rate",
		 .type = SCHEMA_RATE,
		 .offset = offsetof(struct doc_guard, syn_rate),
		 .max = 1000000000,
		 .initial = 100000,
		 .text = "SYNs on one CPU that are looked up in the flow table and recorded; what "
			 "exceeds it goes where the ring says, at a quarter of the cost, and is "
			 "recorded with its second packet; `0/s`: no limit"},
};

const struct schema_section schema_guard = {
	.title = "guard",
	.text = "Protection against a file that lost half of itself, and against floods.",
	.fields = guard_fields,
	.n_fields = COUNT_OF(guard_fields),
	.size = sizeof(struct doc_guard),
};

static const struct schema_field timeouts_fields[] = {
	[TIMEOUTS_TCP] = {.key = "tcp",
			  .type = SCHEMA_DURATION,
			  .offset = offsetof(struct doc_timeouts, tcp),
			  .min = 1 * SECOND,
			  .max = 24 * HOUR,
			  .initial = 1 * HOUR,
			  .text = "idle time after which an established TCP flow is forgotten"},
	[TIMEOUTS_TCP_CLOSING] = {.key = "tcp_closing",
				  .type = SCHEMA_DURATION,
				  .offset = offsetof(struct doc_timeouts, tcp_closing),
				  .min = 1 * SECOND,
				  .max = 1 * HOUR,
				  .initial = 30 * SECOND,
				  .text = "after the client's FIN or RST"},
	[TIMEOUTS_TCP_UNPROVEN] = {.key = "tcp_unproven",
				   .type = SCHEMA_DURATION,
				   .offset = offsetof(struct doc_timeouts, tcp_unproven),
				   .min = 1 * SECOND,
				   .max = 1 * HOUR,
				   .initial = 30 * SECOND,
				   .text = "while only one packet of the flow was seen"},
	[TIMEOUTS_UDP] = {.key = "udp",
			  .type = SCHEMA_DURATION,
			  .offset = offsetof(struct doc_timeouts, udp),
			  .min = 1 * SECOND,
			  .max = 1 * HOUR,
			  .initial = 60 * SECOND,
			  .text = "idle time of a UDP flow"},
};

const struct schema_section schema_timeouts = {
	.title = "timeouts",
	.text = "In `defaults` and in a VIP, key by key.",
	.fields = timeouts_fields,
	.n_fields = COUNT_OF(timeouts_fields),
	.size = sizeof(struct doc_timeouts),
};

/* The keys that `defaults` and a VIP share; S has a struct doc_policy called policy. */
#define POLICY_FIELDS(S)                                                                           \
	[POLICY_ENCAP] =                                                                           \
		{.key = "encap",                                                                   \
		 .type = SCHEMA_CHOICE,                                                            \
		 .offset = offsetof(S, policy.encap),                                              \
		 .choices = encap_choices,                                                         \
		 .initial = ENCAP_IPIP,                                                            \
		 .text = "how packets travel to the reals: behind an IP header, behind an "        \
			 "IP and a UDP header, or (reals on the same segment only) as "            \
			 "they are, to the real's MAC"},                                           \
	[POLICY_SCHEDULER] = {.key = "scheduler",                                                  \
			      .type = SCHEMA_CHOICE,                                               \
			      .offset = offsetof(S, policy.scheduler),                             \
			      .choices = scheduler_choices,                                        \
			      .initial = SCHEDULER_MAGLEV,                                         \
			      .text = "how a new flow gets its real: see docs/schedulers.md"},     \
	[POLICY_SOURCE] = {.key = "source",                                                        \
			   .type = SCHEMA_MAP,                                                     \
			   .offset = offsetof(S, policy.source),                                   \
			   .section = &schema_source,                                              \
			   .text = "what `scheduler: source` goes by"},                            \
	[POLICY_RING] = {.key = "ring",                                                            \
			 .type = SCHEMA_PRIME,                                                     \
			 .offset = offsetof(S, policy.ring),                                       \
			 .min = XDPLB_MIN_RING,                                                    \
			 .max = XDPLB_MAX_RING,                                                    \
			 .initial = 65537,                                                         \
			 .text = "slots of the Maglev table; a prime, 100 times the reals"},       \
	[POLICY_SLOW_START] = {.key = "slow_start",                                                \
			       .type = SCHEMA_DURATION,                                            \
			       .offset = offsetof(S, policy.slow_start),                           \
			       .max = 1 * HOUR,                                                    \
			       .text = "time in which a real that came back gets its full "        \
				       "weight, in even steps; `0s`: at once"},                    \
	[POLICY_PANIC] = {.key = "panic",                                                          \
			  .type = SCHEMA_PERCENT,                                                  \
			  .offset = offsetof(S, policy.panic),                                     \
			  .max = 100,                                                              \
			  .text = "while fewer than this share of the reals is up, health is "     \
				  "ignored: all that are enabled and not drained are used; `0%` "  \
				  "is off"},                                                       \
	[POLICY_ON_ALL_DOWN] =                                                                     \
		{.key = "on_all_down",                                                             \
		 .type = SCHEMA_CHOICE,                                                            \
		 .offset = offsetof(S, policy.on_all_down),                                        \
		 .choices = on_all_down_choices,                                                   \
		 .initial = ALL_DOWN_DROP,                                                         \
		 .initial_text = "drop; all where `panic` is set",                                 \
		 .text = "no real is up, backups neither: `drop` new flows, answer them with "     \
			 "`reset` (TCP RST; UDP as the next) or `unreachable` (ICMP port "         \
			 "unreachable; both rate limited), or ignore the health of `all` reals, "  \
			 "or of the `backup` reals"},                                              \
	[POLICY_MIN_HEALTHY] = {.key = "min_healthy",                                              \
				.type = SCHEMA_SHARE,                                              \
				.offset = offsetof(S, policy.min_healthy),                         \
				.max = XDPLB_MAX_VIP_MEMBERS - 1,                                  \
				.initial_text = "0",                                               \
				.text = "reals, or share of the reals, that should be up; with "   \
					"fewer the VIP is degraded and an alarm is logged"},       \
	[POLICY_BACKUP_BELOW] =                                                                    \
		{.key = "backup_below",                                                            \
		 .type = SCHEMA_SHARE,                                                             \
		 .offset = offsetof(S, policy.backup_below),                                       \
		 .max = XDPLB_MAX_VIP_MEMBERS - 1,                                                 \
		 .initial_text = "0",                                                              \
		 .text = "with fewer reals up than this, or than this share of the primaries, "    \
			 "the next level of backups joins; 0: with none up"},                      \
	[POLICY_TIMEOUTS] = {.key = "timeouts",                                                    \
			     .type = SCHEMA_MAP,                                                   \
			     .offset = offsetof(S, policy.timeouts),                               \
			     .section = &schema_timeouts,                                          \
			     .text = "when idle flows are forgotten"},                             \
	[POLICY_ON_NO_PORT] =                                                                      \
		{.key = "on_no_port",                                                              \
		 .type = SCHEMA_CHOICE,                                                            \
		 .offset = offsetof(S, policy.on_no_port),                                         \
		 .choices = on_no_port_choices,                                                    \
		 .initial = ON_NO_PORT_REPLY,                                                      \
		 .text = "a packet to a VIP's address and a port that none serves: `reply` "       \
			 "(RST, ICMP unreachable; rate limited), `drop` or `pass` to the host"},   \
	[POLICY_ECHO] = {.key = "echo",                                                            \
			 .type = SCHEMA_CHOICE,                                                    \
			 .offset = offsetof(S, policy.echo),                                       \
			 .choices = echo_choices,                                                  \
			 .initial = ECHO_WHILE_UP,                                                 \
			 .text = "answer pings of the VIP's address: `up`, while a VIP with that " \
				 "address has a real for a new flow; `always`; `off`"},            \
	[POLICY_ON_DOWN] =                                                                         \
		{.key = "on_down",                                                                 \
		 .type = SCHEMA_CHOICE,                                                            \
		 .offset = offsetof(S, policy.on_down),                                            \
		 .choices = on_down_choices,                                                       \
		 .initial = ON_DOWN_REROUTE,                                                       \
		 .text = "what a TCP connection to a real that went down gets: `reroute`, "        \
			 "another real, which does not know it; `reset`, a RST from the "          \
			 "balancer. New connections and UDP always get another real"},             \
	[POLICY_DRAIN] = {.key = "drain",                                                          \
			  .type = SCHEMA_MAP,                                                      \
			  .offset = offsetof(S, policy.drain),                                     \
			  .section = &schema_drain,                                                \
			  .text = "how long a real is drained, and what comes then"},              \
	[POLICY_EJECTION] = {.key = "ejection",                                                    \
			     .type = SCHEMA_MAP,                                                   \
			     .offset = offsetof(S, policy.ejection),                               \
			     .section = &schema_ejection,                                          \
			     .text = "reals that do not answer their clients, whatever their "     \
				     "probes say"},                                                \
	[POLICY_HEALTH] = {.key = "health",                                                        \
			   .type = SCHEMA_MAP,                                                     \
			   .offset = offsetof(S, policy.health),                                   \
			   .section = &schema_health,                                              \
			   .text = "how reals are probed"}

static const struct schema_field defaults_fields[] = {POLICY_FIELDS(struct doc_defaults)};

const struct schema_section schema_defaults = {
	.title = "defaults",
	.text = "For every VIP that does not say otherwise; each key may be set in a VIP too.",
	.fields = defaults_fields,
	.n_fields = COUNT_OF(defaults_fields),
	.size = sizeof(struct doc_defaults),
};

static const struct schema_field vip_fields[] = {
	POLICY_FIELDS(struct doc_vip),
	[VIP_NAME] = {.key = "name",
		      .type = SCHEMA_TEXT,
		      .is_required = true,
		      .offset = offsetof(struct doc_vip, name),
		      .check = check_vip_name,
		      .text = "unique; 1 to 63 letters, digits, `.`, `_`, `-`"},
	[VIP_ADDRESS] = {.key = "address",
			 .type = SCHEMA_NETWORK,
			 .is_required = true,
			 .offset = offsetof(struct doc_vip, network),
			 .text = "IPv4 or IPv6 address that clients connect to, or a prefix: all "
				 "its addresses"},
	[VIP_PORT] = {.key = "port",
		      .type = SCHEMA_PORTS,
		      .is_required = true,
		      .offset = offsetof(struct doc_vip, ports),
		      .text = "port that clients connect to; `0`: any; `\"8000-8099\"`: these "
			      "and all in between"},
	[VIP_PROTOCOL] = {.key = "protocol",
			  .type = SCHEMA_CHOICE,
			  .is_required = true,
			  .offset = offsetof(struct doc_vip, protocol),
			  .choices = protocol_choices,
			  .text = "transport protocol"},
	[VIP_REALS] = {.key = "reals",
		       .type = SCHEMA_LIST,
		       .section = &schema_real,
		       .offset = offsetof(struct doc_vip, reals),
		       .max = XDPLB_MAX_VIP_MEMBERS - 1,
		       .text = "who serves it; none is allowed, its packets are then dropped and "
			       "counted"},
	[VIP_QUIC_CONFIGS] = {.key = "quic",
			      .type = SCHEMA_LIST,
			      .section = &schema_quic,
			      .offset = offsetof(struct doc_vip, quic),
			      .max = QUIC_UNROUTABLE,
			      .initial_text = "none: the 4-tuple decides",
			      .text = "how the reals make their QUIC connection IDs (QUIC-LB); "
				      "`protocol: udp` only"},
	[VIP_POOL] = {.key = "pool",
		      .type = SCHEMA_TEXT,
		      .offset = offsetof(struct doc_vip, pool),
		      .check = check_vip_name,
		      .text = "the pool that serves it, instead of `reals`"},
	[VIP_POOLS] = {.key = "pools",
		       .type = SCHEMA_LIST,
		       .section = &schema_use,
		       .offset = offsetof(struct doc_vip, pools),
		       .min = 1,
		       .max = VIP_POOLS_MAX,
		       .text = "pools and their weights, instead of `reals`"},
};

const struct schema_section schema_vip = {
	.title = "vips[]",
	.text = "What clients connect to. (address, port, protocol) is unique, and ranges of ports "
		"of one address and protocol have no port in common.",
	.fields = vip_fields,
	.n_fields = COUNT_OF(vip_fields),
	.size = sizeof(struct doc_vip),
};

static const struct schema_field file_fields[] = {
	[FILE_INTERFACES] = {.key = "interfaces",
			     .type = SCHEMA_LIST,
			     .is_required = true,
			     .section = &schema_interface,
			     .offset = offsetof(struct doc_file, interfaces),
			     .min = 1,
			     .max = XDPLB_MAX_INTERFACES - 1,
			     .text = "where packets enter"},
	[FILE_BPFFS] = {.key = "bpffs",
			.type = SCHEMA_TEXT,
			.offset = offsetof(struct doc_file, bpffs),
			.check = check_absolute_path,
			.initial_text = "/sys/fs/bpf/xdplb",
			.text = "directory of the pinned program, links and maps"},
	[FILE_METRICS] = {.key = "metrics",
			  .type = SCHEMA_MAP,
			  .unbuilt = SCHEMA_UNBUILT,
			  .text = "where /metrics and the stats page listen"},
	[FILE_ENCAP] = {.key = "encap",
			.type = SCHEMA_MAP,
			.section = &schema_encap,
			.offset = offsetof(struct doc_file, encap),
			.text = "outer source addresses, GUE's port and checksum"},
	[FILE_CAPACITY] = {.key = "capacity",
			   .type = SCHEMA_MAP,
			   .section = &schema_capacity,
			   .offset = offsetof(struct doc_file, capacity),
			   .text = "how much the maps hold"},
	[FILE_GUARD] = {.key = "guard",
			.type = SCHEMA_MAP,
			.section = &schema_guard,
			.offset = offsetof(struct doc_file, guard),
			.text = "limits to what a reload and a flood may do"},
	[FILE_DEFAULTS] = {.key = "defaults",
			   .type = SCHEMA_MAP,
			   .section = &schema_defaults,
			   .offset = offsetof(struct doc_file, defaults),
			   .text = "for VIPs that do not say otherwise"},
	[FILE_POOLS] = {.key = "pools",
			.type = SCHEMA_LIST,
			.section = &schema_pool,
			.offset = offsetof(struct doc_file, pools),
			.max = 65535,
			.text = "named lists of reals that VIPs share"},
	[FILE_VIPS] = {.key = "vips",
		       .type = SCHEMA_LIST,
		       .section = &schema_vip,
		       .offset = offsetof(struct doc_file, vips),
		       .max = 65535,
		       .text = "what clients connect to"},
};

const struct schema_section schema_file = {
	.title = "Top level",
	.text = "A mapping of these keys.",
	.fields = file_fields,
	.n_fields = COUNT_OF(file_fields),
	.size = sizeof(struct doc_file),
};
