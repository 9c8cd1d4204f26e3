/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TLS for checks by libcurl: see check_tls.h. */
#include "check_tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/tls_files.h"

#define CHAIN_MAX 16
#define URL_MAX	  (sizeof("https://:65535/") + 256)

/* ---- Is it who it should be ------------------------------------------------------------------ */

/* Of several faults the one that has to be mended first. */
static const struct {
	unsigned int status;
	const char *text;
} faults[] = {
	{GNUTLS_CERT_REVOKED, "certificate is revoked"},
	{GNUTLS_CERT_EXPIRED, "certificate has expired"},
	{GNUTLS_CERT_NOT_ACTIVATED, "certificate is not valid yet"},
	{GNUTLS_CERT_SIGNER_NOT_CA, "certificate is issued by one that is no CA"},
	{GNUTLS_CERT_SIGNER_NOT_FOUND, "certificate is issued by a CA that is not trusted"},
	{GNUTLS_CERT_UNEXPECTED_OWNER, "name mismatch"},
	{GNUTLS_CERT_PURPOSE_MISMATCH, "certificate is not one for a server"},
	{GNUTLS_CERT_INSECURE_ALGORITHM, "certificate is signed with an insecure algorithm"},
};

static void explain_fault(struct curl_check *check, unsigned int status, bool is_self_signed)
{
	const char *sni = check->request.spec->sni;
	const char *text = "certificate is not valid";
	char address[ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (!(status & faults[i].status))
			continue;
		text = faults[i].text;
		if (faults[i].status == GNUTLS_CERT_SIGNER_NOT_FOUND && is_self_signed)
			text = "certificate is self-signed and not trusted";
		if (faults[i].status == GNUTLS_CERT_UNEXPECTED_OWNER) {
			snprintf(check->tls_text, sizeof(check->tls_text),
				 "tls: name mismatch: certificate is not for %.60s",
				 sni ? sni : addr_format(&check->request.address, address));
			return;
		}
		break;
	}
	snprintf(check->tls_text, sizeof(check->tls_text), "tls: %s", text);
}

static void verify_chain(struct curl_check *check, gnutls_x509_crt_t *chain, unsigned int n)
{
	const struct health_spec *spec = check->request.spec;
	struct ip_addr address = check->request.address;
	bool is_v4 = addr_is_v4(&address);
	gnutls_typed_vdata_st wanted[] = {
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)spec->sni},
		{.type = GNUTLS_DT_KEY_PURPOSE_OID,
		 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER},
	};
	unsigned int status = 0;
	int r;

	if (!spec->sni)
		wanted[0] = (gnutls_typed_vdata_st){
			.type = GNUTLS_DT_IP_ADDRESS,
			.data = is_v4 ? (unsigned char *)&address.w[3] : address.b,
			.size = is_v4 ? 4 : 16,
		};
	r = gnutls_x509_trust_list_verify_crt2(tls_files_trust(spec->tls_files), chain, n, wanted,
					       2, 0, &status, NULL);
	if (r < 0)
		snprintf(check->tls_text, sizeof(check->tls_text),
			 "tls: certificate cannot be verified: %.60s", gnutls_strerror(r));
	else if (status)
		explain_fault(check, status, gnutls_x509_crt_check_issuer(chain[0], chain[0]));
}

static void verify_peer(struct curl_check *check, gnutls_session_t session)
{
	gnutls_x509_crt_t chain[CHAIN_MAX];
	unsigned int n_sent = 0, n = 0;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(session, &n_sent);
	int r = 0;

	for (; sent && n < n_sent && n < CHAIN_MAX && r >= 0; n += r >= 0) {
		r = gnutls_x509_crt_init(&chain[n]);
		if (r < 0)
			break;
		r = gnutls_x509_crt_import(chain[n], &sent[n], GNUTLS_X509_FMT_DER);
		if (r < 0)
			gnutls_x509_crt_deinit(chain[n]);
	}
	if (r < 0 || !n)
		snprintf(check->tls_text, sizeof(check->tls_text),
			 "tls: certificate cannot be read: %.60s",
			 r < 0 ? gnutls_strerror(r) : "there is none");
	else
		verify_chain(check, chain, n);
	while (n)
		gnutls_x509_crt_deinit(chain[--n]);
}

