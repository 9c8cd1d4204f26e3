/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The receiver's memory: see state.h. */
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/addr.h"

#define STATE_VERSION 1
#define STATE_SUFFIX  ".json"

void state_free(struct receiver_state *state)
{
	free(state->pins);
	free(state->vips);
	free(state->from);
	free(state->locals);
	free(state->changes);
	*state = (struct receiver_state){};
}

static int copy_array(const void *from, size_t n, size_t size, void **ret_copy)
{
	*ret_copy = NULL;
	if (!n)
		return 0;
	*ret_copy = calloc(n, size);
	if (!*ret_copy)
		return -ENOMEM;
	memcpy(*ret_copy, from, n * size);
	return 0;
}

int state_copy(const struct receiver_state *state, struct receiver_state *ret_copy)
{
	const struct receiver_state *s = state;
	struct receiver_state copy = *s;
	int r = 0;

	copy.pins = s->pins ? strdup(s->pins) : NULL;
	if (s->pins && !copy.pins)
		r = -ENOMEM;
	r |= copy_array(s->vips, s->n_vips, sizeof(*s->vips), (void **)&copy.vips);
	r |= copy_array(s->from, s->n_from, sizeof(*s->from), (void **)&copy.from);
	r |= copy_array(s->locals, s->n_locals, sizeof(*s->locals), (void **)&copy.locals);
	r |= copy_array(s->changes, s->n_changes, sizeof(*s->changes), (void **)&copy.changes);
	if (r) {
		state_free(&copy);
		return -ENOMEM;
	}
	*ret_copy = copy;
	return 0;
}

int state_add_vip(struct receiver_state *state, const struct ip_addr *vip)
{
	struct ip_addr *grown;

	for (size_t i = 0; i < state->n_vips; i++)
		if (addr_equal(&state->vips[i], vip))
			return 0;
	grown = reallocarray(state->vips, state->n_vips + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	state->vips = grown;
	state->vips[state->n_vips++] = *vip;
	return 0;
}

int state_add_change(struct receiver_state *state, const struct change *change)
{
	struct change *grown = reallocarray(state->changes, state->n_changes + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	state->changes = grown;
	state->changes[state->n_changes++] = *change;
	return 0;
}

struct change *state_find_change(struct receiver_state *state, const struct change *like)
{
	for (size_t i = 0; i < state->n_changes; i++)
		if (change_same(&state->changes[i], like))
			return &state->changes[i];
	return NULL;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static json_t *addresses_to_json(const struct ip_addr *addrs, size_t n)
{
	json_t *array = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(addr_format(&addrs[i], text)));
	return array;
}

static json_t *state_to_json(const struct receiver_state *s)
{
	json_t *from = json_array(), *changes = json_array();
	char text[PREFIX_TEXT_MAX], program[20];

	for (size_t i = 0; i < s->n_from; i++)
		json_array_append_new(from, json_string(prefix_format(&s->from[i], text)));
	for (size_t i = 0; i < s->n_changes; i++)
		json_array_append_new(changes, change_to_json(&s->changes[i]));
	snprintf(program, sizeof(program), "%016" PRIx64, s->program);
	return json_pack("{s:i, s:s, s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "version",
			 STATE_VERSION, "interface", s->interface, "mode",
			 s->mode == ATTACH_GENERIC ? "generic" : "native", "gue_port",
			 (int)s->gue_port, "program", program, "pins", s->pins, "vips",
			 addresses_to_json(s->vips, s->n_vips), "from", from, "locals",
			 addresses_to_json(s->locals, s->n_locals), "changes", changes);
}

static int addresses_from_json(const json_t *array, struct ip_addr **ret_addrs, size_t *ret_n)
{
	size_t n = json_array_size(array);
	struct ip_addr *addrs = calloc(n + 1, sizeof(*addrs));

	if (!addrs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || addr_parse(text, &addrs[i])) {
			free(addrs);
			return -EINVAL;
		}
	}
	*ret_addrs = addrs;
	*ret_n = n;
	return 0;
}

static int from_from_json(const json_t *array, struct receiver_state *s)
{
	size_t n = json_array_size(array);

	s->from = calloc(n + 1, sizeof(*s->from));
	if (!s->from)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || prefix_parse(text, &s->from[i], NULL))
			return -EINVAL;
	}
	s->n_from = n;
	return 0;
}

