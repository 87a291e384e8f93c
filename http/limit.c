/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Buckets lie in sets of eight, chosen by a hash of the id. */
#include "http/limit.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { SETS = 512, WAYS = 8, ID_MAX = 24 };

struct bucket {
    char id[ID_MAX]; /* "": free */
    double tokens, rate, burst;
    long long at; /* when tokens was right */
};

struct limit {
    double rate, burst; /* set at the start */
    pthread_mutex_t lock;
    struct bucket buckets[SETS][WAYS]; /* lock */
};

struct limit *limit_new(double rate, double burst)
{
    struct limit *limit = xcalloc(1, sizeof *limit);
    limit->rate = rate;
    limit->burst = fmax(1, burst);
    pthread_mutex_init(&limit->lock, NULL);
    return limit;
}

void limit_free(struct limit **limit)
{
    if (!*limit)
        return;
    pthread_mutex_destroy(&(*limit)->lock);
    free(*limit);
    *limit = NULL;
}

/* FNV-1a. */
static uint32_t hash_of(const char *id)
{
    uint32_t hash = 2166136261u;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return hash;
}

static double tokens_at(const struct bucket *bucket, long long now)
{
    double gained = (double)(now > bucket->at ? now - bucket->at : 0) * bucket->rate / 1000;
    return fmin(bucket->burst, bucket->tokens + gained);
}

/* The bucket of an id; a fresh one in place of a free or the fullest one. */
static struct bucket *bucket_of(struct limit *limit, const char *id, double rate, long long now)
{
    struct bucket *set = limit->buckets[hash_of(id) % SETS], *room = NULL;
    for (int i = 0; i < WAYS; i++) {
        if (strncmp(set[i].id, id, ID_MAX - 1) == 0 && *set[i].id)
            return &set[i];
        bool better =
            !room || (*room->id && (!*set[i].id || tokens_at(&set[i], now) > tokens_at(room, now)));
        if (better)
            room = &set[i];
    }
    double burst = rate > 0 ? fmax(1, rate) : limit->burst;
    *room = (struct bucket){
        .tokens = burst, .burst = burst, .rate = rate > 0 ? rate : limit->rate, .at = now};
    snprintf(room->id, sizeof room->id, "%s", id);
    return room;
}

bool limit_take(struct limit *limit, const char *id, double rate, long long now)
{
    if ((limit->rate <= 0 && rate <= 0) || !*id)
        return true;
    pthread_mutex_lock(&limit->lock);
    struct bucket *bucket = bucket_of(limit, id, rate, now);
    double tokens = tokens_at(bucket, now);
    bool granted = tokens >= 1;
    bucket->tokens = granted ? tokens - 1 : tokens;
    bucket->at = now;
    pthread_mutex_unlock(&limit->lock);
    return granted;
}