/* libcurl calls this when the connection is ready and nothing has been asked yet. */
static int on_ready(void *user, char *ip, char *local_ip, int port, int local_port)
{
	struct curl_tlssessioninfo *info = NULL;
	struct curl_check *check = user;

	if (curl_easy_getinfo(check->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info ||
	    info->backend != CURLSSLBACKEND_GNUTLS || !info->internals)
		snprintf(check->tls_text, sizeof(check->tls_text),
			 "tls: certificate cannot be verified: libcurl is not one with GnuTLS");
	else
		verify_peer(check, info->internals);
	return check->tls_text[0] ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

/* The name goes into the URL, where libcurl takes SNI from; the connection goes to the address. */
static bool set_target(struct curl_check *check)
{
	const char *sni = check->request.spec->sni;
	char address[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX + 2], url[URL_MAX];

	addr_format_port(&check->request.address, check->request.port, address);
	snprintf(to, sizeof(to), "::%s", address);
	if (sni)
		snprintf(url, sizeof(url), "https://%.255s:%u/", sni, check->request.port);
	else
		snprintf(url, sizeof(url), "https://%s/", address);
	check->connect_to = curl_slist_append(NULL, to);
	return check->connect_to &&
	       curl_easy_setopt(check->easy, CURLOPT_CONNECT_TO, check->connect_to) == CURLE_OK &&
	       curl_easy_setopt(check->easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(check->easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK;
}

static bool set_client_certificate(struct curl_check *check)
{
	const char *cert = tls_files_path(check->request.spec->tls_files, TLS_FILE_CERT);
	const char *key = tls_files_path(check->request.spec->tls_files, TLS_FILE_KEY);

	return !cert || (curl_easy_setopt(check->easy, CURLOPT_SSLCERT, cert) == CURLE_OK &&
			 curl_easy_setopt(check->easy, CURLOPT_SSLKEY, key) == CURLE_OK);
}

bool check_tls_setup(struct curl_check *check)
{
	const struct health_spec *spec = check->request.spec;
	CURL *easy = check->easy;

	check->is_tls = true;
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* Every probe sees the certificate as it is now. */
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, check->error);
	if (spec->is_verified) {
		curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
		curl_easy_setopt(easy, CURLOPT_PREREQDATA, check);
	}
	return set_target(check) && (!spec->tls_files || set_client_certificate(check));
}

/* ---- What went wrong ------------------------------------------------------------------------- */

/* libcurl's text without what says who it is. */
static const char *reason_of(const struct curl_check *check)
{
	static const char *const openings[] = {"GnuTLS, handshake failed: ",
					       "gnutls_handshake() failed: "};

	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		if (strncmp(check->error, openings[i], strlen(openings[i])) == 0)
			return check->error + strlen(openings[i]);
	}
	return check->error[0] ? check->error : "no reason given";
}

bool check_tls_judge(const struct curl_check *check, CURLcode code, char *text,
		     enum check_outcome *ret_outcome)
{
	curl_off_t ready_us = 0;

	if (!check->is_tls)
		return false;
	curl_easy_getinfo(check->easy, CURLINFO_APPCONNECT_TIME_T, &ready_us);
	*ret_outcome = CHECK_FAILED;
	if (check->tls_text[0]) {
		snprintf(text, CHECK_TEXT_MAX, "%s", check->tls_text);
	} else if (code == CURLE_SSL_CONNECT_ERROR) {
		snprintf(text, CHECK_TEXT_MAX, "tls: handshake failed: %.90s", reason_of(check));
	} else if (code == CURLE_SSL_CERTPROBLEM) {
		snprintf(text, CHECK_TEXT_MAX, "client certificate: %.90s", reason_of(check));
		*ret_outcome = CHECK_NOT_MADE;
	} else if (code == CURLE_OPERATION_TIMEDOUT && check->is_connected && !ready_us) {
		snprintf(text, CHECK_TEXT_MAX, "tls_timeout");
	} else {
		return false;
	}
	return true;
}
