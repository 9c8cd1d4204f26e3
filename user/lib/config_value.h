/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One scalar of the configuration file by its row of the schema table, both ways. Pure. */
#pragma once

#include "config_schema.h"
#include "err.h"

/* Room for a formatted number, duration or percentage. */
#define VALUE_TEXT_MAX 32

/*
 * Parses text into slot, of the shape that field->type names. why: on -EINVAL what was expected
 * ("expected a port from 1 to 65535"), on -EOPNOTSUPP what is not supported yet. -ENOMEM.
 */
int value_parse(const struct schema_field *field, const char *text, void *slot, struct err *why);

/* A list, a mapping or nothing was given: what the field expects instead, as in why above. */
void value_expected(const struct schema_field *field, struct err *why);

/* "7d" style units: the largest that says it exactly. Return buf (VALUE_TEXT_MAX). */
const char *value_format_duration(uint32_t ms, char *buf);
const char *value_format_count(uint32_t count, char *buf);
const char *value_format_rate(uint32_t a_second, char *buf);

/* A number as a person writes it in this field. Returns buf (VALUE_TEXT_MAX) or a choice's name. */
const char *value_format(const struct schema_field *field, uint32_t value, char *buf);

/* NULL if fine, else what was expected. */
const char *check_vip_name(const char *text);
const char *check_pool_name(const char *text);
const char *check_interface_name(const char *text);
const char *check_server_id(const char *text);
const char *check_aes_key(const char *text);
const char *check_absolute_path(const char *text);
const char *check_grpc_service(const char *text);
const char *check_host_name(const char *text);
const char *check_http_method(const char *text);
const char *check_http_word(const char *text);
const char *check_http_path(const char *text);
const char *check_http_header_name(const char *text);
const char *check_http_header_value(const char *text);
const char *check_http_body(const char *text);
const char *check_send(const char *text);
const char *check_expect_text(const char *text);
const char *check_dns_name(const char *text);
const char *check_dns_rcode(const char *text);
const char *check_user_name(const char *text);
