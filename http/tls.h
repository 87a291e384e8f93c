/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS: the certificate and key that a server shows, which may change while it runs.
 *
 * A connection that began with the old ones goes on with them; each handshake takes what is in
 * force then. Any thread, but tls_open and tls_close. */
#ifndef UPLIFT_HTTP_TLS_H
#define UPLIFT_HTTP_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include <gnutls/abstract.h>

#include "core/error.h"

struct tls;

/* TLS 1.2 and 1.3, with forward secrecy and authenticated ciphers only. */
#define TLS_PRIORITIES                                                                             \
    "SECURE128:%SERVER_PRECEDENCE:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:"       \
    "+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD"

/* Reads both files, which are PEM: the certificate with those between it and the authority behind
 * it, and its key without a password. Refuses what cannot be read, a key of another certificate,
 * and a certificate whose time is over or has not begun. The names are borrowed. One at a time in a
 * process: libmicrohttpd gives tls_retrieve nothing to find it by. */
struct tls *tls_open(const char *certificate, const char *key, struct error *err);
/* Reads the files again. False with *err: all is as before. */
bool tls_reload(struct tls *tls, struct error *err);
/* After the last connection. */
void tls_close(struct tls **tls);
/* When the certificate in force ends, seconds since 1970. */
int64_t tls_ends(const struct tls *tls);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK2. */
int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                 gnutls_pcert_st **certificates, unsigned *count, gnutls_ocsp_data_st **ocsp,
                 unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags);

#endif
