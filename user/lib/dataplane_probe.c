/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The program of probes through the data path: see dataplane_probe.h. */
#include "dataplane_probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.skel.h"

#define FILTER_PRIORITY 1
#define FILTER_HANDLE	0x78646c00u /* and a byte of the directory's */
#define FILTER_PROGRAM	"xdplb_probe"
#define ATTACHED_PREFIX "probe_"
#define QDISC_PREFIX	"probeqdisc_"
#define ANSWER_BYTES	32768

struct probe_hook {
	char *bpffs;
	uint32_t instance;
	struct probe_bpf *skel; /* NULL: not loaded */
};

/* A byte that tells balancers on one host apart: FNV-1a of the directory. */
static uint32_t instance_of(const char *bpffs)
{
	uint32_t hash = 0x811c9dc5;

	for (; *bpffs; bpffs++)
		hash = (hash ^ (uint8_t)*bpffs) * 0x01000193;
	return (hash ^ hash >> 8 ^ hash >> 16 ^ hash >> 24) & 0xff;
}

int probe_hook_new(struct probe_hook **ret_hook, const char *bpffs)
{
	struct probe_hook *hook = calloc(1, sizeof(*hook));

	if (!hook)
		return -ENOMEM;
	hook->instance = instance_of(bpffs);
	hook->bpffs = strdup(bpffs);
	if (!hook->bpffs) {
		free(hook);
		return -ENOMEM;
	}
	*ret_hook = hook;
	return 0;
}

void probe_hook_free(struct probe_hook *hook)
{
	if (!hook)
		return;
	probe_bpf__destroy(hook->skel);
	free(hook->bpffs);
	free(hook);
}

/* ---- program and maps ------------------------------------------------------------------------ */

static void set_knobs(struct probe_bpf *skel, const struct dataplane_knobs *knobs, uint32_t mark)
{
	skel->rodata->knob_probe_mark = mark;
	skel->rodata->knob_hash_key = knobs->hash_key;
	skel->rodata->knob_source4 = knobs->source4;
	skel->rodata->knob_source4_sum = (knobs->source4 & 0xffff) + (knobs->source4 >> 16);
	skel->rodata->knob_source4_entropy = knobs->source4_entropy;
	skel->rodata->knob_source6 = knobs->source6;
	skel->rodata->knob_source6_entropy = knobs->source6_entropy;
	skel->rodata->knob_gue_port = knobs->gue_port;
	skel->rodata->knob_gue_checksum6 = knobs->gue_checksum6;
}

static int share_maps(struct probe_bpf *skel, const struct probe_bpf *old)
{
	int r;

	if (!old)
		return 0;
	r = bpf_map__reuse_fd(skel->maps.probe_tunnels, bpf_map__fd(old->maps.probe_tunnels));
	return r ? r
		 : bpf_map__reuse_fd(skel->maps.probe_stats, bpf_map__fd(old->maps.probe_stats));
}

/* By a rename, so that a pin that is there is never missing. */
static int pin(const char *bpffs, const char *name, int fd)
{
	char path[512], fresh[520];

	snprintf(path, sizeof(path), "%s/%s", bpffs, name);
	snprintf(fresh, sizeof(fresh), "%s_new", path);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh) || rename(fresh, path))
		return -errno;
	return 0;
}

int probe_hook_load(struct probe_hook *hook, const struct dataplane_knobs *knobs, struct err *err)
{
	struct probe_bpf *skel = probe_bpf__open();
	int r;

	if (!skel)
		return err_errno(err, errno, "open the program of probes");
	set_knobs(skel, knobs, probe_hook_mark(hook, 0));
	r = share_maps(skel, hook->skel);
	r = r ? r : probe_bpf__load(skel);
	r = r ? r : pin(hook->bpffs, "maps/probe_stats", bpf_map__fd(skel->maps.probe_stats));
	if (r) {
		probe_bpf__destroy(skel);
		return err_errno(err, -r, "load the program of probes");
	}
	probe_bpf__destroy(hook->skel);
	hook->skel = skel;
	return 0;
}

int probe_hook_prog_fd(const struct probe_hook *hook)
{
	return bpf_program__fd(hook->skel->progs.xdplb_probe);
}

uint32_t probe_hook_mark(const struct probe_hook *hook, uint32_t id)
{
	return PROBE_MARK | hook->instance << PROBE_MARK_INSTANCE_SHIFT | id;
}

int probe_hook_set(const struct probe_hook *hook, uint32_t id, const struct probe_tunnel *tunnel)
{
	return bpf_map_update_elem(bpf_map__fd(hook->skel->maps.probe_tunnels), &id, tunnel,
				   BPF_ANY);
}

uint64_t probe_hook_sent(const struct probe_hook *hook, uint32_t id)
{
	struct probe_tunnel t;

	return bpf_map_lookup_elem(bpf_map__fd(hook->skel->maps.probe_tunnels), &id, &t) ? 0
											 : t.sent;
}

