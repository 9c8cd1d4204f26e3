/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration files: read, resolve, check. See config.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_read.h"
#include "config_resolve.h"
#include "sizing.h"
#include "xdplb/counters.h"

#define FILE_MAX (64u << 20)

/* An element of a kernel hash table beside key and value, about. */
#define HASH_ELEMENT_OVERHEAD 48
/* An empty one whose elements are made as they come. */
#define HASH_BUCKET 16

int config_parse(const char *file, const char *text, size_t len, struct config **ret_config,
		 struct err *err)
{
	struct config *config = NULL;
	struct doc_file doc = {};
	int ret;

	if (len > FILE_MAX)
		return err_set(err, EINVAL, "%.255s:1:1: expected at most 64 MiB", file);
	ret = config_read(file, text, len, &doc, err);
	if (ret == 0)
		ret = config_link_pools(file, &doc, err);
	if (ret == 0) {
		ret = config_resolve(file, &doc, &config);
		if (ret == 0)
			ret = config_check_health(&doc, config, err);
		if (ret == 0)
			ret = config_check(&doc, config, err);
		if (ret == 0)
			ret = config_check_pools(&doc, config, err);
		if (ret == 0)
			ret = config_check_quic(&doc, config, err);
		if (ret == 0)
			ret = config_find_users(&doc, config, err);
		if (ret == 0)
			ret = config_read_keys(config, err);
		if (ret == 0)
			ret = config_read_tls(&doc, config, err);
		if (ret == 0)
			ret = config_warn(&doc, config);
	}
	if (ret == -ENOMEM)
		err_set(err, ENOMEM, "%.255s: out of memory", file);
	schema_clear(&schema_file, &doc);
	if (ret < 0) {
		config_free(config);
		return ret;
	}
	*ret_config = config;
	return 0;
}

/* What a stream holds, at most FILE_MAX + 1 bytes. */
static int read_all(FILE *stream, char **ret_text, size_t *ret_len)
{
	size_t room = 65536, len = 0;
	char *text = NULL, *more;

	for (;;) {
		more = realloc(text, room);
		if (!more) {
			free(text);
			return -ENOMEM;
		}
		text = more;
		errno = 0;
		len += fread(text + len, 1, room - len, stream);
		if (ferror(stream)) {
			int errnum = errno ? errno : EIO;

			free(text);
			return -errnum;
		}
		if (len < room || len > FILE_MAX)
			break;
		room *= 2;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* A stream of a regular file; another kind could make the daemon wait for whoever writes it. */
static int open_regular(const char *file, FILE **ret_stream, struct err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_errno(err, errno, "open %.255s", file);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, EINVAL, "open %.255s: expected a regular file", file);
	}
	*ret_stream = fdopen(fd, "r");
	if (*ret_stream)
		return 0;
	close(fd);
	return err_errno(err, ENOMEM, "open %.255s", file);
}

int config_load(const char *file, struct config **ret_config, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = NULL;
	int ret = open_regular(file, &stream, err);

	if (!stream)
		return ret;
	ret = read_all(stream, &text, &len);
	if (ret < 0)
		err_errno(err, -ret, "read %.255s", file);
	(void)fclose(stream); /* only read from: nothing can be lost */
	if (ret < 0)
		return ret;
	ret = config_parse(file, text, len, ret_config, err);
	free(text);
	return ret;
}

static uint64_t power_of_two(uint32_t at_least)
{
	uint64_t power = 1;

	while (power < at_least)
		power *= 2;
	return power;
}

uint64_t config_memory_bytes(const struct config *config, unsigned int n_cpus)
{
	const struct capacity *capacity = &config->capacity;
	uint64_t vip_hash = sizeof(struct vip_key) + sizeof(uint32_t) + HASH_ELEMENT_OVERHEAD;
	uint64_t addr_hash = sizeof(struct vip_addr_key) + sizeof(struct vip_addr) +
			     HASH_ELEMENT_OVERHEAD;
	uint64_t bytes = sizeof(struct control);

	bytes += (uint64_t)sizing_flow_buckets(capacity->flows) * sizeof(struct flow_bucket);
	bytes += (uint64_t)capacity->members * sizeof(struct member);
	bytes += (uint64_t)capacity->members * sizeof(struct member_stats) * n_cpus;
	bytes += (uint64_t)capacity->members * sizeof(struct member_load);
	bytes += (uint64_t)capacity->vips * sizeof(uint64_t) * n_cpus; /* turns */
	bytes += (uint64_t)AFFINITY_BUCKETS * sizeof(struct affinity_bucket);
	bytes += sizeof(struct vip_filter) + VIP_INDEX_PLACES * sizeof(struct vip_index);
	bytes += (uint64_t)FRAGMENTS *
		 (sizeof(struct fragment_key) + sizeof(struct fragment) + HASH_ELEMENT_OVERHEAD);
	bytes += (uint64_t)capacity->vips * (sizeof(struct vip_state) + addr_hash);
	bytes += (uint64_t)sizing_vip_keys(capacity->vips) * vip_hash;
	bytes += (uint64_t)sizing_ring_blocks(capacity->ring_slots) * sizeof(union ring_block);
	bytes += HASH_BUCKET * power_of_two(capacity->vips * QUIC_UNROUTABLE);
	bytes += HASH_BUCKET * power_of_two(capacity->members);
	bytes += XDPLB_MAX_INTERFACES * sizeof(struct out_interface);
	bytes += (sizeof(struct stats) + sizeof(struct reply_limit) + sizeof(struct syn_window)) *
		 n_cpus;
	return bytes;
}
