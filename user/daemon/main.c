/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* xdplbd: options, signals, and the event loop around the controller and its API. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "api.h"
#include "controller.h"
#include "http_server.h"
#include "lib/config.h"
#include "lib/dataplane.h"
#include "lib/dir_lock.h"
#include "log.h"

static const char usage_text[] =
	"Usage: xdplbd --config FILE [OPTION ...]\n"
	"\n"
	"Loads the packet program, keeps it filled from FILE and from health checks, and answers\n"
	"xdplbctl. Runs in the foreground. SIGHUP reads FILE again; SIGTERM ends the daemon and "
	"leaves\n"
	"packets flowing.\n"
	"\n"
	"  -c, --config FILE      the configuration (default /etc/xdplb/xdplb.yaml)\n"
	"      --check            only check FILE and print the memory its maps take (no root "
	"needed)\n"
	"      --socket PATH      where the API listens (default /run/xdplb/api.sock)\n"
	"      --state-dir DIR    recorded runtime changes and flow-hash key (default "
	"/var/lib/xdplb)\n"
	"      --detach           remove program, links and maps of FILE's bpffs directory, and "
	"end\n"
	"      --schema           print the JSON Schema of FILE for editors\n"
	"      --reference        print the reference of FILE's keys in Markdown\n"
	"  -v, --verbose          log more\n"
	"  -V, --version\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 done, 1 failed (or FILE is wrong), 2 wrong usage.\n"
	"\n"
	"Example: xdplbd --config /etc/xdplb/xdplb.yaml --check\n";

enum action {
	ACTION_RUN,
	ACTION_CHECK,
	ACTION_DETACH,
	ACTION_SCHEMA,
	ACTION_REFERENCE,
};

struct options {
	struct controller_options controller;
	const char *socket;
	enum action action;
};

enum {
	OPT_CHECK = 256,
	OPT_SOCKET,
	OPT_STATE_DIR,
	OPT_DETACH,
	OPT_SCHEMA,
	OPT_REFERENCE,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPT_CHECK},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"state-dir", required_argument, NULL, OPT_STATE_DIR},
	{"detach", no_argument, NULL, OPT_DETACH},
	{"schema", no_argument, NULL, OPT_SCHEMA},
	{"reference", no_argument, NULL, OPT_REFERENCE},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{},
};

/* 0: go on; 1: done with status 0; 2: usage error. */
static int parse_options(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "c:vVh", long_options, NULL)) >= 0) {
		switch (opt) {
		case 'c':
			o->controller.config_file = optarg;
			break;
		case OPT_CHECK:
			o->action = ACTION_CHECK;
			break;
		case OPT_SOCKET:
			o->socket = optarg;
			break;
		case OPT_STATE_DIR:
			o->controller.state_dir = optarg;
			break;
		case OPT_DETACH:
			o->action = ACTION_DETACH;
			break;
		case OPT_SCHEMA:
			o->action = ACTION_SCHEMA;
			break;
		case OPT_REFERENCE:
			o->action = ACTION_REFERENCE;
			break;
		case 'v':
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case 'V':
			printf("xdplbd %s\n", XDPLB_VERSION);
			return 1;
		case 'h':
			fputs(usage_text, stdout);
			return 1;
		default:
			fputs("Try 'xdplbd --help'.\n", stderr);
			return 2;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "xdplbd: unexpected argument: %s\nTry 'xdplbd --help'.\n", argv[optind]);
	return 2;
}

static int failed(const struct err *err)
{
	log_error("%s", err->text);
	return 1;
}

