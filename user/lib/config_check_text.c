/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Texts that must have a certain form: the check functions of config_value.h. */
#include <ctype.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "config_value.h"
#include "grpc_health.h"
#include "dns_rcode.h"
#include "escape.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
/* RFC 9110 section 5.6.2, token */
#define TOKEN_CHARS NAME_CHARS "!#$%&'*+^`|~"

#define VIP_NAME_MAX   63
#define PATH_TEXT_MAX  255
#define DNS_NAME_MAX   253
#define DNS_LABEL_MAX  63
#define PROBE_TEXT_MAX 4096
#define HOST_TEXT_MAX  253

static bool is_made_of(const char *text, const char *chars, size_t max)
{
	size_t n = strspn(text, chars);

	return n > 0 && n <= max && text[n] == '\0';
}

/* Printable ASCII without blanks: nothing that ends a word or a line of a request. */
static bool is_word(const char *text)
{
	size_t n = 0;

	while (text[n] > ' ' && text[n] < 0x7f)
		n++;
	return n > 0 && n <= PROBE_TEXT_MAX && text[n] == '\0';
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

const char *check_vip_name(const char *text)
{
	return is_made_of(text, NAME_CHARS, VIP_NAME_MAX)
		       ? NULL
		       : "a name of 1 to 63 letters, digits, '.', '_' or '-'";
}

/* `vip set VIP pool=file` goes back to the file's pools. */
const char *check_pool_name(const char *text)
{
	return strcmp(text, "file") != 0
		       ? check_vip_name(text)
		       : "another name (`vip set VIP pool=file` means the pools of the file)";
}

/* As the kernel's dev_valid_name(). */
const char *check_interface_name(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '/' || text[i] == ':' || isspace((unsigned char)text[i]))
			n = 0;
	}
	if (n == 0 || n >= IF_NAMESIZE || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
	    has_control(text))
		return "an interface name of 1 to 15 characters without '/', ':' and blanks";
	return NULL;
}

const char *check_absolute_path(const char *text)
{
	if (text[0] != '/' || strlen(text) > PATH_TEXT_MAX || has_control(text))
		return "an absolute path of at most 255 characters";
	return NULL;
}

#define HEX_CHARS "0123456789abcdefABCDEF"

const char *check_server_id(const char *text)
{
	return is_made_of(text, HEX_CHARS, 2 * QUIC_SERVER_ID_MAX) && strlen(text) % 2 == 0
		       ? NULL
		       : "a server ID of 1 to 15 octets in hex";
}

const char *check_aes_key(const char *text)
{
	return is_made_of(text, HEX_CHARS, 2 * AES_BLOCK) && strlen(text) == 2 * AES_BLOCK
		       ? NULL
		       : "a key of 16 octets in hex (32 digits)";
}

const char *check_grpc_service(const char *text)
{
	return is_word(text) && strlen(text) <= GRPC_SERVICE_MAX
		       ? NULL
		       : "a service's name of at most 255 characters without blanks";
}

/* A DNS name; a number at its end would be an address. */
const char *check_host_name(const char *text)
{
	const char *last = strrchr(text, '.');

	if (!is_made_of(text, NAME_CHARS, HOST_TEXT_MAX) || text[0] == '.' ||
	    isdigit((unsigned char)(last ? last[1] : text[0])))
		return "a host name";
	return NULL;
}

const char *check_http_method(const char *text)
{
	return is_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 16) ? NULL
								  : "an HTTP method such as GET";
}

const char *check_http_word(const char *text)
{
	return is_word(text) ? NULL : "a host name without blanks";
}

const char *check_http_path(const char *text)
{
	return text[0] == '/' && is_word(text) ? NULL
					       : "a path that starts with '/' and has no blanks";
}

const char *check_http_header_name(const char *text)
{
	return is_made_of(text, TOKEN_CHARS, PATH_TEXT_MAX) ? NULL : "an HTTP header name";
}

const char *check_http_header_value(const char *text)
{
	if (strlen(text) > PROBE_TEXT_MAX || has_control(text))
		return "a header value of one line";
	return NULL;
}

const char *check_http_body(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= PROBE_TEXT_MAX ? NULL : "a text of 1 to 4096 bytes";
}

#define ESCAPES "with the escapes \\n, \\r, \\t, \\\\ and \\xHH"

const char *check_send(const char *text)
{
	if (strlen(text) > PROBE_TEXT_MAX || escape_parse(text, NULL) < 0)
		return "a text of at most 4096 characters, " ESCAPES;
	return NULL;
}

const char *check_expect_text(const char *text)
{
	return text[0] && !check_send(text) ? NULL : "a text of 1 to 4096 characters, " ESCAPES;
}

/* RFC 1035 section 2.3.4. Without escapes. */
static bool is_dns_name(const char *text)
{
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == '.')
		n--;
	if (n > DNS_NAME_MAX || strcspn(text, "\\\"") < n || !is_word(text))
		return false;
	while (n > 0) {
		size_t label = strcspn(text, ".");

		if (label == 0 || label > DNS_LABEL_MAX)
			return false;
		if (label >= n)
			break;
		text += label + 1;
		n -= label + 1;
	}
	return true;
}

const char *check_dns_name(const char *text)
{
	return is_dns_name(text) ? NULL : "a domain name of labels of 1 to 63 characters";
}

const char *check_dns_rcode(const char *text)
{
	return dns_rcode_parse(text) >= 0 ? NULL : "the name of a DNS response code, as NXDOMAIN";
}

const char *check_user_name(const char *text)
{
	return is_made_of(text, NAME_CHARS, 32) ? NULL : "the name of a user";
}
