/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of scripts' sockets: see dataplane_script.h. */
#include "dataplane_script.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "script.skel.h"

struct script_hook {
	struct script_bpf *skel; /* with its links */
};

static int attach(struct script_bpf *skel, int cgroup_fd, struct err *err)
{
	skel->links.xdplb_mark = bpf_program__attach_cgroup(skel->progs.xdplb_mark, cgroup_fd);
	if (skel->links.xdplb_mark)
		skel->links.xdplb_mss = bpf_program__attach_cgroup(skel->progs.xdplb_mss,
								   cgroup_fd);
	if (!skel->links.xdplb_mss)
		return err_errno(err, errno, "attach the programs of scripts to their cgroup");
	return 0;
}

int script_hook_new(struct script_hook **ret_hook, int cgroup_fd, struct err *err)
{
	struct script_hook *hook = calloc(1, sizeof(*hook));
	int r;

	if (!hook)
		return err_errno(err, ENOMEM, "programs of scripts");
	hook->skel = script_bpf__open_and_load();
	if (!hook->skel)
		r = err_errno(err, errno, "load the programs of scripts");
	else
		r = attach(hook->skel, cgroup_fd, err);
	if (r) {
		script_hook_free(hook);
		return r;
	}
	*ret_hook = hook;
	return 0;
}

void script_hook_free(struct script_hook *hook)
{
	if (!hook)
		return;
	script_bpf__destroy(hook->skel);
	free(hook);
}

int script_hook_mark(const struct script_hook *hook, uint64_t cgroup_id, uint32_t mark)
{
	return bpf_map_update_elem(bpf_map__fd(hook->skel->maps.script_marks), &cgroup_id, &mark,
				   BPF_ANY);
}