static int check(const char *file)
{
	struct config *config;
	struct err err;

	if (config_load(file, &config, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < config->warnings.n; i++)
		fprintf(stderr, "warning: %s\n", config->warnings.texts[i]);
	printf("%s: ok: %zu VIPs; maps take %.1f MiB on this machine's %u CPUs\n", file,
	       config->n_vips, config_memory_bytes(config, dataplane_n_cpus()) / (1024.0 * 1024.0),
	       dataplane_n_cpus());
	config_free(config);
	return 0;
}

static int detach(const char *file)
{
	struct config *config;
	struct err err;
	int lock_fd = -1;
	int r;

	if (config_load(file, &config, &err))
		return failed(&err);
	r = dir_lock(config->bpffs, &lock_fd, &err);
	if (r == -EBUSY)
		err_prefix(&err, "use `xdplbctl detach`");
	r = r ? r : dataplane_remove(config->bpffs, &err);
	if (lock_fd >= 0)
		close(lock_fd);
	config_free(config);
	return r && r != -ENOENT ? failed(&err) : 0;
}

static int print_schema(void)
{
	json_t *schema = config_json_schema();

	json_dumpf(schema, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(schema);
	return 0;
}

static int print_reference(void)
{
	char *text = config_reference_markdown();

	if (!text)
		return 1;
	fputs(text, stdout);
	free(text);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct change_report report;
	struct err err;

	controller_act_as(user, &(struct actor){.name = "signal"});
	sd_notify(0, "RELOADING=1");
	controller_reload(user, false, &report, &err); /* says in the log what came of it */
	sd_notify(0, "READY=1");
	return 0;
}

static int add_signals(sd_event *event, struct controller *controller, struct err *err)
{
	int r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);

	r = r < 0 ? r : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	r = r < 0 ? r : sd_event_add_signal(event, NULL, SIGHUP, on_hangup, controller);
	return r < 0 ? err_errno(err, -r, "signals") : 0;
}

/* Signals are taken by the event loop only. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would take away how scripts have ended */
}

/* Nothing here depends on the kernel's own BTF but the names in bpftool's dumps of kernel types. */
static void check_kernel_btf(void)
{
	const char *path = getenv("XDPLB_KERNEL_BTF");

	if (access(path ? path : "/sys/kernel/btf/vmlinux", R_OK))
		log_warning("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF): xdplb runs, bpftool "
			    "may print maps without field names");
}

static int serve(sd_event *event, struct controller *controller, const struct options *options,
		 struct err *err)
{
	int r = add_signals(event, controller, err);

	if (r)
		return r;
	log_info("ready socket=%s version=%s", options->socket, XDPLB_VERSION);
	sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	if (r < 0)
		err_errno(err, -r, "event loop");
	sd_notify(0, "STOPPING=1");
	log_info("ending%s", controller_is_detached(controller) ? "" : "; packets go on");
	return r;
}

static void ask_again(void *user)
{
	http_server_ask_again(user);
}

/* The socket comes first: while another daemon has it, the data plane is not ours to change. */
static int start_and_serve(sd_event *event, const struct options *options, struct err *err)
{
	struct controller_options controller_options = options->controller;
	struct api api = {.event = event};
	struct http_server *server;
	int r = http_server_new(&server, event, options->socket, api_handle, &api, err);

	if (r)
		return r;
	controller_options.progressed = ask_again;
	controller_options.user = server;
	r = controller_new(&api.controller, event, &controller_options, err);
	r = r ? r : serve(event, api.controller, options, err);
	http_server_free(server);
	controller_free(api.controller);
	return r;
}

static int run(const struct options *options)
{
	sd_event *event = NULL;
	struct err err;
	int r;

	if (geteuid() != 0) {
		fprintf(stderr,
			"xdplbd: needs root (CAP_BPF, CAP_NET_ADMIN) to load and attach the "
			"packet program; `--check` does not\n");
		return 1;
	}
	block_signals();
	check_kernel_btf();
	r = sd_event_default(&event);
	if (r < 0)
		err_errno(&err, -r, "event loop");
	else
		r = start_and_serve(event, options, &err);
	sd_event_unref(event);
	return r < 0 ? failed(&err) : r;
}

int main(int argc, char **argv)
{
	struct options options = {
		.controller = {.config_file = "/etc/xdplb/xdplb.yaml",
			       .state_dir = "/var/lib/xdplb"},
		.socket = "/run/xdplb/api.sock",
	};
	int r = parse_options(argc, argv, &options);

	if (r)
		return r == 1 ? 0 : 2;
	switch (options.action) {
	case ACTION_CHECK:
		return check(options.controller.config_file);
	case ACTION_DETACH:
		return detach(options.controller.config_file);
	case ACTION_SCHEMA:
		return print_schema();
	case ACTION_REFERENCE:
		return print_reference();
	default:
		return run(&options);
	}
}
