/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration files as texts. */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"

/* Beginnings of files; the VIP stands in line 4 and is to be closed. */
#define IF  "interfaces: [{name: eth0}]\n"
#define SRC IF "encap: {source4: 10.0.0.10}\n"
#define VIP SRC "vips:\n- {name: web, address: 192.0.2.10, port: 80, protocol: tcp"

/* A text without mistakes; caller frees. */
static inline struct config *parse_config(const char *text)
{
	struct config *config = NULL;
	struct err err = {};

	if (config_parse("f.yaml", text, strlen(text), &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

/* A text with a mistake, and what is said of it. */
struct mistake {
	const char *yaml;
	size_t len;
	const char *error;
};

#define YAML(text) text, sizeof(text) - 1

/* The text is parsed from memory of its own size, so that a sanitizer sees a read past the end. */
static inline int parse_mistake(const struct mistake *c, struct config **ret_config,
				struct err *err)
{
	char *text = malloc(c->len ? c->len : 1);
	int ret;

	assert_non_null(text);
	memcpy(text, c->yaml, c->len);
	ret = config_parse("f.yaml", text, c->len, ret_config, err);
	free(text);
	return ret;
}

static inline void check_mistakes(const struct mistake *mistakes, size_t n)
{
	struct config *config;
	struct err err;

	for (size_t i = 0; i < n; i++) {
		config = NULL;
		if (parse_mistake(&mistakes[i], &config, &err) != -EINVAL)
			fail_msg("accepted: %s", mistakes[i].yaml);
		assert_string_equal(err.text, mistakes[i].error);
		assert_null(config);
	}
}
