/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow-hash key file: see hash_key.h. */
#include "hash_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES  sizeof(struct flow_hash_key)
#define KEY_DIGITS (2 * KEY_BYTES)

static int parse_digits(const char *text, size_t len, uint8_t *bytes)
{
	if (len < KEY_DIGITS || (len > KEY_DIGITS && text[KEY_DIGITS] != '\n') ||
	    len > KEY_DIGITS + 1)
		return -EINVAL;
	for (size_t i = 0; i < KEY_BYTES; i++) {
		unsigned int value;

		if (strspn(text + 2 * i, "0123456789abcdefABCDEF") < 2 ||
		    sscanf(text + 2 * i, "%2x", &value) != 1)
			return -EINVAL;
		bytes[i] = value;
	}
	return 0;
}

static int read_key(const char *path, struct flow_hash_key *ret_key, struct err *err)
{
	char text[KEY_DIGITS + 8] = {0};
	struct stat st;
	/* Nobody is waited for who would write it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_errno(err, errno, "open %s", path);
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0 || fstat(fd, &st)) {
		close(fd);
		return err_errno(err, errno, "read %s", path);
	}
	close(fd);
	if (st.st_mode & 077)
		return err_set(err, EPERM, "%s: mode %04o lets others read the secret: chmod 600",
			       path, st.st_mode & 07777);
	if (parse_digits(text, len, (uint8_t *)ret_key))
		return err_set(err, EINVAL, "%s: expected %zu hexadecimal digits", path,
			       KEY_DIGITS);
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);

	if (n < 0)
		return -errno;
	return (size_t)n == len && !fsync(fd) ? 0 : -EIO;
}

static int write_key(const char *path, const struct flow_hash_key *key, struct err *err)
{
	char text[KEY_DIGITS + 2];
	char fresh[520];
	int fd, r;

	for (size_t i = 0; i < KEY_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)key)[i]);
	text[KEY_DIGITS] = '\n';
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "create %s", fresh);
	r = write_all(fd, text, KEY_DIGITS + 1);
	close(fd);
	if (!r && rename(fresh, path))
		r = -errno;
	return r ? err_errno(err, -r, "write %s", path) : 0;
}

int hash_key_load(const char *state_dir, struct flow_hash_key *ret_key, struct err *err)
{
	struct flow_hash_key key;
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/flow-hash.key", state_dir);
	r = read_key(path, &key, err);
	if (r == -ENOENT) {
		if (getrandom(&key, sizeof(key), 0) != sizeof(key))
			return err_errno(err, errno, "getrandom");
		r = write_key(path, &key, err);
	}
	if (!r)
		*ret_key = key;
	return r;
}

uint64_t hash_key_fingerprint(const struct flow_hash_key *key)
{
	/* The hash of a fixed tuple: one 64-bit word of output of a 512-bit secret. */
	struct flow_tuple tuple = {.family = FAMILY_V6};

	return flow_hash(&tuple, key);
}