static int changes_from_json(const json_t *array, struct receiver_state *s)
{
	size_t n = json_array_size(array);

	s->changes = calloc(n + 1, sizeof(*s->changes));
	if (!s->changes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (change_from_json(json_array_get(array, i), &s->changes[i]))
			return -EINVAL;
	s->n_changes = n;
	return 0;
}

static int state_from_json(json_t *json, struct receiver_state *s)
{
	const json_t *vips, *from, *locals, *changes;
	const char *interface, *mode, *program, *pins;
	int version, gue_port = 0, r; /* the first version's files have no port: no GUE */

	if (json_unpack(json, "{s:i, s:s, s:s, s?i, s:s, s:s, s:o, s:o, s:o, s:o}", "version",
			&version, "interface", &interface, "mode", &mode, "gue_port", &gue_port,
			"program", &program, "pins", &pins, "vips", &vips, "from", &from, "locals",
			&locals, "changes", &changes) ||
	    version != STATE_VERSION || strlen(interface) >= IF_NAMESIZE)
		return -EINVAL;
	s->gue_port = (uint16_t)gue_port;
	snprintf(s->interface, sizeof(s->interface), "%s", interface);
	s->mode = strcmp(mode, "generic") ? ATTACH_NATIVE : ATTACH_GENERIC;
	s->program = strtoull(program, NULL, 16);
	s->pins = strdup(pins);
	if (!s->pins)
		return -ENOMEM;
	r = addresses_from_json(vips, &s->vips, &s->n_vips);
	if (!r)
		r = addresses_from_json(locals, &s->locals, &s->n_locals);
	if (!r)
		r = from_from_json(from, s);
	return r ? r : changes_from_json(changes, s);
}

/* ---- Files -------------------------------------------------------------------------------- */

static char *state_path(const char *dir, const char *interface, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s%s", dir, interface, suffix) < 0 ? NULL : path;
}

int state_load(const char *dir, const char *interface, struct receiver_state *ret_state,
	       struct err *err)
{
	char *path = state_path(dir, interface, STATE_SUFFIX);
	struct receiver_state s = {};
	json_error_t where;
	json_t *json;
	int r;

	if (!path)
		return err_errno(err, ENOMEM, "state of %s", interface);
	if (access(path, F_OK)) {
		r = err_errno(err, errno, "%s", path);
		free(path);
		return r;
	}
	json = json_load_file(path, 0, &where);
	r = json ? state_from_json(json, &s) : -EINVAL;
	if (r) {
		state_free(&s);
		err_set(err, -r, "%s: not a state file of this xdplb-receiver%s%s", path,
			json ? "" : ": ", json ? "" : where.text);
	} else {
		*ret_state = s;
	}
	json_decref(json);
	free(path);
	return r;
}

int state_save(const char *dir, const struct receiver_state *state, struct err *err)
{
	char *path = state_path(dir, state->interface, STATE_SUFFIX);
	char *fresh = state_path(dir, state->interface, STATE_SUFFIX ".new");
	json_t *json = state_to_json(state);
	int r = 0;

	errno = ENOMEM;
	if (!path || !fresh || !json || json_dump_file(json, fresh, JSON_INDENT(2)) ||
	    rename(fresh, path))
		r = err_errno(err, errno ? errno : EIO, "write the state file %s/%s" STATE_SUFFIX,
			      dir, state->interface);
	json_decref(json);
	free(fresh);
	free(path);
	return r;
}

int state_remove(const char *dir, const char *interface, struct err *err)
{
	char *path = state_path(dir, interface, STATE_SUFFIX);
	int r = 0;

	if (!path)
		return err_errno(err, ENOMEM, "state of %s", interface);
	if (unlink(path) && errno != ENOENT)
		r = err_errno(err, errno, "remove %s", path);
	free(path);
	return r;
}

json_t *state_interfaces(const char *dir)
{
	json_t *names = json_array();
	DIR *d = opendir(dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name), suffix = strlen(STATE_SUFFIX);

		if (len > suffix && !strcmp(entry->d_name + len - suffix, STATE_SUFFIX))
			json_array_append_new(names, json_stringn(entry->d_name, len - suffix));
	}
	if (d)
		closedir(d);
	return names;
}

int state_lock(const char *dir, int *ret_fd, struct err *err)
{
	char *path = state_path(dir, "", "lock");
	int fd, r;

	if (!path)
		return err_errno(err, ENOMEM, "lock %s", dir);
	if (mkdir(dir, 0755) && errno != EEXIST) {
		r = err_errno(err, errno, "make the state directory %s", dir);
		free(path);
		return r;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		r = err_errno(err, errno, "lock %s", path);
		if (fd >= 0)
			close(fd);
	} else {
		*ret_fd = fd;
		r = 0;
	}
	free(path);
	return r;
}

int state_hand_over(const char *dir, const char *interface, const struct change *change,
		    bool *ret_is_needed, struct err *err)
{
	json_t *names = state_interfaces(dir);
	int r = 0;

	*ret_is_needed = false;
	for (size_t i = 0; i < json_array_size(names) && !r && !*ret_is_needed; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct receiver_state other = {};
		struct change *theirs;

		/* A broken file of another interface is no reason to keep this one up. */
		if (!strcmp(name, interface) || state_load(dir, name, &other, NULL))
			continue;
		theirs = state_find_change(&other, change);
		if (theirs) {
			*ret_is_needed = true;
			theirs->is_made = true;
			theirs->value = change->value;
			theirs->old_value = change->old_value;
			r = state_save(dir, &other, err);
		}
		state_free(&other);
	}
	json_decref(names);
	return r;
}
