/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema table for machines (JSON Schema) and for people (Markdown): see config.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_value.h"

#define NUMBER_PATTERN "(0|[1-9][0-9]*)"

static json_t *section_schema(const struct schema_section *section);

/* ---- JSON Schema -------------------------------------------------------------------------------
 */

static json_t *choice_schema(const struct schema_field *field)
{
	json_t *names = json_array();

	for (const struct schema_choice *c = field->choices; c->name; c++) {
		if (!c->is_unbuilt)
			json_array_append_new(names, json_string(c->name));
	}
	return json_pack("{so}", "enum", names);
}

/* A number, or the same in quotes. */
static json_t *number_schema(const struct schema_field *field, const char *pattern)
{
	return json_pack("{s[ss] sI sI ss}", "type", "integer", "string", "minimum",
			 (json_int_t)field->min, "maximum", (json_int_t)field->max, "pattern",
			 pattern);
}

static json_t *pattern_schema(const char *pattern)
{
	return json_pack("{ss ss}", "type", "string", "pattern", pattern);
}

/* YAML makes numbers of texts that look like one. */
static json_t *text_schema(void)
{
	return json_pack("{s[ss]}", "type", "string", "number");
}

static json_t *list_schema(const struct schema_field *field)
{
	return json_pack("{ss si si so}", "type", "array", "minItems", (int)field->min, "maxItems",
			 (int)field->max, "items", section_schema(field->section));
}

static json_t *words_schema(const struct schema_field *field)
{
	json_t *one = text_schema();

	return json_pack("{s[O {ss si si so}]}", "anyOf", one, "type", "array", "minItems", 1,
			 "maxItems", (int)field->max, "items", one);
}

static json_t *ports_schema(void)
{
	return json_pack("{s[{ss si si}{ss ss}]}", "anyOf", "type", "integer", "minimum", 0,
			 "maximum", 65535, "type", "string", "pattern",
			 "^(" NUMBER_PATTERN "|[1-9][0-9]*-[1-9][0-9]*)$");
}

static json_t *share_schema(const struct schema_field *field)
{
	return json_pack("{s[{ss si si}{ss ss}]}", "anyOf", "type", "integer", "minimum", 0,
			 "maximum", (int)field->max, "type", "string", "pattern",
			 "^" NUMBER_PATTERN "%?$");
}

static json_t *level_schema(const struct schema_field *field)
{
	return json_pack("{s[{s[bb]}o]}", "anyOf", "enum", 0, 1,
			 number_schema(field, "^[1-9][0-9]*$"));
}

static json_t *value_schema(const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_MAP:
		return section_schema(field->section);
	case SCHEMA_LIST:
		return list_schema(field);
	case SCHEMA_TEXT:
		return text_schema();
	case SCHEMA_CHOICE:
		return choice_schema(field);
	case SCHEMA_NUMBER:
	case SCHEMA_PRIME:
	case SCHEMA_PORT:
	case SCHEMA_STATUS:
		return number_schema(field, "^" NUMBER_PATTERN "$");
	case SCHEMA_PORTS:
		return ports_schema();
	case SCHEMA_COUNT:
		return number_schema(field, "^" NUMBER_PATTERN "[kM]?$");
	case SCHEMA_RATE:
		return pattern_schema("^" NUMBER_PATTERN "[kM]?/s$");
	case SCHEMA_DURATION:
		return pattern_schema(field->unbuilt ? "^0(ms|s|m|h)$"
						     : "^" NUMBER_PATTERN "(ms|s|m|h)$");
	case SCHEMA_PERCENT:
		return pattern_schema("^" NUMBER_PATTERN "%$");
	case SCHEMA_SHARE:
		return share_schema(field);
	case SCHEMA_BOOL:
		return field->unbuilt ? json_pack("{s[b]}", "enum", 0)
				      : json_pack("{s[bb]}", "enum", 0, 1);
	case SCHEMA_LEVEL:
		return level_schema(field);
	case SCHEMA_ADDRESS:
		return pattern_schema("^[0-9a-fA-F:.]+$");
	case SCHEMA_SOURCE4:
		return pattern_schema("^[0-9.]+(/[0-9]+)?$");
	case SCHEMA_NETWORK:
	case SCHEMA_SOURCE6:
		return pattern_schema("^[0-9a-fA-F:.]+(/[0-9]+)?$");
	case SCHEMA_WORDS:
		return words_schema(field);
	case SCHEMA_HEADERS:
		return json_pack("{ss si so}", "type", "object", "maxProperties", (int)field->max,
				 "additionalProperties", text_schema());
	}
	return json_object();
}

static json_t *field_schema(const struct schema_field *field)
{
	json_t *schema;

	if (field->unbuilt == SCHEMA_UNBUILT) {
		schema = json_pack("{s{}}", "not");
		json_object_set_new(schema, "description",
				    json_sprintf("not supported yet: %s", field->text));
		return schema;
	}
	schema = value_schema(field);
	json_object_set_new(schema, "description", json_string(field->text));
	return schema;
}

static json_t *section_schema(const struct schema_section *section)
{
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < section->n_fields; i++) {
		const struct schema_field *field = &section->fields[i];

		json_object_set_new(properties, field->key, field_schema(field));
		if (field->is_required)
			json_array_append_new(required, json_string(field->key));
	}
	return json_pack("{ss so so sb}", "type", "object", "properties", properties, "required",
			 required, "additionalProperties", 0);
}

