/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Command line: see options.h. Everything wrong is found here, before anything is touched. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "xdplb/receiver_abi.h"

static const char help_all[] =
	"Usage: xdplb-receiver COMMAND [OPTIONS]\n"
	"\n"
	"Prepares this host as a real of xdplb: VIPs on lo, no ARP for them, and an XDP program\n"
	"that takes the tunnel header off what the balancers send.\n"
	"\n"
	"Commands:\n"
	"  up      prepare the host and decapsulate\n"
	"  status  show what is in force, and counters\n"
	"  down    undo exactly what up did\n"
	"\n"
	"  -h, --help     this text, or that of a command: xdplb-receiver up --help\n"
	"      --version  print the version\n"
	"\n"
	"Example:\n"
	"  xdplb-receiver up --interface eth0 --vip 192.0.2.10 --from 10.0.9.0/24\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const char help_up[] =
	"Usage: xdplb-receiver up --interface IF --vip ADDR [--vip ADDR ...] [OPTIONS]\n"
	"\n"
	"Puts each VIP on lo, keeps the host from answering ARP for it, relaxes rp_filter, makes "
	"room\n"
	"for the tunnel header in the MSS it advertises, and attaches the XDP program to IF. May "
	"be\n"
	"run again: it changes only what differs. VIPs are added to those there are, --from "
	"replaces\n"
	"the list there is. If a step fails, the steps before it are undone. Takes off IP-in-IP "
	"and "
	"GUE\n"
	"headers; for L2 DSR, which has none, it prepares the rest.\n"
	"\n"
	"  --interface IF          where the balancers' packets arrive\n"
	"  --vip ADDR              IPv4 or IPv6; may be given many times\n"
	"  --from ADDR|PREFIX      accept tunnel packets for a VIP from these sources only\n"
	"  --gue-port PORT|off     UDP port on which GUE packets arrive (6080)\n"
	"  --mode native|generic   how to attach (native); generic works on every driver, slower\n"
	"  --no-advmss             leave the default routes as they are\n"
	"  --dry-run               print what would be done; needs no root\n"
	"  --state-dir DIR         where to remember what was changed (" RECEIVER_STATE_DIR ")\n"
	"  --bpffs DIR             where to pin program and maps (" RECEIVER_BPFFS ")\n"
	"\n"
	"Example:\n"
	"  xdplb-receiver up --interface eth0 --vip 192.0.2.10 --vip 2001:db8::10 "
	"--from 10.0.9.0/24\n";

static const char help_down[] =
	"Usage: xdplb-receiver down --interface IF [--dry-run] [--state-dir DIR] [--bpffs DIR]\n"
	"\n"
	"Detaches the program and undoes exactly what up did; what was so before stays.\n"
	"\n"
	"Example:\n"
	"  xdplb-receiver down --interface eth0\n";

static const char help_status[] =
	"Usage: xdplb-receiver status [--interface IF] [-j] [--state-dir DIR] [--bpffs DIR]\n"
	"\n"
	"Shows program, VIPs, accepted sources and counters. Exits 1 if something that up made is\n"
	"missing, and says what. -j, --json: as JSON.\n"
	"\n"
	"Example:\n"
	"  xdplb-receiver status --interface eth0 -j | jq '.interfaces[0].counters'\n";

const char *options_help(enum command command)
{
	switch (command) {
	case COMMAND_UP:
		return help_up;
	case COMMAND_DOWN:
		return help_down;
	case COMMAND_STATUS:
		return help_status;
	default:
		return help_all;
	}
}

/* ---- Values ------------------------------------------------------------------------------- */

static bool has_host_bits(const struct prefix *p)
{
	size_t first = p->bits + (addr_is_v4(&p->address) ? 96 : 0);

	for (size_t bit = first; bit < 128; bit++)
		if (p->address.b[bit / 8] & (0x80 >> bit % 8))
			return true;
	return false;
}

