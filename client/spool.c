/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The layout: a head of 64 bytes, then the ring. Numbers are the machine's own, since the file does
 * not travel. The head is written in one piece and after the records that it no longer names were
 * sent; it is not needed for appending. */
#include "client/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_SIZE = 64 };

static const char magic[8] = {'U', 'P', 'L', 'S', 'P', 'O', 'O', 'L'};

struct head {
    char magic[8];
    uint32_t version, number; /* of the first record */
    uint64_t size, at;        /* of the ring; where the first record begins in it */
};

struct record {
    uint32_t len, number;
    uint64_t digest;
};

struct spool {
    int file;
    size_t max, used, count;
    struct head head;
};

static uint64_t digest_of(uint32_t len, uint32_t number, const char *bytes)
{
    uint64_t parts[] = {len, number, hash64(bytes, len)};
    return hash64(parts, sizeof parts);
}

static bool write_at(int file, const void *bytes, size_t len, size_t at, struct error *err)
{
    const char *from = bytes;
    while (len > 0) {
        ssize_t n = pwrite(file, from, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, ERROR_IO, NULL, "cannot write the spill file");
        from += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* False also where the file ends before. */
static bool read_at(int file, void *bytes, size_t len, size_t at)
{
    char *to = bytes;
    while (len > 0) {
        ssize_t n = pread(file, to, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* The part of a piece before the ring begins anew. */
static size_t before_turn(const struct spool *spool, size_t at, size_t len)
{
    size_t left = spool->head.size - at;
    return len < left ? len : left;
}

static bool ring_write(struct spool *spool, size_t at, const void *bytes, size_t len,
                       struct error *err)
{
    at %= spool->head.size;
    size_t first = before_turn(spool, at, len);
    return write_at(spool->file, bytes, first, HEAD_SIZE + at, err) &&
           write_at(spool->file, (const char *)bytes + first, len - first, HEAD_SIZE, err);
}

static bool ring_read(const struct spool *spool, size_t at, void *bytes, size_t len)
{
    at %= spool->head.size;
    size_t first = before_turn(spool, at, len);
    return read_at(spool->file, bytes, first, HEAD_SIZE + at) &&
           read_at(spool->file, (char *)bytes + first, len - first, HEAD_SIZE);
}

/* The record at a place of the ring, if it is that number: its bytes (free with free()), else
 * NULL. `room`: what of the ring may be its. */
static char *record_at(const struct spool *spool, size_t at, uint32_t number, size_t room,
                       size_t *len)
{
    struct record record;
    if (room < sizeof record || !ring_read(spool, at, &record, sizeof record) ||
        record.number != number || record.len > room - sizeof record)
        return NULL;
    char *bytes = xmalloc(record.len);
    if (ring_read(spool, at + sizeof record, bytes, record.len) &&
        record.digest == digest_of(record.len, number, bytes)) {
        *len = record.len;
        return bytes;
    }
    free(bytes);
    return NULL;
}

/* Counts what an earlier process left. */
static void recover(struct spool *spool)
{
    size_t len;
    char *bytes;
    while ((bytes = record_at(spool, spool->head.at + spool->used,
                              spool->head.number + (uint32_t)spool->count,
                              spool->head.size - spool->used, &len))) {
        free(bytes);
        spool->used += sizeof(struct record) + len;
        spool->count++;
    }
}

/* An empty ring. The number goes on: what an earlier round left must not look like a record of this
 * one. */
static bool begin_anew(struct spool *spool, struct error *err)
{
    struct head head = spool->head;
    head.size = spool->max;
    head.at = 0;
    if (!write_at(spool->file, &head, sizeof head, 0, err))
        return false;
    spool->head = head;
    spool->used = 0;
    spool->count = 0;
    /* Only gives room back: where it fails nothing is wrong. */
    bool shorter = ftruncate(spool->file, HEAD_SIZE) == 0;
    (void)shorter;
    return true;
}

static bool load(struct spool *spool, struct error *err)
{
    struct stat about;
    if (fstat(spool->file, &about) != 0)
        return error_set_errno(err, ERROR_IO, NULL, "cannot look at the spill file");
    if (about.st_size == 0) {
        memcpy(spool->head.magic, magic, sizeof magic);
        spool->head.version = 1;
        return begin_anew(spool, err);
    }
    struct head head;
    if (!read_at(spool->file, &head, sizeof head, 0) ||
        memcmp(head.magic, magic, sizeof magic) != 0 || head.version != 1 ||
        head.size < SPOOL_LEAST || head.size > SIZE_MAX / 4 || head.at >= head.size)
        return error_set(err, ERROR_CORRUPT, NULL, "the spill file is of something else");
    spool->head = head;
    recover(spool);
    return spool->count > 0 || begin_anew(spool, err);
}

static int open_file(const char *path, struct error *err)
{
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                    : memfd_create("uplift-client", MFD_CLOEXEC);
    if (file < 0) {
        error_set_errno(err, ERROR_IO, NULL, "cannot open the spill file");
        return -1;
    }
    if (path && flock(file, LOCK_EX | LOCK_NB) != 0) {
        error_set(err, ERROR_BUSY, NULL, "another client uses the spill file");
        close(file);
        return -1;
    }
    return file;
}

struct spool *spool_open(const char *path, size_t max, struct error *err)
{
    int file = open_file(path, err);
    if (file < 0)
        return NULL;
    struct spool *spool = xcalloc(1, sizeof *spool);
    spool->file = file;
    spool->max = max < SPOOL_LEAST ? SPOOL_LEAST : max;
    if (!load(spool, err))
        spool_close(&spool);
    return spool;
}

void spool_close(struct spool **spool)
{
    if (*spool) {
        close((*spool)->file);
        free(*spool);
        *spool = NULL;
    }
}

size_t spool_count(const struct spool *spool)
{
    return spool->count;
}

bool spool_fits(const struct spool *spool, size_t len)
{
    return len <= spool->head.size - sizeof(struct record);
}

bool spool_append(struct spool *spool, struct slice event, struct error *err)
{
    size_t need = sizeof(struct record) + event.len;
    if (need > spool->head.size - spool->used)
        return error_set(err, ERROR_FULL, NULL, "the queue of events is full");
    uint32_t number = spool->head.number + (uint32_t)spool->count;
    struct record record = {.len = (uint32_t)event.len, .number = number};
    record.digest = digest_of(record.len, number, event.ptr);
    size_t at = spool->head.at + spool->used;
    if (!ring_write(spool, at, &record, sizeof record, err) ||
        !ring_write(spool, at + sizeof record, event.ptr, event.len, err))
        return false;
    spool->used += need;
    spool->count++;
    return true;
}

size_t spool_read(const struct spool *spool, size_t count, size_t bytes, struct text *out,
                  struct error *err)
{
    size_t taken = 0, passed = 0, len = 0;
    text_puts(out, "[");
    for (; taken < count && taken < spool->count; taken++) {
        char *event = record_at(spool, spool->head.at + passed,
                                spool->head.number + (uint32_t)taken, spool->used - passed, &len);
        bool more = event && (taken == 0 || out->len + len + 2 <= bytes);
        if (more) {
            text_puts(out, taken ? "," : "");
            text_add(out, event, len);
            passed += sizeof(struct record) + len;
        } else if (!event) {
            error_set(err, ERROR_IO, NULL, "cannot read the spill file");
        }
        free(event);
        if (!more)
            break;
    }
    text_puts(out, "]");
    return out->failed ? 0 : taken;
}

bool spool_drop(struct spool *spool, size_t count, struct error *err)
{
    must(count <= spool->count);
    struct head head = spool->head;
    size_t passed = 0;
    for (size_t i = 0; i < count; i++) {
        struct record record;
        if (!ring_read(spool, head.at + passed, &record, sizeof record))
            return error_set(err, ERROR_IO, NULL, "cannot read the spill file");
        passed += sizeof record + record.len;
        must(passed <= spool->used);
    }
    head.at = (head.at + passed) % head.size;
    head.number += (uint32_t)count;
    if (count == spool->count) {
        spool->head.number = head.number;
        return begin_anew(spool, err);
    }
    /* Their room is used again only once the head on disk no longer names it. */
    if (!write_at(spool->file, &head, sizeof head, 0, err))
        return false;
    spool->head = head;
    spool->used -= passed;
    spool->count -= count;
    return true;
}
