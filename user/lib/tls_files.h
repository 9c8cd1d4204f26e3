/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The files of a probe that speaks TLS: whom it trusts, and who it is itself. They are read once,
 * with the configuration: a file that changes or vanishes later means nothing until a reload, and
 * no probe waits for a disk. Shared and counted: many VIPs name the same files.
 */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define TLS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

enum tls_file {
	TLS_FILE_CA,
	TLS_FILE_CERT,
	TLS_FILE_KEY,
	TLS_FILES,
};

struct tls_files;

/*
 * paths: by enum tls_file. No CA: nobody is trusted, all are taken for who they say they are; no
 * certificate: we have none. Each is checked for what it must hold. -errno with the reason;
 * *ret_blamed is then the file at fault.
 */
int tls_files_load(struct tls_files **ret_files, const char *const paths[TLS_FILES],
		   enum tls_file *ret_blamed, struct err *err);
struct tls_files *tls_files_ref(struct tls_files *files);
void tls_files_unref(struct tls_files *files); /* NULL-safe */

/* Whether both were loaded from the same paths with the same contents; NULL equals NULL. */
bool tls_files_equal(const struct tls_files *a, const struct tls_files *b);
bool tls_files_have_paths(const struct tls_files *files, const char *const paths[TLS_FILES]);

/* NULL: there is no CA. */
gnutls_x509_trust_list_t tls_files_trust(const struct tls_files *files);
/* A path of this process that always reads as the file did when loaded; NULL: there is none. */
const char *tls_files_path(const struct tls_files *files, enum tls_file file);
