/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An identity is what both files say at one time. GnuTLS reads it without a copy during a
 * handshake, of which nobody tells the end; so one that is replaced stays until the server ends:
 * some kilobytes a reload. */
#include "http/tls.h"

#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHAIN_MAX = 16, FILE_MAX = 1 << 20 };

struct identity {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    int64_t ends;
    struct identity *older;
};

struct tls {
    const char *certificate, *key;     /* set at start */
    _Atomic(struct identity *) inside; /* in force; those before hang on it */
};

static _Atomic(struct tls *) shown; /* of this process; see tls_open */

static void identity_free(struct identity *identity)
{
    for (unsigned i = 0; i < identity->count; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
    if (identity->key)
        gnutls_privkey_deinit(identity->key);
    free(identity);
}

/* The whole file, for gnutls_free; a key is not left in the memory of a stream. */
static bool read_file(const char *name, gnutls_datum_t *out, struct error *err)
{
    FILE *file = fopen(name, "re");
    if (!file)
        return error_set_errno(err, ERROR_IO, name, "cannot be opened");
    setvbuf(file, NULL, _IONBF, 0);
    out->data = gnutls_malloc(FILE_MAX);
    if (!out->data)
        error_fatal("out of memory for a certificate");
    size_t len = fread(out->data, 1, FILE_MAX, file);
    bool whole = !ferror(file) && len < FILE_MAX;
    if (!whole)
        error_set_errno(err, ERROR_IO, name, "cannot be read");
    fclose(file);
    out->size = (unsigned)len;
    return whole;
}

static void forget(gnutls_datum_t *datum)
{
    if (datum->data)
        gnutls_memset(datum->data, 0, datum->size);
    gnutls_free(datum->data);
}

static bool check_time(const char *name, gnutls_x509_crt_t certificate, struct identity *identity,
                       struct error *err)
{
    time_t now = time(NULL), ends = gnutls_x509_crt_get_expiration_time(certificate);
    char day[32];
    struct tm parts;
    identity->ends = (int64_t)ends;
    if (ends >= now && gnutls_x509_crt_get_activation_time(certificate) <= now)
        return true;
    if (ends >= now)
        return error_set(err, ERROR_INVALID, name, "the certificate's time has not begun");
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&ends, &parts));
    return error_set(err, ERROR_INVALID, name, "the certificate's time was over on %s", day);
}

static bool same_key(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
    unsigned char one[64], other[64];
    size_t one_len = sizeof one, other_len = sizeof other;
    return gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, one, &one_len) == 0 &&
           gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, other, &other_len) == 0 &&
           one_len == other_len && memcmp(one, other, one_len) == 0;
}

/* Takes over the key. */
static bool set_key(const char *name, gnutls_x509_privkey_t key, struct identity *identity,
                    struct error *err)
{
    if (gnutls_privkey_init(&identity->key) != 0 ||
        gnutls_privkey_import_x509(identity->key, key, GNUTLS_PRIVKEY_IMPORT_COPY) != 0)
        return error_set(err, ERROR_INVALID, name, "the key cannot be used");
    return true;
}

static bool read_key(const struct tls *tls, const gnutls_datum_t *text,
                     gnutls_x509_crt_t certificate, struct identity *identity, struct error *err)
{
    gnutls_x509_privkey_t key;
    if (gnutls_x509_privkey_init(&key) != 0)
        error_fatal("out of memory for a key");
    int code = gnutls_x509_privkey_import2(key, text, GNUTLS_X509_FMT_PEM, NULL, 0);
    bool ok = false;
    if (code == GNUTLS_E_DECRYPTION_FAILED)
        error_set(err, ERROR_INVALID, tls->key, "the key has a password, which nobody can give");
    else if (code != 0)
        error_set(err, ERROR_INVALID, tls->key, "is no private key in PEM: %s",
                  gnutls_strerror(code));
    else if (!same_key(certificate, key))
        error_set(err, ERROR_INVALID, tls->key, "is not the key of the certificate in %s",
                  tls->certificate);
    else
        ok = set_key(tls->key, key, identity, err);
    gnutls_x509_privkey_deinit(key);
    return ok;
}

/* The chain is put in order by GnuTLS, the server's own first. */
static bool read_chain(const struct tls *tls, const gnutls_datum_t *text,
                       const gnutls_datum_t *key_text, struct identity *identity, struct error *err)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0, taken;
    int code = gnutls_x509_crt_list_import2(&list, &count, text, GNUTLS_X509_FMT_PEM,
                                            GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0)
        return error_set(err, ERROR_INVALID, tls->certificate, "is no certificate in PEM: %s",
                         gnutls_strerror(code));
    taken = count;
    bool ok = count > 0 && count <= CHAIN_MAX;
    if (!ok)
        error_set(err, ERROR_INVALID, tls->certificate, "must hold 1 to %d certificates",
                  CHAIN_MAX);
    ok = ok && check_time(tls->certificate, list[0], identity, err) &&
         read_key(tls, key_text, list[0], identity, err);
    if (ok) {
        code =
            gnutls_pcert_import_x509_list(identity->chain, list, &taken, GNUTLS_X509_CRT_LIST_SORT);
        ok = code == 0 ||
             error_set(err, ERROR_INVALID, tls->certificate, "%s", gnutls_strerror(code));
        identity->count = ok ? taken : 0;
    }
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return ok;
}

bool tls_reload(struct tls *tls, struct error *err)
{
    gnutls_datum_t chain = {0}, key = {0};
    struct identity *identity = xcalloc(1, sizeof *identity);
    bool ok = read_file(tls->certificate, &chain, err) && read_file(tls->key, &key, err) &&
              read_chain(tls, &chain, &key, identity, err);
    gnutls_free(chain.data);
    forget(&key);
    if (!ok) {
        identity_free(identity);
        return false;
    }
    identity->older = atomic_load(&tls->inside);
    atomic_store(&tls->inside, identity);
    return true;
}

struct tls *tls_open(const char *certificate, const char *key, struct error *err)
{
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->certificate = certificate;
    tls->key = key;
    must(atomic_load(&shown) == NULL);
    if (!tls_reload(tls, err)) {
        free(tls);
        return NULL;
    }
    atomic_store(&shown, tls);
    return tls;
}

void tls_close(struct tls **tls)
{
    if (!*tls)
        return;
    atomic_store(&shown, NULL);
    for (struct identity *identity = atomic_load(&(*tls)->inside), *older; identity;
         identity = older) {
        older = identity->older;
        identity_free(identity);
    }
    free(*tls);
    *tls = NULL;
}

int64_t tls_ends(const struct tls *tls)
{
    return atomic_load(&tls->inside)->ends;
}

int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                 gnutls_pcert_st **certificates, unsigned *count, gnutls_ocsp_data_st **ocsp,
                 unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session;
    (void)info;
    (void)flags;
    struct tls *tls = atomic_load(&shown);
    if (!tls)
        return -1;
    struct identity *identity = atomic_load(&tls->inside);
    *certificates = identity->chain;
    *count = identity->count;
    *ocsp = NULL;
    *ocsp_count = 0;
    *key = identity->key;
    return 0;
}
