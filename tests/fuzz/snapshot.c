/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See snapshot.h. */
#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "host_map.h"

static void write_header(FILE *f, const char *name, const struct bpf_map_info *info, uint32_t n)
{
	struct map_header header = {
		.type = info->type,
		.key_size = info->key_size,
		.value_size = info->value_size,
		.max_entries = info->max_entries,
		.n = n,
	};

	snprintf(header.name, sizeof(header.name), "%s", name);
	fwrite(&header, sizeof(header), 1, f);
}

/* Values in order; of a per-CPU map the first CPU's. */
static int write_array(FILE *f, int fd, const char *name, const struct bpf_map_info *info,
		       uint8_t *value)
{
	write_header(f, name, info, info->max_entries);
	for (uint32_t i = 0; i < info->max_entries; i++) {
		if (bpf_map_lookup_elem(fd, &i, value))
			return -errno;
		fwrite(value, info->value_size, 1, f);
	}
	return 0;
}

static int write_hash(FILE *f, int fd, const char *name, const struct bpf_map_info *info,
		      uint8_t *value)
{
	uint8_t *key = calloc(1, info->key_size);
	uint32_t n = 0;
	int r = key ? 0 : -ENOMEM;

	for (int more = !r && !bpf_map_get_next_key(fd, NULL, key); more;
	     more = !bpf_map_get_next_key(fd, key, key))
		n++;
	write_header(f, name, info, n);
	for (uint32_t i = 0; i < n && !r; i++) {
		if (bpf_map_get_next_key(fd, i ? key : NULL, key) ||
		    bpf_map_lookup_elem(fd, key, value))
			r = -errno;
		fwrite(key, info->key_size, 1, f);
		fwrite(value, info->value_size, 1, f);
	}
	free(key);
	return r;
}

static int write_map(const struct bed *bed, FILE *f, const char *name)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	char path[sizeof(bed->bpffs) + NAME_MAX + 8];
	uint8_t *value;
	int fd, r;

	snprintf(path, sizeof(path), "%s/maps/%s", bed->bpffs, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	r = bpf_obj_get_info_by_fd(fd, &info, &len);
	value = calloc(dataplane_n_cpus(), (info.value_size + 7) / 8 * 8);
	if (!r && !value)
		r = -ENOMEM;
	if (!r && (info.type == BPF_MAP_TYPE_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_ARRAY))
		r = write_array(f, fd, name, &info, value);
	else if (!r)
		r = write_hash(f, fd, name, &info, value);
	free(value);
	close(fd);
	return r;
}

int snapshot_write(const struct bed *bed, FILE *f, struct err *err)
{
	struct bpf_map_info knobs = {.type = BPF_MAP_TYPE_ARRAY,
				     .key_size = sizeof(uint32_t),
				     .value_size = sizeof(bed->knobs),
				     .max_entries = 1};
	char path[sizeof(bed->bpffs) + 8];
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof(path), "%s/maps", bed->bpffs);
	dir = opendir(path);
	if (!dir)
		return err_errno(err, errno, "%s", path);
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		r = write_map(bed, f, entry->d_name);
		if (r)
			err_errno(err, -r, "%s/%s", path, entry->d_name);
	}
	closedir(dir);
	write_header(f, MAP_KNOBS, &knobs, 1);
	fwrite(&bed->knobs, sizeof(bed->knobs), 1, f);
	return r;
}