json_t *config_json_schema(void)
{
	json_t *schema = section_schema(&schema_file);

	json_object_set_new(schema, "$schema",
			    json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(schema, "title", json_string("xdplb configuration"));
	return schema;
}

/* ---- Markdown ----------------------------------------------------------------------------------
 */

static void print_choices(FILE *out, const struct schema_field *field)
{
	const char *separator = "";

	for (const struct schema_choice *c = field->choices; c->name; c++) {
		if (c->is_unbuilt)
			continue;
		fprintf(out, "%s`%s`", separator, c->name);
		separator = ", ";
	}
	separator = "; not supported yet: ";
	for (const struct schema_choice *c = field->choices; c->name; c++) {
		if (!c->is_unbuilt)
			continue;
		fprintf(out, "%s`%s`", separator, c->name);
		separator = ", ";
	}
}

static const char *type_name(enum schema_type type)
{
	static const char *const names[] = {
		[SCHEMA_MAP] = "mapping",
		[SCHEMA_LIST] = "list",
		[SCHEMA_TEXT] = "text",
		[SCHEMA_CHOICE] = "",
		[SCHEMA_NUMBER] = "number",
		[SCHEMA_PRIME] = "prime",
		[SCHEMA_COUNT] = "count",
		[SCHEMA_RATE] = "rate",
		[SCHEMA_PORT] = "port",
		[SCHEMA_PORTS] = "port or range, 0 to 65535",
		[SCHEMA_DURATION] = "duration",
		[SCHEMA_PERCENT] = "percentage",
		[SCHEMA_BOOL] = "true or false",
		[SCHEMA_LEVEL] = "true, false or level",
		[SCHEMA_SHARE] = "number or percentage",
		[SCHEMA_ADDRESS] = "address",
		[SCHEMA_NETWORK] = "address or prefix",
		[SCHEMA_SOURCE4] = "IPv4 address or prefix",
		[SCHEMA_SOURCE6] = "IPv6 address or prefix",
		[SCHEMA_STATUS] = "status",
		[SCHEMA_WORDS] = "text or list",
		[SCHEMA_HEADERS] = "mapping",
	};

	return names[type];
}

static bool has_bounds(const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_NUMBER:
	case SCHEMA_PRIME:
	case SCHEMA_COUNT:
	case SCHEMA_RATE:
	case SCHEMA_PORT:
	case SCHEMA_DURATION:
	case SCHEMA_PERCENT:
	case SCHEMA_LEVEL:
		return field->unbuilt == SCHEMA_BUILT;
	default:
		return false;
	}
}

static void print_type(FILE *out, const struct schema_field *field)
{
	char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

	fprintf(out, "%s", type_name(field->type));
	if (field->type == SCHEMA_CHOICE)
		print_choices(out, field);
	if (has_bounds(field))
		fprintf(out, ", %s to %s", value_format(field, field->min, min),
			value_format(field, field->max, max));
}

static void print_default(FILE *out, const struct schema_field *field)
{
	char buf[VALUE_TEXT_MAX];

	if (field->is_required)
		fprintf(out, "required");
	else if (field->initial_text)
		fprintf(out, "%s", field->initial_text);
	else if (has_bounds(field) || field->type == SCHEMA_CHOICE || field->unbuilt)
		fprintf(out, "%s", value_format(field, field->initial, buf));
}

/* The types of check that know a key, unless it is one of all. */
static void print_health_types(FILE *out, const struct schema_field *field)
{
	const struct schema_field *type = &schema_health.fields[HEALTH_KEY_TYPE];
	const char *separator = " (";

	if (!field->health_types || field->health_types == type->health_types)
		return;
	for (const struct schema_choice *c = type->choices; c->name; c++) {
		if (c->is_unbuilt || !(field->health_types & (1u << c->value)))
			continue;
		fprintf(out, "%s`%s`", separator, c->name);
		separator = ", ";
	}
	fprintf(out, " only)");
}

static void print_field(FILE *out, const struct schema_field *field)
{
	if (field->unbuilt == SCHEMA_UNBUILT) {
		fprintf(out, "| `%s` | | | not supported yet: %s |\n", field->key, field->text);
		return;
	}
	fprintf(out, "| `%s` | ", field->key);
	print_type(out, field);
	fprintf(out, " | ");
	print_default(out, field);
	fprintf(out, " | %s", field->text);
	print_health_types(out, field);
	if (field->unbuilt == SCHEMA_UNBUILT_UNLESS_ZERO)
		fprintf(out, "; another value is not supported yet");
	fprintf(out, " |\n");
}

static void print_section(FILE *out, const struct schema_section *section)
{
	fprintf(out, "### %s\n\n%s\n\n", section->title, section->text);
	fprintf(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < section->n_fields; i++)
		print_field(out, &section->fields[i]);
	fprintf(out, "\n");
}

char *config_reference_markdown(void)
{
	static const struct schema_section *const sections[] = {
		&schema_file,  &schema_interface, &schema_encap,  &schema_capacity,
		&schema_guard, &schema_defaults,  &schema_source, &schema_timeouts,
		&schema_drain, &schema_ejection,  &schema_health, &schema_vip,
		&schema_real,  &schema_use,	  &schema_pool,	  &schema_quic,
	};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		print_section(out, sections[i]);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
