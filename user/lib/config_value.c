/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scalars and their units: see config_value.h. */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

struct unit {
	const char *name;
	uint32_t factor;
};

/* Largest first; the empty name is the unit that is stored. */
static const struct unit duration_units[] = {
	{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {}};
static const struct unit count_units[] = {{"M", 1000000}, {"k", 1000}, {"", 1}, {}};
static const struct unit rate_units[] = {{"M/s", 1000000}, {"k/s", 1000}, {"/s", 1}, {}};
static const struct unit percent_units[] = {{"%", 1}, {}};
static const struct unit no_units[] = {{"", 1}, {}};

static const struct unit *units_of(enum schema_type type)
{
	switch (type) {
	case SCHEMA_DURATION:
		return duration_units;
	case SCHEMA_COUNT:
		return count_units;
	case SCHEMA_RATE:
		return rate_units;
	case SCHEMA_PERCENT:
		return percent_units;
	default:
		return no_units;
	}
}

/* Decimal digits without a leading zero (which is octal in YAML 1.1), at most ten. */
static int parse_digits(const char *text, uint64_t *ret_value, const char **ret_end)
{
	uint64_t value = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 10 || (n > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	*ret_value = value;
	*ret_end = text + n;
	return 0;
}

static int parse_number(const struct schema_field *field, const char *text, uint32_t *ret_value)
{
	const struct unit *unit = units_of(field->type);
	const char *end;
	uint64_t value;

	if (parse_digits(text, &value, &end) < 0)
		return -EINVAL;
	while (unit->name && strcmp(end, unit->name) != 0)
		unit++;
	if (!unit->name)
		return -EINVAL;
	value *= unit->factor;
	if (value < field->min || value > field->max)
		return -EINVAL;
	*ret_value = (uint32_t)value;
	return 0;
}

/* "2" or "50%". */
static int parse_share(const struct schema_field *field, const char *text, struct share *ret_share,
		       struct err *why)
{
	const char *end;
	uint64_t value;
	bool is_percent;

	if (text[0] == '0' && isdigit((unsigned char)text[1]))
		return err_set(why, EINVAL, "expected a number without leading zeros");
	value_expected(field, why);
	if (parse_digits(text, &value, &end) < 0)
		return -EINVAL;
	is_percent = strcmp(end, "%") == 0;
	if ((!is_percent && *end != '\0') || value > (is_percent ? 100 : field->max))
		return -EINVAL;
	*ret_share = (struct share){(uint32_t)value, is_percent};
	return 0;
}

static bool is_prime(uint32_t n)
{
	for (uint32_t i = 2; (uint64_t)i * i <= n; i++) {
		if (n % i == 0)
			return false;
	}
	return n >= 2;
}

/* "8000", "8000-8099", or "0": any. */
static int parse_ports(const struct schema_field *field, const char *text,
		       struct doc_ports *ret_ports, struct err *why)
{
	uint64_t first, last = 0;
	const char *end;
	bool is_range;

	if (text[0] == '0' && isdigit((unsigned char)text[1]))
		return err_set(why, EINVAL, "expected a number without leading zeros");
	value_expected(field, why);
	if (parse_digits(text, &first, &end) < 0 || first > UINT16_MAX)
		return -EINVAL;
	is_range = *end == '-';
	if (is_range && (parse_digits(end + 1, &last, &end) < 0 || last > UINT16_MAX))
		return -EINVAL;
	if (*end != '\0')
		return -EINVAL;
	if (is_range && (first == 0 || first >= last))
		return err_set(why, EINVAL,
			       "expected a range that begins with the lower port, which is not 0");
	if (first == 0)
		last = UINT16_MAX;
	*ret_ports = (struct doc_ports){(uint16_t)first, (uint16_t)last};
	return 0;
}

static int parse_choice(const struct schema_field *field, const char *text, uint32_t *ret_value,
			struct err *why)
{
	for (const struct schema_choice *c = field->choices; c->name; c++) {
		if (strcmp(c->name, text) != 0)
			continue;
		if (c->is_unbuilt)
			return err_set(why, EOPNOTSUPP, "%s", text);
		*ret_value = c->value;
		return 0;
	}
	value_expected(field, why);
	return -EINVAL;
}

static const char *v4_kind(const struct ip_addr *a)
{
	const __u8 *b = &a->b[12];

	if (a->w[3] == 0)
		return "unspecified";
	if (b[0] == 127)
		return "loopback";
	if ((b[0] & 0xf0) == 0xe0)
		return "multicast";
	if (a->w[3] == 0xffffffff)
		return "broadcast";
	return NULL;
}

static const char *v6_kind(const struct ip_addr *a)
{
	static const struct ip_addr loopback = {.b[15] = 1};

	if (addr_is_zero(a))
		return "unspecified";
	if (addr_equal(a, &loopback))
		return "loopback";
	if (a->b[0] == 0xff)
		return "multicast";
	if (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		return "link-local";
	return NULL;
}

/* An address that packets can be sent to and from. */
static int parse_unicast(const char *text, const char *what, struct ip_addr *ret_addr,
			 struct err *why)
{
	const char *kind;
	struct ip_addr a;

	if (addr_parse(text, &a) < 0) {
		if (strncasecmp(text, "::ffff:", 7) == 0)
			return err_set(why, EINVAL,
				       "expected %s (an IPv4 address is written without ::ffff:)",
				       what);
		return err_set(why, EINVAL, "expected %s", what);
	}
	kind = addr_is_v4(&a) ? v4_kind(&a) : v6_kind(&a);
	if (kind)
		return err_set(why, EINVAL, "expected a unicast address (not %s)", kind);
	*ret_addr = a;
	return 0;
}

/* Splits "ADDRESS/LENGTH"; false if text has not that form. Without "/", ret_len is -1. */
static bool split_prefix(const char *text, char *ret_addr, int *ret_len)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	const char *end;
	uint64_t len;

	if (n >= ADDR_TEXT_MAX)
		return false;
	*ret_len = -1;
	if (slash) {
		if (parse_digits(slash + 1, &len, &end) < 0 || *end != '\0' || len > 128)
			return false;
		*ret_len = (int)len;
	}
	memcpy(ret_addr, text, n);
	ret_addr[n] = '\0';
	return true;
}

/* Bits of a prefix of a family, len counted from that family's first bit. */
static bool has_host_bits(const struct ip_addr *a, int first_bit, int len)
{
	for (int bit = first_bit + len; bit < 128; bit++) {
		if (a->b[bit / 8] & (0x80 >> (bit % 8)))
			return true;
	}
	return false;
}

static int parse_network(const struct schema_field *field, const char *text,
			 struct doc_network *ret_network, struct err *why)
{
	struct doc_network network = {};
	char addr_text[ADDR_TEXT_MAX];
	int max, min, len, r;

	value_expected(field, why);
	if (!split_prefix(text, addr_text, &len))
		return -EINVAL;
	r = parse_unicast(addr_text, "an IP address or prefix", &network.address, why);
	if (r < 0)
		return r;
	max = addr_is_v4(&network.address) ? 32 : 128;
	min = addr_is_v4(&network.address) ? 8 : 32;
	if (len >= 0 && (len < min || len > max))
		return err_set(why, EINVAL, "expected a prefix length from %d to %d", min, max);
	if (len >= 0)
		network.host_bits = (uint32_t)(max - len);
	if (has_host_bits(&network.address, 0, 128 - (int)network.host_bits))
		return err_set(why, EINVAL, "expected a prefix without host bits");
	*ret_network = network;
	return 0;
}

static int parse_source(const struct schema_field *field, const char *text,
			struct encap_source *ret_source, struct err *why)
{
	bool is_v4 = field->type == SCHEMA_SOURCE4;
	int max = is_v4 ? 32 : 128, min = is_v4 ? 8 : 32, len;
	struct encap_source source = {.is_set = true};
	char addr_text[ADDR_TEXT_MAX], what[64];
	int r;

	value_expected(field, why);
	if (!split_prefix(text, addr_text, &len))
		return -EINVAL;
	snprintf(what, sizeof(what), "an %s address or prefix", is_v4 ? "IPv4" : "IPv6");
	r = parse_unicast(addr_text, what, &source.address, why);
	if (r < 0)
		return r;
	if (addr_is_v4(&source.address) != is_v4)
		return err_set(why, EINVAL, "expected %s", what);
	if (len >= 0 && (len < min || len > max))
		return err_set(why, EINVAL, "expected a prefix length from %d to %d", min, max);
	source.prefix_len = (uint8_t)(len < 0 ? max : len);
	if (has_host_bits(&source.address, 128 - max, source.prefix_len))
		return err_set(why, EINVAL, "expected a prefix without host bits");
	*ret_source = source;
	return 0;
}

static int parse_bool(const char *text, uint32_t *ret_value)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return -EINVAL;
	*ret_value = text[0] == 't';
	return 0;
}

/* A number from 1, which is also called true; false is 0. */
static int parse_level(const struct schema_field *field, const char *text, uint32_t *ret_value)
{
	return parse_bool(text, ret_value) < 0 ? parse_number(field, text, ret_value) : 0;
}

static int parse_text(const struct schema_field *field, const char *text, char **ret_text,
		      struct err *why)
{
	const char *expected = field->check ? field->check(text) : NULL;

	if (expected)
		return err_set(why, EINVAL, "expected %s", expected);
	*ret_text = strdup(text);
	return *ret_text ? 0 : -ENOMEM;
}

static int parse_u32(const struct schema_field *field, const char *text, uint32_t *ret_value,
		     struct err *why)
{
	uint32_t value;
	int r;

	if (field->type == SCHEMA_CHOICE)
		return parse_choice(field, text, ret_value, why);
	value_expected(field, why);
	if (field->type == SCHEMA_BOOL)
		r = parse_bool(text, &value);
	else if (field->type == SCHEMA_LEVEL)
		r = parse_level(field, text, &value);
	else
		r = parse_number(field, text, &value);
	if (r < 0 && text[0] == '0' && isdigit((unsigned char)text[1]))
		return err_set(why, EINVAL, "expected a number without leading zeros");
	if (r < 0 || (field->type == SCHEMA_PRIME && !is_prime(value)))
		return -EINVAL;
	if (field->unbuilt == SCHEMA_UNBUILT_UNLESS_ZERO && value != 0)
		return err_set(why, EOPNOTSUPP, "%s", field->text);
	*ret_value = value;
	return 0;
}

int value_parse(const struct schema_field *field, const char *text, void *slot, struct err *why)
{
	switch (field->type) {
	case SCHEMA_TEXT:
		return parse_text(field, text, slot, why);
	case SCHEMA_ADDRESS:
		return parse_unicast(text, "an IP address", slot, why);
	case SCHEMA_NETWORK:
		return parse_network(field, text, slot, why);
	case SCHEMA_PORTS:
		return parse_ports(field, text, slot, why);
	case SCHEMA_SHARE:
		return parse_share(field, text, slot, why);
	case SCHEMA_SOURCE4:
	case SCHEMA_SOURCE6:
		return parse_source(field, text, slot, why);
	case SCHEMA_MAP:
	case SCHEMA_LIST:
	case SCHEMA_HEADERS:
	case SCHEMA_WORDS:
		value_expected(field, why);
		return -EINVAL;
	default:
		return parse_u32(field, text, slot, why);
	}
}

static void expected_choice(const struct schema_field *field, struct err *why)
{
	size_t len;

	err_set(why, EINVAL, "expected");
	for (const struct schema_choice *c = field->choices; c->name; c++) {
		len = strlen(why->text);
		if (!c->is_unbuilt)
			snprintf(why->text + len, sizeof(why->text) - len, "%s %s",
				 c == field->choices ? "" : " or", c->name);
	}
}

static void expected_number(const struct schema_field *field, const char *what, struct err *why)
{
	char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

	err_set(why, EINVAL, "expected %s from %s to %s", what,
		value_format(field, field->min, min), value_format(field, field->max, max));
}

void value_expected(const struct schema_field *field, struct err *why)
{
	static const char *const numbers[] = {
		[SCHEMA_NUMBER] = "a number",
		[SCHEMA_PRIME] = "a prime",
		[SCHEMA_COUNT] = "a count",
		[SCHEMA_PORT] = "a port",
		[SCHEMA_DURATION] = "a duration",
		[SCHEMA_PERCENT] = "a percentage",
		[SCHEMA_STATUS] = "a status code",
		[SCHEMA_RATE] = "a rate",
		[SCHEMA_LEVEL] = "true, false or a level",
	};
	static const char *const others[] = {
		[SCHEMA_MAP] = "a mapping",
		[SCHEMA_LIST] = "a list",
		[SCHEMA_TEXT] = "a text",
		[SCHEMA_BOOL] = "true or false",
		[SCHEMA_SHARE] = "a number of reals or a percentage from 0% to 100%",
		[SCHEMA_PORTS] = "a port from 1 to 65535, 0 for any, or a range as 8000-8099",
		[SCHEMA_ADDRESS] = "an IP address",
		[SCHEMA_NETWORK] = "an IP address or prefix",
		[SCHEMA_SOURCE4] = "an IPv4 address or prefix",
		[SCHEMA_SOURCE6] = "an IPv6 address or prefix",
		[SCHEMA_HEADERS] = "a mapping of header names to values",
		[SCHEMA_WORDS] = "a text or a list of texts",
	};

	if (field->type == SCHEMA_CHOICE)
		expected_choice(field, why);
	else if (field->type < sizeof(numbers) / sizeof(numbers[0]) && numbers[field->type])
		expected_number(field, numbers[field->type], why);
	else
		err_set(why, EINVAL, "expected %s", others[field->type]);
}

static const char *format_units(const struct unit *unit, uint32_t value, char *buf)
{
	while (value % unit->factor != 0 || (value == 0 && unit[1].name))
		unit++;
	snprintf(buf, VALUE_TEXT_MAX, "%u%s", value / unit->factor, unit->name);
	return buf;
}

const char *value_format_duration(uint32_t ms, char *buf)
{
	return ms ? format_units(duration_units, ms, buf) : "0s";
}

const char *value_format_count(uint32_t count, char *buf)
{
	return format_units(count_units, count, buf);
}

const char *value_format_rate(uint32_t a_second, char *buf)
{
	return format_units(rate_units, a_second, buf);
}

const char *value_format(const struct schema_field *field, uint32_t value, char *buf)
{
	if (field->type == SCHEMA_BOOL)
		return value ? "true" : "false";
	if (field->type == SCHEMA_DURATION)
		return value_format_duration(value, buf);
	if (field->type != SCHEMA_CHOICE)
		return format_units(units_of(field->type), value, buf);
	for (const struct schema_choice *c = field->choices; c->name; c++) {
		if (c->value == value && !c->is_unbuilt)
			return c->name;
	}
	return "?";
}
