/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the keys of `health` must say together, which depends on the type of check: see
 * config_resolve.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "command.h"
#include "config_event.h"
#include "config_resolve.h"
#include "config_value.h"

/* One mapping `health`, of `defaults` or of a VIP. */
struct check {
	const struct doc_health *health;
	enum health_type type; /* what holds, also where the mapping does not say it */
	char path[PLACE_TEXT_MAX];
	struct config_errors errors; /* their prefix is the path */
};

static int fail_word(const struct check *c, const struct doc_word *word, const char *path,
		     const char *expected)
{
	char got[QUOTE_TEXT_MAX];

	return config_fail(&c->errors, word->at, path, "%s, got \"%s\"", expected,
			   reader_quote(word->text, got));
}

/* ---- keys and types ------------------------------------------------------------------------ */

static int fail_other_type(const struct check *c, size_t key)
{
	const struct schema_field *field = &schema_health.fields[key];
	const struct schema_choice *choice = schema_health.fields[HEALTH_KEY_TYPE].choices;
	char path[PLACE_TEXT_MAX], types[128] = "";

	for (; choice->name; choice++) {
		size_t len = strlen(types);

		if (!choice->is_unbuilt && field->health_types & (1u << choice->value))
			snprintf(types + len, sizeof(types) - len, "%s%s", len ? ", " : "",
				 choice->name);
	}
	snprintf(path, sizeof(path), ".%s", field->key);
	return config_fail(&c->errors, c->health->at[key], path,
			   "expected no such key with type %s; it belongs to %s",
			   health_type_name(c->type), types);
}

static int check_keys(const struct check *c)
{
	for (size_t key = 0; key < HEALTH_KEYS; key++) {
		if (schema_is_given(c->health, key) &&
		    !(schema_health.fields[key].health_types & (1u << c->type)))
			return fail_other_type(c, key);
	}
	return 0;
}

/* Keys without which the type is nothing, here or in `defaults`. */
static int check_needed(const struct check *c, const struct doc_health *defaults)
{
	const struct doc_health *where = c->health->self.line ? c->health : defaults;

	for (size_t key = 0; key < HEALTH_KEYS; key++) {
		const struct schema_field *field = &schema_health.fields[key];

		if (field->needed_types & (1u << c->type) && !schema_is_given(c->health, key) &&
		    !schema_is_given(defaults, key))
			return config_fail(&c->errors, where->self, "",
					   "expected the key \"%s\" with type %s, which is missing",
					   field->key, health_type_name(c->type));
	}
	return 0;
}

/* ---- expect --------------------------------------------------------------------------------- */

static int check_statuses(const struct check *c, const struct doc_list *list, const char *key)
{
	const struct doc_word *words = list->items;
	char path[PLACE_TEXT_MAX];
	uint32_t code;
	struct err why;

	snprintf(path, sizeof(path), ".%s", key);
	for (size_t i = 0; i < list->n; i++) {
		if (value_parse(&schema_status, words[i].text, &code, &why) == 0)
			continue;
		if (words[i].is_item)
			snprintf(path, sizeof(path), ".%s[%zu]", key, i);
		return fail_word(c, &words[i], path, why.text);
	}
	return 0;
}

static int check_expect(const struct check *c)
{
	const struct doc_word *words = c->health->expect.items;
	char what[ERR_TEXT_MAX];
	const char *expected;

	if (!schema_is_given(c->health, HEALTH_KEY_EXPECT))
		return 0;
	if (expect_kind_of(c->type) == EXPECT_STATUS)
		return check_statuses(c, &c->health->expect, "expect");
	if (words[0].is_item)
		return config_fail(&c->errors, c->health->at[HEALTH_KEY_EXPECT], ".expect",
				   "expected a text with type %s, got a list",
				   health_type_name(c->type));
	expected = expect_kind_of(c->type) == EXPECT_RCODE ? check_dns_rcode(words[0].text)
							   : check_expect_text(words[0].text);
	if (!expected)
		return 0;
	snprintf(what, sizeof(what), "expected %s", expected);
	return fail_word(c, &words[0], ".expect", what);
}

/* ---- command -------------------------------------------------------------------------------- */

static int check_words(const struct check *c, const struct text_list *words)
{
	const struct doc_word *first = c->health->command.items;
	const char *path = first->is_item ? ".command[0]" : ".command";

	if (words->n == 0 || words->texts[0][0] != '/')
		return fail_word(c, first, path,
				 "expected a command that begins with an absolute path");
	if (words->n > COMMAND_WORDS_MAX)
		return config_fail(&c->errors, first->at, path,
				   "expected at most %d words, got %zu", COMMAND_WORDS_MAX,
				   words->n);
	return 0;
}

