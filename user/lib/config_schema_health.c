/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table's rows of `health`: see config_schema.h. */
#include "command.h"
#include "config_schema_row.h"
#include "config_value.h"

#define BIT(type)	(1u << HEALTH_TYPE_##type)
#define HTTP_TYPES	(BIT(HTTP) | BIT(HTTPS))
#define TLS_TYPES	(BIT(HTTPS) | BIT(GRPC))
#define EXPECTING_TYPES (HTTP_TYPES | BIT(UDP) | BIT(DNS))
/* The probe comes from an address of this host. */
#define SOCKET_TYPES (BIT(TCP) | BIT(AGENT) | BIT(GRPC) | HTTP_TYPES | BIT(UDP) | BIT(DNS))
/* The probe goes to a port. */
#define PORT_TYPES (SOCKET_TYPES | BIT(NONE) | BIT(SCRIPT))
#define ANY_TYPE   (PORT_TYPES | BIT(ICMP))

static const struct schema_choice health_type_choices[] = {
	CHOICE("tcp", HEALTH_TYPE_TCP),
	CHOICE("http", HEALTH_TYPE_HTTP),
	CHOICE("https", HEALTH_TYPE_HTTPS),
	CHOICE("none", HEALTH_TYPE_NONE),
	CHOICE("udp", HEALTH_TYPE_UDP),
	CHOICE("dns", HEALTH_TYPE_DNS),
	CHOICE("icmp", HEALTH_TYPE_ICMP),
	CHOICE("script", HEALTH_TYPE_SCRIPT),
	CHOICE("agent", HEALTH_TYPE_AGENT),
	CHOICE("grpc", HEALTH_TYPE_GRPC),
	{},
};

static const struct schema_choice health_start_choices[] = {
	CHOICE("down", false),
	CHOICE("up", true),
	{},
};

static const struct schema_choice health_via_choices[] = {
	CHOICE("direct", VIA_DIRECT),
	CHOICE("tunnel", VIA_TUNNEL),
	{},
};

/* By IANA's numbers. */
static const struct schema_choice rrtype_choices[] = {
	CHOICE("A", 1),
	CHOICE("AAAA", 28),
	CHOICE("NS", 2),
	CHOICE("CNAME", 5),
	CHOICE("SOA", 6),
	CHOICE("PTR", 12),
	CHOICE("MX", 15),
	CHOICE("TXT", 16),
	CHOICE("SRV", 33),
	CHOICE("NAPTR", 35),
	CHOICE("DS", 43),
	CHOICE("DNSKEY", 48),
	CHOICE("SVCB", 64),
	CHOICE("HTTPS", 65),
	CHOICE("CAA", 257),
	CHOICE("ANY", 255),
	{},
};

