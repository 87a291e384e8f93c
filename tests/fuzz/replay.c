/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The main of a fuzz target outside libFuzzer, so that make check runs the targets too: every
 * file of tests/fuzz/seeds/NAME is given to the target of tests/fuzz/fuzz_NAME.c, followed by
 * changed copies of it. What counts is that the target returns and that no sanitizer and no
 * assertion speaks; a target asserts what it knows about the answer.
 *
 * Each input lies in its own block of exactly its size, so that reading one byte too far is
 * seen. The changes come from a generator started with the number printed first; set
 * UPLIFT_FUZZ_SEED to that number to see the same run again, UPLIFT_FUZZ_COPIES for more of
 * them. A file named on the command line is given to the target once, as libFuzzer does.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

struct input {
    uint8_t *bytes;
    size_t size;
};

/* splitmix64: small, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t limit)
{
    return (size_t)(next_random(state) % limit);
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void *allocate(size_t size)
{
    void *block = malloc(size > 0 ? size : 1);
    if (block == NULL) {
        puts("Bail out! out of memory");
        exit(1);
    }
    return block;
}

static struct input read_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        printf("Bail out! %s: %s\n", path, strerror(errno));
        exit(1);
    }
    uint8_t *buffer = allocate(INPUT_MAX);
    struct input input = {.size = fread(buffer, 1, INPUT_MAX, file)};
    fclose(file);
    input.bytes = allocate(input.size);
    memcpy(input.bytes, buffer, input.size);
    free(buffer);
    return input;
}

/* A copy with one to four changes: a bit turned, a byte replaced by one that parsers care
 * about, a piece cut out, or a piece doubled. */
static struct input changed_copy(struct input from, uint64_t *random)
{
    static const char telling[] = "\"\\{}[]:,0-.eE/ \n\0\x7f\xff\xc0\xed\xf4";
    uint8_t *work = allocate(2 * from.size + 8);
    size_t size = from.size;
    memcpy(work, from.bytes, size);
    for (size_t change = 1 + below(random, 4); change > 0 && size > 0; change--) {
        size_t at = below(random, size);
        size_t length = 1 + below(random, size - at);
        switch (below(random, 4)) {
        case 0:
            work[at] ^= (uint8_t)(1U << below(random, 8));
            break;
        case 1:
            work[at] = (uint8_t)telling[below(random, sizeof telling - 1)];
            break;
        case 2:
            memmove(work + at, work + at + length, size - at - length);
            size -= length;
            break;
        default:
            if (size + length > 2 * from.size)
                break;
            memmove(work + at + length, work + at, size - at);
            size += length;
        }
    }
    struct input copy = {.bytes = allocate(size), .size = size};
    memcpy(copy.bytes, work, size);
    free(work);
    return copy;
}

static void give(struct input input)
{
    int answer = LLVMFuzzerTestOneInput(input.bytes, input.size);
    assert(answer == 0 || answer == -1);
    (void)answer;
}

static void replay(const char *path, uint64_t seed, uint64_t copies)
{
    struct input input = read_input(path);
    give(input);
    uint64_t random = seed;
    for (uint64_t i = 0; i < copies; i++) {
        struct input copy = changed_copy(input, &random);
        give(copy);
        free(copy.bytes);
    }
    free(input.bytes);
}

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_folder(const char *target)
{
    const char *source = getenv("UPLIFT_SRCDIR");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/seeds/%s", source != NULL ? source : ".",
             target);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_seed, alphasort);
    if (count <= 0) {
        printf("Bail out! no seeds in %s\n", folder);
        return 1;
    }
    uint64_t seed = number_from("UPLIFT_FUZZ_SEED", 20261124);
    uint64_t copies = number_from("UPLIFT_FUZZ_COPIES", 200);
    printf("1..%d\n# UPLIFT_FUZZ_SEED=%" PRIu64 "\n", count, seed);
    for (int i = 0; i < count; i++) {
        char path[sizeof folder + 257];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        replay(path, seed, copies);
        printf("ok %d - %s: %s and %" PRIu64 " changed copies\n", i + 1, target, entries[i]->d_name,
               copies);
        fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            replay(argv[i], 0, 0);
        return 0;
    }
    const char *name = strrchr(argv[0], '/');
    name = name != NULL ? name + 1 : argv[0];
    const char *target = strstr(name, "fuzz_");
    return replay_folder(target != NULL ? target + strlen("fuzz_") : name);
}
