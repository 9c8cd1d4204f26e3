/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration files as texts. */
#pragma once

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