int prefix_parse(const char *text, struct prefix *ret_prefix, struct err *err)
{
	char address[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct prefix p = {};
	unsigned long max;
	char *end;

	if (len >= sizeof(address))
		return err_set(err, EINVAL, "not an address or prefix: %s", text);
	memcpy(address, text, len);
	address[len] = '\0';
	if (addr_parse(address, &p.address))
		return err_set(err, EINVAL, "not an address or prefix: %s", text);
	max = addr_is_v4(&p.address) ? 32 : 128;
	p.bits = (uint32_t)max;
	if (slash) {
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (slash[1] < '0' || slash[1] > '9' || *end || bits > max)
			return err_set(err, EINVAL, "prefix length must be 0 ... %lu: %s", max,
				       text);
		p.bits = (uint32_t)bits;
	}
	if (has_host_bits(&p))
		return err_set(err, EINVAL,
			       "%s has bits set behind the prefix: give the network, or one "
			       "address without a length",
			       text);
	*ret_prefix = p;
	return 0;
}

const char *prefix_format(const struct prefix *prefix, char *buf)
{
	char address[ADDR_TEXT_MAX];

	addr_format(&prefix->address, address);
	if (prefix->bits == (addr_is_v4(&prefix->address) ? 32 : 128))
		snprintf(buf, PREFIX_TEXT_MAX, "%s", address);
	else
		snprintf(buf, PREFIX_TEXT_MAX, "%.45s/%u", address, prefix->bits);
	return buf;
}

/* An address that a host can have and a packet from elsewhere can be sent to. */
static bool is_global_unicast(const struct ip_addr *a)
{
	const uint8_t *b = addr_is_v4(a) ? a->b + 12 : a->b;

	if (addr_is_v4(a))
		return b[0] != 0 && b[0] != 127 && b[0] < 224;
	return b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80) &&
	       (a->w[0] | a->w[1] | a->w[2]) != 0;
}

static int add_vip(struct options *o, const char *text, struct err *err)
{
	struct ip_addr vip;
	struct ip_addr *grown;

	if (addr_parse(text, &vip))
		return err_set(err, EINVAL, "--vip: not an IP address: %s", text);
	if (!is_global_unicast(&vip))
		return err_set(err, EINVAL,
			       "--vip: %s cannot be a VIP (loopback, link-local, "
			       "multicast or unspecified)",
			       text);
	for (size_t i = 0; i < o->n_vips; i++)
		if (addr_equal(&o->vips[i], &vip))
			return 0;
	if (o->n_vips == RECEIVER_MAX_VIPS)
		return err_set(err, EINVAL, "--vip: at most %u VIPs", RECEIVER_MAX_VIPS);
	grown = reallocarray(o->vips, o->n_vips + 1, sizeof(*grown));
	if (!grown)
		return err_errno(err, ENOMEM, "--vip");
	o->vips = grown;
	o->vips[o->n_vips++] = vip;
	return 0;
}

static int add_from(struct options *o, const char *text, struct err *err)
{
	struct prefix prefix;
	struct prefix *grown;
	int r = prefix_parse(text, &prefix, err);

	if (r) {
		err_prefix(err, "--from");
		return r;
	}
	if (o->n_from == RECEIVER_MAX_FROM)
		return err_set(err, EINVAL, "--from: at most %u prefixes", RECEIVER_MAX_FROM);
	grown = reallocarray(o->from, o->n_from + 1, sizeof(*grown));
	if (!grown)
		return err_errno(err, ENOMEM, "--from");
	o->from = grown;
	o->from[o->n_from++] = prefix;
	return 0;
}

/* An interface name becomes a path: what the kernel takes as a name, and no path tricks. */
static int set_interface(struct options *o, const char *text, struct err *err)
{
	if (!*text || strlen(text) >= IF_NAMESIZE || strchr(text, '/') || !strcmp(text, ".") ||
	    !strcmp(text, ".."))
		return err_set(err, EINVAL, "--interface: not an interface name: %s", text);
	if (!strcmp(text, "lo"))
		return err_set(err, EINVAL,
			       "--interface: lo has the VIPs; give the one that the "
			       "balancers' packets arrive by");
	o->interface = text;
	return 0;
}

static int set_mode(struct options *o, const char *text, struct err *err)
{
	if (!strcmp(text, "native"))
		o->mode = ATTACH_NATIVE;
	else if (!strcmp(text, "generic"))
		o->mode = ATTACH_GENERIC;
	else
		return err_set(err, EINVAL, "--mode: native or generic, not %s", text);
	o->has_mode = true;
	return 0;
}

static int set_gue_port(struct options *o, const char *text, struct err *err)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (!strcmp(text, "off"))
		port = 0;
	else if (text[0] < '1' || text[0] > '9' || *end || port > UINT16_MAX)
		return err_set(err, EINVAL, "--gue-port: a port from 1 to 65535 or off, not %s",
			       text);
	o->gue_port = (uint16_t)port;
	o->has_gue_port = true;
	return 0;
}

/* ---- Options ------------------------------------------------------------------------------ */

enum option_id {
	OPT_INTERFACE = 256,
	OPT_VIP,
	OPT_FROM,
	OPT_GUE_PORT,
	OPT_MODE,
	OPT_NO_ADVMSS,
	OPT_DRY_RUN,
	OPT_STATE_DIR,
	OPT_BPFFS,
};

