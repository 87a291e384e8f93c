/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BLAKE2b of another length is another function, so that id, mark and check, which have one key,
 * tell nothing of each other. */
#include "core/pseudonym.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ledger.h"

enum { KEY = 32, HASH = 16, MARK = 8, MARK_HASH = 32, CHECK = 16, CHECK_HASH = 64 };
#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

struct pseudonym {
    unsigned char key[KEY];
};

/* --- the file ------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *bytes, size_t len)
{
    ssize_t written = write(fd, bytes, len);
    return written == (ssize_t)len && fsync(fd) == 0;
}

/* The file's name is on disk as well, before the store remembers the key. */
static bool sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = xcalloc(len + 2, 1);
    memcpy(folder, len ? path : ".", len ? len : 1);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    free(folder);
    return ok;
}

static bool make_key(const char *path, struct error *err)
{
    unsigned char key[KEY];
    char text[2 * KEY + 1];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, path, "cannot be made");
    randombytes_buf(key, sizeof key);
    sodium_bin2hex(text, sizeof text, key, sizeof key);
    text[2 * KEY] = '\n';
    bool ok = (write_all(fd, text, sizeof text) && sync_folder(path)) ||
              error_set_errno(err, ERROR_IO, path, "cannot be written");
    close(fd);
    if (!ok)
        unlink(path);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return ok;
}

static bool read_key(int fd, const char *path, unsigned char key[KEY], struct error *err)
{
    struct stat status;
    char text[2 * KEY + 3];
    size_t len = 0;
    if (fstat(fd, &status) != 0)
        return error_set_errno(err, ERROR_IO, path, "cannot be read");
    if (status.st_mode & 077)
        return error_set(err, ERROR_INVALID, path,
                         "may be read or written by others than its owner: chmod 600");
    ssize_t got = read(fd, text, sizeof text);
    while (got > 0 && (text[got - 1] == '\n' || text[got - 1] == '\r'))
        got--;
    bool ok = got == 2 * KEY && sodium_hex2bin(key, KEY, text, 2 * KEY, NULL, &len, NULL) == 0 &&
              len == KEY;
    sodium_memzero(text, sizeof text);
    return ok ||
           error_set(err, ERROR_INVALID, path, "must hold a key: %d hexadecimal digits", 2 * KEY);
}

static struct pseudonym *load(const char *path, bool make, struct error *err)
{
    if (make && access(path, F_OK) != 0 && !make_key(path, err))
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno == ENOENT ? ERROR_INVALID : ERROR_IO, path, "cannot be read");
        return NULL;
    }
    struct pseudonym *pseudonym = xcalloc(1, sizeof *pseudonym);
    if (!read_key(fd, path, pseudonym->key, err))
        pseudonym_close(&pseudonym);
    close(fd);
    return pseudonym;
}

void pseudonym_close(struct pseudonym **pseudonym)
{
    if (*pseudonym)
        sodium_memzero(*pseudonym, sizeof **pseudonym);
    free(*pseudonym);
    *pseudonym = NULL;
}

/* --- pseudonyms ----------------------------------------------------------------------------- */

static void mark_of(const struct pseudonym *pseudonym, const unsigned char hash[HASH],
                    unsigned char mark[MARK])
{
    unsigned char whole[MARK_HASH];
    crypto_generichash(whole, sizeof whole, hash, HASH, pseudonym->key, KEY);
    memcpy(mark, whole, MARK);
}

static bool is_pseudonym(const struct pseudonym *pseudonym, struct slice id)
{
    unsigned char bytes[HASH + MARK], mark[MARK];
    size_t len = 0;
    if (id.len != PSEUDONYM_LENGTH ||
        sodium_base642bin(bytes, sizeof bytes, id.ptr, id.len, NULL, &len, NULL, BASE64) != 0 ||
        len != sizeof bytes)
        return false;
    mark_of(pseudonym, bytes, mark);
    return sodium_memcmp(mark, bytes + HASH, MARK) == 0;
}

struct slice pseudonym_of(const struct pseudonym *pseudonym, struct slice id,
                          char room[PSEUDONYM_LENGTH + 1])
{
    unsigned char bytes[HASH + MARK];
    if (!pseudonym || is_pseudonym(pseudonym, id))
        return id;
    crypto_generichash(bytes, HASH, (const unsigned char *)id.ptr, id.len, pseudonym->key, KEY);
    mark_of(pseudonym, bytes, bytes + HASH);
    sodium_bin2base64(room, PSEUDONYM_LENGTH + 1, bytes, sizeof bytes, BASE64);
    return (struct slice){room, PSEUDONYM_LENGTH};
}

/* --- the store ------------------------------------------------------------------------------ */

static const char check_name[] = "pseudonyms"; /* by which a store knows its key */

static void check_of(const struct pseudonym *pseudonym, unsigned char check[CHECK])
{
    unsigned char whole[CHECK_HASH];
    crypto_generichash(whole, sizeof whole, NULL, 0, pseudonym->key, KEY);
    memcpy(check, whole, CHECK);
}

struct known {
    bool checked, used; /* has a check value; has, or had, customers */
    unsigned char check[CHECK];
};

static bool read_known(struct store *store, struct known *known, struct error *err)
{
    struct store_txn *txn = store_read(store, err);
    struct slice value;
    if (!txn)
        return false;
    *known = (struct known){.used = ledger_last_customer(txn) > 0 ||
                                    store_count(txn, STORE_CONSENT) > 0};
    known->checked = store_get(txn, STORE_META, slice_of(check_name), &value);
    bool ok = !known->checked || value.len == CHECK ||
              error_set(err, ERROR_CORRUPT, NULL, "the check of the key of pseudonyms is damaged");
    if (known->checked && ok)
        memcpy(known->check, value.ptr, CHECK);
    ok = ok && store_healthy(txn, err);
    store_abort(&txn);
    return ok;
}

static bool remember(struct store *store, const unsigned char check[CHECK], struct error *err)
{
    struct store_txn *txn = store_write(store, err);
    if (!txn)
        return false;
    store_put(txn, STORE_META, slice_of(check_name), (struct slice){(const char *)check, CHECK});
    return store_commit(&txn, err);
}

bool pseudonym_open(struct store *store, const char *path, bool needed, struct pseudonym **out,
                    struct error *err)
{
    struct known known;
    unsigned char check[CHECK];
    *out = NULL;
    if (!read_known(store, &known, err))
        return false;
    if (!path)
        return !known.checked || !needed ||
               error_set(err, ERROR_CONFLICT, "--pseudonymise",
                         "is needed: the store holds pseudonyms, made with a key");
    if (!known.checked && known.used)
        return error_set(err, ERROR_CONFLICT, "--pseudonymise",
                         "the store holds ids as they came: only an empty one can be begun with "
                         "pseudonyms");
    *out = load(path, !known.checked, err);
    if (!*out)
        return false;
    check_of(*out, check);
    bool ok = known.checked ? sodium_memcmp(check, known.check, CHECK) == 0 ||
                                  error_set(err, ERROR_CONFLICT, path,
                                            "is not the key with which the store was begun")
                            : remember(store, check, err);
    if (!ok)
        pseudonym_close(out);
    return ok;
}