void probe_hook_remove(const struct probe_hook *hook, uint32_t id)
{
	bpf_map_delete_elem(bpf_map__fd(hook->skel->maps.probe_tunnels), &id);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

/* bpffs takes no dot in a name, and interface names no colon. */
static void replace(char *text, char from, char to)
{
	for (; *text; text++) {
		if (*text == from)
			*text = to;
	}
}

static void pin_name(const char *prefix, const char *interface, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", prefix, interface);
	replace(buf, '.', ':');
}

static void unpin(const char *bpffs, const char *prefix, const char *interface)
{
	char name[64], path[512];

	pin_name(prefix, interface, name, sizeof(name));
	snprintf(path, sizeof(path), "%s/%s", bpffs, name);
	unlink(path);
}

/* The notes come first: a daemon that is killed in between leaves nothing that none knows of. */
static int make_place(const struct probe_hook *hook, const char *interface, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, place, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	int fd = probe_hook_prog_fd(hook);
	char name[64];
	int r;

	pin_name(ATTACHED_PREFIX, interface, name, sizeof(name));
	r = pin(hook->bpffs, name, fd);
	if (r)
		return r;
	r = bpf_tc_hook_create(&place);
	if (r)
		return r == -EEXIST ? 0 : r;
	pin_name(QDISC_PREFIX, interface, name, sizeof(name));
	return pin(hook->bpffs, name, fd);
}

int probe_hook_attach(const struct probe_hook *hook, uint32_t ifindex, struct err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, place, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = FILTER_HANDLE | hook->instance,
		    .priority = FILTER_PRIORITY, .flags = BPF_TC_F_REPLACE,
		    .prog_fd = probe_hook_prog_fd(hook));
	char interface[IF_NAMESIZE];
	int r;

	if (!if_indextoname(ifindex, interface))
		return err_errno(err, errno, "interface %u", ifindex);
	r = make_place(hook, interface, ifindex);
	r = r ? r : bpf_tc_attach(&place, &filter);
	return r ? err_errno(err, -r, "attach the program of probes to %s", interface) : 0;
}

/* Whether there is a filter at a hook of clsact. */
static bool has_filter(int fd, uint32_t ifindex, uint32_t parent)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg tc;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETTFILTER,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.tc = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent},
	};
	char answer[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool found = false;

	if (send(fd, &request, sizeof(request), 0) < 0)
		return true;
	for (;;) {
		ssize_t len = recv(fd, answer, sizeof(answer), 0);
		struct nlmsghdr *nlh = (struct nlmsghdr *)answer;

		if (len <= 0)
			return true;
		for (; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
				return found || nlh->nlmsg_type == NLMSG_ERROR;
			found |= nlh->nlmsg_type == RTM_NEWTFILTER;
		}
	}
}

/* Not known: in use. */
static bool clsact_is_used(uint32_t ifindex)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool is_used;

	if (fd < 0)
		return true;
	is_used = has_filter(fd, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
		  has_filter(fd, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
	close(fd);
	return is_used;
}

/* Somebody else's filter may have our handle. */
static bool is_ours(uint32_t prog_id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool is = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
		  !strcmp(info.name, FILTER_PROGRAM);

	if (fd >= 0)
		close(fd);
	return is;
}

static void remove_filter(uint32_t ifindex, uint32_t instance)
{
	LIBBPF_OPTS(bpf_tc_hook, place, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, found, .handle = FILTER_HANDLE | instance,
		    .priority = FILTER_PRIORITY);
	LIBBPF_OPTS(bpf_tc_opts, gone, .handle = FILTER_HANDLE | instance,
		    .priority = FILTER_PRIORITY);

	if (!bpf_tc_query(&place, &found) && is_ours(found.prog_id))
		bpf_tc_detach(&place, &gone);
}

static void detach(const char *bpffs, const char *interface)
{
	LIBBPF_OPTS(bpf_tc_hook, clsact, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	uint32_t ifindex = if_nametoindex(interface);
	char name[64], path[512];

	pin_name(QDISC_PREFIX, interface, name, sizeof(name));
	snprintf(path, sizeof(path), "%s/%s", bpffs, name);
	if (ifindex) {
		remove_filter(ifindex, instance_of(bpffs));
		clsact.ifindex = (int)ifindex;
		if (!access(path, F_OK) && !clsact_is_used(ifindex))
			bpf_tc_hook_destroy(&clsact);
	}
	unpin(bpffs, QDISC_PREFIX, interface);
	unpin(bpffs, ATTACHED_PREFIX, interface);
}

static bool is_kept(const char *interface, const uint32_t *keep, size_t n_keep)
{
	uint32_t ifindex = if_nametoindex(interface);

	for (size_t i = 0; i < n_keep; i++) {
		if (keep[i] == ifindex)
			return true;
	}
	return false;
}

void probe_hook_detach_others(const char *bpffs, const uint32_t *keep, size_t n_keep)
{
	DIR *dir = opendir(bpffs);
	struct dirent *entry;
	char interface[IF_NAMESIZE];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, ATTACHED_PREFIX, strlen(ATTACHED_PREFIX)) != 0)
			continue;
		snprintf(interface, sizeof(interface), "%s",
			 entry->d_name + strlen(ATTACHED_PREFIX));
		replace(interface, ':', '.');
		if (!is_kept(interface, keep, n_keep))
			detach(bpffs, interface);
	}
	closedir(dir);
}