static const struct option long_options[] = {
	{"interface", required_argument, NULL, OPT_INTERFACE},
	{"vip", required_argument, NULL, OPT_VIP},
	{"from", required_argument, NULL, OPT_FROM},
	{"gue-port", required_argument, NULL, OPT_GUE_PORT},
	{"mode", required_argument, NULL, OPT_MODE},
	{"no-advmss", no_argument, NULL, OPT_NO_ADVMSS},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"state-dir", required_argument, NULL, OPT_STATE_DIR},
	{"bpffs", required_argument, NULL, OPT_BPFFS},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{},
};

/* Which commands know an option: bits of enum command. */
static unsigned int option_commands(int opt)
{
	switch (opt) {
	case OPT_VIP:
	case OPT_FROM:
	case OPT_GUE_PORT:
	case OPT_MODE:
	case OPT_NO_ADVMSS:
		return 1u << COMMAND_UP;
	case OPT_DRY_RUN:
		return 1u << COMMAND_UP | 1u << COMMAND_DOWN;
	case 'j':
		return 1u << COMMAND_STATUS;
	default:
		return ~0u;
	}
}

static int take_option(struct options *o, int opt, const char *value, struct err *err)
{
	switch (opt) {
	case OPT_INTERFACE:
		return set_interface(o, value, err);
	case OPT_VIP:
		return add_vip(o, value, err);
	case OPT_FROM:
		return add_from(o, value, err);
	case OPT_GUE_PORT:
		return set_gue_port(o, value, err);
	case OPT_MODE:
		return set_mode(o, value, err);
	case OPT_NO_ADVMSS:
		o->no_advmss = true;
		return 0;
	case OPT_DRY_RUN:
		o->is_dry_run = true;
		return 0;
	case OPT_STATE_DIR:
		o->state_dir = value;
		return 0;
	case OPT_BPFFS:
		o->bpffs = value;
		return 0;
	case 'j':
		o->is_json = true;
		return 0;
	default:
		o->wants_help = true;
		return 0;
	}
}

static int parse_command(const char *text, struct options *o, struct err *err)
{
	static const char *const names[] = {"up", "down", "status"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(text, names[i])) {
			o->command = (enum command)i;
			return 0;
		}
	return err_set(err, EINVAL, "no such command: %s (up, down, status)", text);
}

static int check_required(const struct options *o, struct err *err)
{
	if (o->wants_help)
		return 0;
	if (o->command != COMMAND_STATUS && !o->interface)
		return err_set(err, EINVAL,
			       "--interface is missing: where the balancers' packets arrive");
	if (o->command == COMMAND_UP && !o->n_vips)
		return err_set(err, EINVAL, "--vip is missing: give at least one VIP address");
	if (o->state_dir[0] != '/' || o->bpffs[0] != '/')
		return err_set(err, EINVAL, "--state-dir and --bpffs take absolute paths");
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct err *err)
{
	int opt, r, index = -1;

	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, ":hj", long_options, &index)) != -1) {
		if (opt == ':')
			return err_set(err, EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?')
			return err_set(err, EINVAL, "unknown option: %s", argv[optind - 1]);
		if (!(option_commands(opt) & 1u << o->command))
			return err_set(err, EINVAL, "%s does not take %s%s", argv[0],
				       index < 0 ? "-" : "--",
				       index < 0 ? "j" : long_options[index].name);
		r = take_option(o, opt, optarg, err);
		if (r)
			return r;
		index = -1; /* a short option sets none */
	}
	if (optind < argc)
		return err_set(err, EINVAL, "unexpected argument: %s", argv[optind]);
	return check_required(o, err);
}

int options_parse(int argc, char **argv, struct options *ret_options, struct err *err)
{
	struct options o = {.state_dir = RECEIVER_STATE_DIR, .bpffs = RECEIVER_BPFFS};
	int r;

	if (argc < 2)
		return err_set(err, EINVAL, "a command is missing: up, down or status");
	o.wants_version = !strcmp(argv[1], "--version");
	o.wants_help = !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h");
	if (o.wants_version || o.wants_help) {
		o.command = COMMAND_NONE;
		*ret_options = o;
		return 0;
	}
	r = parse_command(argv[1], &o, err);
	if (!r)
		r = parse_options(argc - 1, argv + 1, &o, err);
	if (r) {
		options_free(&o);
		return r;
	}
	*ret_options = o;
	return 0;
}

void options_free(struct options *options)
{
	free(options->vips);
	free(options->from);
	options->vips = NULL;
	options->from = NULL;
}
