/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Over zlib's gzFile, which reads plain files as they are. */
#include "core/packed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };

gzFile packed_open(const char *path, int64_t *size, struct error *err)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0) {
        error_set_errno(err, ERROR_IO, path, "cannot open the file");
        return NULL;
    }
    bool known = fstat(fd, &info) == 0;
    gzFile file = known && S_ISDIR(info.st_mode) ? NULL : gzdopen(fd, "rb");
    if (!file) {
        close(fd);
        error_set(err, ERROR_IO, path,
                  known && S_ISDIR(info.st_mode) ? "is a folder" : "cannot be read");
        return NULL;
    }
    *size = known && S_ISREG(info.st_mode) ? info.st_size : 0;
    gzbuffer(file, 1 << 17);
    return file;
}

double packed_progress(gzFile file, int64_t size)
{
    return size > 0 ? (double)gzoffset(file) / (double)size : 0;
}

bool packed_lines_open(struct packed_lines *lines, const char *path, struct error *err)
{
    *lines = (struct packed_lines){.file = NULL};
    lines->file = packed_open(path, &lines->size, err);
    lines->room = CHUNK;
    lines->buffer = xmalloc(lines->room);
    return lines->file != NULL;
}

void packed_lines_close(struct packed_lines *lines)
{
    if (lines->file)
        gzclose(lines->file);
    free(lines->buffer);
    *lines = (struct packed_lines){.file = NULL};
}

/* Reads more behind what is there. False at the end. */
static bool read_more(struct packed_lines *lines)
{
    size_t len = lines->until - lines->at;
    memmove(lines->buffer, lines->buffer + lines->at, len);
    lines->at = 0;
    lines->until = len;
    if (lines->room - len < CHUNK)
        lines->buffer = xrealloc(lines->buffer, lines->room = 2 * lines->room + CHUNK);
    int got = gzread(lines->file, lines->buffer + len, CHUNK);
    lines->until += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static bool give(struct packed_lines *lines, size_t len, size_t ending, struct slice *line)
{
    *line = (struct slice){lines->buffer + lines->at, len};
    lines->at += len + ending;
    lines->number++;
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

bool packed_failed(gzFile file, uint64_t line, struct error *err)
{
    int code = Z_OK;
    const char *words = gzerror(file, &code), *behind = strstr(words, ": ");
    if (code == Z_OK || code == Z_STREAM_END)
        return false;
    error_set(err, ERROR_IO, NULL, "cannot read on behind line %llu: %s", (unsigned long long)line,
              behind ? behind + 2 : words); /* before it zlib names the descriptor */
    return true;
}

bool packed_lines_next(struct packed_lines *lines, size_t most, struct slice *line,
                       struct error *err)
{
    size_t searched = 0;
    for (;;) {
        const char *from = lines->buffer + lines->at + searched;
        const char *end = memchr(from, '\n', lines->until - lines->at - searched);
        if (end)
            return give(lines, (size_t)(end - lines->buffer) - lines->at, 1, line);
        searched = lines->until - lines->at;
        if (searched > most)
            return error_set(err, ERROR_TOO_LARGE, NULL, "line %llu is longer than %zu bytes",
                             (unsigned long long)lines->number + 1, most);
        if (!read_more(lines))
            break;
    }
    /* A file that was cut, or cannot be read any more, must not pass for one that ended. */
    if (packed_failed(lines->file, lines->number, err) || lines->at == lines->until)
        return false;
    return give(lines, lines->until - lines->at, 0, line);
}