static int check_command(const struct check *c)
{
	const struct doc_word *words = c->health->command.items;
	struct text_list split = {};
	int ret;

	if (!schema_is_given(c->health, HEALTH_KEY_COMMAND))
		return 0;
	if (words[0].is_item)
		return check_words(c, &(struct text_list){(char *[]){words[0].text}, 1});
	ret = command_split(words[0].text, &split);
	if (ret == -EINVAL)
		return fail_word(c, &words[0], ".command", "expected quotes that are closed");
	if (ret == 0)
		ret = check_words(c, &split);
	text_list_clear(&split);
	return ret;
}

/* ---- one mapping ---------------------------------------------------------------------------- */

static int check_mapping(const struct check *c)
{
	int ret = check_keys(c);

	if (ret == 0)
		ret = check_statuses(c, &c->health->degraded_status, "degraded_status");
	if (ret == 0)
		ret = check_expect(c);
	return ret ? ret : check_command(c);
}

/* A probe comes from an address of the family of what it goes to: the VIP, or the reals. */
static int check_source_of_vip(const struct check *c, const struct vip_spec *vip)
{
	const struct ip_addr *source = &vip->health.source;
	char text[ADDR_TEXT_MAX], address[ADDR_TEXT_MAX];
	struct mark mark = c->health->at[HEALTH_KEY_SOURCE];

	if (addr_is_v4(source) == addr_is_v4(&vip->address))
		return 0;
	return config_fail(
		&c->errors, mark.line ? mark : vip->mark, ".source",
		"expected an IPv%c address as that of the VIP, %s, with via tunnel, got %s",
		addr_is_v4(&vip->address) ? '4' : '6', addr_format(&vip->address, address),
		addr_format(source, text));
}

static int check_source(const struct check *c, const struct vip_spec *vip)
{
	const struct ip_addr *source = &vip->health.source;
	char text[ADDR_TEXT_MAX], real[ADDR_TEXT_MAX];

	if (!addr_is_zero(source) && vip->health.via == VIA_TUNNEL)
		return check_source_of_vip(c, vip);
	for (size_t i = 0; !addr_is_zero(source) && i < vip->n_reals; i++) {
		const struct ip_addr *address = &vip->reals[i].address;
		struct mark mark = c->health->at[HEALTH_KEY_SOURCE];

		if (addr_is_v4(address) != addr_is_v4(source))
			return config_fail(&c->errors, mark.line ? mark : vip->reals[i].mark,
					   ".source",
					   "expected an IPv%c address as that of real %s, got %s",
					   addr_is_v4(address) ? '4' : '6',
					   addr_format(address, real), addr_format(source, text));
	}
	return 0;
}

/* It would look for a text where there is none, and no real would ever be up. */
static int check_body(const struct check *c, const struct vip_spec *vip)
{
	const struct health_spec *health = &vip->health;
	bool is_body = health->body != NULL;
	struct mark mark = c->health->at[is_body ? HEALTH_KEY_BODY : HEALTH_KEY_DEGRADED_BODY];

	if (!health->method || strcmp(health->method, "HEAD") != 0 ||
	    (!health->body && !health->degraded_body))
		return 0;
	return config_fail(&c->errors, mark.line ? mark : vip->mark,
			   is_body ? ".body" : ".degraded_body",
			   "expected no such key with method HEAD: its answers have no body");
}

int config_check_health(const struct doc_file *doc, const struct config *config, struct err *err)
{
	const struct doc_health *defaults = &doc->defaults.policy.health;
	const struct doc_vip *vips = doc->vips.items;
	struct check c = {.health = defaults,
			  .type = schema_u32(&schema_health, defaults, HEALTH_KEY_TYPE),
			  .path = "defaults.health",
			  .errors = {config->file, err, c.path}};
	int ret = check_mapping(&c);

	for (size_t i = 0; ret == 0 && i < doc->vips.n; i++) {
		c.health = &vips[i].policy.health;
		c.type = config->vips[i].health.type;
		snprintf(c.path, sizeof(c.path), "vips[%zu].health", i);
		ret = check_mapping(&c);
		if (ret == 0)
			ret = check_needed(&c, defaults);
		if (ret == 0)
			ret = check_source(&c, &config->vips[i]);
		if (ret == 0)
			ret = check_body(&c, &config->vips[i]);
	}
	return ret;
}
