/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Recorded runtime changes: see runtime.h. {"reals": {"<vip>": {"<address>": "drain"}}} */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/addr.h"

struct runtime {
	char path[512];
	json_t *root;
};

int runtime_open(struct runtime **ret_runtime, const char *state_dir, struct err *err)
{
	struct runtime *r = calloc(1, sizeof(*r));
	json_error_t problem;

	if (!r)
		return err_set(err, ENOMEM, "out of memory");
	snprintf(r->path, sizeof(r->path), "%s/runtime.json", state_dir);
	if (access(r->path, F_OK)) {
		r->root = json_pack("{s:{}}", "reals");
	} else {
		r->root = json_load_file(r->path, JSON_REJECT_DUPLICATES, &problem);
		if (!r->root || !json_is_object(json_object_get(r->root, "reals"))) {
			err_set(err, EINVAL,
				"%s:%d:%d: %s (recorded runtime changes; remove the "
				"file to start without them)",
				r->path, r->root ? 1 : problem.line, r->root ? 1 : problem.column,
				r->root ? "expected an object \"reals\"" : problem.text);
			runtime_free(r);
			return -EINVAL;
		}
	}
	*ret_runtime = r;
	return 0;
}

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	json_decref(runtime->root);
	free(runtime);
}

enum admin_state runtime_get(const struct runtime *runtime, const char *vip,
			     const struct ip_addr *real)
{
	char text[ADDR_TEXT_MAX];
	const json_t *reals = json_object_get(json_object_get(runtime->root, "reals"), vip);
	const char *admin = json_string_value(json_object_get(reals, addr_format(real, text)));

	if (admin && !strcmp(admin, "drain"))
		return ADMIN_DRAIN;
	return admin && !strcmp(admin, "disable") ? ADMIN_DISABLED : ADMIN_ENABLED;
}

static int put(json_t *root, const char *vip, const char *real, enum admin_state admin)
{
	json_t *vips = json_object_get(root, "reals");
	json_t *reals = json_object_get(vips, vip);

	if (!json_is_object(reals)) {
		reals = json_object();
		if (json_object_set_new(vips, vip, reals))
			return -ENOMEM;
	}
	if (admin != ADMIN_ENABLED)
		return json_object_set_new(reals, real,
					   json_string(admin == ADMIN_DRAIN ? "drain" : "disable"));
	json_object_del(reals, real);
	if (!json_object_size(reals))
		json_object_del(vips, vip);
	return 0;
}

static int write_file(const char *path, const json_t *root, struct err *err)
{
	char fresh[520];
	int fd, r = 0;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(err, errno, "create %s", fresh);
	if (json_dumpfd(root, fd, JSON_INDENT(2) | JSON_SORT_KEYS) || fsync(fd))
		r = -(errno ? errno : EIO);
	close(fd);
	if (!r && rename(fresh, path))
		r = -errno;
	return r ? err_errno(err, -r, "write %s", path) : 0;
}

int runtime_set(struct runtime *runtime, const char *vip, const struct ip_addr *real,
		enum admin_state admin, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	json_t *root = json_deep_copy(runtime->root);
	int r;

	if (!root)
		return err_set(err, ENOMEM, "out of memory");
	r = put(root, vip, addr_format(real, text), admin) ? err_set(err, ENOMEM, "out of memory")
							   : 0;
	r = r ? r : write_file(runtime->path, root, err);
	if (r) {
		json_decref(root);
		return r;
	}
	json_decref(runtime->root);
	runtime->root = root;
	return 0;
}
