/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line of xdplb-receiver as values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/model.h"
#include "xdplb/abi.h"

#define RECEIVER_STATE_DIR "/run/xdplb-receiver"
#define RECEIVER_BPFFS	   "/sys/fs/bpf/xdplb-receiver"

/* Room for an IPv6 prefix as text. */
#define PREFIX_TEXT_MAX 64

struct prefix {
	struct ip_addr address;
	uint32_t bits; /* of its family: 0 ... 32 or 128 */
};

enum command {
	COMMAND_NONE = -1,
	COMMAND_UP,
	COMMAND_DOWN,
	COMMAND_STATUS,
};

/* Arrays are owned; strings point into argv. */
struct options {
	enum command command;
	bool wants_help;
	bool wants_version;
	const char *interface; /* NULL: not given */
	struct ip_addr *vips;
	size_t n_vips;
	struct prefix *from;
	size_t n_from;
	bool has_mode;
	enum attach_mode mode;
	bool has_gue_port;
	uint16_t gue_port; /* 0: off */
	bool is_dry_run;
	bool is_json;
	bool no_advmss;
	const char *state_dir;
	const char *bpffs;
};

/* Fills ret_options; -EINVAL with a text for a person on wrong usage, -ENOMEM. */
int options_parse(int argc, char **argv, struct options *ret_options, struct err *err);
void options_free(struct options *options);

/* Parses "10.0.9.0/24" or an address (a prefix of full length); host bits are refused. */
int prefix_parse(const char *text, struct prefix *ret_prefix, struct err *err);

/* Returns buf, which holds PREFIX_TEXT_MAX. A prefix of full length is written as an address. */
const char *prefix_format(const struct prefix *prefix, char *buf);

/* The help of one command, or of the program (COMMAND_NONE). */
const char *options_help(enum command command);
