/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What others would use instead, measured in the same run: the programs in tests/bench/peers, whose
 * packages are installed by hand (CONTRIBUTING.md). BENCH_PEERS names that folder. */
#ifndef UPLIFT_TESTS_BENCH_PEER_H
#define UPLIFT_TESTS_BENCH_PEER_H

#include <stdbool.h>

#include "tests/bench/bench.h"

/* Whether the packages are installed; says what is skipped where they are not. */
bool peer_packages(const char *skipped);
/* Runs a program of the folder (`with`: "node" or "sh") that prints a number; 0 where it fails. */
double peer_number(const char *with, const char *program, const char *argument);
/* A server of the folder, by Node. */
struct bench_server peer_serve(const char *program);

#endif
