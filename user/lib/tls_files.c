/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Files of TLS probes: see tls_files.h. */
#include "tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENT_MAX   (4 << 20)
#define DIGEST_SIZE   32 /* SHA-256 */
#define PATH_TEXT_MAX 32

struct content {
	char *path; /* as configured; NULL: none */
	uint8_t digest[DIGEST_SIZE];
	int fd; /* a copy in memory for libraries that take paths only; -1: none */
	char fd_path[PATH_TEXT_MAX];
};

struct tls_files {
	unsigned int users;
	struct content contents[TLS_FILES];
	gnutls_x509_trust_list_t trust;
};

static void wipe(gnutls_datum_t *data)
{
	if (data->data)
		explicit_bzero(data->data, data->size);
	free(data->data);
	*data = (gnutls_datum_t){};
}

/* A regular file only: another kind could make the daemon wait for whoever writes it. */
static int read_regular(const char *path, gnutls_datum_t *ret_data, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	gnutls_datum_t data = {};
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_errno(err, errno, "open %.255s", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > CONTENT_MAX) {
		close(fd);
		return err_set(err, EINVAL, "%.255s: expected a regular file of at most 4 MiB",
			       path);
	}
	data.data = malloc((size_t)st.st_size + 1);
	n = data.data ? read(fd, data.data, (size_t)st.st_size) : -1;
	if (n < 0) {
		err_errno(err, data.data ? errno : ENOMEM, "read %.255s", path);
		free(data.data);
		close(fd);
		return -EIO;
	}
	close(fd);
	data.size = (unsigned int)n;
	*ret_data = data;
	return 0;
}

static int keep(struct content *content, const char *path, const gnutls_datum_t *data)
{
	content->path = strdup(path);
	if (!content->path)
		return -ENOMEM;
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, data->data, data->size, content->digest)
		       ? -EINVAL
		       : 0;
}

/* libcurl with GnuTLS takes a client certificate by its path only. */
static int keep_copy(struct content *content, const gnutls_datum_t *data, struct err *err)
{
	content->fd = memfd_create("xdplb-tls", MFD_CLOEXEC);
	if (content->fd < 0 || write(content->fd, data->data, data->size) != (ssize_t)data->size)
		return err_errno(err, errno ? errno : EIO, "copy of %.255s", content->path);
	snprintf(content->fd_path, sizeof(content->fd_path), "/proc/self/fd/%d", content->fd);
	return 0;
}

static int trust(struct tls_files *files, const gnutls_datum_t *data, const char *path,
		 struct err *err)
{
	int n;

	if (gnutls_x509_trust_list_init(&files->trust, 0) < 0) {
		files->trust = NULL;
		return err_errno(err, ENOMEM, "%.255s", path);
	}
	n = gnutls_x509_trust_list_add_trust_mem(files->trust, data, NULL, GNUTLS_X509_FMT_PEM, 0,
						 0);
	if (n > 0)
		return 0;
	return err_set(err, EINVAL, "%.255s: expected certificates in PEM: %s", path,
		       n < 0 ? gnutls_strerror(n) : "there is none");
}

/* Both are read and belong together. */
static int check_pair(const gnutls_datum_t *cert, const gnutls_datum_t *key,
		      enum tls_file *ret_blamed, struct err *err)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_crt_t *list = NULL;
	unsigned int n = 0;
	int r;

	r = gnutls_x509_crt_list_import2(&list, &n, cert, GNUTLS_X509_FMT_PEM, 0);
	for (unsigned int i = 0; r >= 0 && i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	*ret_blamed = r < 0 ? TLS_FILE_CERT : TLS_FILE_KEY;
	if (r < 0)
		return err_set(err, EINVAL, "expected a certificate in PEM: %s",
			       gnutls_strerror(r));
	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return err_errno(err, ENOMEM, "certificate");
	r = gnutls_certificate_set_x509_key_mem(credentials, cert, key, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(credentials);
	return r < 0 ? err_set(err, EINVAL, "expected the certificate's private key in PEM: %s",
			       gnutls_strerror(r))
		     : 0;
}

static int take_file(struct tls_files *files, enum tls_file file, const char *path,
		     gnutls_datum_t *data, struct err *err)
{
	struct content *content = &files->contents[file];
	int r = read_regular(path, data, err);

	if (r < 0)
		return r;
	r = keep(content, path, data);
	if (r < 0)
		return err_errno(err, -r, "%.255s", path);
	return file == TLS_FILE_CA ? trust(files, data, path, err) : keep_copy(content, data, err);
}

static int take_files(struct tls_files *files, const char *const paths[TLS_FILES],
		      enum tls_file *ret_blamed, struct err *err)
{
	gnutls_datum_t data[TLS_FILES] = {};
	int r = 0;

	for (int file = 0; file < TLS_FILES && !r; file++) {
		*ret_blamed = file;
		if (paths[file])
			r = take_file(files, file, paths[file], &data[file], err);
	}
	if (!r && paths[TLS_FILE_CERT]) {
		r = check_pair(&data[TLS_FILE_CERT], &data[TLS_FILE_KEY], ret_blamed, err);
		if (r)
			err_prefix(err, "%.255s", paths[*ret_blamed]);
	}
	for (int file = 0; file < TLS_FILES; file++)
		wipe(&data[file]);
	return r;
}

int tls_files_load(struct tls_files **ret_files, const char *const paths[TLS_FILES],
		   enum tls_file *ret_blamed, struct err *err)
{
	struct tls_files *files = calloc(1, sizeof(*files));
	int r;

	if (!files)
		return err_errno(err, ENOMEM, "files of TLS");
	files->users = 1;
	for (int file = 0; file < TLS_FILES; file++)
		files->contents[file].fd = -1;
	r = take_files(files, paths, ret_blamed, err);
	if (r < 0) {
		tls_files_unref(files);
		return r;
	}
	*ret_files = files;
	return 0;
}

struct tls_files *tls_files_ref(struct tls_files *files)
{
	if (files)
		files->users++;
	return files;
}

void tls_files_unref(struct tls_files *files)
{
	if (!files || --files->users)
		return;
	for (int file = 0; file < TLS_FILES; file++) {
		if (files->contents[file].fd >= 0)
			close(files->contents[file].fd);
		free(files->contents[file].path);
	}
	if (files->trust)
		gnutls_x509_trust_list_deinit(files->trust, 1);
	free(files);
}

static bool path_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool tls_files_equal(const struct tls_files *a, const struct tls_files *b)
{
	if (!a || !b)
		return a == b;
	for (int file = 0; file < TLS_FILES; file++) {
		if (!path_equal(a->contents[file].path, b->contents[file].path) ||
		    memcmp(a->contents[file].digest, b->contents[file].digest, DIGEST_SIZE) != 0)
			return false;
	}
	return true;
}

bool tls_files_have_paths(const struct tls_files *files, const char *const paths[TLS_FILES])
{
	for (int file = 0; file < TLS_FILES; file++) {
		if (!path_equal(files->contents[file].path, paths[file]))
			return false;
	}
	return true;
}

gnutls_x509_trust_list_t tls_files_trust(const struct tls_files *files)
{
	return files->trust;
}

const char *tls_files_path(const struct tls_files *files, enum tls_file file)
{
	return files->contents[file].fd < 0 ? NULL : files->contents[file].fd_path;
}