static const struct schema_field health_fields[] = {
	[HEALTH_KEY_TYPE] = {.key = "type",
			     .type = SCHEMA_CHOICE,
			     .offset = offsetof(struct doc_health, type),
			     .choices = health_type_choices,
			     .initial = HEALTH_TYPE_TCP,
			     .health_types = ANY_TYPE,
			     .text = "`tcp`: the real accepts a connection; `http`: it answers a "
				     "request as expected; `https`: over TLS 1.2 or later, with a "
				     "certificate that is trusted; `udp`: it answers a datagram; "
				     "`dns`: it answers a question (over UDP); "
				     "`icmp`: it answers a ping; `script`: a program says so; "
				     "`agent`: a program beside the service says so, as HAProxy's "
				     "agent-check; "
				     "`grpc`: `grpc.health.v1.Health/Check` answers SERVING; "
				     "`none`: never probed, always up"},
	[HEALTH_KEY_PORT] = {.key = "port",
			     .type = SCHEMA_PORT,
			     .offset = offsetof(struct doc_health, port),
			     .health_types = PORT_TYPES,
			     .needed_types = BIT(AGENT),
			     .min = 1,
			     .max = 65535,
			     .initial_text = "the VIP's port; required with `agent`",
			     .text = "port of the real that is probed"},
	[HEALTH_KEY_INTERVAL] = {.key = "interval",
				 .type = SCHEMA_DURATION,
				 .offset = offsetof(struct doc_health, interval),
				 .health_types = ANY_TYPE,
				 .min = 50,
				 .max = 1 * HOUR,
				 .initial = 1 * SECOND,
				 .text = "time from one probe to the next"},
	[HEALTH_KEY_TIMEOUT] = {.key = "timeout",
				.type = SCHEMA_DURATION,
				.offset = offsetof(struct doc_health, timeout),
				.health_types = ANY_TYPE,
				.min = 10,
				.max = 1 * MINUTE,
				.initial = 500,
				.text = "a probe that takes longer has failed"},
	[HEALTH_KEY_FALL] = {.key = "fall",
			     .type = SCHEMA_NUMBER,
			     .offset = offsetof(struct doc_health, fall),
			     .health_types = ANY_TYPE,
			     .min = 1,
			     .max = 100,
			     .initial = 3,
			     .text = "failures in a row until a real is down"},
	[HEALTH_KEY_RISE] = {.key = "rise",
			     .type = SCHEMA_NUMBER,
			     .offset = offsetof(struct doc_health, rise),
			     .health_types = ANY_TYPE,
			     .min = 1,
			     .max = 100,
			     .initial = 2,
			     .text = "successes in a row until it is up again"},
	[HEALTH_KEY_JITTER] = {.key = "jitter",
			       .type = SCHEMA_PERCENT,
			       .offset = offsetof(struct doc_health, jitter),
			       .health_types = ANY_TYPE,
			       .min = 0,
			       .max = 50,
			       .initial = 10,
			       .text = "how far each interval is moved at random, to either side"},
	[HEALTH_KEY_FAST_INTERVAL] =
		{.key = "fast_interval",
		 .type = SCHEMA_DURATION,
		 .offset = offsetof(struct doc_health, fast_interval),
		 .health_types = ANY_TYPE,
		 .min = 50,
		 .max = 1 * HOUR,
		 .initial_text = "the interval",
		 .text = "time from one probe to the next while the last results speak against "
			 "what the real counts as; the interval, if that is shorter"},
	[HEALTH_KEY_START] = {.key = "start",
			      .type = SCHEMA_CHOICE,
			      .offset = offsetof(struct doc_health, start),
			      .health_types = ANY_TYPE,
			      .choices = health_start_choices,
			      .initial = 0,
			      .text = "what a real counts as that was never probed, until its "
				      "first result decides: `down`: no new flows, listed as "
				      "`unknown`; `up`"},
	[HEALTH_KEY_HOLD_DOWN] =
		{.key = "hold_down",
		 .type = SCHEMA_DURATION,
		 .offset = offsetof(struct doc_health, hold_down),
		 .health_types = ANY_TYPE,
		 .min = 0,
		 .max = 1 * HOUR,
		 .initial = 0,
		 .text = "how long a real that goes down for the second time stays down at least; "
			 "twice as long each time it goes down again, while a real that stays up "
			 "for as long is forgiven one time; `0s`: off"},
	[HEALTH_KEY_HOLD_DOWN_MAX] = {.key = "hold_down_max",
				      .type = SCHEMA_DURATION,
				      .offset = offsetof(struct doc_health, hold_down_max),
				      .health_types = ANY_TYPE,
				      .min = 1 * SECOND,
				      .max = 24 * HOUR,
				      .initial = 5 * MINUTE,
				      .text = "no flap holds it down for longer"},
	[HEALTH_KEY_DEGRADED_STATUS] =
		{.key = "degraded_status",
		 .type = SCHEMA_WORDS,
		 .offset = offsetof(struct doc_health, degraded_status),
		 .health_types = HTTP_TYPES,
		 .max = HEALTH_EXPECT_MAX,
		 .text = "status code, or a list of them, that counts as success but lowers the "
			 "real's weight to `degraded_weight`"},
	[HEALTH_KEY_DEGRADED_BODY] =
		{.key = "degraded_body",
		 .type = SCHEMA_TEXT,
		 .offset = offsetof(struct doc_health, degraded_body),
		 .health_types = HTTP_TYPES,
		 .check = check_http_body,
		 .text = "a text that lowers the weight likewise if it occurs in the first 64 KiB "
			 "of the reply"},
	[HEALTH_KEY_DEGRADED_WEIGHT] = {.key = "degraded_weight",
					.type = SCHEMA_PERCENT,
					.offset = offsetof(struct doc_health, degraded_weight),
					.health_types = HTTP_TYPES,
					.min = 0,
					.max = 100,
					.initial = 50,
					.text = "how much of its weight a degraded real gets"},
	[HEALTH_KEY_METHOD] = {.key = "method",
			       .type = SCHEMA_TEXT,
			       .offset = offsetof(struct doc_health, method),
			       .health_types = HTTP_TYPES,
			       .check = check_http_method,
			       .initial_text = "GET",
			       .text = "request method"},
	[HEALTH_KEY_HOST] = {.key = "host",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, host),
			     .health_types = HTTP_TYPES,
			     .check = check_http_word,
			     .initial_text = "the real's address",
			     .text = "Host header"},
	[HEALTH_KEY_PATH] = {.key = "path",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, path),
			     .health_types = HTTP_TYPES,
			     .check = check_http_path,
			     .initial_text = "/",
			     .text = "request path"},
	[HEALTH_KEY_HEADERS] =
		{.key = "headers",
		 .type = SCHEMA_HEADERS,
		 .offset = offsetof(struct doc_health, headers),
		 .health_types = HTTP_TYPES,
		 .max =
			 32,
		 .text = "further request headers, as a mapping: `{X-Probe: xdplb}`"},
	[HEALTH_KEY_EXPECT] =
		{.key = "expect",
		 .type = SCHEMA_WORDS,
		 .offset = offsetof(struct doc_health, expect),
		 .health_types = EXPECTING_TYPES,
		 .max =
			 HEALTH_EXPECT_MAX,
		 .initial_text =
			 "`http`, `https`: 200; `udp`: any reply; `dns`: NOERROR and an answer",
		 .text = "`http`, `https`: status code that counts as success, or a list of "
			 "them; `udp`: text that must occur in the first datagram "
			 "that comes back, with escapes as in `send`; `dns`: name of the "
			 "response code, as `NXDOMAIN`, whatever the answers"},
	[HEALTH_KEY_BODY] = {.key = "body",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, body),
			     .health_types = HTTP_TYPES,
			     .check = check_http_body,
			     .text = "text that must occur in the first 64 KiB of the reply"},
	[HEALTH_KEY_SNI] = {.key = "sni",
			    .type = SCHEMA_TEXT,
			    .offset = offsetof(struct doc_health, sni),
			    .health_types = TLS_TYPES,
			    .check = check_host_name,
			    .initial_text = "`host` if that is a name, else none",
			    .text = "name that the real is asked for and that its certificate must "
				    "be for; without one, the certificate must be for the real's "
				    "address"},
	[HEALTH_KEY_CA] = {.key = "ca",
			   .type = SCHEMA_TEXT,
			   .offset = offsetof(struct doc_health, ca),
			   .health_types = TLS_TYPES,
			   .check = check_absolute_path,
			   .initial_text = "the system's",
			   .text = "file of trusted certificates (PEM). Files are read with the "
				   "configuration: after a change, reload"},
	[HEALTH_KEY_CERT] = {.key = "cert",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, cert),
			     .health_types = TLS_TYPES,
			     .check = check_absolute_path,
			     .text = "file of the client certificate and its chain (PEM)"},
	[HEALTH_KEY_KEY] = {.key = "key",
			    .type = SCHEMA_TEXT,
			    .offset = offsetof(struct doc_health, key),
			    .health_types = TLS_TYPES,
			    .check = check_absolute_path,
			    .text = "file of the client certificate's private key (PEM, not "
				    "encrypted)"},
	[HEALTH_KEY_VERIFY] = {.key = "verify",
			       .type = SCHEMA_BOOL,
			       .offset = offsetof(struct doc_health, verify),
			       .health_types = TLS_TYPES,
			       .initial = true,
			       .text = "whether the certificate must be trusted, in time and for "
				       "the name"},
	[HEALTH_KEY_SERVICE] = {.key = "service",
				.type = SCHEMA_TEXT,
				.offset = offsetof(struct doc_health, service),
				.health_types = BIT(GRPC),
				.check = check_grpc_service,
				.initial_text = "the server as a whole",
				.text = "service that is asked about, as `package.Service`"},
	[HEALTH_KEY_TLS] = {.key = "tls",
			    .type = SCHEMA_BOOL,
			    .offset = offsetof(struct doc_health, tls),
			    .health_types = BIT(GRPC),
			    .text = "whether the probe speaks TLS; else HTTP/2 in plaintext"},
	[HEALTH_KEY_COMMAND] = {.key = "command",
				.type = SCHEMA_WORDS,
				.offset = offsetof(struct doc_health, command),
				.health_types = BIT(SCRIPT),
				.needed_types = BIT(SCRIPT),
				.max = COMMAND_WORDS_MAX,
				.initial_text = "required with `script`",
				.text = "program (absolute path) and arguments, as a text that is "
					"split at blanks outside of quotes, or as a list; there is "
					"no shell. Exit status 0 is success; see Script probes"},
	[HEALTH_KEY_SEND] = {.key = "send",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, send),
			     .health_types = BIT(UDP) | BIT(AGENT),
			     .needed_types = BIT(UDP),
			     .check = check_send,
			     .initial_text = "required with `udp`; `agent`: nothing",
			     .text = "datagram to send, or what an agent is told first; `\\n`, "
				     "`\\r`, `\\t`, `\\\\` and `\\xHH` "
				     "stand for one byte each; `\"\"`: an empty one"},
	[HEALTH_KEY_NAME] = {.key = "name",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, name),
			     .health_types = BIT(DNS),
			     .needed_types = BIT(DNS),
			     .check = check_dns_name,
			     .initial_text = "required with `dns`",
			     .text = "name to ask for; `.` is the root"},
	[HEALTH_KEY_RRTYPE] = {.key = "rrtype",
			       .type = SCHEMA_CHOICE,
			       .offset = offsetof(struct doc_health, rrtype),
			       .health_types = BIT(DNS),
			       .choices = rrtype_choices,
			       .initial = 1,
			       .text = "record type to ask for"},
	[HEALTH_KEY_USER] = {.key = "user",
			     .type = SCHEMA_TEXT,
			     .offset = offsetof(struct doc_health, user),
			     .health_types = BIT(SCRIPT),
			     .check = check_user_name,
			     .initial_text = "nobody",
			     .text = "who runs `command`; any user of this machine but root"},
	[HEALTH_KEY_SOURCE] =
		{.key = "source",
		 .type = SCHEMA_ADDRESS,
		 .offset = offsetof(struct doc_health, source),
		 .health_types = SOCKET_TYPES | BIT(ICMP),
		 .initial_text = "what the route says",
		 .text = "the balancer's own address that the probe comes from; of the reals' "
			 "family, or of the VIP's with `via: tunnel`"},
	[HEALTH_KEY_VIA] =
		{.key = "via",
		 .type = SCHEMA_CHOICE,
		 .offset = offsetof(struct doc_health, via),
		 .health_types = SOCKET_TYPES | BIT(ICMP) | BIT(SCRIPT),
		 .choices = health_via_choices,
		 .initial = VIA_DIRECT,
		 .text = "`direct`: the probe goes to the real's own address; `tunnel`: it "
			 "goes to the VIP's address, encapsulated to that real as clients' "
			 "packets are, and so finds a real without decapsulation or "
			 "without the VIP; a VIP that is a prefix is probed at its first "
			 "address; what the balancer needs for it is in operations.md"},
};

/* One of `expect` with a type that has status codes. */
const struct schema_field schema_status = {
	.key = "expect", .type = SCHEMA_STATUS, .min = 100, .max = 599};

enum expect_kind expect_kind_of(uint32_t health_type)
{
	switch ((enum health_type)health_type) {
	case HEALTH_TYPE_HTTP:
	case HEALTH_TYPE_HTTPS:
		return EXPECT_STATUS;
	case HEALTH_TYPE_UDP:
		return EXPECT_TEXT;
	case HEALTH_TYPE_DNS:
		return EXPECT_RCODE;
	default:
		return EXPECT_NOTHING;
	}
}

const struct schema_section schema_health = {
	.title = "health",
	.text = "In `defaults` and in a VIP, key by key. A VIP that changes the type does not "
		"inherit the keys that only the other type has, nor an `expect` that means "
		"something else.",
	.fields = health_fields,
	.n_fields = COUNT_OF(health_fields),
	.size = sizeof(struct doc_health),
};
